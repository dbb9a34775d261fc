package check

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	grpcstatus "google.golang.org/grpc/status"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/api/peer/peergrpc"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
)

// Server answers Envoy. It is safe for concurrent use.
type Server struct {
	envoy_service_auth_v3.UnimplementedAuthorizationServer
	o        Options
	sessions sessions
	tickets  tickets
	turns    chan struct{} // those that are put before people just now
	weights  *weights
	done     chan struct{}
	work     sync.WaitGroup
}

// NewServer makes one; Close ends it.
func NewServer(o Options) *Server {
	s := &Server{
		o: o, done: make(chan struct{}), turns: make(chan struct{}, maxTurns), weights: newWeights(runtime.GOMAXPROCS(0)),
		sessions: sessions{by: map[key]*session{}, ids: map[string]*session{}, opening: map[key]*opening{}},
		tickets:  tickets{random: o.Random, waiting: map[string]waiting{}},
	}
	s.work.Go(s.run)
	return s
}

// run ends what nobody uses any more.
func (s *Server) run() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			s.endOverdue(s.tickets.overdue(s.o.Now(), untaken))
			s.sweep(context.Background())
		}
	}
}

func (s *Server) endOverdue(all []*Exchange) {
	for _, e := range all {
		s.end(e, "let through, but Envoy never asked about a response")
	}
}

func (s *Server) end(e *Exchange, message string) {
	if err := e.End(0, message, 0); err != nil {
		s.o.Logger.Error("the end of a request could not be recorded", slog.String("session", e.Session), slog.Any("error", err))
	}
}

// Take gives the exchange that a ticket stands for: once, and only to the request that it was made for. The ticket is
// spent either way.
func (s *Server) Take(ticket, requestID string) (*Exchange, bool) {
	e := s.tickets.take(ticket)
	if e == nil {
		return nil, false
	}
	if e.ID != requestID {
		s.end(e, "its ticket was shown with another request")
		return nil, false
	}
	return e, true
}

// Check implements ext_authz. It waits while people decide; Envoy ends the context when the agent goes.
func (s *Server) Check(ctx context.Context, in *envoy_service_auth_v3.CheckRequest) (*envoy_service_auth_v3.CheckResponse, error) {
	r := &request{}
	var ok *envoy_service_auth_v3.CheckResponse
	var p *problem
	err := guard.Safely(func() error {
		if r, p = read(in); p == nil {
			name, _ := peergrpc.NameOf(ctx)
			p = vouched(name, r)
		}
		if p == nil {
			ok, p = s.answer(ctx, r)
		}
		return nil
	})
	if err != nil {
		p = internal(err)
	}
	if p == nil {
		s.o.Metrics.requests.WithLabelValues("0").Inc()
		return ok, nil
	}
	if ctx.Err() != nil {
		return nil, grpcstatus.FromContextError(ctx.Err()).Err() // nobody hears the answer
	}
	if p.cause != nil && !p.login {
		s.o.Logger.Warn("a request was refused", slog.String("target", r.target), slog.String("problem", p.Type), slog.Any("error", p.cause))
	}
	s.o.Metrics.requests.WithLabelValues(strconv.Itoa(p.Status)).Inc()
	return p.response(r.method == "HEAD"), nil
}

// vouched checks that an Envoy speaks for itself: the certificate that it shows is of the node that it names.
func vouched(name peer.Name, r *request) *problem {
	if name.Verified() && (name.Role != peer.Envoy || name.ID != r.node) {
		return misconfigured("The Envoy that asks shows the certificate of another node.",
			fmt.Errorf("the certificate is of %s/%s, the request of node %q", name.Role, name.ID, r.node))
	}
	return nil
}

// gone is the problem of an agent that does not wait any more: nobody hears it.
func gone(ctx context.Context) *problem {
	return &problem{Status: 499, Title: "The client went away", cause: context.Cause(ctx)}
}

// answer decides, waits for people where they are asked, and goes on.
func (s *Server) answer(ctx context.Context, r *request) (ok *envoy_service_auth_v3.CheckResponse, p *problem) {
	var h *held
	if panicked := aside(func() { ok, h, p = s.decide(ctx, r) }); panicked != nil {
		return nil, panicked
	}
	if h == nil {
		return ok, p
	}
	defer h.done()
	return s.wait(h)
}

