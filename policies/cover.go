package policies

import "strings"

// matches counts the pairs of the operation that the rule is about. An operation without pairs counts as one for a
// rule that selects by command only.
func (r *rule) matches(op *Operation) int {
	if !r.command(op.Command) {
		return 0
	}
	if len(op.Pairs) == 0 && len(r.effects) == 0 && len(r.relations) == 0 {
		return 1
	}
	n := 0
	for _, p := range op.Pairs {
		if r.covers(p) {
			n++
		}
	}
	return n
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

// covers matches one pair. A deny or approve rule covers whatever it describes; an allow rule covers what must be
// named only when it names it.
func (r *rule) covers(p Pair) bool {
	if len(r.effects) > 0 {
		if _, ok := r.effects[p.Effect]; !ok {
			return false
		}
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
		if !r.covers(p) {
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
func (c *coverage) missing(op *Operation, entitled bool) []Pair {
	var out []Pair
	for i, p := range op.Pairs {
		done := c.small&(1<<(i&63)) != 0
		if c.large != nil {
			done = c.large[i]
		}
		if !done && (!entitled || !builtinAllows(op.Command, p)) {
			out = append(out, p)
		}
	}
	return out
}
