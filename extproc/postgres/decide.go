package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// subject is a statement that is being decided.
type subject struct {
	q          *engine.Question
	number     uint64
	facts      *sqlfacts.Facts
	operations []policies.Operation
	verdict    guard.Verdict
	views      views
	described  described
	// unbounded: what the statement means decides nothing.
	unbounded bool
}

// answer decides a question of the engine's. An error ends the session.
func (j *judge) answer(ctx context.Context, q *engine.Question, in *inbox, out *engine.Output) (*engine.Grant, *engine.Refusal, error) {
	if q.Stage == engine.AtExecute {
		grant, refusal, err := j.again(q)
		if refusal != nil {
			j.denied(&subject{q: q, number: q.Run.Number, facts: q.Facts, described: described{doings: j.scribe.doingsOf(q.Facts)}}, refusal)
		}
		return grant, refusal, err
	}
	began := j.o.Now()
	sub := &subject{q: q}
	if q.Stage != engine.AtParse {
		j.scribe.number++
		sub.number = j.scribe.number
	}
	refusal, err := j.weighed(ctx, sub, in, out)
	if refusal == nil && err == nil {
		refusal = j.turn.cancelledMeanwhile()
	}
	decided := j.o.Now()
	j.o.Metrics.decide.Observe(decided.Sub(began).Seconds())
	if err != nil {
		return nil, nil, err
	}
	if refusal != nil {
		return nil, j.refused(sub, refusal), nil
	}
	if q.Stage != engine.AtParse { // which runs nothing
		j.altered = j.altered || altersCatalog(sub.facts)
		j.moved = j.moved || moves(sub.facts)
		j.renamed = j.renamed || movesNames(sub.facts.Statements)
	}
	g := &granted{decided: sub.verdict.Policy, policy: sub.verdict.Policy, began: decided, alters: altersCatalog(sub.facts), unbounded: sub.unbounded}
	if q.Stage == engine.AtParse {
		return &engine.Grant{Facts: sub.facts, Agent: sub.views.agent, Record: sub.views.record, Context: g}, nil, nil
	}
	j.note(sub, recordv1.Decision_ALLOW, nil)
	if sub.verdict.Verdict == policies.Hold {
		if g.approvalID, refusal, err = j.hold(ctx, sub, in, out); err != nil || refusal != nil {
			return nil, refusal, err
		}
		if refusal = j.turn.cancelledMeanwhile(); refusal != nil {
			return nil, refusal, nil
		}
		g.policy, g.began = sub.verdict.Policy, j.o.Now()
		g.released = g.began
	}
	return &engine.Grant{
		Number: sub.number, Facts: sub.facts, Agent: sub.views.agent, Record: sub.views.record, Context: g,
	}, nil, nil
}

