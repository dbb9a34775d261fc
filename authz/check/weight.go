package check

import (
	"context"
	"sync"
)

const (
	// smallBody is the longest body that is read whenever it comes, in bytes.
	smallBody = 64 << 10
	// usualHead is the longest path and headers that count for nothing while they wait, in bytes: less than the rest of a
	// hold.
	usualHead = 4 << 10
	// maxWaiting is how many bytes requests have in all that wait for people: bodies, and long heads. Each is held about
	// four times: as it came, as people see it, and on its way to the store.
	maxWaiting = 64 << 20
	// maxShare is how many of them those of one principal have.
	maxShare = maxWaiting / 2
)

// weight is what a request keeps of the agent's while it waits for people, in bytes.
func (r *request) weight() int {
	head := len(r.uri)
	for _, h := range r.headers {
		head += len(h.name) + len(h.value)
	}
	if head <= usualHead {
		head = 0
	}
	body := len(r.body)
	if text, _ := r.legible(); len(text) > body { // people see more than came
		body = len(text)
	}
	return body + head
}

// weights bound what the bodies of requests cost. As a tree that conditions read, a body takes fifty times its length and
// a tenth of a second a megabyte; many at once would take all there is from everybody else.
type weights struct {
	reading *turns // large bodies that are read just now
	posing  *turns // large bodies that are put before people just now, or released

	mu      sync.Mutex // guards the rest
	waiting int        // bytes that wait for people
	shares  map[string]int
}

func newWeights(processors int) *weights {
	n := max(1, processors/2)
	return &weights{reading: newTurns(n), posing: newTurns(n), shares: map[string]int{}}
}

// read calls a step that reads a body of so many bytes of somebody's, as soon as it may. False: the context ended before.
func (w *weights) read(ctx context.Context, who string, body int, step func()) bool {
	return inTurn(ctx, w.reading, who, body, step)
}

// pose is the same for a step that puts a body before people, or releases it. The store may be slow: those that are only
// read do not wait for it.
func (w *weights) pose(ctx context.Context, who string, body int, step func()) bool {
	return inTurn(ctx, w.posing, who, body, step)
}

func inTurn(ctx context.Context, t *turns, who string, body int, step func()) bool {
	if body <= smallBody {
		step()
		return true
	}
	if !t.take(ctx, who) {
		return false
	}
	defer t.give()
	step()
	return true
}

// wait takes room for a request of that weight of somebody's that waits for people. False: there is none. Whoever got it
// gives it back.
func (w *weights) wait(who string, weight int) bool {
	if weight == 0 {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting+weight > maxWaiting || w.shares[who]+weight > maxShare && w.shares[who] > 0 {
		return false
	}
	w.waiting += weight
	w.shares[who] += weight
	return true
}

func (w *weights) back(who string, weight int) {
	if weight == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting -= weight
	if w.shares[who] -= weight; w.shares[who] == 0 {
		delete(w.shares, who)
	}
}
