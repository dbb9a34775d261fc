package http

import (
	"errors"
	"sync/atomic"
)

// maxKept is how many bytes of bodies may be kept in all, for want of the end of a string or an event, beyond what every
// body has anyway. What is kept costs about twice as much memory. Services that begin long strings and do not end them
// would take all there is otherwise.
const maxKept = 128 << 20

// errKept ends a body of which more would have to be kept than there is room for.
var errKept = errors.New("too much is kept of bodies whose strings or events do not end")

// budget is what is left to be kept. It is safe for concurrent use.
type budget struct{ used atomic.Int64 }

func (b *budget) take(n int) error {
	if b.used.Add(int64(n)) > maxKept {
		b.used.Add(-int64(n))
		return errKept
	}
	return nil
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }
