package check

import (
	"context"
	"errors"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
)

// hold keeps the request until people have decided. It returns the approval that was used, and the verdict of the
// moment in which it was.
func (a *asking) hold(ctx context.Context, v guard.Verdict) (string, guard.Verdict, *problem) {
	s := a.server
	ctx, done := a.session.stoppable(ctx, a.number)
	defer done()
	binding := a.binding()
	pending, err := s.o.Guard.Hold(ctx, guard.Asked{
		Admission: a.admission, Verdict: v, SessionID: a.session.id, Action: a.action(), Binding: binding,
	})
	if err != nil {
		return "", v, a.refused(v.Decision, turnedAway(err))
	}
	s.o.Metrics.holding.Inc()
	defer s.o.Metrics.holding.Dec()
	started := &recordv1.HoldStart{Number: a.number, Approval: pending.Approval()}
	err = a.session.rec.Append(true, a.decision(recordv1.Decision_HOLD, v.Decision, nil),
		&recordv1.Event{Kind: &recordv1.Event_HoldStart{HoldStart: started}})
	if err != nil {
		pending.Withdraw(ctx, "it could not be recorded")
		return "", v, noRecord(err)
	}
	approved, err := pending.Wait(ctx)
	now := v
	if err == nil {
		approved, now, err = pending.Release(ctx, a.operations, nil, binding)
	}
	if err != nil {
		return "", v, a.unapproved(ctx, pending, approved, v, err)
	}
	ended := &recordv1.HoldEnd{Number: a.number, Approval: approved}
	if err := a.session.rec.Append(true, &recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: ended}}); err != nil {
		return "", v, noRecord(err)
	}
	return approved.GetId(), now, nil
}

// unapproved ends a hold that nobody approved, or whose agent went away.
func (a *asking) unapproved(ctx context.Context, pending *guard.Pending, left *approvalv1.Approval, v guard.Verdict, err error) *problem {
	id := pending.Approval().GetId()
	var p *problem
	if ctx.Err() != nil {
		if !errors.As(context.Cause(ctx), &p) {
			p = gone(ctx)
		}
		pending.Withdraw(ctx, p.Title)
	} else {
		p = turnedAway(err)
	}
	if left == nil {
		left = pending.Approval()
		left.State = approvalv1.State_WITHDRAWN
	}
	shown := *p
	shown.Approval = id
	recordErr := a.session.rec.Append(true,
		&recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: a.number, Approval: left}}},
		a.decision(recordv1.Decision_DENY, v.Decision, &shown))
	if recordErr != nil {
		return noRecord(recordErr)
	}
	return &shown
}

// action is what people see.
func (a *asking) action() *approvalv1.Action {
	r, shown := a.request, a.server.o.Shown
	path := shown.Value(a.policy, r.target, r.pathAndQuery())
	action := &approvalv1.Action{
		Summary: r.method + " " + r.path.Raw,
		Text:    r.method + " " + r.scheme + "://" + r.authority + path,
		Details: []*approvalv1.Detail{
			{Name: "requester", Value: a.admission.Principal.GetIssuer() + ":" + a.admission.Principal.GetSubject()},
			{Name: "target", Value: r.target},
			{Name: "client", Value: r.client},
		},
	}
	if kind := readable(r.header("content-type")); kind != "" {
		action.Details = append(action.Details, &approvalv1.Detail{Name: "content-type", Value: shown.Value(a.policy, r.target, kind)})
	}
	if len(r.body) > 0 {
		action.Parameters = append(action.Parameters, &approvalv1.Parameter{Type: "body", Value: string(a.body())})
	}
	return action
}

// binding is the request in true bytes, headers in their order.
func (a *asking) binding() []guard.Field {
	r := a.request
	fields := []guard.Field{
		{Name: "method", Value: []byte(r.method)},
		{Name: "scheme", Value: []byte(r.scheme)},
		{Name: "authority", Value: []byte(r.authority)},
		{Name: "path", Value: []byte(r.pathAndQuery())},
	}
	for _, h := range r.headers {
		if !envoys(h.name) && h.name != "authorization" {
			fields = append(fields, guard.Field{Name: "header", Value: []byte(h.name + ": " + h.value)})
		}
	}
	return append(fields, guard.Field{Name: "body", Value: r.body})
}
