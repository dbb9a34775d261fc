package postgres

import (
	"fmt"
	"time"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
)

// releaseValid is how long what people released may wait for its Execute.
const releaseValid = 30 * time.Second

// again decides once more, at Execute, by the policy of the moment.
func (j *judge) again(q *engine.Question) (*engine.Grant, *engine.Refusal, error) {
	g := q.Run.Context.(*granted)
	if g.approvalID != "" && !q.Resumed && j.o.Now().Sub(g.released) > releaseValid {
		return nil, &engine.Refusal{
			Code: codeForbidden, Message: "the approval was not used in time", Detail: fmt.Sprintf("What was released must be executed within %s.", releaseValid),
			Hint: "Bind and execute it again; it will be held again.", Rule: "release",
		}, nil
	}
	p, err := j.o.Guard.Current()
	if err != nil {
		r, err := turnedAwayRefusal(err)
		return nil, r, err
	}
	who, err := j.o.Guard.Principal(j.admission)
	if err != nil {
		return nil, nil, turnedAway(err)
	}
	same := p == g.policy || p.Version() == g.policy.Version()
	if !same || q.Unjudged {
		if r := j.uncertain(q, g, p.Unbounded(who, j.admission.Target.GetName())); r != nil {
			return nil, r, nil
		}
	}
	if same {
		return j.underCatalog(q, g), nil, nil
	}
	v, err := j.o.Guard.Decide(j.admission, operationsOf(q.Facts), j.attributes)
	if err != nil {
		r, err := turnedAwayRefusal(err)
		return nil, r, err
	}
	switch v.Verdict {
	case policies.Allow:
		return j.underPolicy(q, g, v.Policy)
	case policies.Hold:
		return nil, &engine.Refusal{
			Code: codeForbidden, Message: "the policy changed, run it again", Detail: "The statement now needs approval.",
			Hint: "Bind and execute it again.", Rule: v.Rule(),
		}, nil
	}
	return nil, refusalOf(codeForbidden, v.Decision), nil
}

// underCatalog lets a portal go on that may run something else than it was read to, such as a trigger that was made since: nil if
// it cannot.
func (j *judge) underCatalog(q *engine.Question, g *granted) *engine.Grant {
	if g.unbounded || q.Resumed || j.alterations == g.alterations || q.Run.Uncertain || afterAlteration(q.Run.Facts, false) == nil {
		return nil
	}
	again := q.Run.Grant
	again.Uncertain = true
	return &again
}

// uncertain refuses a portal behind a change of the policy, if it may be something else than it was taken for, and that decides.
func (j *judge) uncertain(q *engine.Question, g *granted, unbounded bool) *engine.Refusal {
	switch {
	case unbounded:
		return nil
	case g.unbounded || j.altered || j.moved:
		return &engine.Refusal{
			Code: codeForbidden, Message: "the policy changed, run it again", Detail: "What the statement means was not certain when it was bound.",
			Hint: "Bind and execute it again.", Rule: "catalog",
		}
	case q.Unjudged:
		return notJudged("the portal", "Bind and execute it again.")
	}
	return nil
}

// notJudged refuses what may be another statement by now: something that nothing was bounded for could have put it in the place
// of the one that was read.
func notJudged(what, hint string) *engine.Refusal {
	return &engine.Refusal{
		Code: "26000", Message: what + " may not be what it was", Detail: "The policy changed behind something that could have replaced it.",
		Hint: hint, Rule: "catalog",
	}
}

// underPolicy lets what was granted under another policy go on, as this one shows it.
func (j *judge) underPolicy(q *engine.Question, g *granted, p *policies.Policy) (*engine.Grant, *engine.Refusal, error) {
	g.policy = p
	views := j.viewsOf(p, q.Run.Agent.Catalog())
	if v := views.agent.Check(q.Facts.Statements); v != nil {
		return nil, masked(v), nil
	}
	again := q.Run.Grant
	again.Agent, again.Record = views.agent, views.record
	return &again, nil, nil
}
