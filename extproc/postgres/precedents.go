package postgres

import (
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// maxPrecedents bounds the texts that a session remembers.
const maxPrecedents = 64

// precedents are what texts were found to be that may go on: the same text, asked by the same principal of the same policy
// and the same catalog, would be found the same. Where a policy has conditions nothing is remembered. Simple queries come
// with their values in them: of those the verdict is remembered by their form.
type precedents struct {
	policy  *policies.Policy
	who     *identityv1.Principal
	catalog sqlfacts.Catalog
	// unbounded and steady are the policy's, for that principal.
	unbounded, steady bool
	of                map[string]precedent
	forms             map[*sqlfacts.Form]guard.Verdict
}

// precedent is what weighing a text came to.
type precedent struct {
	facts   *sqlfacts.Facts
	views   views
	verdict guard.Verdict
}

// under forgets what was found under another policy, or for another principal.
func (p *precedents) under(policy *policies.Policy, who *identityv1.Principal, target string) {
	if p.policy == policy && p.who == who {
		return
	}
	*p = precedents{
		policy: policy, who: who, unbounded: policy.Unbounded(who, target), steady: policy.Steady(target), of: map[string]precedent{},
		forms: map[*sqlfacts.Form]guard.Verdict{},
	}
}

// by forgets what was found by another catalog.
func (p *precedents) by(catalog sqlfacts.Catalog) {
	if p.catalog == catalog {
		return
	}
	clear(p.of)
	clear(p.forms)
	p.catalog = catalog
}

// find gives what was found of a text by the same catalog.
func (p *precedents) find(q *engine.Question, catalog sqlfacts.Catalog) (precedent, bool) {
	p.by(catalog)
	if q.Stage == engine.AtQuery {
		return precedent{}, false
	}
	found, ok := p.of[q.Text]
	return found, ok
}

// verdict gives what was decided on a simple query of the same form.
func (p *precedents) verdict(sub *subject) (guard.Verdict, bool) {
	if sub.q.Stage != engine.AtQuery || sub.facts.Form == nil {
		return guard.Verdict{}, false
	}
	found, ok := p.forms[sub.facts.Form]
	return found, ok
}

// add remembers what a text was found to be, if that is allowed and will stay so.
func (p *precedents) add(sub *subject) {
	if !p.steady || sub.verdict.Verdict != policies.Allow || sub.verdict.Policy != p.policy || len(sub.q.Text) > maxPrecedentText {
		return
	}
	if sub.q.Stage != engine.AtQuery {
		if len(p.of) >= maxPrecedents {
			clear(p.of)
		}
		p.of[sub.q.Text] = precedent{facts: sub.facts, views: sub.views, verdict: sub.verdict}
	} else if sub.facts.Form != nil {
		if len(p.forms) >= maxPrecedents {
			clear(p.forms)
		}
		p.forms[sub.facts.Form] = sub.verdict
	}
}

// maxPrecedentText is the longest text that is remembered, in bytes: it is kept for as long as the session.
const maxPrecedentText = 4 << 10
