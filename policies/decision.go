package policies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Verdict is the answer of a policy. The zero value denies.
type Verdict uint8

// The verdicts.
const (
	Deny Verdict = iota
	Hold
	Allow
)

// String names it as rules do.
func (v Verdict) String() string { return [...]string{"deny", "hold", "allow"}[v] }

// Requirement is count distinct people of any of the groups, which are qualified: "issuer:group".
type Requirement struct {
	// Rule asks for it.
	Rule   string
	Groups []string
	Count  uint32
}

// Decision is a verdict with its grounds.
type Decision struct {
	Verdict Verdict
	// Rules are the names of those that made it, in the bundle's order.
	Rules []string
	// Requirements and Within are set for Hold: those of different rules add up, the shortest time holds.
	Requirements []Requirement
	Within       time.Duration
	// Masks are the names of those that apply to whoever asks, on the target, in the bundle's order; none for Deny. Read
	// only: decisions share them.
	Masks []string
	// Message, Detail and Hint explain a denial to whoever asked.
	Message, Detail, Hint string
	// Version is of the bundle that decided.
	Version string
}

// Rule is the first that decided, empty for none.
func (d Decision) Rule() string {
	if len(d.Rules) == 0 {
		return ""
	}
	return d.Rules[0]
}

// denied explains a denial by a rule.
func (p *Policy) denied(r *rule, op *Operation) Decision {
	message := r.message
	if message == "" {
		message = "This is not allowed here."
	}
	detail := fmt.Sprintf("Rule %q denies %s.", r.name, describe(op))
	if op != nil && len(op.Reached) > 0 {
		detail = fmt.Sprintf("Rule %q denies %s: it covers %s.", r.name, describe(op), coveredText(r, op))
	}
	return Decision{
		Verdict: Deny, Rules: []string{r.name}, Version: p.Version(), Message: message,
		Detail: detail,
		Hint:   "Nothing was run. A rule that denies can not be approved around; ask the owner of the policy.",
	}
}

// perhapsDenied explains a denial because nobody knows what a command does, and a rule could be about that.
func (p *Policy) perhapsDenied(r *rule, op *Operation) Decision {
	message := fmt.Sprintf("the effect of %s is not known, and rule %q could deny it", op.Command, r.name)
	if r.message != "" {
		message += ": " + r.message
	}
	return Decision{
		Verdict: Deny, Rules: []string{r.name}, Version: p.Version(), Message: message,
		Detail: "Sluice forwards only what it understands where a rule denies something.",
		Hint:   "Nothing was run. Say it in a way that is understood, or ask the owner of the policy.",
	}
}

// notUnderstood explains a denial because nobody knows what a command does.
func (p *Policy) notUnderstood(t *target, req *Request, op *Operation, masked bool) Decision {
	hint := "It takes a rule without sql:, or one that names the effect UNKNOWN. " + p.allowedHint(t, req)
	if masked {
		hint = "Masks apply to you on this target, so nothing runs that is not understood, whatever a rule allows."
	}
	return Decision{
		Verdict: Deny, Version: p.Version(), Message: fmt.Sprintf("the effect of %s is not known, so it is not allowed", op.Command),
		Detail: "Sluice forwards only what it understands.", Hint: hint,
	}
}

// namedHint says what only a rule that names it allows, so that no rule for everything seems to.
func namedHint(missing []Pair) string {
	for _, p := range missing {
		if mustBeNamed(p) && p.Object != "" && p.Object != unnamed {
			return fmt.Sprintf("Only a rule that names it allows it: effects: [%s], relations: [%s]. ", p.Effect, p.Object)
		}
	}
	return ""
}

// uncovered explains a denial because no rule covers some pairs.
func (p *Policy) uncovered(t *target, req *Request, op *Operation, missing []Pair) Decision {
	if op.Call != nil {
		return Decision{
			Verdict: Deny, Version: p.Version(), Message: "no rule allows " + describe(op),
			Detail: "It is denied because no rule covers it.", Hint: p.allowedHint(t, req),
		}
	}
	what := pairList(missing)
	if len(missing) == 0 { // whoever has no allow at all may not even do what has no effect
		what = op.Command
	}
	return Decision{
		Verdict: Deny, Version: p.Version(),
		Message: "no rule allows " + what,
		Detail:  fmt.Sprintf("%s does: %s. Not covered: %s.", op.Command, pairList(op.Pairs), what),
		Hint:    namedHint(missing) + p.allowedHint(t, req),
	}
}

// allowedHint says what the principal may do on the target, so that a person or a model can go on.
func (p *Policy) allowedHint(t *target, req *Request) string {
	var parts []string
	for _, r := range t.rules {
		if r.action == actionDeny || !r.who.match(req.Principal) {
			continue
		}
		verb := "allowed"
		if r.action == actionApprove {
			verb = "held for approval"
		}
		scope := r.scope(t.masks != nil && len(t.maskNames(req.Principal)) > 0)
		if r.when.program != nil {
			scope += " where its condition holds"
		}
		parts = append(parts, fmt.Sprintf("%s (rule %s): %s", verb, r.name, scope))
		if len(parts) == 8 {
			break
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Nothing is allowed to you on target %q.", req.Target)
	}
	return "To you on this target " + strings.Join(parts, "; ") + "."
}

// everything is what a rule without a selection allows: where masks apply, what could pass them must be named.
func (r *rule) everything(masked bool) string {
	if masked && r.action == actionAllow {
		return "everything that is understood, but functions of pg_catalog that act, and what shows data past masks, only where a rule names them"
	}
	return "everything"
}

func (r *rule) scope(masked bool) string {
	if r.all() {
		return r.everything(masked)
	}
	if r.calls != nil {
		return r.calls.String()
	}
	var parts []string
	if len(r.commands) > 0 {
		parts = append(parts, strings.Join(sortedKeys(r.commands), ", "))
	}
	if len(r.effects) > 0 {
		effects := make([]string, 0, len(r.effects))
		for e := range r.effects {
			effects = append(effects, e.String())
		}
		slices.Sort(effects)
		parts = append(parts, strings.Join(effects, ", "))
	}
	if len(r.relations) > 0 {
		names := make([]string, len(r.relations))
		for i, g := range r.relations {
			names[i] = g.source
		}
		parts = append(parts, "on "+strings.Join(names, ", "))
	}
	if len(parts) == 0 {
		return "every statement"
	}
	return strings.Join(parts, " ")
}

func describe(op *Operation) string {
	if op == nil {
		return "opening a session"
	}
	switch {
	case len(op.Pairs) == 0:
		return op.Command
	case op.Call != nil:
		return op.Command + " " + op.Call.Path.Raw
	}
	return op.Command + " (" + pairList(op.Pairs) + ")"
}

// pairList names at most six pairs and says how many more there are.
func pairList(pairs []Pair) string {
	const most = 6
	parts := make([]string, 0, most+1)
	for i, p := range pairs {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(pairs)-most))
			break
		}
		parts = append(parts, p.String())
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// String is as people read it: "DELETE public.orders".
func (p Pair) String() string {
	if p.Object == "" {
		return p.Effect.String()
	}
	if p.Shows {
		return p.Effect.String() + " " + p.Object + " (its value)"
	}
	return p.Effect.String() + " " + p.Object
}

// hasUnknown reports an effect that no rule can name.
func hasUnknown(op *Operation) bool {
	return slices.ContainsFunc(op.Pairs, func(p Pair) bool {
		return p.Effect == policyv1.Effect_UNKNOWN || p.Effect == policyv1.Effect_EFFECT_UNSPECIFIED
	})
}
