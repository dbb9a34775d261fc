package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// maxLines is how many lines of an event are held.
const maxLines = 64 << 10

// events reads text/event-stream (WHATWG HTML, 9.2.6). Lines without data go out as they end; from the first line of
// data on, an event is held until its empty line, and longer while a secret could go on in the next.
type events struct {
	input
	lanes []*eventLane
	// inner masks data that is JSON, as patches: a lane for each of lanes.
	inner *walker

	// settled is the offset up to which all has been put out, begin where the event at hand begins, next where the line at
	// hand begins, seen how far its end has been looked for.
	settled, begin, next, seen int64
	// cr: the last line ended in CR, so LF belongs to it.
	cr bool
	// held are the lines of the event at hand, if it has data.
	held []eventLine
	// queue are the events, and lines between them, that a lane still holds; lines are theirs, popped is how many were
	// before them.
	queue  []queued
	lines  []eventLine
	popped int
	// data is that of the event at hand, other that of one before it.
	data, other []byte

	encoding encoding
}

// queued is an event, or a line between events: lines[from:to].
type queued struct {
	from, to int
	begin    int64
}

// eventLane is a view's way through a stream of events.
type eventLane struct {
	*lane
	// masked is the inner walker's lane.
	masked *lane
	// waiting are the patches of the data of what is queued and not yet put out.
	waiting []waiting
	deltas  deltas
}

// waiting is what becomes of the data of one event.
type waiting struct {
	patches []patch
	texts   []byte
	// late are patches of pieces that have not been placed yet, by round: those of fields, and those over fields.
	late [2][][]latePatch
}

func newEvents(lanes []*lane, src io.Reader) *events {
	e := &events{input: input{src: src}, encoding: encodingFor(lanes)}
	masked := make([]*lane, 0, len(lanes))
	for _, l := range lanes {
		m := newLane(l.view)
		m.tracks, m.collects = true, l.view.opener != nil
		masked = append(masked, m)
		e.lanes = append(e.lanes, &eventLane{lane: l, masked: m})
	}
	e.inner = newWalker(masked)
	return e
}

func (e *events) run() error {
	err := e.read()
	e.inner.release()
	for _, l := range e.lanes {
		l.masked.release()
	}
	return err
}

func (e *events) read() error {
	for {
		if err := e.encoding.check(&e.input, false); err != nil {
			return err
		}
		if err := e.take(); err != nil {
			return err
		}
		if e.end()-e.begin > MaxToken {
			return &Error{e.begin, "an event is longer than 8 MiB"}
		}
		if err := e.flush(); err != nil {
			return err
		}
		switch err := e.more(e.encoding.keeps(e.settled)); {
		case errors.Is(err, io.EOF):
			if err := e.encoding.check(&e.input, true); err != nil {
				return err
			}
			return e.finish()
		case err != nil:
			return readError(err)
		}
	}
}

