package guard

import (
	"context"
	"time"
)

// WatchEvery is how often what waits, or streams, looks whether its session must end.
const WatchEvery = time.Second

// watched is a context that ends with the admission's session, too: its cause is the *Denied that says why. No goroutine
// waits: thousands of holds may.
func (g *Guard) watched(ctx context.Context, a *Admission) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := Watch(func() error { return g.Ended(a) }, cancel)
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Watch asks every second, until it is stopped or has an answer that is an error: that goes to end. What it asks must not
// wait.
func Watch(ask func() error, end func(error)) (stop func()) {
	done := make(chan struct{})
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(WatchEvery, func() {
		<-ready
		select {
		case <-done:
			return
		default:
		}
		if err := ask(); err != nil {
			end(err)
			return
		}
		timer.Reset(WatchEvery)
	})
	close(ready)
	return func() {
		close(done)
		timer.Stop()
	}
}
