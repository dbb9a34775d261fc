package oplog

import (
	"sync"
	"time"
)

const (
	// sharedBurst is how many lines of one kind there may be at once, of strangers and of all for whom there is no pace of their
	// own; sharedRate how many in a second after that.
	sharedBurst, sharedRate = 20, 20
	// lotRate is the rate of those who share a pace by lot.
	lotRate = 2
	// ownBurst and ownRate are those of one principal: what somebody does by hand, or a job in one go, is told line by line, and
	// a loop is far below what journald takes before it drops everybody's (10,000 in 30 s).
	ownBurst, ownRate = 200, 5
)

// pace bounds the lines of a time: a burst, then a rate.
type pace struct {
	burst, rate float64 // lines at once, lines a second

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
		p.left = min(p.left+past.Seconds()*p.rate, p.burst)
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
