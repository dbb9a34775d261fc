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
	return len(r.body) + head
}

// weights bound what the bodies of requests cost. As a tree that conditions read, a body takes fifty times its length and
// a tenth of a second a megabyte; many at once would take all there is from everybody else.
type weights struct {
	reading chan struct{} // large bodies that are read just now
	posing  chan struct{} // large bodies that are put before people just now, or released

	mu      sync.Mutex // guards waiting
	waiting int        // bytes that wait for people
}

func newWeights(processors int) *weights {
	n := max(1, processors/2)
	return &weights{reading: make(chan struct{}, n), posing: make(chan struct{}, n)}
}

// read calls a step that reads a body of so many bytes, as soon as it may. False: the context ended before.
func (w *weights) read(ctx context.Context, body int, step func()) bool {
	return inTurn(ctx, w.reading, body, step)
}

// pose is the same for a step that puts a body before people, or releases it. The store may be slow: those that are only
// read do not wait for it.
func (w *weights) pose(ctx context.Context, body int, step func()) bool {
	return inTurn(ctx, w.posing, body, step)
}

func inTurn(ctx context.Context, turns chan struct{}, body int, step func()) bool {
	if body <= smallBody {
		step()
		return true
	}
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-turns }()
	step()
	return true
}

// wait takes room for a request of that weight that waits for people. False: there is none. Whoever got it gives it back.
func (w *weights) wait(weight int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if weight > 0 && w.waiting+weight > maxWaiting {
		return false
	}
	w.waiting += weight
	return true
}

func (w *weights) back(weight int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting -= weight
}