// decide identifies, decides and records a request that could be read. What it returns is one of the three.
func (s *Server) decide(ctx context.Context, r *request) (_ *envoy_service_auth_v3.CheckResponse, h *held, _ *problem) {
	began := s.o.Now()
	token := r.bearer()
	who, err := s.o.Guard.Identify(ctx, token)
	if err != nil {
		return nil, nil, s.loginRefused(r, nil, unidentified(token, err))
	}
	if r.shows(token) {
		p := malformed("The token stands in another place than the header Authorization: it would go on.")
		p.reason = "token_elsewhere"
		return nil, nil, s.loginRefused(r, who.Principal, p)
	}
	admission, err := s.o.Guard.Connect(who, r.target)
	if err != nil {
		return nil, nil, s.loginRefused(r, who.Principal, turnedAway(err))
	}
	policy, err := s.o.Guard.Current()
	if err != nil {
		return nil, nil, s.loginRefused(r, who.Principal, turnedAway(err))
	}
	a := &asking{
		server: s, request: r, admission: admission,
		policy: policy,
	}
	if p := tooLong(r, admission.Target); p != nil {
		a.denied(policies.Decision{}, p)
		return nil, nil, p
	}
	var p *problem
	if a.session, a.number, p = s.enter(ctx, r, admission, policy); p != nil {
		return nil, nil, s.loginRefused(r, who.Principal, p)
	}
	defer func() {
		if h == nil && !a.through {
			a.session.leave(s.o.Now())
		}
	}()
	r.forgetToken()
	var verdict guard.Verdict
	var recordErr error
	read := s.weights.read(ctx, a.who(), r.reads(), func() {
		if recordErr = a.recordRequest(); recordErr != nil {
			return
		}
		if a.operations, p = readPaths(r, admission.Target, policy); p == nil {
			p = overridden(r, policy)
		}
		if p == nil {
			verdict, err = s.o.Guard.Decide(admission, a.operations, nil)
		}
	})
	s.o.Metrics.decide.Observe(s.o.Now().Sub(began).Seconds())
	switch {
	case !read:
		return nil, nil, gone(ctx)
	case recordErr != nil:
		return nil, nil, noRecord(recordErr)
	case p != nil:
		return nil, nil, a.refused(policies.Decision{}, p)
	case err != nil:
		return nil, nil, a.refused(policies.Decision{}, turnedAway(err))
	}
	return a.follow(ctx, verdict)
}

// asking is one request on its way through the decision.
type asking struct {
	server     *Server
	request    *request
	admission  *guard.Admission
	session    *session
	number     uint64
	policy     *policies.Policy // of the beginning: how things are shown
	operations []policies.Operation
	// through: the exchange holds the session now.
	through bool
}

// who is whose share of what is shared the request takes.
func (a *asking) who() string { return whose(a.admission) }

// follow does what the verdict says.
func (a *asking) follow(ctx context.Context, v guard.Verdict) (*envoy_service_auth_v3.CheckResponse, *held, *problem) {
	switch v.Verdict {
	case policies.Deny:
		return nil, nil, a.refused(v.Decision, denial(v.Decision))
	case policies.Hold:
		return nil, a.hold(ctx, v), nil
	default:
		ok, p := a.let(ctx, v, v, "")
		return ok, nil, p
	}
}

// let records that the request goes on, and tells Envoy what to change in it.
func (a *asking) let(ctx context.Context, decided, v guard.Verdict, approval string) (*envoy_service_auth_v3.CheckResponse, *problem) {
	s, r := a.server, a.request
	name, value, err := s.credential(ctx, a.admission.Target)
	if err != nil {
		return nil, a.refused(v.Decision, &problem{
			Status: 503, Type: "unavailable", Title: "The credential of the target is not available", cause: err,
			Detail: "Nothing was forwarded.", Hint: "Try again later, or ask whoever runs Sluice.",
		})
	}
	x := &recordv1.Execution{Number: a.number, ApprovalId: approval}
	if v.Version != decided.Version {
		x.BundleVersion = v.Version
	}
	events := []*recordv1.Event{{Kind: &recordv1.Event_Execution{Execution: x}}}
	if approval == "" {
		s.o.Told.Allowed(oplog.HTTP, r.target, v.Rule())
		events = append([]*recordv1.Event{a.decision(recordv1.Decision_ALLOW, v.Decision, nil)}, events...)
	}
	if err := a.session.rec.Append(approval != "" || !r.safe(), events...); err != nil {
		return nil, noRecord(err)
	}
	session := a.session // and not a, which has the whole request: its body is not needed for as long as the response takes
	who := a.admission.Who()
	e := &Exchange{
		Admission: a.admission, Policy: v.Policy, Who: who, Masks: v.Masks, Number: a.number, ID: r.id, Method: r.method,
		Recording: session.rec, Session: session.id, Life: session.life, Still: a.still(v, who, approval != ""), Tags: a.tags(v), Leave: func() { session.leave(s.o.Now()) },
		Now: s.o.Now, Began: s.o.Now(),
	}
	metadata, err := s.tickets.put(e, s.o.Now())
	if err != nil {
		return nil, internal(err)
	}
	a.through = true
	ok := okResponse(r, a.admission.Target, name, value, metadata)
	if e.Tags != nil {
		conditions := opened(r, e.Tags)
		for _, name := range slices.Sorted(maps.Keys(conditions)) {
			ok.GetOkResponse().Headers = append(ok.GetOkResponse().Headers, set(name, conditions[name]))
		}
	}
	return ok, nil
}

// Drain withdraws what is held, lets no new session in, and waits for requests to end, or for the context.
func (s *Server) Drain(ctx context.Context) {
	s.sessions.drain()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, one := range s.sessions.all() { // each time: a request that was being decided may be held by now
			one.withdraw(errShutdown)
		}
		s.endOverdue(s.tickets.overdue(s.o.Now(), untakenAtEnd))
		s.sweep(ctx)
		if s.sessions.open() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

var errShutdown = &problem{
	Status: 503, Type: "unavailable", Title: "Sluice is shutting down", Detail: "Nothing was forwarded.", Hint: "Try again in a moment.",
}

// Close ends all sessions. What is still on its way has its end recorded as such.
func (s *Server) Close(ctx context.Context) {
	close(s.done)
	s.work.Wait()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s.tickets.mu.Lock()
	var left []*Exchange
	for ticket, w := range s.tickets.waiting {
		delete(s.tickets.waiting, ticket)
		left = append(left, w.exchange)
	}
	s.tickets.mu.Unlock()
	s.endOverdue(left)
	s.sessions.drain()
	s.sweep(ctx)
}
