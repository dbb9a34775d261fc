package jsonmask

import (
	"bytes"
	"errors"
	"io"
)

// maxLines is how many lines of an event are held.
const maxLines = 64 << 10

// events reads text/event-stream (WHATWG HTML, 9.2.6). Lines without data go out as they end; from the first line of
// data on, an event is held until its empty line.
type events struct {
	input
	lanes []*lane
	// inner masks data that is JSON, into masked: a lane for each of lanes.
	inner  *walker
	masked []*lane

	// settled is the offset up to which all has been put out, next where the line at hand begins, seen how far its end
	// has been looked for.
	settled, next, seen int64
	// cr: the last line ended in CR, so LF belongs to it.
	cr bool
	// held are the lines of the event at hand, from settled on, if it has data.
	held []eventLine
	data []byte // the data of the event at hand

	encoding encoding
}

func newEvents(lanes []*lane, src io.Reader) *events {
	e := &events{input: input{src: src}, lanes: lanes, encoding: encodingFor(lanes)}
	for _, l := range lanes {
		e.masked = append(e.masked, newLane(l.view))
	}
	e.inner = newWalker(e.masked)
	return e
}

func (e *events) run() error {
	err := e.read()
	e.inner.release()
	for _, l := range e.masked {
		l.release()
	}
	return err
}

func (e *events) read() error {
	for {
		if err := e.encoding.check(&e.input, false); err != nil {
			return err
		}
		if err := e.lines(); err != nil {
			return err
		}
		if e.end()-e.settled > MaxToken {
			return &Error{e.settled, "an event is longer than 8 MiB"}
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

// lines takes every line that has come in whole.
func (e *events) lines() error {
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
		if line.end-e.settled > MaxToken {
			return &Error{e.settled, "an event is longer than 8 MiB"}
		}
		if len(e.held) == maxLines {
			return &Error{e.settled, "an event has too many lines"}
		}
		e.take(line)
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
		l.out = append(l.out, '\n')
	}
	e.settled = e.next
}

// take handles a line.
func (e *events) take(line eventLine) {
	switch {
	case line.kind == dataLine || len(e.held) > 0 && line.kind != emptyLine:
		e.held = append(e.held, line)
	case len(e.held) > 0:
		e.held = append(e.held, line)
		e.event()
	default:
		for _, l := range e.lanes {
			l.out = e.putLine(l, l.out, line)
		}
		e.settled = line.end
	}
}

// finish handles what stands behind the last empty line. Readers that keep to the standard drop it.
func (e *events) finish() error {
	if e.next < e.end() {
		line := e.parse(e.next, e.end())
		line.end = e.end()
		e.next = line.end
		e.take(line)
	}
	if len(e.held) > 0 {
		e.event()
	}
	return e.flush()
}

// done is what APIs send as data when a stream of events is over; it is no JSON, and no secret.
const done = "[DONE]"

// event puts out the event that is held.
func (e *events) event() {
	data := e.joined()
	plain := len(bytes.TrimSpace(data)) == 0 || string(data) == done
	isJSON := true
	if !plain {
		e.inner.reset(nil, data, false)
		isJSON = e.inner.run() == nil
		e.inner.buf = nil
	}
	last := e.held[len(e.held)-1].end
	for i, l := range e.lanes {
		var now []byte // nil: as it came
		switch {
		case plain || l.view.Empty():
		case isJSON:
			if in := e.masked[i]; in.changed {
				now = in.out
			}
		case len(l.view.rules) > 0:
			now = []byte(hiddenData)
		default:
			if spans := l.find(data); len(spans) > 0 {
				now = l.appendFound([]byte{}, data, spans)
			}
		}
		l.out = e.putEvent(l, l.out, now)
	}
	e.held = e.held[:0]
	e.settled = last
}

// joined is the data of the event that is held: its lines with LF between.
func (e *events) joined() []byte {
	e.data = e.data[:0]
	for i, line := range e.held {
		if line.kind != dataLine {
			continue
		}
		if i > 0 { // the first line that is held is one of data
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, e.span(line.value, line.stop)...)
	}
	return e.data
}
