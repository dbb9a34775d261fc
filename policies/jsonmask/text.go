package jsonmask

import (
	"bytes"
	"errors"
	"io"
)

// contextSize is how much of what stands before is shown to the finder where a text had to be cut within a line, in bytes: a
// detector looks up to 256 back for what makes a secret of what it found.
const contextSize = 288

// texts reads plain text. Each lane looks at it at points that the text alone decides (line ends, TextWindow bytes, its
// end), so that the result is the same however the text comes in.
type texts struct {
	input
	lanes    []*textLane
	encoding encoding
}

// textLane is a view's way through a text.
type textLane struct {
	*lane
	// seen is how far line ends have been looked for, due where the finder is asked again at the earliest.
	seen, due int64
	// context is what stands before at, if that is within a line or within a find. running: at is within a find that
	// began in the context and has been hidden.
	context []byte
	running bool
	joined  []byte
}

func newTexts(lanes []*lane, src io.Reader) *texts {
	t := &texts{input: input{src: src}, encoding: encodingFor(lanes)}
	for _, l := range lanes {
		t.lanes = append(t.lanes, &textLane{lane: l})
	}
	return t
}

func (t *texts) run() error {
	for {
		if err := t.encoding.check(&t.input, false); err != nil {
			return err
		}
		keep := t.encoding.keeps(t.end())
		for _, l := range t.lanes {
			l.advance(&t.input)
			if err := l.flushOut(); err != nil {
				return err
			}
			keep = min(keep, l.at)
		}
		switch err := t.more(keep); {
		case errors.Is(err, io.EOF):
			return t.finish()
		case err != nil:
			return readError(err)
		}
	}
}

func (t *texts) finish() error {
	if err := t.encoding.check(&t.input, true); err != nil {
		return err
	}
	for _, l := range t.lanes {
		l.look(&t.input, t.end(), true)
		if err := l.flushOut(); err != nil {
			return err
		}
	}
	return nil
}

func (l *textLane) flushOut() error {
	err := l.write(l.out)
	l.out = l.out[:0]
	return err
}

// advance decides what can be decided of what has come in.
func (l *textLane) advance(in *input) {
	if l.view.finder == nil {
		l.out = append(l.out, in.from(l.at)...)
		l.at = in.end()
		return
	}
	for {
		limit := min(l.at+TextWindow, in.end())
		n := bytes.IndexByte(in.span(min(l.seen, limit), limit), '\n')
		switch {
		case n >= 0:
			l.seen += int64(n) + 1
			if l.seen >= l.due {
				l.look(in, l.seen, false)
			}
		case limit == l.at+TextWindow:
			l.seen = limit
			l.look(in, limit, false)
		default:
			l.seen = limit
			return
		}
	}
}

// look asks the finder about the text from at to upTo, and puts out what is decided.
func (l *textLane) look(in *input, upTo int64, last bool) {
	text := in.span(l.at, upTo)
	shift := len(l.context)
	if shift > 0 {
		l.joined = append(append(l.joined[:0], l.context...), text...)
		text = l.joined
	}
	spans := l.find(text)
	cut, state := l.decide(text, spans, upTo-l.at == TextWindow, last)
	if cut > shift {
		l.put(text[:cut], shift, spans)
	}
	l.at += int64(cut - shift)
	l.due = upTo
	switch state {
	case atLine:
		l.context, l.running = l.context[:0], false
	case beforeFind, withinLine:
		if state == beforeFind { // many short lines must not have a long find searched again and again
			l.due += (upTo - l.at) / 4
		}
		l.context, l.running = append(l.context[:0], text[max(0, cut-contextSize):cut]...), false
	case withinFind:
		if !l.running {
			find := text[spans[len(spans)-1].Start:]
			l.context, l.running = append(l.context[:0], find[:min(contextSize, len(find))]...), true
		}
	}
}

// place is where the undecided text begins.
type place int

const (
	atLine place = iota
	withinLine
	beforeFind // that may go on
	withinFind // that has been hidden as far as it has come
)

// decide says how far a text, with its context, can be put out. full: the window is full, so something has to be.
func (l *textLane) decide(text []byte, spans []Span, full, last bool) (cut int, at place) {
	if last {
		return len(text), atLine
	}
	shift := len(l.context)
	half := shift + TextWindow/2
	if n := len(spans); n > 0 && spans[n-1].End == len(text) { // it may go on
		start := spans[n-1].Start
		if l.running && start == 0 || full && start < half {
			return len(text), withinFind
		}
		return max(start, shift), beforeFind
	}
	if text[len(text)-1] == '\n' {
		return len(text), atLine
	}
	cut = half
	if n := bytes.LastIndexByte(text, '\n') + 1; n > half {
		cut, at = n, atLine
	} else {
		at = withinLine
	}
	for _, s := range spans {
		if s.Start < cut && s.End > cut {
			cut, at = s.End, withinLine
		}
	}
	return cut, at
}

// put appends decided text behind its context, with its finds hidden.
func (l *textLane) put(text []byte, shift int, spans []Span) {
	at := shift
	for _, s := range spans {
		if s.Start >= len(text) {
			break
		}
		if s.End <= at {
			continue
		}
		begin := max(s.Start, at)
		l.out = append(l.out, text[at:begin]...)
		if !l.running || s.Start > 0 {
			l.out = l.view.found.Append(l.out, text[begin:s.End])
		}
		at = s.End
	}
	l.out = append(l.out, text[at:]...)
}
