package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// RuleTrace is what one rule said of a request, for explanations.
type RuleTrace struct {
	Rule    string
	Action  string
	Matched bool
	Reason  string
}

// OfOthers is what the trace says of a rule that is about others than who asks.
const OfOthers = "it is not about you"

// Decide answers a request. It never fails: what it cannot decide is denied.
func (p *Policy) Decide(req *Request) Decision { return p.decide(req, nil) }

// Explain decides and says what each rule of the target had to say.
func (p *Policy) Explain(req *Request) (Decision, []RuleTrace) {
	traces := []RuleTrace{}
	d := p.decide(req, func(t RuleTrace) { traces = append(traces, t) })
	return d, traces
}

func (p *Policy) decide(req *Request, trace func(RuleTrace)) Decision {
	t := p.targets[req.Target]
	if t == nil || req.Principal == nil {
		return Decision{
			Verdict: Deny, Version: p.Version(), Message: fmt.Sprintf("target %q is not known", req.Target),
			Detail: "The policy in force has no such target.", Hint: "Check the name of the target, or the port that you connect to.",
		}
	}
	out := p.judge(t, req, trace)
	if out.Verdict != Deny {
		out.Masks = t.maskNames(req.Principal)
	}
	return out
}

// Unbounded reports whether a principal may do everything on a target, whatever it is: no rule that denies or asks could
// be about them, and nothing on the target is masked for anybody. What statements mean then decides nothing.
func (p *Policy) Unbounded(principal *identityv1.Principal, target string) bool {
	t := p.targets[target]
	if t == nil || len(t.masks) > 0 {
		return false
	}
	everything := false
	for _, r := range t.rules {
		switch {
		case !r.who.match(principal):
		case r.action != actionAllow:
			return false
		case r.all() && r.when.program == nil:
			everything = true
		}
	}
	return everything
}

// Steady reports whether a decision on a target follows from who asks for what alone: no rule of it has a condition.
func (p *Policy) Steady(target string) bool {
	t := p.targets[target]
	return t != nil && !slices.ContainsFunc(t.rules, func(r *rule) bool { return r.when.program != nil })
}

// NamesRelations reports whether a rule that denies or asks could be about some relations and not others, for a principal
// on a target: then it matters what a name means.
func (p *Policy) NamesRelations(principal *identityv1.Principal, target string) bool {
	t := p.targets[target]
	return t != nil && slices.ContainsFunc(t.rules, func(r *rule) bool {
		return r.action != actionAllow && (len(r.relations) > 0 || r.when.program != nil) && r.who.match(principal)
	})
}

// judge decides on the opening of a session, or on all operations of a request.
func (p *Policy) judge(t *target, req *Request, trace func(RuleTrace)) Decision {
	if len(req.Operations) == 0 {
		return p.connect(t, req, trace)
	}
	if len(req.Operations) == 1 {
		return p.operation(t, req, &req.Operations[0], trace)
	}
	out := Decision{Verdict: Allow, Version: p.Version()}
	for i := range req.Operations {
		one := p.operation(t, req, &req.Operations[i], trace)
		if one.Verdict == Deny {
			return one
		}
		out.merge(one)
	}
	return out
}

// merge adds what another operation of the same request needs. A rule that asks in both asks once.
func (d *Decision) merge(o Decision) {
	d.Verdict = min(d.Verdict, o.Verdict)
	for _, r := range o.Requirements {
		if !slices.Contains(d.Rules, r.Rule) {
			d.Requirements = append(d.Requirements, r)
		}
	}
	for _, r := range o.Rules {
		if !slices.Contains(d.Rules, r) {
			d.Rules = append(d.Rules, r)
		}
	}
	if o.Within > 0 {
		d.shorten(o.Within)
	}
}

// connect decides on opening a session: any allow or approve rule for the principal lets it in, any deny rule that is
// not about statements keeps it out.
func (p *Policy) connect(t *target, req *Request, trace func(RuleTrace)) Decision {
	out := Decision{Verdict: Deny, Version: p.Version()}
	values := vars{readings: &readings{request: req}}
	for _, r := range t.rules {
		matched := r.who.match(req.Principal)
		switch {
		case !matched:
		case r.action != actionDeny:
			out.Verdict = Allow
			out.Rules = append(out.Rules, r.name)
		case r.all() && r.when.holds(values, true):
			return p.denied(r, nil)
		}
		note(trace, r, matched, "whether a session may be opened")
	}
	if out.Verdict == Deny {
		out.Message = fmt.Sprintf("no rule lets you use target %q", req.Target)
		out.Detail = fmt.Sprintf("You are %s:%s with groups %s.", req.Principal.GetIssuer(), req.Principal.GetSubject(), groupList(req))
		out.Hint = "Ask the owner of the policy for a rule that names you or one of your groups."
	}
	return out
}

func groupList(req *Request) string {
	if len(req.Principal.GetGroups()) == 0 {
		return "none"
	}
	return strings.Join(req.Principal.GetGroups(), ", ")
}

