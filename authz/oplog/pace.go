package oplog

import (
	"sync"
	"time"
)

// maxLines bounds the lines of a second about refused logins of one kind: a stranger must not fill the log.
const maxLines = 20

// pace bounds the lines of a second.
type pace struct {
	mu     sync.Mutex
	since  time.Time
	lines  int // since then
	untold int
}

// take reports whether there may be a line now, and how many there were none for since the last.
func (p *pace) take(now time.Time) (untold int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.since) >= time.Second {
		p.since, p.lines = now, 0
	}
	if p.lines >= maxLines {
		p.untold++
		return 0, false
	}
	p.lines++
	untold, p.untold = p.untold, 0
	return untold, true
}
