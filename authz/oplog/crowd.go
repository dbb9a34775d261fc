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
	// lots is how many paces the rest have.
	lots = 16
	// forgetAfter is when a principal of whom nothing is heard has its whole burst again: forgetting it gives it nothing.
	forgetAfter = ownBurst / ownRate * time.Second
)

// crowd paces the lines of one kind, for each principal by itself: none is told less because of another. Beyond maxCrowd the
// rest share paces, by lot, so that one of them in a loop hides few others.
type crowd struct {
	of   string // the lines' message
	seed maphash.Seed
	rest [lots]pace

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
	c := &crowd{of: of, seed: maphash.MakeSeed(), known: map[uint64]*list.Element{}}
	for i := range c.rest {
		c.rest[i] = pace{burst: sharedBurst, rate: lotRate}
	}
	return c
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
	key := c.key(p)
	m := c.member(p, key, now)
	// One more than comes with a call, so that they become fewer.
	for range 2 {
		if forgotten = c.forget(now); forgotten != nil {
			break
		}
	}
	if m == nil {
		untold, ok = c.rest[key%lots].take(now, must)
	} else {
		untold, ok = m.pace.take(now, must)
	}
	return untold, ok, forgotten
}

// key stands for a principal: names may be as long as a token, and are not kept.
func (c *crowd) key(p *identityv1.Principal) uint64 {
	return maphash.Comparable(c.seed, [2]string{p.GetIssuer(), p.GetSubject()})
}

// member finds or makes one, who is heard of now; nil if there is no room. The caller holds mu.
func (c *crowd) member(p *identityv1.Principal, key uint64, now time.Time) *member {
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
