package http

import "time"

// watch sees that what is between work and rest does not take too long.
type watch struct {
	fired    chan error
	patience time.Duration
	timer    *time.Timer
}

func newWatch(patience time.Duration) *watch {
	w := &watch{fired: make(chan error, 1), patience: patience}
	w.timer = time.AfterFunc(patience, func() { w.fire(errHung) })
	return w
}

// fire ends the response; the first reason counts.
func (w *watch) fire(why error) {
	select {
	case w.fired <- why:
	default:
	}
}

// work begins a step of ours.
func (w *watch) work() { w.timer.Reset(w.patience) }

// rest begins a wait for others: Envoy waits for the agent and the service as long as these take.
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) stop() { w.timer.Stop() }
