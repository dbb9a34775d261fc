package jsonmask

import (
	"slices"
	"unicode/utf8"
)

const (
	// deltaWindow is how much of the text of one field may be held, deltaContext how much of what is out is shown to the
	// finder, deltaBytes how much of a stream may be held for it, in bytes.
	deltaWindow  = 4 << 10
	deltaContext = contextSize
	// deltaShare is the share of what is held that must come anew before it is read again: a long word that comes in small
	// pieces would be read for each.
	deltaShare = 8
	// deltaEnd is how much of the end of a find that goes on is shown to it: the marks that end blocks are shorter.
	deltaEnd   = 128
	deltaBytes = 512 << 10
	// deltaFields is how many fields of a stream are followed, and how many places that they stand at, deltaEvents how many
	// events, and lines between them, may be held.
	deltaFields = 32
	deltaEvents = 4 << 10
)

// Opener is a Finder that knows what could become a find.
type Opener interface {
	// Open gives the place from which a text could become a find if it goes on, or the text's length.
	Open(text []byte) int
}

// deltas follows the fields whose text a stream of events gives piece by piece, as those of language models do: the finder
// reads the joined text of each. An event is held while its piece could be part of a secret that goes on.
type deltas struct {
	fields []deltaField
	places []deltaPlace
	uses   uint64 // counts pieces
	spans  []Span
}

// deltaField is one such field. text is what is out, as far as the finder needs it, and the pieces that are held.
type deltaField struct {
	key    uint64
	used   uint64 // when a piece of it came last
	text   []byte
	pieces []heldPiece
	// running: text begins within a find that has been hidden, and goes on.
	running bool
	// shown is where the last find begins, counted from 1, of which a piece that is out has what hides it; 0 for none.
	shown int
	// due is how long text must be before it is read again.
	due int
	// late says among which of an event's late patches its own are.
	late int
}

// deltaPlace is where fields are that only telling values tell apart. If each piece has another value, as if it counted
// them, the text goes on from one to the next: then joined has it, too. It does not where a value comes again behind
// another, or two stand in one event.
type deltaPlace struct {
	key, used uint64
	last      uint64 // the field of the last piece
	event     int    // and its event
	apart     bool
	runs      bool // there is a joined
	joined    deltaField
}

// heldPiece is the text of a field in one event: text[from:to] of the field's, data[start:stop] of the event's.
type heldPiece struct {
	event       int
	from, to    int
	start, stop int
	plain       bool // it is the data itself, and no string of JSON
	round       int  // how often finds in it have been hidden
}

// first is the number of the first event that is held, or none.
func (d *deltas) first(none int) int {
	for i := range d.fields {
		none = d.fields[i].first(none)
	}
	for i := range d.places {
		none = d.places[i].joined.first(none)
	}
	return none
}

func (f *deltaField) first(none int) int {
	if len(f.pieces) > 0 {
		return min(none, f.pieces[0].event)
	}
	return none
}

// add takes the pieces that an event's data gave.
func (d *deltas) add(e *events, l *eventLane, number int, plain bool) {
	m := l.masked
	for _, p := range m.pieces {
		text := m.pieceText[p.from:p.to]
		if len(text) == 0 {
			continue
		}
		d.uses++
		held := heldPiece{event: number, start: p.start, stop: p.stop, plain: plain}
		place := d.place(e, l, p.place)
		place.follow(d, p.key, number)
		d.field(e, l, p.key).add(e, l, held, text)
		if place.runs {
			place.joined.add(e, l, held, text)
		}
	}
}

func (f *deltaField) add(e *events, l *eventLane, p heldPiece, text []byte) {
	p.from = len(f.text)
	f.text = append(f.text, text...)
	p.to = len(f.text)
	f.pieces = append(f.pieces, p)
	if len(f.text) < f.due {
		return
	}
	f.decide(e, l, false)
	f.due = len(f.text)
	if len(f.pieces) > 0 {
		from := f.pieces[0].from
		f.due = min(f.due+(f.due-from)/deltaShare, from+deltaWindow+1)
	}
}

