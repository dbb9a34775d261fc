package guard

import (
	"bytes"
	"context"
	"slices"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/policies"
)

// WatchEvery is how often what waits, or streams, looks whether its session must end.
const WatchEvery = time.Second

// watched is a context that ends with what waits, too: its cause is the *Denied that says why. No goroutine waits:
// thousands of holds may.
func (p *Pending) watched(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	last := p.asked.Verdict.Policy
	stop := Watch(func() error {
		who, err := p.guard.still(p.asked.Admission)
		if err != nil {
			return err
		}
		now, err := p.guard.policies.Current()
		if err != nil || now == last {
			return nil // without a policy nothing is released; it may come back
		}
		if !p.sameGrounds(now, who) {
			return p.changed(now.Version())
		}
		last = now
		return nil
	}, cancel)
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// sameGrounds reports whether a policy has the target, the rules that asked, and whoever was asked about, as they were: else
// no approval could be used any more.
func (p *Pending) sameGrounds(now *policies.Policy, who *identityv1.Principal) bool {
	target := p.asked.Admission.Target.GetName()
	before, err := p.asked.Verdict.Policy.Revision(target, p.asked.Verdict.Rules)
	if err != nil {
		return false
	}
	after, err := now.Revision(target, p.asked.Verdict.Rules)
	return err == nil && bytes.Equal(before, after) && slices.Equal(who.GetGroups(), p.groups)
}

// Watch asks every second, until it is stopped or has an answer that is an error: that goes to end, as does a panic. What
// it asks must not wait.
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
		if err := Safely(ask); err != nil {
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
