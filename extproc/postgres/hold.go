package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const (
	// idleMargin is how long before the server's own idle_in_transaction_session_timeout a hold ends.
	idleMargin = 500 * time.Millisecond
)

// hold keeps a statement until people have decided, in the live session. It returns the approval that was used, or a
// refusal.
func (j *judge) hold(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (string, *engine.Refusal, error) {
	if r := unshowable(sub.facts); r != nil {
		return "", j.unheld(sub, r, "refused"), nil
	}
	state, err := j.pipes.probe(ctx, out)
	if err != nil {
		return "", nil, err
	}
	if r := j.turn.cancelledMeanwhile(); r != nil { // it may have hit the question
		return "", j.unheld(sub, r, "cancelled"), nil
	}
	if r := j.holdable(state); r != nil {
		return "", j.unheld(sub, r, "refused"), nil
	}
	// Nothing runs on the server any more: from here on a cancel means the hold.
	j.turn.hold(true)
	defer j.turn.hold(false)
	j.claimant.withdraw() // nobody waits for people; it is claimed again when they have decided
	pending, err := j.o.Guard.Hold(ctx, j.asked(sub, state))
	if err != nil {
		return "", j.unheld(sub, deniedRefusal(err), "unavailable"), nil
	}
	j.o.Metrics.holding.Inc()
	defer j.o.Metrics.holding.Dec()
	if err := j.announce(sub, pending); err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "the session ended")
		return "", nil, err
	}
	approved, refusal, err := j.await(ctx, pending, in)
	if refusal == nil && err == nil {
		approved, refusal, err = j.release(ctx, sub, pending, out)
	}
	ended := approved
	if ended == nil {
		ended = pending.Withdrawn()
	}
	if recordErr := j.scribe.holdEnds(sub.number, ended, refusal); recordErr != nil && err == nil {
		return "", nil, recordErr
	}
	if err != nil || refusal != nil {
		return "", refusal, err
	}
	j.o.Metrics.holds.WithLabelValues("approved").Inc()
	return approved.GetId(), nil, nil
}

func (j *judge) holdEnds(r *engine.Refusal, how string) *engine.Refusal {
	j.o.Metrics.holds.WithLabelValues(how).Inc()
	return r
}

// holdOver is holdEnds where the session ends with it.
func (j *judge) holdOver(err error, how string) error {
	j.o.Metrics.holds.WithLabelValues(how).Inc()
	return err
}

// unshowable refuses to hold what people could not see: the data of a COPY comes after its decision.
func unshowable(facts *sqlfacts.Facts) *engine.Refusal {
	for i := range facts.Statements {
		if facts.Statements[i].Kind == sqlfacts.CopyIn {
			return &engine.Refusal{
				Code: codeForbidden, Message: "COPY FROM STDIN cannot be held for approval: nobody could see its data",
				Hint: "Send the rows in INSERT statements: they are shown to who approves.", Rule: "copy",
			}
		}
	}
	return nil
}

// holdable refuses to hold where it could not run, or must not wait.
func (j *judge) holdable(state engine.State) *engine.Refusal {
	switch {
	case state.Skipped || state.Status == 'E':
		r := aborted("")
		r.Detail = "The statement would have been held for approval."
		return r
	case inTransaction(state) && j.admission.Target.GetPostgres().GetHoldInTransaction() == policyv1.Postgres_DENY:
		return &engine.Refusal{
			Code: codeForbidden, Message: "statements that need approval are not held inside a transaction on this target",
			Hint: "Run it outside of a transaction.", Rule: "hold-in-transaction",
		}
	}
	return nil
}

func inTransaction(state engine.State) bool { return state.Status != 'I' || state.InBatch }

// asked is what people see, and what their approval is bound to.
func (j *judge) asked(sub *subject, state engine.State) guard.Asked {
	a := guard.Asked{
		Admission: j.admission, Verdict: sub.verdict, SessionID: j.session, Binding: binding(sub, state),
		Protocol: oplog.Postgres, Number: sub.number,
		Action: &approvalv1.Action{
			Summary: sub.described.summary(), Text: sub.described.text, Parameters: sub.described.parameters,
			Details: []*approvalv1.Detail{
				{Name: "requester", Value: j.admission.Principal.GetIssuer() + ":" + j.admission.Principal.GetSubject()},
				{Name: "target", Value: j.admission.Target.GetName()},
				{Name: "database", Value: state.Database},
				{Name: "role", Value: state.Role},
				{Name: "search_path", Value: state.SearchPath},
				{Name: "transaction", Value: transactionText(state)},
			},
		},
	}
	if !inTransaction(state) {
		return a
	}
	a.Warnings = append(a.Warnings, "The transaction's locks are held while this waits.")
	if ms, err := strconv.ParseInt(state.IdleTimeout, 10, 64); err == nil && ms > 0 {
		a.Before = j.o.Now().Add(time.Duration(ms)*time.Millisecond - idleMargin)
	}
	return a
}