// follow says whether the text of the place goes on from field to field, now that a piece of one comes.
func (p *deltaPlace) follow(d *deltas, key uint64, event int) {
	switch {
	case p.apart || p.used == 0 || p.last == key:
	case p.event == event || d.known(key) != nil:
		p.apart, p.runs = true, false
		p.joined.text, p.joined.pieces = nil, nil
	case !p.runs:
		p.runs = true
		if f := d.known(p.last); f != nil {
			p.joined.text, p.joined.pieces = append(p.joined.text, f.text...), append(p.joined.pieces, f.pieces...)
			p.joined.running, p.joined.shown = f.running, f.shown
		}
	}
	p.used, p.last, p.event = d.uses, key, event
}

// place is that of a key. The one that has not been used for longest makes room for a new one.
func (d *deltas) place(e *events, l *eventLane, key uint64) *deltaPlace {
	oldest := 0
	for i := range d.places {
		p := &d.places[i]
		if p.key == key {
			return p
		}
		if p.used < d.places[oldest].used {
			oldest = i
		}
	}
	if len(d.places) < deltaFields {
		d.places = append(d.places, deltaPlace{})
		oldest = len(d.places) - 1
	}
	p := &d.places[oldest]
	p.joined.decide(e, l, true)
	*p = deltaPlace{key: key, joined: deltaField{late: 1, text: p.joined.text[:0], pieces: p.joined.pieces[:0]}}
	return p
}

// known is the field of a key that is followed, or nil.
func (d *deltas) known(key uint64) *deltaField {
	for i := range d.fields {
		if d.fields[i].key == key {
			return &d.fields[i]
		}
	}
	return nil
}

// field is that of a key. The one that has not been used for longest makes room for a new one.
func (d *deltas) field(e *events, l *eventLane, key uint64) *deltaField {
	oldest := 0
	for i := range d.fields {
		f := &d.fields[i]
		if f.key == key {
			f.used = d.uses
			return f
		}
		if f.used < d.fields[oldest].used {
			oldest = i
		}
	}
	if len(d.fields) < deltaFields {
		d.fields = append(d.fields, deltaField{key: key, used: d.uses})
		return &d.fields[len(d.fields)-1]
	}
	f := &d.fields[oldest]
	f.decide(e, l, true)
	*f = deltaField{key: key, used: d.uses, text: f.text[:0], pieces: f.pieces[:0]}
	return f
}

// decideAll decides all that is held.
func (d *deltas) decideAll(e *events, l *eventLane) {
	for i := range d.fields {
		d.fields[i].decide(e, l, true)
	}
	for i := range d.places {
		d.places[i].joined.decide(e, l, true)
	}
}

// decide hides what is found in the pieces that are held, and lets go of those that nothing behind them can change; of all
// if it must.
func (f *deltaField) decide(e *events, l *eventLane, all bool) {
	if len(f.pieces) == 0 {
		return
	}
	l.deltas.spans = append(l.deltas.spans[:0], l.find(f.text)...)
	spans := l.deltas.spans
	open := len(f.text)
	goesOn := len(spans) > 0 && spans[len(spans)-1].End == len(f.text)
	if !all {
		if goesOn {
			open = spans[len(spans)-1].Start
		}
		if open > f.pieces[0].from { // else nothing is let go, whatever else is open
			open = min(open, l.view.opener.Open(f.text))
		}
		for _, s := range spans {
			if s.Start < open && s.End > open {
				open = s.Start
			}
		}
		if len(f.text)-max(open, f.pieces[0].from) > deltaWindow {
			open = len(f.text)
		}
	}
	n := 0
	for n < len(f.pieces) && f.pieces[n].to <= open {
		n++
	}
	if n == 0 {
		return
	}
	f.hide(e, l, f.pieces[n-1].to, spans)
	f.forget(n, spans, goesOn)
	if cap(f.text) > 4*deltaWindow && len(f.text) <= 2*deltaWindow { // what a long piece took
		f.text = slices.Clone(f.text)
	}
}

