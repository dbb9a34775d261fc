package check

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/policies"
)

const (
	// idleAfter is how long a session lives without a request: HTTP has no end of its own, and connections come and go.
	idleAfter = time.Minute
	// sweepEvery is how often that is looked at.
	sweepEvery = 5 * time.Second
	// endsAtOnce are how many recordings end at a time, endTimeout bounds each: a second of many agents' silence must not
	// take the time that the last ones need.
	endsAtOnce = 64
	endTimeout = 10 * time.Second
	// maxSessions bounds those of a process.
	maxSessions = 10_000
)

// key says which requests are of one session: those with one token, however it is spelled, to one target, through one
// Envoy.
type key struct {
	target, node string
	token        identity.Key
}

// session is what somebody does with one token.
type session struct {
	id   string
	key  key
	rec  Recording
	ends time.Time
	// admission is that of the first request.
	admission *guard.Admission
	// life ends when somebody ends the session; over ends it.
	life context.Context // it is the session's, not a call's
	over context.CancelCauseFunc

	mu     sync.Mutex // guards the rest
	number uint64
	// open requests hold the session.
	open int
	last time.Time
	// closed: its recording ends or has ended, so there are no new requests. ended says why somebody ended it: then
	// its token opens no other.
	closed bool
	ended  *problem
	// cancels end the requests that wait for people, by number.
	cancels map[uint64]context.CancelCauseFunc
}

// sessions are those of one server.
type sessions struct {
	mu       sync.Mutex // guards the rest; never held while a recording is begun or ended
	by       map[key]*session
	ids      map[string]*session
	opening  map[key]*opening
	draining bool
}

// opening lets requests that come together share the beginning of their session.
type opening struct {
	done    chan struct{}
	session *session
	err     error
}

// enter finds or begins the session of a request, and holds it open until leave.
func (s *Server) enter(ctx context.Context, r *request, a *guard.Admission, policy *policies.Policy) (*session, uint64, *problem) {
	k := key{target: r.target, node: r.node, token: a.Token()}
	for {
		session, o, begin, p := s.sessions.find(k, whose(a))
		switch {
		case p != nil:
			return nil, 0, p
		case begin:
			// Whatever happens in it, those who wait for the session must hear of it.
			o.err = guard.Safely(func() (err error) {
				o.session, err = s.begin(context.WithoutCancel(ctx), r, k, a, policy)
				return err
			})
			s.sessions.opened(k, o)
		case o != nil:
			select {
			case <-o.done:
			case <-ctx.Done():
				return nil, 0, gone(ctx)
			}
		}
		if o != nil {
			if o.err != nil {
				return nil, 0, noRecord(o.err)
			}
			session = o.session
		}
		number, ok, p := session.take(s.o.Now())
		if p != nil {
			return nil, 0, p
		}
		if ok {
			return session, number, nil
		}
		s.sessions.forget(session)
	}
}

// whose is whose share of what is shared an admission takes.
func whose(a *guard.Admission) string {
	return a.Principal.GetIssuerUrl() + "\n" + a.Principal.GetSubject()
}

// count is how many of those that are open are somebody's. The caller holds mu.
func (m *sessions) count(who string) int {
	n := 0
	for _, s := range m.by {
		if whose(s.admission) == who {
			n++
		}
	}
	return n
}

func (m *sessions) find(k key, who string) (_ *session, o *opening, begin bool, _ *problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.draining {
		return nil, nil, false, errShutdown
	}
	if found := m.by[k]; found != nil {
		return found, nil, false, nil
	}
	if o := m.opening[k]; o != nil {
		return nil, o, false, nil
	}
	if len(m.by)+len(m.opening) >= maxSessions {
		return nil, nil, false, &problem{
			Status: 503, Type: "too-many", Title: "Too many sessions", Detail: "This processor has as many sessions as it may.", Hint: "Try again later.",
		}
	}
	if len(m.by) >= maxSessions/2 && m.count(who) >= maxSessions/2 {
		return nil, nil, false, &problem{
			Status: 503, Type: "too-many", Title: "Too many sessions", Detail: "You have half of the sessions that this processor may have.",
			Hint: "Use one token for many requests: sessions end after a minute without any.",
		}
	}
	o = &opening{done: make(chan struct{})}
	m.opening[k] = o
	return nil, o, true, nil
}

func (m *sessions) opened(k key, o *opening) {
	m.mu.Lock()
	delete(m.opening, k)
	if o.session != nil {
		m.by[k], m.ids[o.session.id] = o.session, o.session
	}
	m.mu.Unlock()
	close(o.done)
}

// drain lets nothing in any more.
func (m *sessions) drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = true
}

func (m *sessions) isDraining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draining
}

