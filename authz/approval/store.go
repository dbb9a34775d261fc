package approval

import (
	"context"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// Store keeps approvals and moves them from state to state, each move at once or not at all. Deadlines are compared
// with the store's own clock, and whatever is read past its deadline is read as expired. Errors are those of this
// package; everything that is not an answer is ErrUnavailable. storetest is the suite that each driver passes.
type Store interface {
	// Create stores a pending approval whose deadline is ahead, and returns the store's time of it. The same approval
	// again is no error (a retry); another one under the same id is ErrExists.
	Create(ctx context.Context, a *approvalv1.Approval) (time.Time, error)
	// Get reads these approvals, in this order, leaving out those that are not there.
	Get(ctx context.Context, ids ...string) ([]*approvalv1.Approval, error)
	// Progress reads what changes of these approvals, and no more. It has an entry for each id, in this order; State is
	// STATE_UNSPECIFIED where there is none.
	Progress(ctx context.Context, ids []string) ([]Progress, error)
	// List selects approvals, newest first.
	List(ctx context.Context, q Query) (Page, error)
	// Vote adds a vote to a pending approval that has exactly seen votes, and moves it to next, which is PENDING,
	// APPROVED or REJECTED. ErrNotFound, ErrConflict, *StateError.
	Vote(ctx context.Context, v *approvalv1.Vote, next State, seen int) error
	// Withdraw ends an approval that is open. ErrNotFound, *StateError.
	Withdraw(ctx context.Context, id, reason string) error
	// Consume uses an approval that is approved, once. ErrNotFound, *StateError.
	Consume(ctx context.Context, id string) error
	// Changes says what has changed after a point in the store's history.
	Changes(ctx context.Context, after int64) (Changes, error)
	// Watch returns a channel that gets something when there may be changes: a hint, never a promise. It is closed when
	// ctx ends and nothing of the watch is left running.
	Watch(ctx context.Context) <-chan struct{}
	// ServerTime is the store's clock.
	ServerTime(ctx context.Context) (time.Time, error)
}

// Progress is what the store says of one approval that its holder does not know itself.
type Progress struct {
	ID        string
	State     State
	Votes     []*approvalv1.Vote
	Reason    string
	DecidedAt time.Time // zero while pending
}

// Query selects approvals.
type Query struct {
	// States are those wanted; none means all.
	States []State
	// Before is the Next of the page before, or 0.
	Before int64
	// Limit is the most ids of a page.
	Limit int
}

// Page is one page of a list.
type Page struct {
	// IDs are the approvals, newest first.
	IDs []string
	// Positions are where each stands in the store's order, descending: a list may go on after any of them.
	Positions []int64
	// More says that there are others after these.
	More bool
}

// FromNow asks Changes for the present point without any changes.
const FromNow int64 = -1

// Changes is a part of the store's history.
type Changes struct {
	// Seq is the point up to which it goes: the next after.
	Seq int64
	// IDs have changed.
	IDs []string
	// More says that there are others: ask again.
	More bool
	// Reset says that the history does not hold the point asked for (the store lost data): read everything again.
	Reset bool
}
