package approval

import (
	"fmt"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// State is an approval's state, as in the API.
type State = approvalv1.State

// Event is what moves an approval from one state to another.
type Event int

const (
	// Quorum means that all requirements are met.
	Quorum Event = iota + 1
	// Reject means that one person said no.
	Reject
	// Expire means that the deadline has passed.
	Expire
	// Withdraw means that the holder gave up.
	Withdraw
	// Consume means that the holder uses it.
	Consume
)

// String is the event as a word.
func (e Event) String() string {
	switch e {
	case Quorum:
		return "quorum"
	case Reject:
		return "reject"
	case Expire:
		return "expire"
	case Withdraw:
		return "withdraw"
	case Consume:
		return "consume"
	default:
		return fmt.Sprintf("event_%d", int(e))
	}
}

// Next is the state after an event. What the machine does not know is a *StateError: there is no way out of an end,
// and none back to pending.
func Next(from State, e Event) (State, error) {
	switch {
	case from == approvalv1.State_PENDING && e == Quorum:
		return approvalv1.State_APPROVED, nil
	case from == approvalv1.State_PENDING && e == Reject:
		return approvalv1.State_REJECTED, nil
	case Open(from) && e == Expire:
		return approvalv1.State_EXPIRED, nil
	case Open(from) && e == Withdraw:
		return approvalv1.State_WITHDRAWN, nil
	case from == approvalv1.State_APPROVED && e == Consume:
		return approvalv1.State_CONSUMED, nil
	}
	return from, &StateError{State: from}
}

// Open reports whether an approval in this state may still change.
func Open(s State) bool {
	return s == approvalv1.State_PENDING || s == approvalv1.State_APPROVED
}
