package postgres

import (
	"sync"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// turn is where the statement at hand is: with Sluice, with people, or at the server. What a cancel means depends on it.
// It is safe for concurrent use.
type turn struct {
	// cancels gets something when a cancel comes while a statement is held.
	cancels chan struct{}

	mu      sync.Mutex
	holding bool
	// deciding: a statement has been read and has not gone on yet; cancelled: a cancel came meanwhile.
	deciding, cancelled bool
}

func newTurn() *turn { return &turn{cancels: make(chan struct{}, 1)} }

// decides: from now on a cancel means the statement that was read.
func (t *turn) decides() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deciding = true
}

// wentOn: what was decided is at the server. It reports whether a cancel came too late to stop it: that is for the server.
func (t *turn) wentOn() (late bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late = t.cancelled
	t.deciding, t.cancelled = false, false
	return late
}

// hold says whether people are asked: a cancel is for the wait then, and what was asked for another statement does not
// count.
func (t *turn) hold(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holding = on
	select {
	case <-t.cancels:
	default:
	}
}

func (t *turn) held() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holding
}

// busy reports whether Sluice or people have a statement.
func (t *turn) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holding || t.deciding
}

// cancel notes that the client gives up. It reports with whom the statement is.
func (t *turn) cancel() (holding, deciding bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.holding:
		select {
		case t.cancels <- struct{}{}:
		default:
		}
	case t.deciding:
		t.cancelled = true
	}
	return t.holding, t.deciding
}

// cancelledMeanwhile is the refusal of a statement for which a cancel came while it was being decided, nil if none did.
func (t *turn) cancelledMeanwhile() *engine.Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.cancelled {
		return nil
	}
	t.cancelled = false
	return &engine.Refusal{Code: codeCanceled, Message: "canceling statement due to user request", Hint: "It never ran.", Rule: "cancel"}
}