// all are those that are known, ended ones included.
func (m *sessions) all() []*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.by))
}

// open counts those whose recording goes on.
func (m *sessions) open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.opening)
	for _, s := range m.by {
		if !s.isClosed() {
			n++
		}
	}
	return n
}

func (m *sessions) forget(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by[s.key] == s {
		delete(m.by, s.key)
	}
	delete(m.ids, s.id)
}

func (s *Server) begin(ctx context.Context, r *request, k key, a *guard.Admission, p *policies.Policy) (*session, error) {
	id, err := s.o.SessionID()
	if err != nil {
		return nil, err
	}
	rec, err := s.o.Recorder.Begin(ctx, id, &recordv1.SessionStart{
		Principal: a.Principal, ClientAddress: r.client, Target: a.Target.GetName(),
		Application: s.o.Shown.Value(p, r.target, readable(r.header("user-agent"))), EnvoyNode: r.node, ListenerRevision: r.revision,
		Processor: s.o.Processor, BundleVersion: a.Version,
	})
	if err != nil {
		return nil, err
	}
	s.o.Metrics.sessions.Inc()
	life, over := context.WithCancelCause(ctx)
	return &session{
		id: id, key: k, rec: rec, ends: a.Ends, admission: a, life: life, over: over, last: s.o.Now(), cancels: map[uint64]context.CancelCauseFunc{},
	}, nil
}

// take holds the session open for one more request. It is false if the session was closed for being idle.
func (s *session) take(now time.Time) (number uint64, ok bool, _ *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return 0, false, s.ended
	}
	if s.closed {
		return 0, false, nil
	}
	s.number++
	s.open++
	s.last = now
	return s.number, true, nil
}

// leave lets go of the session.
func (s *session) leave(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.last = now
}

// stoppable lets the end of the session end what waits for people.
func (s *session) stoppable(ctx context.Context, number uint64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		cancel(s.ended)
	}
	s.cancels[number] = cancel
	return ctx, func() {
		s.mu.Lock()
		delete(s.cancels, number)
		s.mu.Unlock()
		cancel(nil)
	}
}

// why is the reason for which the session's life is over.
func (s *session) why() error { return context.Cause(s.life) }

// withdraw ends what waits for people.
func (s *session) withdraw(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.cancels {
		cancel(why)
	}
}

// stop ends the session: what waits for people is withdrawn, and nothing new is let in.
func (s *session) stop(why *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = why
		s.over(why)
	}
	for _, cancel := range s.cancels {
		cancel(s.ended)
	}
}

// due reports whether the recording should end now, and why. It says so once.
func (s *session) due(now time.Time, draining bool) (reason string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.open > 0 {
		return "", false
	}
	switch {
	case s.ended != nil:
		reason = s.ended.Title
	case !now.Before(s.ends):
		reason = "its token has ended"
	case draining:
		reason = "the processor is shutting down"
	case now.Sub(s.last) >= idleAfter:
		reason = "idle"
	default:
		return "", false
	}
	s.closed = true
	s.over(nil)
	return reason, true
}

func (s *session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// spent reports whether nobody needs to remember the session: its token opens nothing any more, or may open another.
func (s *session) spent(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed && (s.ended == nil || !now.Before(s.ends))
}

// sweep ends the sessions that are due, many at a time: each end waits for the recorder.
func (s *Server) sweep(ctx context.Context) {
	draining := s.sessions.isDraining()
	now := s.o.Now()
	var ending errgroup.Group
	ending.SetLimit(endsAtOnce)
	for _, one := range s.sessions.all() {
		reason, ok := one.due(now, draining)
		if !ok {
			s.forgetSpent(one, now)
			continue
		}
		s.o.Metrics.sessions.Dec()
		ending.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, endTimeout)
			defer cancel()
			if err := one.rec.End(ctx, reason); err != nil {
				s.o.Logger.Error("the end of a session could not be recorded", slog.String("session", one.id), slog.Any("error", err))
			}
			s.forgetSpent(one, now)
			return nil
		})
	}
	_ = ending.Wait() // none fails
}

func (s *Server) forgetSpent(one *session, now time.Time) {
	if one.spent(now) {
		s.sessions.forget(one)
	}
}

// EndSession ends a session of this process, and what its token can open; false if there is none of that id.
func (s *Server) EndSession(id, reason string) bool {
	s.sessions.mu.Lock()
	found := s.sessions.ids[id]
	s.sessions.mu.Unlock()
	if found == nil {
		return false
	}
	s.o.Guard.EndToken(found.admission, reason)
	found.stop(&problem{
		Status: 401, Type: "session-ended", token: true, Title: "The session was ended: " + reason, Detail: "Its token is not accepted any more.", Hint: "Get a new token.",
	})
	return true
}
