package approval

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// Watch implements the service: the pending approvals that the caller may see, then each change of any that they may
// see. It ends when the caller's token does.
func (s *Service) Watch(ctx context.Context, _ *connect.Request[approvalv1.WatchRequest], out *connect.ServerStream[approvalv1.WatchResponse]) error {
	who, err := s.who(ctx)
	if err != nil {
		return err
	}
	now, err := s.store.ServerTime(ctx)
	if err != nil {
		return s.fault(ctx, err)
	}
	left := who.GetExpiresAt().AsTime().Sub(now)
	if left <= 0 {
		return tokenExpired()
	}
	end := time.NewTimer(left)
	defer end.Stop()
	sub := s.feed.Subscribe()
	defer sub.Close()
	w := &watcher{service: s, who: who, out: out, open: map[string]seen{}}
	for {
		select {
		case <-ctx.Done():
			return connect.NewError(connect.CodeCanceled, ctx.Err())
		case <-end.C:
			return tokenExpired()
		case <-sub.C():
		}
		ids, reset := sub.Take()
		if reset {
			err = w.all(ctx)
		} else {
			err = w.some(ctx, ids)
		}
		if err != nil {
			return err
		}
	}
}

func tokenExpired() error {
	return connect.NewError(connect.CodeUnauthenticated, errors.New("your token has expired"))
}

// watcher is one Watch.
type watcher struct {
	service *Service
	who     *identityv1.Principal
	out     *connect.ServerStream[approvalv1.WatchResponse]
	open    map[string]seen // what was sent of those that may change still
}

// seen is what was sent of an approval.
type seen struct {
	state State
	votes int
}

// all sends what is pending, and what became of those that were.
func (w *watcher) all(ctx context.Context) error {
	before := make([]string, 0, len(w.open))
	for id := range w.open {
		before = append(before, id)
	}
	if err := w.some(ctx, before); err != nil {
		return err
	}
	q := Query{States: []State{approvalv1.State_PENDING}, Limit: scanBatch}
	for {
		var sendErr error
		more, err := w.service.scan(ctx, &q, func(a *approvalv1.Approval) bool {
			sendErr = w.send(ctx, a)
			return sendErr == nil
		})
		if sendErr != nil {
			return sendErr
		}
		if err != nil {
			return w.service.fault(ctx, err)
		}
		if !more {
			return nil
		}
	}
}

// some sends these, as far as the caller may see them.
func (w *watcher) some(ctx context.Context, ids []string) error {
	for chunk := range slices.Chunk(ids, readAtOnce) {
		all, err := w.service.store.Get(ctx, chunk...)
		if err != nil {
			return w.service.fault(ctx, err)
		}
		for _, a := range all {
			if err := w.send(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends an approval unless it was sent just so.
func (w *watcher) send(ctx context.Context, a *approvalv1.Approval) error {
	now := seen{state: a.GetState(), votes: len(a.GetVotes())}
	if w.open[a.GetId()] == now || !w.service.visible(ctx, w.who, a) {
		return nil
	}
	if Open(a.GetState()) {
		w.open[a.GetId()] = now
	} else {
		delete(w.open, a.GetId())
	}
	return w.out.Send(&approvalv1.WatchResponse{Approval: a})
}