func (e *events) flush() error {
	for _, l := range e.lanes {
		err := l.write(l.out)
		l.out = l.out[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// take takes every line that has come in whole.
func (e *events) take() error {
	for {
		if e.cr && e.next < e.end() {
			e.cr = false
			if e.from(e.next)[0] == '\n' {
				e.feed()
			}
		}
		n := bytes.IndexAny(e.from(e.seen), "\r\n")
		if n < 0 {
			e.seen = e.end()
			return nil
		}
		end := e.seen + int64(n)
		e.cr = e.from(end)[0] == '\r'
		line := e.parse(e.next, end)
		line.end = end + 1
		e.next, e.seen = line.end, line.end
		if line.end-e.begin > MaxToken {
			return &Error{e.begin, "an event is longer than 8 MiB"}
		}
		if len(e.held) == maxLines {
			return &Error{e.begin, "an event has too many lines"}
		}
		e.line(line)
	}
}

// feed takes the LF of a line's CR LF.
func (e *events) feed() {
	e.next++
	e.seen = e.next
	if n := len(e.held); n > 0 {
		e.held[n-1].end++
		return
	}
	for _, l := range e.lanes {
		if len(l.waiting) == 0 {
			l.out = append(l.out, '\n')
		}
	}
	if n := len(e.lines); len(e.queue) > 0 {
		e.lines[n-1].end++
	}
	e.begin = e.next
	e.settle()
}

// line handles a line.
func (e *events) line(line eventLine) {
	if line.kind != dataLine && len(e.held) == 0 {
		e.held = append(e.held, line)
		e.event(false)
		return
	}
	e.held = append(e.held, line)
	if line.kind == emptyLine {
		e.event(true)
	}
}

// finish handles what stands behind the last empty line. Readers that keep to the standard drop it.
func (e *events) finish() error {
	line := e.parse(e.next, e.end()) // may be empty: then it ends an event as an empty line does
	line.end = e.end()
	e.next = line.end
	e.line(line)
	if len(e.held) > 0 {
		e.event(true)
	}
	for _, l := range e.lanes {
		l.deltas.decideAll(e, l)
		e.putOut(l, len(l.waiting))
	}
	e.settle()
	return e.flush()
}

// done is what APIs send as data when a stream of events is over; it is no JSON, and no secret.
const done = "[DONE]"

// event queues the event at hand, or a line without data, and puts out what nothing holds.
func (e *events) event(hasData bool) {
	from := len(e.lines)
	e.lines = append(e.lines, e.held...)
	e.queue = append(e.queue, queued{from, len(e.lines), e.begin})
	e.held = e.held[:0]
	e.begin = e.lines[len(e.lines)-1].end
	number := e.popped + len(e.queue) - 1
	for _, l := range e.lanes {
		if n := len(l.waiting); n < cap(l.waiting) {
			l.waiting = l.waiting[:n+1]
			w := &l.waiting[n]
			w.patches, w.texts = w.patches[:0], w.texts[:0]
			for i := range w.late {
				w.late[i] = w.late[i][:0]
			}
		} else {
			l.waiting = append(l.waiting, waiting{})
		}
	}
	if hasData {
		e.mask(number)
	}
	for _, l := range e.lanes {
		first := l.deltas.first(number + 1)
		if first <= number && (number-first >= deltaEvents || e.begin-e.queue[first-e.popped].begin > deltaBytes) {
			l.deltas.decideAll(e, l)
			first = number + 1
		}
		e.putOut(l, len(l.waiting)-(number+1-first))
	}
	e.settle()
}

// mask works out what becomes of the data of the last event.
func (e *events) mask(number int) {
	e.data = e.joined(e.data[:0], e.queue[number-e.popped])
	data := e.data
	if len(data) == 0 || string(data) == done {
		return
	}
	isJSON := len(bytes.TrimSpace(data)) > 0
	if isJSON {
		e.inner.reset(nil, data, false)
		isJSON = e.inner.run() == nil
		e.inner.buf = nil
	}
	if isJSON {
		e.inner.tellApart()
	}
	for _, l := range e.lanes {
		if l.view.Empty() {
			continue
		}
		w := &l.waiting[len(l.waiting)-1]
		m := l.masked
		if isJSON {
			m.close()
			w.patches = append(w.patches, m.patches...)
			w.texts = append(w.texts, m.out...)
		} else {
			m.readText(data)
			w.patches = append(w.patches, m.cuts...)
			w.texts = append(w.texts, m.texts...)
		}
		if m.collects {
			// A number or a word may be a piece of a text that is sent as it is.
			plain := !isJSON || bytes.IndexByte([]byte(`{["`), bytes.TrimSpace(data)[0]) < 0
			if plain {
				m.pieceText = append(m.pieceText[:0], data...)
				m.pieces = append(m.pieces[:0], piece{stop: len(data), to: len(data)})
			}
			l.deltas.add(e, l, number, plain)
		}
	}
}

// readText patches what paths name in a text's documents, and what the finder finds in it.
func (l *lane) readText(text []byte) {
	l.cuts, l.texts = l.cuts[:0], l.texts[:0]
	if len(l.view.rules) > 0 {
		l.inside(text, l.view.set.Start(), 0)
		l.hideFrom(text, l.view.assigned(text))
	}
	l.putFinds(text, l.find(text))
}

// putOut puts out the first events that a lane holds.
func (e *events) putOut(l *eventLane, n int) {
	first := len(e.queue) - len(l.waiting)
	for i := range n {
		q, w := e.queue[first+i], &l.waiting[i]
		var now []byte // nil: as it came
		if len(w.patches)+len(w.late[0])+len(w.late[1]) > 0 {
			e.other = e.joined(e.other[:0], q)
			w.place(e.other)
			l.plain = appendPatched(l.plain[:0], e.other, w.patches, w.texts)
			if now = l.plain; now == nil {
				now = []byte{}
			}
		}
		l.out = e.putEvent(l, l.out, e.lines[q.from:q.to], now)
	}
	if n > 0 { // the room of those that are out is used again
		slices.Reverse(l.waiting[:n])
		slices.Reverse(l.waiting[n:])
		slices.Reverse(l.waiting)
		l.waiting = l.waiting[:len(l.waiting)-n]
	}
}

// settle forgets what every lane has put out.
func (e *events) settle() {
	most := 0
	for _, l := range e.lanes {
		most = max(most, len(l.waiting))
	}
	if n := len(e.queue) - most; n > 0 {
		e.popped += n
		if most == 0 {
			e.queue, e.lines = e.queue[:0], e.lines[:0]
		} else if n >= len(e.queue)/2 {
			gone := e.queue[n].from
			e.lines = e.lines[:copy(e.lines, e.lines[gone:])]
			e.queue = e.queue[:copy(e.queue, e.queue[n:])]
			for i := range e.queue {
				e.queue[i].from -= gone
				e.queue[i].to -= gone
			}
		} else {
			e.popped -= n // later, so that what is moved stays in proportion
		}
	}
	e.settled = e.begin
	if len(e.queue) > 0 {
		e.settled = e.queue[0].begin
	}
}

// joined appends the data of an event: its lines of data with LF between.
func (e *events) joined(dst []byte, q queued) []byte {
	some := false
	for _, line := range e.lines[q.from:q.to] {
		if line.kind != dataLine {
			continue
		}
		if some {
			dst = append(dst, '\n')
		}
		some = true
		dst = append(dst, e.span(line.value, line.stop)...)
	}
	return dst
}
