package approval

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnavailable is returned when the store cannot be reached or does not answer as it should. What was asked may
	// have happened or not; nothing is released.
	ErrUnavailable = errors.New("the approval store is not available")
	// ErrNotFound is returned when the store has no such approval.
	ErrNotFound = errors.New("no such approval")
	// ErrExists is returned by Create when the id is taken.
	ErrExists = errors.New("an approval with this id exists")
	// ErrConflict is returned by Vote when somebody else voted in between: read again.
	ErrConflict = errors.New("the approval changed in between")
	// ErrMayLose is returned when the store may forget what it acknowledged.
	ErrMayLose = errors.New("the approval store may lose what it acknowledged")
	// ErrInvalid is returned when an approval lacks what is needed to hold it.
	ErrInvalid = errors.New("the approval is not complete")
)

// StateError is returned when an approval's state does not allow what was asked.
type StateError struct {
	// State is the state that it is in.
	State State
}

// Error says which state.
func (e *StateError) Error() string { return "the approval is " + Word(e.State) }

// Word is a state as people write it: "pending".
func Word(s State) string { return strings.ToLower(s.String()) }

// QuorumFault says why votes are not a quorum.
type QuorumFault int

const (
	// TooFewVotes means that the valid votes do not meet all requirements.
	TooFewVotes QuorumFault = iota + 1
	// NoRequirements means that nothing says who must agree: nobody can.
	NoRequirements
	// PastDeadline means that the approval, or a vote, is past the approval's deadline.
	PastDeadline
	// Rejected means that a vote says no.
	Rejected
	// UnknownKey means that a vote is signed by a key that is not in the keyring.
	UnknownKey
	// BadSignature means that a vote's signature does not verify.
	BadSignature
	// OtherApproval means that a vote was given for another approval or other bytes.
	OtherApproval
	// NotHuman means that a machine voted.
	NotHuman
	// OwnRequest means that the requester voted.
	OwnRequest
	// VoterExpired means that the voter's token had ended when the vote was given.
	VoterExpired
	// TooManyVotes means that there are more votes than anybody needs.
	TooManyVotes
)

// String is the fault in words.
func (f QuorumFault) String() string {
	switch f {
	case TooFewVotes:
		return "the votes do not meet the requirements"
	case NoRequirements:
		return "no requirements"
	case PastDeadline:
		return "past the deadline"
	case Rejected:
		return "somebody rejected it"
	case UnknownKey:
		return "a vote is signed by a key that this processor's vote_keys does not name"
	case BadSignature:
		return "a vote's signature is false"
	case OtherApproval:
		return "a vote is for something else"
	case NotHuman:
		return "a machine voted"
	case OwnRequest:
		return "the requester voted"
	case VoterExpired:
		return "a voter's token had expired"
	case TooManyVotes:
		return "too many votes"
	default:
		return fmt.Sprintf("fault_%d", int(f))
	}
}

// QuorumError is returned when votes are not a quorum.
type QuorumError struct {
	// Fault says why.
	Fault QuorumFault
	// Vote is the index of the vote at fault, or -1.
	Vote int
}

// Error says why, and which vote.
func (e *QuorumError) Error() string {
	if e.Vote < 0 {
		return "no quorum: " + e.Fault.String()
	}
	return fmt.Sprintf("no quorum: %s (vote %d)", e.Fault, e.Vote+1)
}
