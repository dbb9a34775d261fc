package guard

import "github.com/sluicegate/sluice/policies"

// Kind says why somebody was turned away.
type Kind uint8

// Kinds.
const (
	// Forbidden: the policy says no.
	Forbidden Kind = iota + 1
	// NotReady: nothing can be decided; it may be different in a moment.
	NotReady
	// SessionEnded: the token has ended.
	SessionEnded
	// Unavailable: a part that is needed does not answer.
	Unavailable
	// Rejected: somebody said no.
	Rejected
	// Expired: nobody answered in time.
	Expired
	// Changed: what the approval was bound to is not so any more.
	Changed
)

// String is the kind as a word for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Forbidden:
		return "forbidden"
	case NotReady:
		return "not_ready"
	case SessionEnded:
		return "session_ended"
	case Unavailable:
		return "unavailable"
	case Rejected:
		return "rejected"
	case Expired:
		return "expired"
	case Changed:
		return "changed"
	default:
		return "unknown"
	}
}

// Denied says no, with words for whoever asked.
type Denied struct {
	Kind Kind
	policies.Decision
	// Err is the cause, for the log.
	Err error
}

// Error implements error.
func (d *Denied) Error() string { return d.Message }

// Unwrap returns the cause.
func (d *Denied) Unwrap() error { return d.Err }
