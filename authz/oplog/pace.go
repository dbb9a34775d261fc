package oplog

import (
	"sync"
	"time"
)

const (
	// burst is how many lines of one kind there may be at once.
	burst = 20
	// sharedRate is how many there may be in a second after that, of strangers and of all for whom there is no pace of their
	// own; ownRate how many of one principal: journald by default drops everybody's beyond 333 a second.
	sharedRate, ownRate = 20, 1
)

// pace bounds the lines of a time: a burst, then a rate.
type pace struct {
	rate float64 // lines a second

	mu     sync.Mutex
	left   float64 // lines that there may be
	at     time.Time
	untold int
}

// take reports whether there may be a line now, and how many there were none for since the last. One that must be is
// always.
func (p *pace) take(now time.Time, must bool) (untold int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if past := now.Sub(p.at); past > 0 {
		p.left = min(p.left+past.Seconds()*p.rate, burst)
	}
	p.at = now
	switch {
	case p.left >= 1:
		p.left--
	case !must:
		p.untold++
		return 0, false
	}
	untold, p.untold = p.untold, 0
	return untold, true
}
