package postgres

import (
	"io"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// inbox is what was read from one peer and is not done with: buf[r:w].
type inbox struct {
	buf  []byte
	r, w int
	size int
	// keeps is what it may grow by.
	keeps *allowance
}

func newInbox(size int, keeps *allowance) *inbox {
	return &inbox{buf: make([]byte, size), size: size, keeps: keeps}
}

// charged is what an inbox of a size takes of the memory for all sessions: a statement is read whoever has much.
func charged(size int) int { return max(0, size-engine.MaxStatement-128<<10) }

func (b *inbox) bytes() []byte { return b.buf[b.r:b.w] }

func (b *inbox) consume(n int) {
	b.r += n
	if b.r < b.w {
		return
	}
	b.r, b.w = 0, 0
	if len(b.buf) > 8*b.size {
		_ = b.keeps.take(-charged(len(b.buf))) // less is always had
		b.buf = make([]byte, b.size)           // it grew for one long message
	}
}

// fill reads once. need is the size of the message at hand, so that it fits; 0 if it does not matter.
func (b *inbox) fill(from io.Reader, need int) error {
	if b.r > 0 && (need > len(b.buf)-b.r || b.w == len(b.buf)) {
		copy(b.buf, b.buf[b.r:b.w])
		b.r, b.w = 0, b.w-b.r
	}
	if want := max(need, b.w-b.r+1); want > len(b.buf)-b.r {
		size := max(want, min(2*len(b.buf), want+1<<20))
		if err := b.keeps.take(charged(size) - charged(len(b.buf))); err != nil {
			return fatalf(codeNoMemory, "a long message has no room: %s", err).hint("End other sessions, or try again later.")
		}
		grown := make([]byte, size)
		b.w = copy(grown, b.buf[b.r:b.w])
		b.r, b.buf = 0, grown
	}
	n, err := from.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil // an error comes again with the next read
	}
	return err
}

// append adds bytes that were read elsewhere. The old storage is left as it is: slices into it stay good.
func (b *inbox) append(more []byte) {
	if len(more) == 0 {
		return
	}
	grown := make([]byte, max(b.size, b.w-b.r+len(more)))
	b.keeps.add(charged(len(grown)) - charged(len(b.buf))) // it is here already
	b.w = copy(grown, b.buf[b.r:b.w])
	b.w += copy(grown[b.w:], more)
	b.r, b.buf = 0, grown
}
