package check

import (
	"context"
	"slices"
	"sync"
)

// turns let a few go on at once. Who waits is asked in turn, one of each principal's: whoever sends thirty delays others by
// one.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]chan struct{}
	order   []string // who has somebody waiting, the next first
}

func newTurns(n int) *turns { return &turns{free: n, waiting: map[string][]chan struct{}{}} }

// take waits for a turn; false if the context ended before. Whoever got one gives it back.
func (t *turns) take(ctx context.Context, who string) bool {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	if len(t.waiting[who]) == 0 {
		t.order = append(t.order, who)
	}
	t.waiting[who] = append(t.waiting[who], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	if !t.leave(who, mine) {
		t.give() // it was given in the same moment
	}
	return false
}

// leave takes somebody out who waits no more; false if the turn is theirs already.
func (t *turns) leave(who string, mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting[who], mine)
	if i < 0 {
		return false
	}
	t.waiting[who] = slices.Delete(t.waiting[who], i, i+1)
	if len(t.waiting[who]) == 0 {
		delete(t.waiting, who)
		t.order = slices.DeleteFunc(t.order, func(o string) bool { return o == who })
	}
	return true
}

// give lets the next go on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	who := t.order[0]
	t.order = t.order[1:]
	next := t.waiting[who][0]
	if t.waiting[who] = t.waiting[who][1:]; len(t.waiting[who]) > 0 {
		t.order = append(t.order, who)
	} else {
		delete(t.waiting, who)
	}
	close(next)
}
