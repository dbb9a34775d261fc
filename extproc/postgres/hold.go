package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const (
	// probeTimeout bounds how long the server may take to say in what state it is, once what runs before has ended.
	probeTimeout = 10 * time.Minute
	// maxHeldInput is how much a client may send while a statement of it is held.
	maxHeldInput = 1 << 20
	// idleMargin is how long before the server's own idle_in_transaction_session_timeout a hold ends.
	idleMargin = 500 * time.Millisecond
)

// hold keeps a statement until people have decided, in the live session. It returns the approval that was used, or a
// refusal.
func (s *session) hold(ctx context.Context, sub *subject, in *inbox, out *engine.Output) (string, *engine.Refusal, error) {
	if r := unshowable(sub.facts); r != nil {
		return "", s.unheld(sub, r, "refused"), nil
	}
	state, err := s.probe(ctx, out)
	if err != nil {
		return "", nil, err
	}
	if r := s.cancelledMeanwhile(); r != nil { // it may have hit the question
		return "", s.unheld(sub, r, "cancelled"), nil
	}
	if r := s.holdable(state); r != nil {
		return "", s.unheld(sub, r, "refused"), nil
	}
	// Nothing runs on the server any more: from here on a cancel means the hold.
	s.setHolding(true)
	defer s.setHolding(false)
	s.unclaimed() // nobody waits for people; it is claimed again when they have decided
	pending, err := s.server.o.Guard.Hold(ctx, s.asked(sub, state))
	if err != nil {
		return "", s.unheld(sub, deniedRefusal(err), "unavailable"), nil
	}
	s.server.o.Metrics.holding.Inc()
	defer s.server.o.Metrics.holding.Dec()
	if err := s.announce(sub, pending); err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "the session ended")
		return "", nil, err
	}
	approved, refusal, err := s.await(ctx, pending, in)
	if refusal == nil && err == nil {
		approved, refusal, err = s.release(ctx, sub, pending, out)
	}
	if recordErr := s.recordHoldEnd(sub, pending, approved, refusal); recordErr != nil && err == nil {
		return "", nil, recordErr
	}
	if err != nil || refusal != nil {
		return "", refusal, err
	}
	s.server.o.Metrics.holds.WithLabelValues("approved").Inc()
	return approved.GetId(), nil, nil
}

func (s *session) holdEnds(r *engine.Refusal, how string) *engine.Refusal {
	s.server.o.Metrics.holds.WithLabelValues(how).Inc()
	return r
}

func (s *session) setHolding(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = on
	select { // what was asked for another statement does not count
	case <-s.cancels:
	default:
	}
}

