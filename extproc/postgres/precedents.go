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
// and the same catalog, would be found the same. Where a policy has conditions nothing is remembered.
type precedents struct {
	policy  *policies.Policy
	who     *identityv1.Principal
	catalog sqlfacts.Catalog
	// unbounded and steady are the policy's, for that principal.
	unbounded, steady bool
	of                map[string]precedent
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
	}
}

// find gives what was found of a text by the same catalog. Simple queries come with their values in them, so they are
// seldom the same.
func (p *precedents) find(q *engine.Question, catalog sqlfacts.Catalog) (precedent, bool) {
	if q.Stage == engine.AtQuery {
		return precedent{}, false
	}
	if p.catalog != catalog {
		clear(p.of)
		p.catalog = catalog
		return precedent{}, false
	}
	found, ok := p.of[q.Text]
	return found, ok
}

// add remembers what a text was found to be, if that is allowed and will stay so.
func (p *precedents) add(sub *subject) {
	if !p.steady || sub.q.Stage == engine.AtQuery || sub.verdict.Verdict != policies.Allow || sub.verdict.Policy != p.policy || len(sub.q.Text) > maxPrecedentText {
		return
	}
	if len(p.of) >= maxPrecedents {
		clear(p.of)
	}
	p.of[sub.q.Text] = precedent{facts: sub.facts, views: sub.views, verdict: sub.verdict}
}

// maxPrecedentText is the longest text that is remembered, in bytes: it is kept for as long as the session.
const maxPrecedentText = 4 << 10
