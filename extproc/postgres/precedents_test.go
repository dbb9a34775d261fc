package postgres

import (
	"testing"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// A verdict holds for a form while policy, principal and catalog stay as they are, if it was plainly allowed and no
// rule has a condition.
func TestAVerdictIsRememberedForSimpleQueriesOfItsForm(t *testing.T) {
	catalog, policy, who := factstest.New(), &policies.Policy{}, &identityv1.Principal{}
	form := &sqlfacts.Form{}
	asked := func(verdict policies.Verdict, stage engine.Stage, form *sqlfacts.Form) *subject {
		return &subject{
			q: &engine.Question{Stage: stage, Text: "select 1"}, facts: &sqlfacts.Facts{Form: form},
			verdict: guard.Verdict{Policy: policy, Decision: policies.Decision{Verdict: verdict}},
		}
	}
	fresh := func() *precedents {
		p := &precedents{}
		p.under(policy, who, "t")
		p.steady = true
		p.by(catalog)
		return p
	}
	allowed := asked(policies.Allow, engine.AtQuery, form)
	for name, c := range map[string]struct {
		added *subject
		then  func(*precedents)
		found bool
	}{
		"of its form":       {added: allowed, found: true},
		"of no form":        {added: asked(policies.Allow, engine.AtQuery, nil)},
		"of another form":   {added: asked(policies.Allow, engine.AtQuery, &sqlfacts.Form{})},
		"held":              {added: asked(policies.Hold, engine.AtQuery, form)},
		"denied":            {added: asked(policies.Deny, engine.AtQuery, form)},
		"another policy":    {added: allowed, then: func(p *precedents) { p.under(&policies.Policy{}, who, "t"); p.by(catalog) }},
		"another principal": {added: allowed, then: func(p *precedents) { p.under(policy, &identityv1.Principal{}, "t"); p.by(catalog) }},
		"another catalog":   {added: allowed, then: func(p *precedents) { p.by(factstest.New()) }},
	} {
		p := fresh()
		p.add(c.added)
		if c.then != nil {
			c.then(p)
		}
		if _, found := p.verdict(allowed); found != c.found {
			t.Errorf("%s: found: %v", name, found)
		}
	}
	conditional := fresh()
	conditional.steady = false
	conditional.add(allowed)
	if _, found := conditional.verdict(allowed); found {
		t.Error("a condition was not asked again")
	}
	p := fresh()
	p.add(allowed)
	if _, found := p.verdict(asked(policies.Allow, engine.AtExecute, form)); found {
		t.Error("another stage took the verdict of a simple query")
	}
	for range maxPrecedents {
		p.add(asked(policies.Allow, engine.AtQuery, &sqlfacts.Form{}))
	}
	if len(p.forms) > maxPrecedents {
		t.Errorf("%d verdicts are kept", len(p.forms))
	}
}
