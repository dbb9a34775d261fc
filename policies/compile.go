package policies

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"cel.dev/cel-go/cel"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// DefaultWithin is how long a held statement waits when its rule does not say.
const DefaultWithin = 15 * time.Minute

// Policy is a compiled bundle. It never changes: a new bundle is a new Policy.
type Policy struct {
	bundle  *policyv1.Bundle
	targets map[string]*target
	access  []grant
}

// target holds what applies to one target, in the bundle's order.
type target struct {
	spec  *policyv1.Target
	rules []*rule
	masks []*mask
	// named are the masks' names.
	named []string
	// byMethod: some rule tells requests apart by their method.
	byMethod bool
	// below are HTTP targets that take a part of the paths below this one's prefix, at the same listener.
	below []*policyv1.Target
}

// rule is a compiled Rule.
type rule struct {
	name      string
	who       who
	when      condition
	hasSQL    bool
	calls     *calls
	effects   map[policyv1.Effect]struct{}
	relations []glob
	commands  map[string]struct{}
	action    action
	message   string
	needs     []Requirement
	within    time.Duration
}

type action uint8

const (
	actionAllow action = iota
	actionApprove
	actionDeny
)

func (a action) String() string { return [...]string{"allow", "approve", "deny"}[a] }

// Compile checks a bundle and makes it ready to decide. The error is a Faults with everything that is wrong.
func Compile(b *policyv1.Bundle) (*Policy, error) {
	var faults Faults
	validate(b, &faults)
	if len(faults) > 0 {
		return nil, faults
	}
	env, err := newWhenEnv()
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	c := compiler{names: newIssuerNames(b.GetIssuers()), env: env, faults: &faults}
	p := &Policy{bundle: b, targets: make(map[string]*target, len(b.GetTargets()))}
	c.targets(p)
	c.rules(p)
	c.masks(p)
	c.access(p)
	if err := faults.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// validate runs the rules written in the schema.
func validate(b *policyv1.Bundle, faults *Faults) {
	err := protovalidate.Validate(b)
	var violations *protovalidate.ValidationError
	if errors.As(err, &violations) {
		for _, v := range violations.Violations {
			faults.add("", &Fault{Field: protovalidate.FieldPathString(v.Proto.GetField()), Message: v.Proto.GetMessage()})
		}
		return
	}
	faults.add("bundle", err)
}

type compiler struct {
	names  *issuerNames
	env    *cel.Env
	faults *Faults
}

// unique reports a name that stands twice.
func (c *compiler) unique(seen map[string]string, name, field string) {
	if first, ok := seen[name]; ok {
		c.faults.add("", &Fault{Field: field + ".name", Message: fmt.Sprintf("%q is the name of %s already", name, first)})
		return
	}
	seen[name] = field
}

func (c *compiler) rules(p *Policy) {
	seen := map[string]string{}
	for i, r := range p.bundle.GetRules() {
		field := fmt.Sprintf("rules[%d]", i)
		c.unique(seen, r.GetName(), field)
		compiled, err := c.rule(r, field)
		if err != nil {
			c.faults.add(field, err)
			continue
		}
		spoken := false
		targets := c.selected(p, r.GetOn().GetTargets(), field+".on.targets")
		for _, t := range targets {
			if compiled.speaks(t.spec) {
				spoken = true
				t.rules = append(t.rules, compiled)
				t.byMethod = t.byMethod || compiled.calls.byMethod() || namesMethod(r.GetWhen())
			}
		}
		if len(targets) > 0 && !spoken {
			c.faults.add("", &Fault{Field: field + ".on", Message: fmt.Sprintf("target %q speaks another protocol", targets[0].spec.GetName())})
		}
	}
}

func (c *compiler) rule(r *policyv1.Rule, field string) (*rule, error) {
	out := &rule{name: r.GetName(), hasSQL: r.GetOn().GetSql() != nil}
	var err error
	if out.calls, err = compileCalls(r.GetOn().GetHttp(), field+".on.http"); err != nil {
		return nil, err
	}
	if out.who, err = compileWho(r.GetWho(), c.names, field+".who"); err != nil {
		return nil, err
	}
	if out.when, err = compileWhen(c.env, r.GetWhen()); err != nil {
		return nil, &Fault{Field: field + ".when", Message: err.Error()}
	}
	sql := r.GetOn().GetSql()
	for _, e := range sql.GetEffects() {
		if out.effects == nil {
			out.effects = map[policyv1.Effect]struct{}{}
		}
		out.effects[e] = struct{}{}
	}
	for _, s := range sql.GetCommands() {
		if out.commands == nil {
			out.commands = map[string]struct{}{}
		}
		out.commands[s] = struct{}{}
	}
	if out.relations, err = globs(sql.GetRelations(), field+".on.sql.relations"); err != nil {
		return nil, err
	}
	return out, c.action(r, out, field)
}

// speaks reports whether the rule is about what a target does: a pattern over targets may name some of another kind.
func (r *rule) speaks(t *policyv1.Target) bool {
	if t.GetHttp() != nil {
		return !r.hasSQL
	}
	return r.calls == nil
}

// all reports whether the rule is about everything on its targets.
func (r *rule) all() bool { return !r.hasSQL && r.calls == nil }

func (c *compiler) action(r *policyv1.Rule, out *rule, field string) error {
	switch a := r.GetAction().(type) {
	case *policyv1.Rule_Allow:
		out.action = actionAllow
	case *policyv1.Rule_Deny:
		out.action, out.message = actionDeny, a.Deny.GetMessage()
	case *policyv1.Rule_Approve:
		out.action, out.within = actionApprove, DefaultWithin
		if a.Approve.GetWithin() != nil {
			out.within = a.Approve.GetWithin().AsDuration()
		}
		for i, by := range a.Approve.GetBy() {
			groups, err := c.names.set(by.GetGroups(), fmt.Sprintf("%s.approve.by[%d].groups", field, i))
			if err != nil {
				return err
			}
			out.needs = append(out.needs, Requirement{Rule: out.name, Groups: sortedKeys(groups), Count: max(1, by.GetCount())})
		}
	}
	return nil
}

func (c *compiler) masks(p *Policy) {
	seen := map[string]string{}
	for i, m := range p.bundle.GetMasks() {
		field := fmt.Sprintf("masks[%d]", i)
		c.unique(seen, m.GetName(), field)
		compiled, err := c.mask(m, field)
		if err != nil {
			c.faults.add(field, err)
			continue
		}
		used := false
		targets := c.selected(p, m.GetOn().GetTargets(), field+".on.targets")
		for _, t := range targets {
			if compiled.hides(t.spec) {
				used = true
				t.masks = append(t.masks, compiled)
				t.named = append(t.named, compiled.rule.Name)
			}
		}
		if len(targets) > 0 && !used {
			c.faults.add("", &Fault{Field: field, Message: fmt.Sprintf("it hides nothing of target %q: columns are PostgreSQL's, paths and headers HTTP's", targets[0].spec.GetName())})
		}
	}
}

// selected finds the targets that globs name. A pattern without a star that names nothing is a mistake.
func (c *compiler) selected(p *Policy, patterns []string, field string) []*target {
	compiled, err := globs(patterns, field)
	c.faults.add(field, err)
	var out []*target
	for i, g := range compiled {
		found := false
		for _, spec := range p.bundle.GetTargets() {
			t := p.targets[spec.GetName()]
			if g.match(spec.GetName()) {
				found = true
				if !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
		}
		if !found && g.literal() {
			c.faults.add("", &Fault{Field: fmt.Sprintf("%s[%d]", field, i), Message: fmt.Sprintf("no target is named %q", g.source)})
		}
	}
	return out
}

func globs(patterns []string, field string) ([]glob, error) {
	out := make([]glob, 0, len(patterns))
	for i, s := range patterns {
		g, err := compileGlob(s)
		if err != nil {
			return nil, &Fault{Field: fmt.Sprintf("%s[%d]", field, i), Message: err.Error()}
		}
		out = append(out, g)
	}
	return out, nil
}

func sortedKeys(m map[string]struct{}) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Version is the bundle's.
func (p *Policy) Version() string { return p.bundle.GetVersion() }

// Bundle is what was compiled: read only.
func (p *Policy) Bundle() *policyv1.Bundle { return p.bundle }

// Target finds a target by name, nil if there is none.
func (p *Policy) Target(name string) *policyv1.Target {
	if t := p.targets[name]; t != nil {
		return t.spec
	}
	return nil
}