func transactionText(state engine.State) string {
	switch {
	case state.Status == 'T':
		return "open"
	case state.InBatch:
		return "implicit, open"
	}
	return "none"
}

// binding is the statement in true bytes, and the state of the session that gives it its meaning.
func binding(sub *subject, state engine.State) []guard.Field {
	q := sub.q
	fields := []guard.Field{
		{Name: "database", Value: []byte(state.Database)},
		{Name: "role", Value: []byte(state.Role)},
		{Name: "search_path", Value: []byte(state.SearchPath)},
		{Name: "temp_schema", Value: []byte(state.TempSchema)},
		{Name: "transaction", Value: []byte(transactionText(state))},
		{Name: "statement", Value: []byte(q.Text)},
		{Name: "relations", Value: relationsOf(sub.facts)},
	}
	if q.Bind == nil {
		return fields
	}
	for _, t := range q.Bind.ParameterTypes {
		fields = append(fields, guard.Field{Name: "type", Value: be32(t)})
	}
	// The raw message has formats, values and result formats, lengths included.
	return append(fields, guard.Field{Name: "bind", Value: q.Bind.Raw})
}

// relationsOf are the relations that a statement touches, by OID: a name may come to mean another.
func relationsOf(facts *sqlfacts.Facts) []byte {
	var oids []uint32
	for i := range facts.Statements {
		for _, r := range facts.Statements[i].Relations {
			oids = append(oids, r.OID)
		}
	}
	slices.Sort(oids)
	var out []byte
	for _, oid := range slices.Compact(oids) {
		out = binary.BigEndian.AppendUint32(out, oid)
	}
	return out
}

// claimAgain waits until nobody changes what a held statement names, and keeps it so.
func (j *judge) claimAgain(ctx context.Context, sub *subject) (*engine.Refusal, error) {
	for {
		again, refusal, err := j.claimant.claim(ctx, sub.facts, false)
		if !again || refusal != nil || err != nil {
			return refusal, err
		}
	}
}

// readAgain reads the statement by the catalog of this moment: what its names mean may have changed while it was held.
func (j *judge) readAgain(ctx context.Context, sub *subject, state engine.State) error {
	var path []string
	if err := json.Unmarshal([]byte(state.Path), &path); err != nil {
		return err
	}
	j.catalog.Invalidate()
	catalog, err := j.catalog.Snapshot(ctx, path)
	if err != nil {
		return err
	}
	facts, err := j.o.Analyzer.FactsContext(ctx, sub.q.Text, catalog)
	if err != nil {
		return err
	}
	sub.facts, sub.operations, sub.catalog = facts, operationsOf(facts), catalog
	sub.views = j.viewsOf(sub.verdict.Policy, catalog)
	return nil
}

// announce records the hold and tells the agent who can approve, until when, and how.
func (j *judge) announce(sub *subject, pending *guard.Pending) error {
	a := pending.Approval()
	if err := j.scribe.holdBegins(sub.number, a); err != nil {
		return err
	}
	detail := fmt.Sprintf("Rule %s. Needed: %s. Waits until %s.", strings.Join(a.GetRules(), ", "),
		requirementText(a.GetRequirements()), a.GetExpiresAt().AsTime().UTC().Format(time.RFC3339))
	for _, w := range a.GetWarnings() {
		detail += " " + w
	}
	return j.pipes.tell(engine.Notice(&engine.Refusal{
		Code: "00000", Message: "held for approval: " + a.GetId(), Detail: detail,
		Hint: "To approve: sluice approve " + a.GetId() + " - to give up: cancel the statement (Ctrl-C).",
	}))
}

func requirementText(all []*approvalv1.Requirement) string {
	parts := make([]string, len(all))
	for i, r := range all {
		parts[i] = fmt.Sprintf("%d of %s", r.GetCount(), strings.Join(r.GetGroups(), " or "))
	}
	return strings.Join(parts, ", and ")
}

