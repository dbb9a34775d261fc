package approval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// Hold is one held action, in the process that holds it.
type Hold struct {
	desk *Desk
	own  *approvalv1.Approval // as it was asked for; never changed

	ended chan struct{} // closed once progress and err are set

	mu       sync.Mutex
	progress Progress
	err      error
	settled  bool
	over     bool // consumed or withdrawn by this process: never again
}

// ID is the approval's id.
func (h *Hold) ID() string { return h.own.GetId() }

// Approval is what was asked for. It must not be changed.
func (h *Hold) Approval() *approvalv1.Approval { return h.own }

// Wait blocks until people have decided, the deadline has passed, the approval is gone, or ctx ends. It returns what
// was asked for with the state, votes, reason and time of the decision. The store may be away for a while: Wait goes on
// until the deadline, which needs no store. An APPROVED approval is not yet released: Consume is.
func (h *Hold) Wait(ctx context.Context) (*approvalv1.Approval, error) {
	deadline := time.NewTimer(h.own.GetExpiresAt().AsTime().Sub(h.desk.now()))
	defer deadline.Stop()
	select {
	case <-h.ended:
	case <-deadline.C:
		h.desk.forget(h.ID())
		h.settle(Progress{ID: h.ID(), State: approvalv1.State_EXPIRED, DecidedAt: h.own.GetExpiresAt().AsTime()}, nil)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	return h.with(h.progress), nil
}

// Consume uses the approval, once, and returns it as consumed, with its votes. It reads the votes anew and checks the
// quorum itself, over the holder's own copy: a *QuorumError means that the store says approved and the votes do not
// bear it. After any error the action must not be released.
func (h *Hold) Consume(ctx context.Context) (*approvalv1.Approval, error) {
	if !h.finish() {
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), &StateError{State: approvalv1.State_CONSUMED})
	}
	h.desk.forget(h.ID())
	all, err := h.desk.store.Progress(ctx, []string{h.ID()})
	if err != nil {
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), err)
	}
	if len(all) != 1 || all[0].State == approvalv1.State_STATE_UNSPECIFIED {
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), ErrNotFound)
	}
	if all[0].State != approvalv1.State_APPROVED {
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), &StateError{State: all[0].State})
	}
	a := h.with(all[0])
	if err := VerifyQuorum(a, h.desk.keys, h.desk.now()); err != nil {
		h.desk.log.ErrorContext(ctx, "approval: the store says approved, the votes do not bear it",
			slog.String("approval", h.ID()), slog.Any("error", err))
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), err)
	}
	if err := h.desk.store.Consume(ctx, h.ID()); err != nil {
		return nil, fmt.Errorf("approval: %s: %w", h.ID(), err)
	}
	a.State = approvalv1.State_CONSUMED
	return a, nil
}

// Withdraw ends the hold, whatever its state; from then on Consume fails, also if the store could not be told
// (ErrUnavailable). An approval that has ended already is no error.
func (h *Hold) Withdraw(ctx context.Context, reason string) error {
	h.finish()
	h.desk.forget(h.ID())
	h.settle(Progress{ID: h.ID(), State: approvalv1.State_WITHDRAWN, Reason: reason, DecidedAt: h.desk.now()}, nil)
	err := h.desk.store.Withdraw(ctx, h.ID(), reason)
	var state *StateError
	if err == nil || errors.As(err, &state) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("approval: %s: %w", h.ID(), err)
}

// finish reports whether this is the first end of the hold. The store is asked to be single use too; but it is not
// trusted to be.
func (h *Hold) finish() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.over
	h.over = true
	return first
}

// settle ends the wait. The first word counts.
func (h *Hold) settle(p Progress, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return
	}
	h.settled, h.progress, h.err = true, p, err
	close(h.ended)
}

// with is the holder's own copy with what the store says of its progress.
func (h *Hold) with(p Progress) *approvalv1.Approval {
	a := proto.CloneOf(h.own)
	a.State, a.Votes, a.Reason = p.State, p.Votes, p.Reason
	if !p.DecidedAt.IsZero() {
		a.DecidedAt = timestamppb.New(p.DecidedAt)
	}
	return a
}
