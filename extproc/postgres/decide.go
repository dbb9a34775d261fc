package postgres

import (
	"context"
	"errors"
	"strconv"
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
	// policy and catalog are those by which it is looked at.
	policy  *policies.Policy
	catalog sqlfacts.Catalog
	// unbounded: what the statement means decides nothing; known: the catalog is the session's own.
	unbounded, known bool
}

// uncertain reports whether the catalog by which a statement runs is one that only the session sees. Whoever has masks is
// refused then; it is still to be known for whom a mask excepts, since others read the record.
func (s *subject) uncertain() bool { return !s.unbounded && afterAlteration(s.facts, s.known) != nil }

// answer decides a question of the engine's. An error ends the session.
func (j *judge) answer(ctx context.Context, q *engine.Question, in *inbox, out *engine.Output) (*engine.Grant, *engine.Refusal, error) {
	if q.Stage == engine.AtExecute {
		grant, refusal, err := j.again(q)
		if refusal == nil && err == nil && !q.Resumed && (looksUpLate(q.Facts) || j.leadsElsewhere(ctx, q)) {
			grant, refusal, err = j.anew(ctx, q, in, out)
		}
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
	if err == nil && (refusal == nil || refusal.Rule == ruleAborted) { // a cancel may have hit a question of Sluice's own
		if c := j.turn.cancelledMeanwhile(); c != nil {
			refusal = c
		}
	}
	decided := j.o.Now()
	j.o.Metrics.decide.Observe(decided.Sub(began).Seconds())
	if err != nil {
		return nil, nil, err
	}
	if refusal != nil {
		return nil, j.refused(sub, refusal), nil
	}
	if q.Stage == engine.AtQuery || q.Stage == engine.AtBind && !looksUpLate(sub.facts) { // others run nothing yet
		j.runs(sub.facts)
	}
	g := &granted{
		decided: sub.verdict.Policy, policy: sub.verdict.Policy, began: decided,
		alters: altersCatalog(sub.facts), unbounded: sub.unbounded, alterations: j.alterations, catalog: sub.catalog.Version(),
	}
	if q.Stage == engine.AtParse {
		return &engine.Grant{Facts: sub.facts, Agent: sub.views.agent, Record: sub.views.record, Unjudged: sub.unbounded, Uncertain: sub.uncertain(), Context: g}, nil, nil
	}
	j.note(sub, recordv1.Decision_ALLOW, nil)
	if sub.verdict.Verdict == policies.Hold {
		if g.approvalID, refusal, err = j.hold(ctx, sub, in, out); err != nil || refusal != nil {
			return nil, refusal, err
		}
		if refusal = j.turn.cancelledMeanwhile(); refusal != nil {
			return nil, refusal, nil
		}
		g.policy, g.began, g.catalog = sub.verdict.Policy, j.o.Now(), sub.catalog.Version()
		g.released = g.began
	}
	return &engine.Grant{
		Number: sub.number, Facts: sub.facts, Agent: sub.views.agent, Record: sub.views.record, Unjudged: sub.unbounded, Uncertain: sub.uncertain(), Context: g,
	}, nil, nil
}

// runs notes what will not be as it was once the statements have run.
func (j *judge) runs(facts *sqlfacts.Facts) {
	if altersCatalog(facts) {
		j.altered = true
		j.alterations++
	}
	j.moved = j.moved || moves(facts)
	j.renamed = j.renamed || movesNames(facts.Statements)
	for i := range facts.Statements {
		j.freed = j.freed.freedBy(&facts.Statements[i])
	}
}

// weighed is weigh, by a catalog that stays as it is for what the statement names until that has run, or until the server has
// looked it up at Parse.
func (j *judge) weighed(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (*engine.Refusal, error) {
	for end := time.Now().Add(claimWait); ; {
		refusal, err := j.weigh(ctx, sub, in, out)
		if refusal != nil || err != nil {
			return refusal, err
		}
		claim := j.claimant.claim
		if sub.q.Stage == engine.AtParse {
			claim = j.claimant.use
		}
		again, refusal, err := claim(ctx, sub.facts, sub.unbounded)
		if refusal != nil || err != nil || !again && j.current(ctx, sub) {
			return refusal, err
		}
		if time.Now().After(end) {
			return neverStill(), nil
		}
	}
}

// neverStill refuses what could not be read before the catalog changed again.
func neverStill() *engine.Refusal {
	return &engine.Refusal{
		Code: codeLocked, Message: "other sessions change the catalog faster than the statement can be read",
		Detail: "Sluice tried for " + claimWait.String() + ".", Hint: "Try again later.", Rule: "claim",
	}
}

// current reports whether the catalog that a statement was read by is still that of now: others may have changed it, and be done
// with that, while a long text was read, before anybody knew whose names it has.
func (j *judge) current(ctx context.Context, sub *subject) bool {
	if sub.unbounded {
		return true
	}
	catalog, err := j.catalog.Snapshot(ctx, j.path)
	return err == nil && catalog.Version() == sub.catalog.Version() // else the next reading says why there is none
}

// weigh finds out what the statement does and what the policy says. A refusal is the answer; without one it is allowed
// or to be held, as the verdict says.
func (j *judge) weigh(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (*engine.Refusal, error) {
	if refusal, err := j.look(ctx, sub, out); refusal != nil || err != nil {
		return refusal, err
	}
	if sub.q.Unjudged && !sub.unbounded {
		sub.described = j.scribe.describe(sub.q, sub.q.Facts, j.viewsOf(sub.policy, sub.catalog).record)
		return notJudged("prepared statement "+strconv.Quote(sub.q.Name), "Prepare it again."), nil
	}
	settled := sub.known && j.unread == nil
	if found, ok := j.before.find(sub.q, sub.catalog); ok && settled {
		sub.facts, sub.views, sub.verdict = found.facts, found.views, found.verdict
		sub.described = j.scribe.describe(sub.q, sub.facts, sub.views.record)
		if r := rebound(sub); r != nil {
			return r, nil
		}
		return foreignParameter(sub.q, sub.views.agent), nil
	}
	if refusal, err := j.understand(ctx, sub, in); refusal != nil || err != nil {
		return refusal, err
	}
	sub.operations = operationsOf(sub.facts)
	if len(sub.operations) == 0 { // an empty string does nothing
		sub.verdict = guard.Verdict{Policy: sub.policy, Decision: policies.Decision{Verdict: policies.Allow, Version: sub.policy.Version()}}
		return nil, j.ended57P01()
	}
	if found, ok := j.before.verdict(sub); ok && settled {
		sub.verdict = found
		return nil, nil
	}
	refusal, err := j.decide(sub)
	if refusal == nil && err == nil {
		if refusal = j.unsure(sub.q, sub.facts); refusal == nil {
			j.before.add(sub)
		}
	}
	return refusal, err
}

// look finds the policy and the catalog of the moment.
func (j *judge) look(ctx context.Context, sub *subject, out *engine.Output) (*engine.Refusal, error) {
	var err error
	if sub.policy, err = j.o.Guard.Current(); err != nil {
		return turnedAwayRefusal(err)
	}
	who, err := j.o.Guard.Principal(j.admission)
	if err != nil {
		return turnedAwayRefusal(err)
	}
	j.before.under(sub.policy, who, j.admission.Target.GetName())
	sub.unbounded = j.before.unbounded
	sub.known, j.unread = true, nil
	if !sub.unbounded { // else nothing that could have changed decides
		if sub.known, err = j.settled(ctx, out); err != nil {
			return nil, err
		}
		if err := j.whereNamesAre(ctx, sub.q.Text, out); err != nil {
			return nil, err
		}
	}
	sub.catalog, err = j.snapshot(ctx, sub.q.Text, out, sub.unbounded)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, errSessionOver) || asFatal(err):
		return nil, err
	}
	sub.described = described{text: sqlfacts.HideQuoted(sub.q.Text)}
	return &engine.Refusal{
		Code: codeNotReady, Message: "the database's catalog cannot be read, so nothing can be decided",
		Detail: "Sluice reads it over a connection of its own.", Hint: "Try again in a moment.",
	}, nil
}

// understand finds out what the statement does, and refuses what cannot be followed.
func (j *judge) understand(ctx context.Context, sub *subject, in *inbox) (*engine.Refusal, error) {
	var err error
	sub.views = j.viewsOf(sub.policy, sub.catalog)
	sub.facts, err = j.read(ctx, sub.q.Text, sub.catalog, in)
	if errors.Is(err, errClientGone) {
		return nil, err
	}
	sub.described = j.scribe.describe(sub.q, sub.facts, sub.views.record)
	if err != nil {
		r := unreadable(err)
		if e := (*sqlfacts.Error)(nil); errors.As(err, &e) && e.Grammar {
			r.Asks = sub.q.Text
		}
		return r, nil
	}
	if r := unsupported(sub.facts, sub.unbounded); r != nil {
		return r, nil
	}
	if r := behindMove(sub.facts, j.moved); r != nil && !sub.unbounded {
		return r, nil
	}
	if r := rebound(sub); r != nil {
		return r, nil
	}
	return foreignParameter(sub.q, sub.views.agent), nil
}

// decide asks the policy, then its masks.
func (j *judge) decide(sub *subject) (*engine.Refusal, error) {
	var err error
	if sub.verdict, err = j.o.Guard.Decide(j.admission, sub.operations, j.attributes); err != nil {
		return turnedAwayRefusal(err)
	}
	if sub.verdict.Policy != sub.policy { // it changed in between
		sub.views = j.viewsOf(sub.verdict.Policy, sub.catalog)
		sub.described = j.scribe.describe(sub.q, sub.facts, sub.views.record)
	}
	if sub.verdict.Verdict == policies.Deny {
		return reasoned(refusalOf(codeForbidden, sub.verdict.Decision), sub.facts), nil
	}
	if !sub.unbounded {
		if r := afterFreed(sub.facts, j.freed); r != nil {
			return r, nil
		}
	}
	if !sub.views.agent.Empty() {
		if r := afterAlteration(sub.facts, sub.known); r != nil {
			return r, nil
		}
	}
	if p := sub.verdict.Policy; p.NamesRelations(j.admission.Who(), j.admission.Target.GetName()) {
		if r := afterMove(sub.facts, j.renamed && !sub.known); r != nil {
			return r, nil
		}
	}
	if v := sub.views.agent.Check(sub.facts.Statements); v != nil {
		return masked(v), nil
	}
	return nil, nil
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
	if r.Asks != "" {
		r.Number = sub.number
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
		j.o.Told.Allowed(oplog.Postgres, j.admission.Target.GetName(), d.Rule())
	}
	j.scribe.note(sub, verdict, r)
}