// operation decides one command: deny, then whether every pair is covered, then whether people must approve. What is not
// understood may do anything: each rule that denies or asks matches it, and one that allows everything covers it, but for
// whom a mask concerns.
func (p *Policy) operation(t *target, req *Request, op *Operation, trace func(RuleTrace)) Decision {
	values := &readings{request: req, operation: op}
	wide := values
	if len(op.Reached) > 0 {
		wide = &readings{request: req, operation: &Operation{Command: op.Command, Pairs: slices.Concat(op.Pairs, op.Reached), Call: op.Call}}
	}
	var covered coverage
	covered.init(op)
	entitled, everything, unknown, taken := false, false, hasUnknown(op), false
	out := Decision{Verdict: Allow, Version: p.Version()}
	var denier *rule // the first, but one that is about what the command does before one that only may be
	surely := false
	for _, r := range t.rules {
		if !r.who.match(req.Principal) {
			note(trace, r, false, OfOthers)
			continue
		}
		entitled = entitled || r.action != actionDeny
		may := unknown && r.action != actionAllow && r.calls == nil // it may do what the rule is about
		hit := r.matches(op) > 0
		switch {
		case !hit && !may:
			note(trace, r, false, notCovered(op))
			continue
		case !r.applies(op, values, wide) && (!may || !r.when.aboutDoings):
			if trace != nil {
				note(trace, r, false, cmp.Or(r.when.failure(r.calls.vars(values, op)), "its condition does not hold"))
			}
			continue
		}
		if trace != nil {
			reason := "it covers " + coveredText(r, op)
			if failure := r.when.failure(r.calls.vars(values, op)); failure != "" {
				reason += ", and " + failure
			}
			note(trace, r, true, reason)
		}
		if r.action == actionDeny {
			if denier == nil || hit && !surely {
				denier, surely = r, hit
			}
			continue
		}
		if hit && (r.action != actionApprove || r.when.exactly(r.calls.vars(values, op), true)) {
			covered.add(r, op) // what is only read so by some services, people are asked about; the rule does not give it
			taken = taken || unknown && r.takesUnknown(op)
		}
		everything = everything || r.action == actionAllow && r.all()
		out.Rules = append(out.Rules, r.name)
		if r.action == actionApprove {
			out.Verdict = Hold
			out.Requirements = append(out.Requirements, r.needs...)
			out.shorten(r.within)
		}
	}
	if denier != nil {
		if !surely {
			return p.perhapsDenied(denier, op)
		}
		return p.denied(denier, op)
	}
	masked := len(t.masks) > 0 && len(t.maskNames(req.Principal)) > 0
	if everything && !masked && op.Call == nil {
		return out // to whom nothing is hidden, everything is what it says
	}
	if unknown && (masked || !taken) {
		return p.notUnderstood(t, req, op, masked)
	}
	if missing := covered.missing(op, entitled, masked); len(missing) > 0 || !entitled {
		return p.uncovered(t, req, op, missing)
	}
	return out
}

// takesUnknown reports whether the rule covers what is not understood: it is about everything, or names that effect.
func (r *rule) takesUnknown(op *Operation) bool {
	_, named := r.effects[policyv1.Effect_UNKNOWN]
	return r.all() || named && r.command(op.Command) && slices.ContainsFunc(op.Pairs, func(p Pair) bool {
		return p.Effect == policyv1.Effect_UNKNOWN && r.covers(p)
	})
}

// applies reports whether the rule's condition holds: for one that denies or asks, also with what is reached among the
// objects.
func (r *rule) applies(op *Operation, values, wide *readings) bool {
	strict := r.action != actionAllow
	return r.when.holds(r.calls.vars(values, op), strict) ||
		strict && len(op.Reached) > 0 && r.when.holds(r.calls.vars(wide, op), strict)
}

func (d *Decision) shorten(within time.Duration) {
	if d.Within == 0 || within < d.Within {
		d.Within = within
	}
}

func note(trace func(RuleTrace), r *rule, matched bool, reason string) {
	if trace != nil {
		trace(RuleTrace{Rule: r.name, Action: r.action.String(), Matched: matched, Reason: reason})
	}
}

func notCovered(op *Operation) string {
	if op.Call != nil {
		return "it selects other requests"
	}
	return "it covers no effect of this statement"
}

func coveredText(r *rule, op *Operation) string {
	var pairs []Pair
	for _, p := range op.Pairs {
		if op.Call != nil || r.about(p) {
			pairs = append(pairs, p)
		}
	}
	var reached []Pair
	for _, p := range op.Reached {
		if r.action != actionAllow && r.about(p) {
			reached = append(reached, p)
		}
	}
	switch {
	case len(pairs)+len(reached) == 0:
		return op.Command
	case len(reached) == 0:
		return pairList(pairs)
	case len(pairs) == 0:
		return "what it reaches: " + pairList(reached)
	}
	return pairList(pairs) + ", and what it reaches: " + pairList(reached)
}
