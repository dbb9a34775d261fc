package policies

import (
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// matches counts the pairs of the operation that the rule is about; reached ones for a rule that denies or asks. An
// operation without pairs counts as one for a rule that selects by command only.
func (r *rule) matches(op *Operation) int {
	if op.Call != nil {
		if r.calls.match(op, r.action != actionAllow) {
			return 1
		}
		return 0
	}
	if r.action == actionAllow && r.all() {
		return max(1, len(op.Pairs)) // how far that goes depends on whom masks concern
	}
	if !r.command(op.Command) {
		return 0
	}
	if len(op.Pairs) == 0 && len(r.effects) == 0 && len(r.relations) == 0 {
		return 1
	}
	n := 0
	for _, p := range op.Pairs {
		if r.about(p) {
			n++
		}
	}
	if r.action != actionAllow {
		for _, p := range op.Reached {
			if r.about(p) {
				n++
			}
		}
	}
	return n
}

// about reports whether the pair is a reason for the rule to speak. An allow rule speaks of what it covers; one that
// denies or asks also of what it may be about.
func (r *rule) about(p Pair) bool {
	return r.covers(p) || r.action != actionAllow && r.hasEffect(p) && r.mayName(p)
}

// command matches the whole tag or its first word.
func (r *rule) command(tag string) bool {
	if len(r.commands) == 0 {
		return true
	}
	if _, ok := r.commands[tag]; ok {
		return true
	}
	first, _, _ := strings.Cut(tag, " ")
	_, ok := r.commands[first]
	return ok
}

// covers matches one pair. A deny rule covers whatever it describes; an allow or approve rule covers what must be named
// only when it names it.
func (r *rule) covers(p Pair) bool {
	if !r.hasEffect(p) {
		return false
	}
	strict := r.action != actionDeny && mustBeNamed(p)
	if len(r.relations) == 0 {
		return !strict
	}
	for _, g := range r.relations {
		if (!strict || g.literal()) && g.match(p.Object) {
			return true
		}
	}
	return false
}

func (r *rule) hasEffect(p Pair) bool {
	_, ok := r.effects[p.Effect]
	return ok || len(r.effects) == 0
}

// unnamed is the object of what is not named one by one, as with CASCADE: it may be any.
const unnamed = "*"

// mayName reports whether the object may be one that the rule names, by a wildcard or not.
func (r *rule) mayName(p Pair) bool {
	if len(r.relations) == 0 {
		return true
	}
	// A name without a schema is of what the catalog does not know yet.
	open := isOpenEffect(p) && !strings.Contains(p.Object, ".")
	for _, g := range r.relations {
		if g.match(p.Object) || open && (p.Object == unnamed || matchSegment(g.segments[len(g.segments)-1], p.Object)) {
			return true
		}
	}
	return false
}

// isOpenEffect reports whether the object of a pair is a relation or function that exists, but may be named without
// its schema, or not at all.
func isOpenEffect(p Pair) bool {
	switch p.Effect {
	case policyv1.Effect_READ, policyv1.Effect_INSERT, policyv1.Effect_UPDATE, policyv1.Effect_DELETE,
		policyv1.Effect_TRUNCATE, policyv1.Effect_LOCK, policyv1.Effect_EXECUTE:
		return true
	case policyv1.Effect_DDL, policyv1.Effect_PRIVILEGE, policyv1.Effect_MAINTENANCE:
		return p.Object == unnamed // otherwise it is the name of what is made
	}
	return false
}

// coverage marks pairs of an operation that some allow or approve rule covers. Up to 64 pairs need no allocation.
type coverage struct {
	small uint64
	large []bool
}

func (c *coverage) init(op *Operation) {
	if len(op.Pairs) > 64 {
		c.large = make([]bool, len(op.Pairs))
	}
}

func (c *coverage) add(r *rule, op *Operation) {
	for i, p := range op.Pairs {
		if op.Call != nil && !r.calls.match(op, false) || op.Call == nil && !r.covers(p) {
			continue
		}
		if c.large != nil {
			c.large[i] = true
		} else {
			c.small |= 1 << i
		}
	}
}

// missing are the pairs that neither a rule nor, for whoever has any allow on the target, a built-in rule covers.
func (c *coverage) missing(op *Operation, entitled, masked bool) []Pair {
	var out []Pair
	for i, p := range op.Pairs {
		done := c.small&(1<<(i&63)) != 0
		if c.large != nil {
			done = c.large[i]
		}
		if !done && (!entitled || !builtinAllows(op.Command, p, masked)) {
			out = append(out, p)
		}
	}
	return out
}
