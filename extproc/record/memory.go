package record

import (
	"sync"
)

// budget bounds the bytes of all chunks in memory: open, waiting for a worker, and being sealed. Who needs more waits:
// that is the back-pressure.
type budget struct {
	mu     sync.Mutex
	freed  sync.Cond
	used   int64
	max    int64
	closed bool
}

func newBudget(maxBytes int64) *budget {
	b := &budget{max: maxBytes}
	b.freed.L = &b.mu
	return b
}

// try takes n bytes if there are so many.
func (b *budget) try(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+n > b.max {
		return false
	}
	b.used += n
	return true
}

// take waits for n bytes. More than there are in all are given when nobody else has any. False: the budget was closed.
func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used > 0 && b.used+n > b.max && !b.closed {
		b.freed.Wait()
	}
	if b.closed {
		return false
	}
	b.used += n
	return true
}

// give gives n bytes back.
func (b *budget) give(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	b.freed.Broadcast()
}

// close wakes all who wait, for good.
func (b *budget) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.freed.Broadcast()
}

// classes are the sizes of buffers: an idle session's chunk costs little, a busy one's grows a few times.
var classes = [...]int{4 << 10, 64 << 10, 288 << 10, 1<<20 + 64<<10}

// buffer is a chunk's bytes; only those of a class are kept for reuse.
type buffer struct {
	b     []byte
	class int // index in classes, or len(classes) for one that is greater
}

// buffers are the free ones.
type buffers struct{ pools [len(classes)]sync.Pool }

// sizeFor is the size of a buffer that holds n bytes, and its class.
func sizeFor(n int) (size, class int) {
	for i, c := range classes {
		if n <= c {
			return c, i
		}
	}
	return n, len(classes)
}

func (p *buffers) get(size, class int) *buffer {
	if class < len(classes) {
		if b, ok := p.pools[class].Get().(*buffer); ok {
			return b
		}
	}
	return &buffer{b: make([]byte, 0, size), class: class}
}

func (p *buffers) put(b *buffer) {
	if b.class < len(classes) {
		b.b = b.b[:0]
		p.pools[b.class].Put(b)
	}
}
