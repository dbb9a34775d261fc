package jsonmask

import (
	"errors"
	"fmt"
	"io"
)

const (
	// MaxToken is the longest string, event, or run of white space with the token behind it, in bytes as it came.
	MaxToken = 8 << 20
	// MaxDepth is how deep arrays and objects may nest.
	MaxDepth = 1000
	// TextWindow is how much of a text without a line break is held back, in bytes.
	TextWindow = 64 << 10
)

// Format is how a body is read.
type Format int

const (
	// JSON is one document (RFC 8259), or several behind one another. A body without any is passed.
	JSON Format = iota
	// Lines is a document a line, as NDJSON and JSON Lines have it. Empty lines pass.
	Lines
	// Events is text/event-stream (WHATWG HTML, 9.2). Data that is JSON is masked as such. Other data, comments and the
	// fields event, id and retry are read as strings of JSON are: for documents in them, and by the finder. Fields that the
	// standard does not know, which readers ignore, are hidden as a whole if the view has paths. A finder that is an Opener
	// reads the joined text of fields that are given piece by piece: an event is held while it could be part of a find.
	Events
	// Text is searched by the finder alone; paths mean nothing. It is UTF-8, or refused where there is a finder. Lines are
	// released as they end. A find of up to half of TextWindow is found wherever it stands in a line, one that goes on over
	// line ends (a PEM block) is held back up to TextWindow.
	Text
)

// Output is one reader of a body: the agent, or the record.
type Output struct {
	View *View
	// Write takes the next part; p is valid until it returns.
	Write func(p []byte) error
}

// Error says where a body cannot be read, and why. It has nothing of the body in it.
type Error struct {
	// Offset is the byte of the body near which reading stopped, from 0.
	Offset int64
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("the body cannot be masked: %s (near byte %d)", e.Reason, e.Offset)
}

// Copy reads a body and writes it masked to each output. Before it reads, all that is decided has been written. A body
// that is not of the format ends with an *Error: of the value at hand nothing is written, what was decided before may
// have been. Errors of src and of Write come back wrapped. If nothing is hidden from anyone, bytes pass as they are.
func Copy(f Format, src io.Reader, outs ...Output) error {
	lanes, err := newLanes(outs)
	if err != nil || len(lanes) == 0 {
		return err
	}
	switch {
	case allEmpty(lanes):
		err = pass(&input{src: src}, lanes)
	case f == JSON || f == Lines:
		w := newWalker(lanes)
		w.reset(src, w.buf[:0], f == Lines)
		err = w.run()
		w.release()
	case f == Events:
		err = newEvents(lanes, src).run()
	case f == Text:
		err = newTexts(lanes, src).run()
	default:
		err = fmt.Errorf("there is no format %d", f)
	}
	for _, l := range lanes {
		l.release()
	}
	return err
}

func allEmpty(lanes []*lane) bool {
	for _, l := range lanes {
		if !l.view.Empty() {
			return false
		}
	}
	return true
}

// pass copies what nothing is hidden in.
func pass(in *input, lanes []*lane) error {
	for {
		switch err := in.more(in.end()); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return readError(err)
		}
		for _, l := range lanes {
			if err := l.write(in.buf); err != nil {
				return err
			}
		}
	}
}

func readError(err error) error { return fmt.Errorf("reading the body: %w", err) }
