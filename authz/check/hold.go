package check

import (
	"context"
	"errors"
	"strings"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
)

// maxTurns is how many requests are put before people at once: when many come together, the rest wait where each costs
// least.
const maxTurns = 64

// held is a request that waits for people. Thousands may: it keeps what is needed to go on, and no more.
type held struct {
	asking  *asking
	verdict guard.Verdict
	pending *guard.Pending
	// ctx ends with the agent, and with the session.
	ctx  context.Context //nolint:containedctx // it is the call's, and held does not outlive that
	stop context.CancelFunc
}

// hold makes a request wait. Its done is for the very end.
func (a *asking) hold(ctx context.Context, v guard.Verdict) *held {
	h := &held{asking: a, verdict: v}
	h.ctx, h.stop = a.session.stoppable(ctx, a.number)
	return h
}

// done lets go of the session, unless the request went through.
func (h *held) done() {
	h.stop()
	if !h.asking.through {
		h.asking.session.leave(h.asking.server.o.Now())
	}
}

// wait puts the request before people, and goes on with what they say.
func (s *Server) wait(h *held) (ok *envoy_service_auth_v3.CheckResponse, p *problem) {
	weight := h.asking.request.weight()
	if !s.weights.wait(h.asking.who(), weight) {
		return nil, h.asking.refused(h.verdict.Decision, errTooMuch)
	}
	defer s.weights.back(h.asking.who(), weight)
	if p := s.put(h); p != nil {
		return nil, p
	}
	s.o.Metrics.holding.Inc()
	approved, err := h.pending.Wait(h.ctx)
	s.o.Metrics.holding.Dec()
	if panicked := aside(func() { ok, p = h.end(approved, err) }); panicked != nil {
		return nil, panicked
	}
	return ok, p
}

// put puts the request before people, in its turn.
func (s *Server) put(h *held) (p *problem) {
	put := s.weights.pose(h.ctx, h.asking.who(), h.asking.request.weight(), func() {
		select {
		case s.turns <- struct{}{}:
		case <-h.ctx.Done():
			p = h.asking.refused(h.verdict.Decision, h.over())
			return
		}
		if panicked := aside(func() { p = h.ask() }); panicked != nil {
			p = panicked
		}
		<-s.turns
	})
	if !put {
		p = h.asking.refused(h.verdict.Decision, h.over())
	}
	return p
}

var errTooMuch = &problem{
	Status: 503, Type: "too-many", Title: "Too much waits for people", Detail: "The bodies and long headers of requests that wait are as much as they may be, of yours or in all. Nothing was forwarded.",
	Hint: "Try again later, or with less in it.",
}

// over is the problem of a hold whose session was ended, or whose agent does not wait any more.
func (h *held) over() *problem {
	var p *problem
	if errors.As(context.Cause(h.ctx), &p) {
		return p
	}
	return gone(h.ctx)
}

// ask puts the request before people.
func (h *held) ask() *problem {
	a := h.asking
	action, ok := a.action()
	if !ok {
		return a.refused(h.verdict.Decision, h.unshown())
	}
	var err error
	h.pending, err = a.server.o.Guard.Hold(h.ctx, guard.Asked{
		Admission: a.admission, Verdict: h.verdict, SessionID: a.session.id, Action: action, Binding: a.binding(),
		Protocol: oplog.HTTP, Number: a.number,
	})
	if err != nil {
		return a.refused(h.verdict.Decision, h.turnedAway(err))
	}
	started := &recordv1.HoldStart{Number: a.number, Approval: h.pending.Approval()}
	err = a.session.rec.Append(true, a.decision(recordv1.Decision_HOLD, h.verdict.Decision, nil),
		&recordv1.Event{Kind: &recordv1.Event_HoldStart{HoldStart: started}})
	if err != nil {
		h.pending.Withdraw(h.ctx, "it could not be recorded")
		return noRecord(err)
	}
	return nil
}

// unshown is the refusal of what people would have to decide on without seeing it.
func (h *held) unshown() *problem {
	return h.turnedAway(&guard.Denied{Kind: guard.Forbidden, Decision: policies.Decision{
		Message: "The request needs approval, and its body cannot be shown to people.",
		Detail:  "Masks of the target name fields, and the body is none in which they can be told from the rest; or it is a multipart body that services could take apart in more than one way, or compressed so that it cannot be read.",
		Hint:    "Nothing was forwarded. Send well-formed JSON in UTF-8 with its content-type, or a multipart body that holds nothing but its parts.",
	}})
}

// end goes on by the verdict of the moment in which the approval was used.
func (h *held) end(approved *approvalv1.Approval, err error) (*envoy_service_auth_v3.CheckResponse, *problem) {
	a := h.asking
	now := h.verdict
	if err == nil {
		released := a.server.weights.pose(h.ctx, a.who(), len(a.request.body), func() {
			approved, now, err = h.pending.Release(h.ctx, a.operations, nil, a.binding())
		})
		if !released {
			err = context.Cause(h.ctx)
		}
	}
	if err != nil {
		return nil, h.unapproved(approved, err)
	}
	ended := &recordv1.HoldEnd{Number: a.number, Approval: approved}
	if err := a.session.rec.Append(true, &recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: ended}}); err != nil {
		return nil, noRecord(err)
	}
	return a.let(h.ctx, h.verdict, now, approved.GetId())
}

