package http

import (
	"sync"
	"time"
)

// watch sees that what is between work and rest does not take too long.
type watch struct {
	fired    chan struct{}
	patience time.Duration
	timer    *time.Timer
	once     sync.Once
}

func newWatch(patience time.Duration) *watch {
	w := &watch{fired: make(chan struct{}), patience: patience}
	w.timer = time.AfterFunc(patience, func() { w.once.Do(func() { close(w.fired) }) })
	return w
}

// work begins a step of ours.
func (w *watch) work() { w.timer.Reset(w.patience) }

// rest begins a wait for others: Envoy waits for the agent and the service as long as these take.
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) stop() { w.timer.Stop() }