// weighed is weigh, by a catalog that stays as it is for what the statement names until that has run.
func (j *judge) weighed(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (*engine.Refusal, error) {
	for {
		refusal, err := j.weigh(ctx, sub, in, out)
		if refusal != nil || err != nil || sub.q.Stage == engine.AtParse {
			return refusal, err
		}
		again, refusal, err := j.claimant.claim(ctx, sub.facts, sub.unbounded)
		if !again || refusal != nil || err != nil {
			return refusal, err
		}
	}
}

// weigh finds out what the statement does and what the policy says. A refusal is the answer; without one it is allowed
// or to be held, as the verdict says.
func (j *judge) weigh(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (*engine.Refusal, error) {
	q := sub.q
	p, err := j.o.Guard.Current()
	if err != nil {
		return turnedAwayRefusal(err)
	}
	known := true
	j.unread = false
	who, err := j.o.Guard.Principal(j.admission)
	if err != nil {
		return turnedAwayRefusal(err)
	}
	j.before.under(p, who, j.admission.Target.GetName())
	unbounded := j.before.unbounded
	sub.unbounded = unbounded
	if !unbounded { // else nothing that could have changed decides
		if known, err = j.settled(ctx, out); err != nil {
			return nil, err
		}
		if err := j.whereNamesAre(ctx, out); err != nil {
			return nil, err
		}
	}
	catalog, err := j.snapshot(ctx, out, unbounded)
	if errors.Is(err, errSessionOver) || asFatal(err) {
		return nil, err
	}
	if err != nil {
		sub.described = described{text: sqlfacts.HideQuoted(q.Text)}
		return &engine.Refusal{
			Code: codeNotReady, Message: "the database's catalog cannot be read, so nothing can be decided",
			Detail: "Sluice reads it over a connection of its own.", Hint: "Try again in a moment.",
		}, nil
	}
	if found, ok := j.before.find(q, catalog); ok && known && !j.unread {
		sub.facts, sub.views, sub.verdict = found.facts, found.views, found.verdict
		sub.described = j.scribe.describe(q, sub.facts, sub.views.record)
		return foreignParameter(q, sub.views.agent), nil
	}
	sub.views = j.viewsOf(p, catalog)
	sub.facts, err = j.read(ctx, q.Text, catalog, in)
	if errors.Is(err, errClientGone) {
		return nil, err
	}
	sub.described = j.scribe.describe(q, sub.facts, sub.views.record)
	if err != nil {
		r := unreadable(err)
		if e := (*sqlfacts.Error)(nil); errors.As(err, &e) && e.Grammar {
			r.Asks = q.Text
		}
		return r, nil
	}
	if r := unsupported(sub.facts, unbounded); r != nil {
		return r, nil
	}
	if r := behindMove(sub.facts); r != nil && !unbounded {
		return r, nil
	}
	if r := foreignParameter(q, sub.views.agent); r != nil {
		return r, nil
	}
	sub.operations = operationsOf(sub.facts)
	if len(sub.operations) == 0 { // an empty string does nothing
		sub.verdict = guard.Verdict{Policy: p, Decision: policies.Decision{Verdict: policies.Allow, Version: p.Version()}}
		return nil, j.ended57P01()
	}
	if sub.verdict, err = j.o.Guard.Decide(j.admission, sub.operations, j.attributes); err != nil {
		return turnedAwayRefusal(err)
	}
	if sub.verdict.Policy != p { // it changed in between
		sub.views = j.viewsOf(sub.verdict.Policy, catalog)
		sub.described = j.scribe.describe(q, sub.facts, sub.views.record)
	}
	if sub.verdict.Verdict == policies.Deny {
		return reasoned(refusalOf(codeForbidden, sub.verdict.Decision), sub.facts), nil
	}
	if !sub.views.agent.Empty() {
		if r := afterAlteration(sub.facts, known); r != nil {
			return r, nil
		}
	}
	if p := sub.verdict.Policy; p.NamesRelations(j.admission.Principal, j.admission.Target.GetName()) {
		if r := afterMove(sub.facts, j.renamed && !known); r != nil {
			return r, nil
		}
	}
	if v := sub.views.agent.Check(sub.facts.Statements); v != nil {
		return masked(v), nil
	}
	r := j.unsure(q.Text, sub.facts)
	if r == nil {
		j.before.add(sub)
	}
	return r, nil
}

// ended57P01 ends the session if its token has.
func (j *judge) ended57P01() error {
	if err := j.o.Guard.Ended(j.admission); err != nil {
		return turnedAway(err)
	}
	return nil
}

// turnedAwayRefusal is a refusal, or the end of the session if that has ended.
func turnedAwayRefusal(err error) (*engine.Refusal, error) {
	var d *guard.Denied
	if errors.As(err, &d) && d.Kind != guard.SessionEnded {
		return refusalOf(codeOf(d.Kind), d.Decision), nil
	}
	return nil, turnedAway(err)
}

func operationsOf(facts *sqlfacts.Facts) []policies.Operation {
	if len(facts.Statements) == 1 && len(facts.Statements[0].Also) == 0 {
		return []policies.Operation{facts.Statements[0].Operation}
	}
	out := make([]policies.Operation, 0, len(facts.Statements))
	for i := range facts.Statements {
		out = append(out, facts.Statements[i].Operation)
		out = append(out, facts.Statements[i].Also...)
	}
	return out
}

var errSessionOver = errors.New("the session is over")

// releaseValid is how long what people released may wait for its Execute (DESIGN 3.8).
const releaseValid = 30 * time.Second

// again decides once more, at Execute, by the policy of the moment (DESIGN 3.8).
func (j *judge) again(q *engine.Question) (*engine.Grant, *engine.Refusal, error) {
	g := q.Run.Context.(*granted)
	if g.approvalID != "" && !g.executed && j.o.Now().Sub(g.released) > releaseValid {
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
	if err := j.ended57P01(); err != nil {
		return nil, nil, err
	}
	if p == g.policy || p.Version() == g.policy.Version() {
		return nil, nil, nil
	}
	if g.unbounded { // which they may not be any more
		if r := unsupported(q.Facts, false); r != nil {
			return nil, r, nil
		}
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
			Hint: "Bind and execute it again.", Rule: firstRule(v.Decision),
		}, nil
	}
	return nil, refusalOf(codeForbidden, v.Decision), nil
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

// refused records a statement that does not run.
func (j *judge) refused(sub *subject, r *engine.Refusal) *engine.Refusal {
	if sub.number == 0 {
		j.scribe.number++
		sub.number = j.scribe.number
	}
	recorded := *r
	if sub.facts == nil {
		// An error about a text that could not be read quotes it.
		recorded.Message = sqlfacts.HideQuoted(r.Message)
	}
	j.note(sub, recordv1.Decision_DENY, &recorded)
	return r
}

// note tells and records what was decided on a statement.
func (j *judge) note(sub *subject, verdict recordv1.Decision_Verdict, r *engine.Refusal) {
	d := sub.verdict.Decision
	switch {
	case verdict == recordv1.Decision_DENY:
		j.denied(sub, r)
	case d.Verdict == policies.Hold:
		verdict = recordv1.Decision_HOLD
	default:
		j.o.Told.Allowed(oplog.Postgres, j.admission.Target.GetName(), firstRule(d))
	}
	j.scribe.note(sub, verdict, r)
}
