package policies

import (
	"fmt"
	"slices"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Pair is an effect on an object: what a statement does, to what. The object is a relation ("schema.name"), or for
// EXECUTE the function, SESSION the setting, NOTIFY the channel, IO the file or program, CALL the path; empty where the effect has
// none (TRANSACTION).
type Pair struct {
	Effect policyv1.Effect
	Object string
	// Shows: the value of the setting is shown (SHOW, current_setting), not changed.
	Shows bool
}

// Operation is one command with all that it does. Command is PostgreSQL's command tag, such as "DROP TABLE", or the
// method of an HTTP request.
type Operation struct {
	Command string
	Pairs   []Pair
	// Reached are pairs that come of those by themselves: what a view reads, partitions, what a foreign key carries on.
	// Rules that deny or ask match them too; nothing needs to cover them.
	Reached []Pair
	// Call is set for an HTTP request.
	Call *Call
}

// mostShown bounds the reached pairs that people and records are shown: a table may have thousands of partitions.
const mostShown = 64

// ReachedShown are the reached pairs as they are shown: the first ones, and how many more there are.
func (o *Operation) ReachedShown() []Pair {
	if len(o.Reached) <= mostShown {
		return o.Reached
	}
	return append(slices.Clone(o.Reached[:mostShown]), Pair{
		Effect: o.Reached[mostShown].Effect, Object: fmt.Sprintf("… and %d more", len(o.Reached)-mostShown),
	})
}

// Request is what somebody wants to do. Without operations it is the opening of a session.
type Request struct {
	Principal  *identityv1.Principal
	Target     string
	Operations []Operation
	// Time is the moment of the request, as request.time of CEL expressions.
	Time time.Time
	// Attributes are what CEL expressions in when may read besides the above, by name.
	Attributes map[string]any
}
