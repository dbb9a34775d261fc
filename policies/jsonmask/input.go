package jsonmask

import "io"

const (
	// firstChunk and largestChunk are how much is asked of a body at once: little of a small one.
	firstChunk   = 4 << 10
	largestChunk = 64 << 10
	// emptyReads is how often in a row a reader may give nothing.
	emptyReads = 100
)

// Keeper is a source of a body that bounds what is kept of many. Keep is asked before the buffer of a body that is read
// from it grows past what every body may have, to so many bytes; it stays so large until Copy returns. An error ends the
// body: Copy returns it wrapped.
type Keeper interface {
	io.Reader
	Keep(bytes int) error
}

// input is the part of a body that is still needed. Offsets count from the body's begin.
type input struct {
	src io.Reader // nil: buf is all there is
	buf []byte
	// base is the offset of buf[0].
	base int64
	// err is how the body ended.
	err  error
	full bool // the last read filled the buffer
}

// end is the offset behind what has been read.
func (in *input) end() int64 { return in.base + int64(len(in.buf)) }

// from is what has been read from an offset on.
func (in *input) from(offset int64) []byte { return in.buf[offset-in.base:] }

// span is what has been read between two offsets.
func (in *input) span(from, to int64) []byte { return in.buf[from-in.base : to-in.base] }

// more reads once, and gives up what is before keep. The error is the reader's; io.EOF at the end.
func (in *input) more(keep int64) error {
	if in.err != nil {
		return in.err
	}
	if in.src == nil {
		return io.EOF
	}
	if err := in.room(int(keep - in.base)); err != nil {
		in.err = err
		return err
	}
	for range emptyReads {
		n, err := in.src.Read(in.buf[len(in.buf):cap(in.buf)])
		in.err = err
		if n > 0 {
			in.buf = in.buf[:len(in.buf)+n]
			in.full = len(in.buf) == cap(in.buf)
			return nil
		}
		if err != nil {
			return err
		}
	}
	in.err = io.ErrNoProgress
	return in.err
}

// room makes free space of a quarter of the buffer at least, so that what is moved stays in proportion to what is read.
func (in *input) room(drop int) error {
	live := len(in.buf) - drop
	grow := in.full && cap(in.buf) < largestChunk
	switch {
	case live == 0 && !grow && cap(in.buf) > 0:
		in.buf = in.buf[:0]
	case !grow && cap(in.buf)-len(in.buf) > cap(in.buf)/4:
		return nil
	case !grow && live <= cap(in.buf)/2 && cap(in.buf) > 0:
		in.buf = in.buf[:copy(in.buf, in.buf[drop:])]
	default:
		size := max(firstChunk, 2*cap(in.buf))
		if grow {
			size = min(4*cap(in.buf), largestChunk)
		}
		if k, ok := in.src.(Keeper); ok && size > largestChunk {
			if err := k.Keep(size); err != nil {
				return err
			}
		}
		in.buf = append(make([]byte, 0, size), in.buf[drop:]...)
	}
	in.base += int64(drop)
	in.full = false
	return nil
}
