package postgres

import (
	"sync/atomic"

	"github.com/sluicegate/sluice/authz/share"
)

const (
	// memoryEach and memoryAll are how many bytes the sessions of one principal, and all of a process, may keep for what is long:
	// messages that must be seen whole, statements, portals. What each session has anyway is not counted; what is made of these
	// bytes (a row with something hidden, what is found in a text) takes as much once more, or twice.
	memoryEach = 256 << 20
	memoryAll  = 1 << 30
)

func newMemory() *share.Pool {
	return share.NewPool("bytes in long statements, values and rows", memoryEach, memoryAll)
}

// allowance is what one session has taken of it. It is safe for concurrent use.
type allowance struct {
	pool *share.Pool
	who  string
	held atomic.Int64
}

// take takes so many bytes, or gives them back if they are less than none. The error is what the agent is told.
func (a *allowance) take(n int) error {
	if n > 0 {
		if err := a.pool.Take(a.who, n); err != nil {
			return err
		}
		a.held.Add(int64(n))
		return nil
	}
	a.add(n)
	return nil
}

// add counts bytes that are there whether there is room or not.
func (a *allowance) add(n int) {
	if n != 0 {
		a.pool.Add(a.who, n)
		a.held.Add(int64(n))
	}
}

// close gives back what the session still has.
func (a *allowance) close() { a.pool.Give(a.who, int(a.held.Swap(0))) }
