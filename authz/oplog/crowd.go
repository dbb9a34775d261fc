package oplog

import (
	"container/list"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

const (
	// maxCrowd bounds the principals that have a pace of their own.
	maxCrowd = 1024
	// forgetAfter is when a principal of whom nothing is heard has its whole burst again: forgetting it gives it nothing.
	forgetAfter = ownBurst / ownRate * time.Second
)

// crowd paces the lines of one kind, for each principal by itself: none is told less because of another. Beyond maxCrowd the
// rest have one pace together.
type crowd struct {
	of   string // the lines' message
	seed maphash.Seed
	rest pace

	mu    sync.Mutex
	known map[uint64]*list.Element // of order
	order list.List                // of *member: who was not heard of for longest is in front
}

// member is a principal with a pace of its own.
type member struct {
	key   uint64
	name  string // as lines have it
	heard time.Time
	pace  pace
}

func newCrowd(of string) *crowd {
	return &crowd{of: of, seed: maphash.MakeSeed(), rest: pace{burst: sharedBurst, rate: sharedRate}, known: map[uint64]*list.Element{}}
}

// may reports whether there may be a line about a principal, as pace's take does. Somebody of whom nothing is heard any more
// has a line about what was untold.
func (l *Log) may(c *crowd, p *identityv1.Principal, must bool) (untold int, ok bool) {
	untold, ok, forgotten := c.take(p, l.now(), must)
	if forgotten != nil {
		l.logger.Warn("lines untold", slog.String("of", c.of), slog.String("principal", forgotten.name), slog.Int("untold", forgotten.pace.untold))
	}
	return untold, ok
}

// take is the pace's, for one principal. Forgotten is somebody who is not heard of any more and has lines untold; nil if
// there is nobody.
func (c *crowd) take(p *identityv1.Principal, now time.Time, must bool) (untold int, ok bool, forgotten *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.member(p, now)
	// One more than comes with a call, so that they become fewer.
	for range 2 {
		if forgotten = c.forget(now); forgotten != nil {
			break
		}
	}
	if m == nil {
		untold, ok = c.rest.take(now, must)
	} else {
		untold, ok = m.pace.take(now, must)
	}
	return untold, ok, forgotten
}

// member finds or makes one, who is heard of now; nil if there is no room. The caller holds mu.
func (c *crowd) member(p *identityv1.Principal, now time.Time) *member {
	// Names may be as long as a token: they are not kept.
	key := maphash.Comparable(c.seed, [2]string{p.GetIssuer(), p.GetSubject()})
	if e := c.known[key]; e != nil {
		m := e.Value.(*member)
		m.heard = now
		c.order.MoveToBack(e)
		return m
	}
	if len(c.known) >= maxCrowd {
		return nil
	}
	m := &member{key: key, name: who(p), heard: now, pace: pace{burst: ownBurst, rate: ownRate}}
	c.known[key] = c.order.PushBack(m)
	return m
}

// forget takes out whoever was not heard of for long, and returns it if it has lines untold. The caller holds mu.
func (c *crowd) forget(now time.Time) *member {
	e := c.order.Front()
	if e == nil {
		return nil
	}
	m := e.Value.(*member)
	if now.Sub(m.heard) < forgetAfter {
		return nil
	}
	c.order.Remove(e)
	delete(c.known, m.key)
	if m.pace.untold == 0 {
		return nil
	}
	return m
}
