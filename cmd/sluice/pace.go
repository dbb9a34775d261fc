package main

import (
	"sync"
	"time"
)

const (
	// explainEvery is how often somebody may ask what would be decided, in the long run, and explainBurst how many times
	// at once: each question costs the database a look at its catalog.
	explainEvery = 500 * time.Millisecond
	explainBurst = 40
	// maxPaced bounds how many callers are remembered.
	maxPaced = 10_000
)

// pace bounds how often each caller may do something.
type pace struct {
	every time.Duration
	burst int

	mu sync.Mutex
	by map[string]time.Time // when the caller's last turn would be used up
}

func newPace(every time.Duration, burst int) *pace {
	return &pace{every: every, burst: burst, by: map[string]time.Time{}}
}

// take reports whether the caller may do it now.
func (p *pace) take(who string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.by) >= maxPaced {
		for old, at := range p.by {
			if at.Before(now) {
				delete(p.by, old)
			}
		}
	}
	at, known := p.by[who]
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > time.Duration(p.burst-1)*p.every || !known && len(p.by) >= maxPaced {
		return false
	}
	p.by[who] = at.Add(p.every)
	return true
}