// probe asks the server for its state, behind all that was let through.
func (s *session) probe(ctx context.Context, out *engine.Output) (engine.State, error) {
	answer := s.engine.Probe(out)
	if err := s.flush(out); err != nil {
		return engine.State{}, err
	}
	timeout := time.NewTimer(probeTimeout)
	defer timeout.Stop()
	select {
	case state := <-answer:
		return state, nil
	case <-s.over:
		return engine.State{}, errSessionOver
	case <-timeout.C:
		return engine.State{}, fatalf("08006", "the database does not answer")
	case <-ctx.Done():
		return engine.State{}, ctx.Err()
	}
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
func (s *session) holdable(state engine.State) *engine.Refusal {
	switch {
	case state.Skipped || state.Status == 'E':
		return &engine.Refusal{
			Code: codeAborted, Message: "current transaction is aborted, commands ignored until end of transaction block",
			Detail: "The statement would have been held for approval.", Rule: "aborted",
		}
	case inTransaction(state) && s.admission.Target.GetPostgres().GetHoldInTransaction() == policyv1.Postgres_DENY:
		return &engine.Refusal{
			Code: codeForbidden, Message: "statements that need approval are not held inside a transaction on this target",
			Hint: "Run it outside of a transaction.", Rule: "hold-in-transaction",
		}
	}
	return nil
}

func inTransaction(state engine.State) bool { return state.Status != 'I' || state.InBatch }

// asked is what people see, and what their approval is bound to.
func (s *session) asked(sub *subject, state engine.State) guard.Asked {
	a := guard.Asked{
		Admission: s.admission, Verdict: sub.verdict, SessionID: s.id, Binding: binding(sub, state),
		Protocol: oplog.Postgres, Number: sub.number,
		Action: &approvalv1.Action{
			Summary: sub.described.summary(), Text: sub.described.text, Parameters: sub.described.parameters,
			Details: []*approvalv1.Detail{
				{Name: "requester", Value: s.admission.Principal.GetIssuer() + ":" + s.admission.Principal.GetSubject()},
				{Name: "target", Value: s.admission.Target.GetName()},
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
		a.Before = s.server.o.Now().Add(time.Duration(ms)*time.Millisecond - idleMargin)
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

// binding is the statement in true bytes, and the state of the session that gives it its meaning (DESIGN 3.9).
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
func (s *session) claimAgain(ctx context.Context, sub *subject) (*engine.Refusal, error) {
	for {
		again, refusal, err := s.claim(ctx, sub.facts, false)
		if !again || refusal != nil || err != nil {
			return refusal, err
		}
	}
}

// readAgain reads the statement by the catalog of this moment: what its names mean may have changed while it was held.
func (s *session) readAgain(ctx context.Context, sub *subject, state engine.State) error {
	var path []string
	if err := json.Unmarshal([]byte(state.Path), &path); err != nil {
		return err
	}
	s.cache.Invalidate()
	catalog, err := s.cache.Snapshot(ctx, path)
	if err != nil {
		return err
	}
	facts, err := s.server.o.Analyzer.FactsContext(ctx, sub.q.Text, catalog)
	if err != nil {
		return err
	}
	sub.facts, sub.operations = facts, operationsOf(facts)
	sub.views = s.viewsOf(sub.verdict.Policy, catalog)
	return nil
}

// announce records the hold and tells the agent who can approve, until when, and how.
func (s *session) announce(sub *subject, pending *guard.Pending) error {
	a := pending.Approval()
	s.pending = append(s.pending, &recordv1.Event{Kind: &recordv1.Event_HoldStart{HoldStart: &recordv1.HoldStart{Number: sub.number, Approval: a}}})
	events := s.pending
	s.pending = nil
	if err := s.rec.Append(true, events...); err != nil {
		return noRecord(err)
	}
	detail := fmt.Sprintf("Rule %s. Needed: %s. Waits until %s.", strings.Join(a.GetRules(), ", "),
		requirementText(a.GetRequirements()), a.GetExpiresAt().AsTime().UTC().Format(time.RFC3339))
	for _, w := range a.GetWarnings() {
		detail += " " + w
	}
	return s.tell(engine.Notice(&engine.Refusal{
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
func (s *session) await(ctx context.Context, pending *guard.Pending, in *inbox) (*approvalv1.Approval, *engine.Refusal, error) {
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
	watch := s.watchAgent(in)
	withdraw := func(reason string) { pending.Withdraw(context.WithoutCancel(ctx), reason) }
	var d decided
	var refusal *engine.Refusal
	var err error
	select {
	case d = <-result:
	case <-s.cancels:
		withdraw("the client cancelled it")
		refusal = s.holdEnds(&engine.Refusal{Code: codeCanceled, Message: "canceling statement due to user request", Hint: "It was held and never ran.", Rule: "cancel"}, "cancelled")
	case <-watch.ended:
	case <-s.over:
		withdraw("the session ended")
		err = errSessionOver
	}
	more, readErr := watch.stop(s)
	in.append(more)
	switch {
	case err != nil || refusal != nil:
	case errors.Is(readErr, errHeldInput):
		withdraw("the client sent too much while it was held")
		refusal = s.holdEnds(&engine.Refusal{
			Code: codeTooLarge, Message: "too much was sent while a statement is held", Detail: "Sluice keeps at most 1 MiB.", Rule: "size",
		}, "flooded")
	case readErr != nil:
		withdraw("the client went away")
		s.server.o.Metrics.holds.WithLabelValues("gone").Inc()
		err = readErr
	case d.err != nil:
		refusal = s.holdEnds(deniedRefusal(d.err), "refused")
	case d.approval == nil: // the session's end stopped the watch
		withdraw("the session ended")
		err = errSessionOver
	}
	return d.approval, refusal, err
}

// release asks the server for its state again and uses the approval.
func (s *session) release(ctx context.Context, sub *subject, pending *guard.Pending, out *engine.Output) (*approvalv1.Approval, *engine.Refusal, error) {
	state, err := s.probe(ctx, out)
	if err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "the session ended")
		return nil, nil, err
	}
	if state.Skipped {
		pending.Withdraw(context.WithoutCancel(ctx), "the database did not say in what state the session is")
		return nil, s.holdEnds(&engine.Refusal{Code: codeForbidden, Message: "the state of the session is not known, so the approval was not used", Hint: "Run it again."}, "refused"), nil
	}
	if refusal, err := s.claimAgain(ctx, sub); refusal != nil || err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "what it names is being changed")
		return nil, refusal, err
	}
	if err := s.readAgain(ctx, sub, state); err != nil {
		pending.Withdraw(context.WithoutCancel(ctx), "what its names mean could not be read again")
		return nil, s.holdEnds(&engine.Refusal{
			Code: codeNotReady, Message: "the database's catalog cannot be read, so the approval was not used", Hint: "Run it again in a moment.",
		}, "refused"), nil
	}
	approved, verdict, err := pending.Release(ctx, sub.operations, s.attributes, binding(sub, state))
	if err != nil {
		var d *guard.Denied
		if errors.As(err, &d) && d.Kind == guard.SessionEnded {
			return nil, nil, turnedAway(err)
		}
		return nil, s.holdEnds(deniedRefusal(err), "refused"), nil
	}
	sub.verdict = verdict
	sub.views = s.viewsOf(verdict.Policy, sub.views.agent.Catalog())
	if v := sub.views.agent.Check(sub.facts.Statements); v != nil {
		return nil, s.unheld(sub, masked(v), "refused"), nil
	}
	return approved, nil, nil
}

// recordHoldEnd writes how the wait ended. The end of one that goes on is durable before the statement is.
func (s *session) recordHoldEnd(sub *subject, pending *guard.Pending, approved *approvalv1.Approval, refusal *engine.Refusal) error {
	a := approved
	if a == nil {
		a = pending.Withdrawn()
	}
	events := []*recordv1.Event{{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: sub.number, Approval: a}}}}
	if refusal != nil {
		denial := decisionOf(sub.number, recordv1.Decision_DENY, policies.Decision{Rules: a.GetRules(), Version: a.GetBundleVersion()}, refusal)
		events = append(events, &recordv1.Event{Kind: &recordv1.Event_Decision{Decision: denial}})
	}
	if err := s.rec.Append(true, events...); err != nil {
		return noRecord(err)
	}
	return nil
}

func deniedRefusal(err error) *engine.Refusal {
	var d *guard.Denied
	if !errors.As(err, &d) {
		return &engine.Refusal{Code: codeSystem, Message: "an internal error"}
	}
	return refusalOf(codeOf(d.Kind), d.Decision)
}

var errHeldInput = errors.New("too much input while a statement is held")

// watch reads on from the client while a statement of it is held, so that its end is seen.
type watch struct {
	ended chan struct{}
	read  []byte
	err   error
}

func (s *session) watchAgent(in *inbox) *watch {
	w := &watch{ended: make(chan struct{})}
	room := maxHeldInput - len(in.bytes())
	go func() {
		defer close(w.ended)
		buf := make([]byte, 4096)
		for {
			n, err := s.agent.Read(buf)
			w.read = append(w.read, buf[:n]...)
			switch {
			case len(w.read) > room:
				w.err = errHeldInput
				return
			case err != nil:
				w.err = err
				return
			}
		}
	}()
	return w
}

// stop ends the watch and returns what it read. The error is nil if nothing but the stop ended it.
func (w *watch) stop(s *session) ([]byte, error) {
	_ = s.agent.SetReadDeadline(time.Unix(1, 0))
	<-w.ended
	s.readOn()
	var timeout net.Error
	if errors.As(w.err, &timeout) && timeout.Timeout() {
		return w.read, nil
	}
	return w.read, w.err
}
