package jsonmask

import (
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// firstGiven is how much of a text the decoder is given at first of one of its documents, in bytes; then as much again.
const firstGiven = 64

// feed is the walker as the decoder reads it.
type feed struct{ w *walker }

// Read gives what has been read of the body, and reads on when there is no more. The decoder asks only when it cannot
// go on without.
func (f feed) Read(p []byte) (int, error) {
	w := f.w
	if w.given == w.end() {
		if err := w.refill(); err != nil {
			return 0, err
		}
	}
	from := w.from(w.given)
	if w.single { // what stands behind the value is not for it: a text may have very many
		from = from[:min(len(from), max(firstGiven, int(w.given)))]
	}
	n := copy(p, from)
	w.given += int64(n)
	return n, nil
}

// refill writes what is decided, then reads.
func (w *walker) refill() error {
	if w.longest = max(w.longest, w.end()-w.stop); w.end()-w.stop > MaxToken {
		w.failed = tooLong(w.stop)
		return w.failed
	}
	b := w.from(w.settled)
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		w.broke = w.broke || b[0] == '\n'
		b = b[1:]
		w.settled++
	}
	if w.src != nil {
		if err := w.flush(w.settled); err != nil {
			w.failed = err
			return err
		}
	}
	err := w.more(w.settled)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = readError(err)
	}
	return err
}

// flush writes the input up to an offset to each lane.
func (w *walker) flush(upTo int64) error {
	for _, l := range w.lanes {
		if err := l.flush(&w.input, upTo); err != nil {
			return err
		}
	}
	return nil
}

func tooLong(offset int64) error {
	return &Error{offset, "a string, or white space and what is behind it, is longer than 8 MiB"}
}

// failure says why the decoder could not go on. Its own words may quote the body, so they are not used.
func (w *walker) failure(err error) error {
	if w.failed != nil {
		return w.failed
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{w.end(), "it ends within a value"}
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	out := &Error{w.stop, "it is not valid JSON"}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		out.Offset = syntactic.ByteOffset
		for _, why := range []string{"invalid UTF-8", "invalid escape sequence", "invalid surrogate pair", "invalid character"} {
			if syntactic.Err != nil && strings.HasPrefix(syntactic.Err.Error(), why) {
				out.Reason = "it is not valid JSON: " + why
			}
		}
	}
	return out
}