// await waits for people, and for all that ends the wait: the client's cancel, its end, too much of it to keep, the
// server's end, the session's.
func (j *judge) await(ctx context.Context, pending *guard.Pending, in *inbox) (*approvalv1.Approval, *engine.Refusal, error) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	type decided struct {
		approval *approvalv1.Approval
		err      error
	}
	result := make(chan decided, 1)
	go func() {
		a, err := pending.Wait(waiting)
		result <- decided{a, err}
	}()
	watch := j.pipes.watchAgent()
	withdraw := func(reason string) { pending.Withdraw(context.WithoutCancel(ctx), reason) }
	var d decided
	var refusal *engine.Refusal
	var err error
	select {
	case d = <-result:
	case <-j.turn.cancels:
		withdraw("the client cancelled it")
		refusal = j.holdEnds(&engine.Refusal{Code: codeCanceled, Message: "canceling statement due to user request", Hint: "It was held and never ran.", Rule: "cancel"}, "cancelled")
	case <-watch.ended:
	case <-j.pipes.over:
		withdraw("the session ended")
		err = j.holdOver(errSessionOver, "ended")
	}
	more, readErr := watch.stop(j.pipes)
	in.append(more)
	switch {
	case err != nil || refusal != nil:
	case errors.Is(readErr, errHeldInput):
		withdraw("the client sent too much while it was held")
		refusal = j.holdEnds(&engine.Refusal{
			Code: codeTooLarge, Message: "too much was sent while a statement is held", Detail: "Sluice keeps at most 1 MiB.", Rule: "size",
		}, "flooded")
	case readErr != nil:
		withdraw("the client went away")
		err = j.holdOver(readErr, "gone")
	case d.err != nil:
		refusal = j.holdEnds(deniedRefusal(d.err), "refused")
	case d.approval == nil: // the session's end stopped the watch
		withdraw("the session ended")
		err = j.holdOver(errSessionOver, "ended")
	}
	return d.approval, refusal, err
}

// release asks the server for its state again and uses the approval.
func (j *judge) release(ctx context.Context, sub *subject, pending *guard.Pending, out *engine.Output) (*approvalv1.Approval, *engine.Refusal, error) {
	state, refusal, err := j.settleAgain(ctx, sub, pending, out)
	if refusal != nil || err != nil {
		return nil, refusal, err
	}
	approved, verdict, err := pending.Release(ctx, sub.operations, j.attributes, binding(sub, state))
	if err != nil {
		var d *guard.Denied
		if errors.As(err, &d) && d.Kind == guard.SessionEnded {
			return nil, nil, j.holdOver(turnedAway(err), "ended")
		}
		return nil, j.holdEnds(deniedRefusal(err), "refused"), nil
	}
	sub.verdict = verdict
	sub.views = j.viewsOf(verdict.Policy, sub.views.agent.Catalog())
	if v := sub.views.agent.Check(sub.facts.Statements); v != nil {
		return nil, j.unheld(sub, masked(v), "refused"), nil
	}
	return approved, nil, nil
}

// settleAgain claims what a held statement names and leads to, asks where names are looked up by then, and reads it anew, until all is
// of one catalog.
func (j *judge) settleAgain(ctx context.Context, sub *subject, pending *guard.Pending, out *engine.Output) (engine.State, *engine.Refusal, error) {
	for end := time.Now().Add(claimWait); ; {
		refusal, err := j.claimAgain(ctx, sub)
		if refusal == nil && time.Now().After(end) {
			refusal = neverStill()
		}
		if refusal != nil || err != nil {
			pending.Withdraw(context.WithoutCancel(ctx), "what it names is being changed")
			if err != nil {
				return engine.State{}, nil, j.holdOver(err, "ended")
			}
			return engine.State{}, j.holdEnds(refusal, "refused"), nil
		}
		state, refusal, err := j.stateAgain(ctx, pending, out)
		if refusal != nil || err != nil {
			return state, refusal, err
		}
		claimed := sub.catalog.Version()
		if err := j.readAgain(ctx, sub, state); err != nil {
			pending.Withdraw(context.WithoutCancel(ctx), "what its names mean could not be read again")
			return state, j.holdEnds(&engine.Refusal{
				Code: codeNotReady, Message: "the database's catalog cannot be read, so the approval was not used", Hint: "Run it again in a moment.",
			}, "refused"), nil
		}
		if sub.catalog.Version() == claimed {
			return state, nil, nil
		}
	}
}

// stateAgain asks in what state the session is: others may have changed where names are looked up.
func (j *judge) stateAgain(ctx context.Context, pending *guard.Pending, out *engine.Output) (engine.State, *engine.Refusal, error) {
	state, err := j.pipes.probe(ctx, out)
	if err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "the session ended")
		return state, nil, j.holdOver(err, "ended")
	}
	if state.Skipped {
		pending.Withdraw(context.WithoutCancel(ctx), "the database did not say in what state the session is")
		return state, j.holdEnds(&engine.Refusal{Code: codeForbidden, Message: "the state of the session is not known, so the approval was not used", Hint: "Run it again."}, "refused"), nil
	}
	return state, nil, nil
}

func deniedRefusal(err error) *engine.Refusal {
	var d *guard.Denied
	if !errors.As(err, &d) {
		return &engine.Refusal{Code: codeSystem, Message: "an internal error"}
	}
	return refusalOf(codeOf(d.Kind), d.Decision)
}