// hide patches the events of the pieces with the finds that begin before a place. The first piece of a find gets what
// hides it, the others nothing.
func (f *deltaField) hide(e *events, l *eventLane, before int, spans []Span) {
	for i := range f.pieces {
		p := &f.pieces[i]
		for len(spans) > 0 && spans[0].End <= p.from {
			spans = spans[1:]
		}
		touched := false
		for _, s := range spans {
			if s.Start >= min(before, p.to) {
				break
			}
			var text []byte
			if shown := f.running && s.Start == 0 || f.shown == s.Start+1; !shown {
				text = l.view.found.Append(nil, f.text[s.Start:s.End])
			}
			f.shown, touched = s.Start+1, true
			e.hidePiece(l, f.late, p, max(s.Start, p.from)-p.from, min(s.End, p.to)-p.from, text)
		}
		if touched {
			p.round++
		}
	}
}

// hidePiece has data of an event that is held patched: what stands at from to to of a piece's text. Finds of a piece come
// from left to right.
func (e *events) hidePiece(l *eventLane, late int, p *heldPiece, from, to int, text []byte) {
	first := len(e.queue) - len(l.waiting)
	w := &l.waiting[p.event-e.popped-first]
	begin := len(w.texts)
	if p.plain {
		w.texts = append(w.texts, text...)
	} else {
		w.texts = appendQuoted(w.texts, text)
	}
	rounds := &w.late[late]
	for p.round >= len(*rounds) {
		*rounds = append(*rounds, nil)
	}
	(*rounds)[p.round] = append((*rounds)[p.round], latePatch{patch{from, to, begin, len(w.texts)}, p.start, p.stop, p.plain})
}

// latePatch is a patch of a piece of an event: of what the string at data[begin:stop] says, or of the data itself.
type latePatch struct {
	patch
	begin, stop int
	plain       bool
}

// place brings the patches of an event's pieces among those of its data, all of a round at once: an event may have very many.
// A piece has few rounds, those of other pieces do not meet its own.
func (w *waiting) place(data []byte) {
	for _, late := range slices.Concat(w.late[0], w.late[1]) {
		if len(late) == 0 {
			continue
		}
		placed := make([]patch, 0, len(late)+len(w.patches))
		var u unquoted
		for i, p := range late {
			if i == 0 || p.begin != late[i-1].begin {
				u = unquoted{raw: data[p.begin:p.stop], at: 1}
			}
			if !p.plain {
				p.start, p.end = u.to(p.start), u.to(p.end)
			}
			p.start, p.end = p.begin+p.start, p.begin+p.end
			placed = append(placed, p.patch)
		}
		// Before what the finder found in a piece alone: that may be a part of the same.
		w.patches = mergePatches(append(placed, w.patches...))
	}
	w.late[0], w.late[1] = w.late[0][:0], w.late[1][:0]
}

// keepEnds keeps of the text from a place on, all of it one find, what the finder knows it by: its begin, and what may be
// the first half of the mark that ends it.
func (f *deltaField) keepEnds(from int) {
	text := f.text[from:]
	begin := wholeFrom(text, min(len(text), deltaContext))
	end := wholeFrom(text, max(begin, len(text)-deltaEnd))
	kept := append(f.text[:0], text[:begin]...)
	f.text = append(kept, text[end:]...)
}

// forget drops the first pieces, and the text that the finder needs no more. Of a find that reaches behind them its begin is
// kept, or it would be taken for another; of one that goes on both ends are.
func (f *deltaField) forget(n int, spans []Span, goesOn bool) {
	if n == len(f.pieces) && goesOn {
		f.keepEnds(spans[len(spans)-1].Start)
		f.running, f.shown, f.pieces = true, 0, f.pieces[:0]
		return
	}
	upTo := f.pieces[n-1].to
	keep := wholeFrom(f.text, max(0, upTo-deltaContext))
	for _, s := range spans {
		if s.Start < upTo && s.End > upTo {
			keep = min(keep, s.Start)
		}
	}
	f.running = false
	f.shown = max(0, f.shown-keep)
	f.text = f.text[:copy(f.text, f.text[keep:])]
	f.pieces = f.pieces[:copy(f.pieces, f.pieces[n:])]
	for i := range f.pieces {
		f.pieces[i].from -= keep
		f.pieces[i].to -= keep
	}
}

// wholeFrom is the first place from another on at which a character of a text begins, or the text's end.
func wholeFrom(text []byte, at int) int {
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return at
}
