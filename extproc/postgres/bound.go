package postgres

import (
	"context"
	"slices"
	"strconv"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// A server looks up what a prepared statement names at Parse, and once more only if what it found then has changed
// (plancache.c, RevalidateCachedQuery): a relation that has come since, in a schema that stands before, it does not see. So what
// is judged at Bind, by the catalog of that moment, may not be what runs. As long as all names mean what they meant at Parse,
// they are the same: for something else to have been found meanwhile, what was found at first must have gone, and with it
// whatever took its place.

// rebound refuses to bind a prepared statement in which names mean something else by now.
func rebound(sub *subject) *engine.Refusal {
	q := sub.q
	if q.Stage != engine.AtBind || sub.unbounded || q.Facts == nil {
		return nil
	}
	what := "prepared statement " + strconv.Quote(q.Name)
	g, ok := q.Prepared.(*granted)
	looked := ok && q.Looked && g.catalog != sub.catalog.Version() // nobody judged what the names meant at that Describe
	if looked || sub.facts != q.Facts && !sameNames(q.Facts.Statements, sub.facts.Statements) {
		r := notJudged(what, "Prepare it again.")
		r.Detail = "The catalog has changed since it was prepared, and the server may have found something else by its names than they mean now."
		return r
	}
	return nil
}

// sameNames reports whether what two readings of one text name is the same, with its schemas.
func sameNames(a, b []sqlfacts.Statement) bool {
	return slices.EqualFunc(a, b, func(a, b sqlfacts.Statement) bool {
		return sameObjects(a.Operation, b.Operation) && slices.EqualFunc(a.Also, b.Also, sameObjects) && slices.Equal(named(a.Calls), named(b.Calls)) &&
			slices.Equal(a.Types, b.Types)
	})
}

func sameObjects(a, b policies.Operation) bool {
	return a.Command == b.Command && slices.Equal(a.Pairs, b.Pairs)
}

// named are the functions that a text itself calls: triggers and the like are found when they run.
func named(calls []sqlfacts.Call) []string {
	var out []string
	for i := range calls {
		if calls[i].Via == "" {
			out = append(out, calls[i].Function)
		}
	}
	return out
}

// looksUpLate reports whether a portal's names are looked up when it is executed: those of all but queries, which have been
// planned at Bind and keep their locks.
func looksUpLate(facts *sqlfacts.Facts) bool {
	if facts == nil {
		return false
	}
	return slices.ContainsFunc(facts.Statements, func(st sqlfacts.Statement) bool {
		switch st.Operation.Command {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES":
			return false
		}
		return slices.ContainsFunc(st.Operation.Pairs, func(p policies.Pair) bool { return isOfRelation(p.Effect) })
	})
}

// leadsElsewhere reports whether a write may do more than it was judged by at Bind: its triggers, what foreign keys carry it on
// to, and partitions are found when it is executed, and something has changed since. What only reads has been planned.
func (j *judge) leadsElsewhere(ctx context.Context, q *engine.Question) bool {
	g := q.Run.Context.(*granted)
	if g.unbounded || q.Facts == nil || q.Run.ReadOnly() {
		return false
	}
	if j.alterations != g.alterations {
		return true
	}
	catalog, err := j.catalog.Snapshot(ctx, j.path)
	return err != nil || catalog.Version() != g.catalog // anew says why there is none
}

// anew decides on a portal at its first Execute, by what its names mean in that moment. Later ones look nothing up. What the server
// found by its names at Bind it keeps, but for COPY and definitions: names that mean something else by now are not what runs.
func (j *judge) anew(ctx context.Context, q *engine.Question, in *inbox, out *engine.Output) (*engine.Grant, *engine.Refusal, error) {
	g := q.Run.Context.(*granted)
	sub := &subject{q: &engine.Question{Stage: engine.AtBind, Text: q.Text, Name: q.Name, InBatch: q.InBatch}, number: q.Run.Number}
	alterations := j.alterations
	if refusal, err := j.weighed(ctx, sub, in, out); refusal != nil || err != nil {
		return nil, refusal, err
	}
	if sub.facts != q.Facts && !sameNames(q.Facts.Statements, sub.facts.Statements) {
		return nil, &engine.Refusal{
			Code: "26000", Message: "the portal may not be what it was", Detail: "The server may have found something else by its names at Bind than they mean now.",
			Hint: "Prepare and bind it again.", Rule: "catalog",
		}, nil
	}
	same := alterations == g.alterations && sub.catalog.Version() == g.catalog
	if sub.verdict.Verdict == policies.Hold && (g.approvalID == "" || !same) {
		return nil, &engine.Refusal{
			Code: codeForbidden, Message: "what the statement names has changed, run it again", Detail: "It needs approval as what it is now.",
			Hint: "Bind and execute it again.", Rule: sub.verdict.Rule(),
		}, nil
	}
	j.runs(sub.facts)
	// Others look at the one of before.
	now := *g
	now.policy, now.alters, now.alterations, now.unbounded, now.catalog = sub.verdict.Policy, altersCatalog(sub.facts), j.alterations, sub.unbounded, sub.catalog.Version()
	return &engine.Grant{
		Number: q.Run.Number, Facts: sub.facts, Agent: sub.views.agent, Record: sub.views.record, Unjudged: sub.unbounded, Uncertain: sub.uncertain(), Context: &now,
	}, nil, nil
}