// unapproved ends a hold that nobody approved, or whose agent went away.
func (h *held) unapproved(left *approvalv1.Approval, err error) *problem {
	a := h.asking
	id := h.pending.Approval().GetId()
	p := h.turnedAway(err)
	if h.ctx.Err() != nil {
		p = h.over()
		h.pending.Withdraw(h.ctx, p.Title)
	}
	if left == nil {
		left = h.pending.Withdrawn()
	}
	shown := *p
	shown.Approval = id
	recordErr := a.session.rec.Append(true,
		&recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: a.number, Approval: left}}},
		a.decision(recordv1.Decision_DENY, h.verdict.Decision, &shown))
	if recordErr != nil {
		return noRecord(recordErr)
	}
	return &shown
}

// turnedAway is the end of a hold: where no other rule is named, the one that asked for approval is why.
func (h *held) turnedAway(err error) *problem {
	p := turnedAway(err)
	if needs := h.verdict.Requirements; p.Rule == "" && len(needs) > 0 {
		p.Rule = needs[0].Rule
	}
	return p
}

// action is what people see: all that goes on, since a header may change what a request does. False: it cannot be shown.
func (a *asking) action() (*approvalv1.Action, bool) {
	r, shown := a.request, a.server.o.Shown
	show := func(v string) string { return shown.Value(a.policy, r.target, v) }
	header := func(name, v string) string { return shown.Header(a.policy, r.target, name, v) }
	asked := r.authority
	if host, ok := policies.UpstreamHost(a.admission.Target.GetHttp()); ok {
		asked = host
	}
	action := &approvalv1.Action{
		Summary: r.method + " " + show(r.path.Raw),
		Text:    r.method + " " + r.scheme + "://" + show(asked) + show(r.uri),
		Details: []*approvalv1.Detail{
			{Name: "requester", Value: a.admission.Principal.GetIssuer() + ":" + a.admission.Principal.GetSubject()},
			{Name: "target", Value: r.target},
			{Name: "client", Value: r.client},
		},
	}
	if asked != r.authority {
		action.Details = append(action.Details, &approvalv1.Detail{Name: "asked-at", Value: show(r.authority)})
	}
	if kind := readable(r.header("content-type")); kind != "" {
		action.Details = append(action.Details, &approvalv1.Detail{Name: "content-type", Value: show(kind)})
	}
	for _, h := range r.recorded(header, a.admission.Target.GetCredential().GetHeader().GetName()) {
		if name := h.GetName(); name != "content-type" && goesOn(a.admission.Target, name) {
			action.Details = append(action.Details, &approvalv1.Detail{Name: "header", Value: name + ": " + h.GetValue()})
		}
	}
	for _, h := range r.headers {
		if h.name == "cookie" && goesOn(a.admission.Target, h.name) {
			action.Details = append(action.Details, &approvalv1.Detail{Name: "header", Value: "cookie: " + a.cookies(readable(h.value), show)})
		}
	}
	if len(r.body) == 0 {
		return action, true
	}
	text, legible := r.legible()
	if !legible {
		return action, false
	}
	body, ok := shown.Asked(a.policy, r.target, r.header("content-type"), text)
	action.Parameters = append(action.Parameters, &approvalv1.Parameter{Type: "body", Value: body})
	return action, ok
}

// shortCookie is the longest value of a cookie that is shown: one that opens a session is longer, and would be a credential
// in the hands of whoever sees it.
const shortCookie = 15

// cookies are those of one header as people see them: each by its name, and by its value or, if that is long, what stands
// for it.
func (a *asking) cookies(header string, show func(string) string) string {
	pairs := strings.Split(header, ";")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if len(value) > shortCookie {
			value = a.server.o.Recorder.Hide([]byte(value))
		}
		pairs[i] = show(name) + "=" + show(value)
	}
	return strings.Join(pairs, "; ")
}

// binding is the request in true bytes, headers in their order.
func (a *asking) binding() []guard.Field {
	r := a.request
	fields := []guard.Field{
		{Name: "method", Value: []byte(r.method)},
		{Name: "scheme", Value: []byte(r.scheme)},
		{Name: "authority", Value: []byte(r.authority)},
		{Name: "path", Value: []byte(r.uri)},
	}
	for _, h := range r.headers {
		if !envoys(h.name) && h.name != "authorization" {
			fields = append(fields, guard.Field{Name: "header", Value: []byte(h.name + ": " + h.value)})
		}
	}
	return append(fields, guard.Field{Name: "body", Value: r.body})
}
