package postgres

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/authz/share"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
	"github.com/sluicegate/sluice/extproc/wire"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Server takes connections that Envoy hands over and runs their sessions.
type Server struct {
	o    Options
	keys *keys

	// life ends with the server: what outlives one session runs in it.
	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup
	// memory is what long messages and what is prepared may take in all sessions.
	memory *share.Pool

	mu       sync.Mutex
	sessions map[string]*session
	catalogs *catalogs
	draining bool
}

// NewServer makes a server. Close ends it.
func NewServer(o Options) *Server {
	s := &Server{o: o, keys: newKeys(), memory: newMemory(), sessions: map[string]*session{}}
	s.life, s.end = context.WithCancel(context.Background())
	s.catalogs = &catalogs{life: s.life, work: &s.work, now: o.Now, logger: o.Logger, names: o.Names, entries: map[string]*catalogEntry{}, claims: map[string]*claims{}}
	s.work.Go(s.watch)
	return s
}

// watchEvery is how soon a session ends whose issuer has left the policy.
const watchEvery = time.Second

// watch ends sessions, idle ones too, of whom nobody vouches for any more. Past a token's own end the next statement is
// the last.
func (s *Server) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
		}
		for _, session := range s.open() {
			if err := s.o.Guard.Ended(session.admission); err != nil && s.o.Now().Before(session.admission.Ends) {
				session.stop(turnedAway(err))
			}
		}
	}
}

// open are the sessions of this moment.
func (s *Server) open() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sessions))
}

// Serve takes connections until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		conn, err := wire.Accept(l, func(err error, wait time.Duration) {
			s.o.Logger.Warn("a connection cannot be taken", slog.Any("error", err), slog.Duration("again_in", wait))
		})
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		s.work.Add(1)
		go func() {
			defer s.work.Done()
			err := guard.Safely(func() error {
				s.handle(s.life, conn)
				return nil
			})
			if err != nil {
				s.o.Logger.Error("a connection ends by a fault of ours", slog.Any("error", err))
			}
		}()
	}
}

// handle runs one connection to its end.
func (s *Server) handle(ctx context.Context, raw net.Conn) {
	defer func() { _ = raw.Close() }() // its end is all that matters now
	conn, err := wire.Handshake(ctx, raw, s.o.StartupTimeout)
	if err != nil {
		s.o.Metrics.refused.WithLabelValues("header").Inc()
		s.o.Logger.WarnContext(ctx, "a connection was not handed over by Envoy", slog.Any("error", err))
		return
	}
	if err := conn.SetDeadline(time.Now().Add(s.o.StartupTimeout)); err != nil {
		return
	}
	h, err := s.greet(ctx, conn)
	if err != nil {
		s.turnAway(conn, h, err)
		return
	}
	if h.cancel != nil {
		s.cancel(ctx, h, conn.Origin.Client)
		return
	}
	session, err := s.admit(ctx, conn.Origin, h)
	if err != nil {
		s.turnAway(conn, h, err)
		return
	}
	session.run(ctx)
}

// turnAway tells operators, and the client why, if it can still be told.
func (s *Server) turnAway(conn *wire.Conn, h *hello, err error) {
	var f *fatal
	login := &oplog.Login{Protocol: oplog.Postgres, Target: conn.Origin.Target, Client: conn.Origin.Client, Reason: "gone", Err: err}
	if h != nil {
		login.Principal = h.who
	}
	if !errors.As(err, &f) {
		s.o.Metrics.refused.WithLabelValues("connection").Inc()
		s.o.Told.LoginRefused(login)
		return
	}
	s.o.Metrics.refused.WithLabelValues(f.refusal.Code).Inc()
	login.Rule, login.Reason = f.refusal.Rule, cmp.Or(f.reason, f.refusal.Code)
	s.o.Told.LoginRefused(login)
	to := net.Conn(conn)
	if h != nil {
		to = h.conn
	}
	_, _ = to.Write(engine.Fatal(&f.refusal)) // the client may be gone
}

// admit takes a client from its startup packet to ReadyForQuery.
func (s *Server) admit(ctx context.Context, origin wire.Origin, h *hello) (*session, error) {
	p, err := s.o.Guard.Current()
	if err != nil {
		return nil, turnedAway(err)
	}
	if t := p.Target(origin.Target); t != nil && !h.encrypted && !t.GetListener().GetAllowPlaintext() {
		return nil, fatalf(codeNoIdentity, "this listener takes connections with TLS only").hint("Use sslmode=verify-full.")
	}
	token, err := h.askToken()
	if err != nil {
		return nil, err
	}
	who, err := s.o.Guard.Identify(ctx, token)
	if err != nil {
		return nil, unidentified(err)
	}
	h.who = who.Principal
	admission, err := s.o.Guard.Connect(who, origin.Target)
	if err != nil {
		return nil, turnedAway(err)
	}
	if err := checkDatabase(h, admission); err != nil {
		return nil, err
	}
	settings, err := s.settings(h, admission)
	if err != nil {
		return nil, err
	}
	lease, err := s.o.Credentials.Lease(ctx, admission.Target)
	if err != nil {
		return nil, fatalf(codeNotReady, "the credential of target %q is not available", origin.Target).cause(err)
	}
	return s.begin(ctx, origin, h, admission, lease, settings)
}

func checkDatabase(h *hello, a *guard.Admission) error {
	want := a.Target.GetPostgres().GetDatabase()
	if got := h.parameters["database"]; got != "" && got != want {
		return fatalf(codeOtherDatabase, "target %q has no database %q", a.Target.GetName(), got).hint("Connect to database " + want + ".")
	}
	return nil
}

// begin reaches the database and begins the session and its record.
func (s *Server) begin(ctx context.Context, origin wire.Origin, h *hello, a *guard.Admission, lease *credential.Lease, settings map[string]string) (*session, error) {
	id, err := s.o.SessionID()
	if err != nil {
		return nil, fatalf(codeSystem, "an internal error").cause(err)
	}
	settings["application_name"] = applicationName(a, id, cmp.Or(settings["application_name"], h.parameters["application_name"]))
	up, err := s.connect(ctx, a.Target, lease, settings)
	if err != nil {
		_ = lease.Release(ctx) // it was never used
		return nil, unreachable(a, err)
	}
	attributes := map[string]any{
		"database": a.Target.GetPostgres().GetDatabase(), "role": up.role, "client_address": origin.Client,
		"application": h.parameters["application_name"],
	}
	session := s.newSession(id, h.conn, up, a, lease, attributes) //nolint:contextcheck // a catalog outlives the session that asks for it first
	session.keyLength = keyLength(h.minor)
	start := &recordv1.SessionStart{
		Principal: a.Principal, ClientAddress: origin.Client, Target: origin.Target,
		Database: a.Target.GetPostgres().GetDatabase(), Role: up.role, Application: h.parameters["application_name"],
		EnvoyNode: origin.Node, ListenerRevision: origin.Revision, Processor: s.o.Processor, BundleVersion: a.Version,
	}
	if session.scribe.rec, err = s.o.Recorder.Begin(ctx, id, start); err != nil {
		session.close(ctx, "the session cannot be recorded")
		return nil, noRecord(err)
	}
	if err := s.register(session); err != nil {
		session.close(ctx, "the processor is shutting down")
		return nil, err
	}
	if err := session.welcome(); err != nil {
		session.close(ctx, "the client went away at startup")
		return nil, err
	}
	return session, nil
}

// newSession puts the parts of a session together. Its record is begun by the caller.
func (s *Server) newSession(id string, agent net.Conn, up *upstream, a *guard.Admission, lease *credential.Lease, attributes map[string]any) *session {
	out := &session{server: s, id: id, admission: a, up: up, lease: lease}
	place := up.route.place()
	cache, leave := s.catalog(a.Target, up)
	out.leaveCatalog = leave
	e := engine.New(up.TxStatus)
	e.HideCopied(s.o.Recorder.Hide)
	keeps := &allowance{pool: s.memory, who: share.Name(a.Principal)}
	e.Keeps(keeps.take)
	out.exchange = newExchange(&s.o, id, agent, up.Conn, e, a, attributes, s.catalogs.claimsOn(place), keeps)
	out.judge.catalog, out.judge.path = cache, up.path
	out.catalogChanged = func() { s.catalogs.changed(place) }
	out.cancelServer, out.cancelLate = out.passCancel, out.passCancelLate
	return out
}

func unreachable(a *guard.Admission, err error) *fatal {
	var pgErr *pgconn.PgError
	name := a.Target.GetName()
	if errors.As(err, &pgErr) {
		code := codeUnreachable
		switch pgErr.Code {
		case "42704", "22023", "55P02": // a setting that there is not, or not so
			return fatalf(pgErr.Code, "%s", pgErr.Message).hint("It is a parameter of the startup packet, or in its options.").cause(err)
		}
		if pgErr.Code[:2] == "53" || pgErr.Code[:2] == "57" {
			code = pgErr.Code
		}
		return fatalf(code, "the database of target %q does not let Sluice in (SQLSTATE %s)", name, pgErr.Code).cause(err)
	}
	return fatalf(codeUnreachable, "the database of target %q cannot be reached", name).hint("Try again later, or ask whoever runs Sluice.").cause(err)
}

// applicationName is what the database sees of a session, at most 63 bytes: the id counts more than the subject, and that more
// than what the client calls itself.
func applicationName(a *guard.Admission, id, own string) string {
	const most = 63
	room := max(0, most-len("sluice//")-len(id))
	name := "sluice/" + shownName(a.Principal.GetSubject(), room, "/ ") + "/" + id
	if room = most - len(name) - 1; own == "" || room <= 0 {
		return name
	}
	return name + " " + shownName(own, room, "")
}

// shownName is the beginning of a name in characters that PostgreSQL takes (printable ASCII), but for some.
func shownName(name string, most int, but string) string {
	b := []byte(name[:min(most, len(name))])
	for i, c := range b {
		if c < 0x20 || c > 0x7e || strings.IndexByte(but, c) >= 0 {
			b[i] = '?'
		}
	}
	return string(b)
}

// catalog is the cache for a connection's endpoint and role, and what gives it back.
func (s *Server) catalog(t *policyv1.Target, up *upstream) (*relcache.Cache, func()) {
	route := up.route
	return s.catalogs.use(t, up, func(ctx context.Context) (*pgx.Conn, error) {
		lease, err := s.o.Credentials.Lease(ctx, t)
		if err != nil {
			return nil, err
		}
		cfg, err := route.config(lease, map[string]string{"application_name": "sluice/catalog"})
		if err != nil {
			return nil, err
		}
		return pgx.ConnectConfig(ctx, cfg)
	})
}

// Catalog is the catalog of a target, for explanations.
func (s *Server) Catalog(ctx context.Context, t *policyv1.Target) (sqlfacts.Catalog, error) {
	lease, err := s.o.Credentials.Lease(ctx, t)
	if err != nil {
		return nil, err
	}
	up, err := s.connect(ctx, t, lease, map[string]string{"application_name": "sluice/explain"})
	if err != nil {
		return nil, err
	}
	path := up.path
	cache, done := s.catalog(t, up) //nolint:contextcheck // the same
	defer done()
	_ = up.Conn.Close() // only its path was wanted
	return cache.Snapshot(ctx, path)
}

func (s *Server) register(session *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return fatalf(codeShutdown, "this processor is shutting down").hint("Connect again.")
	}
	s.sessions[session.id] = session
	s.o.Metrics.sessions.Inc()
	return nil
}

func (s *Server) unregister(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session.id] == session {
		delete(s.sessions, session.id)
		s.o.Metrics.sessions.Dec()
	}
}

// EndSession ends a session of this process; false if there is none of that id.
func (s *Server) EndSession(id, reason string) bool {
	s.mu.Lock()
	session := s.sessions[id]
	s.mu.Unlock()
	if session == nil {
		return false
	}
	s.o.Guard.EndToken(session.admission, reason) // it would only connect again
	session.stop(fatalf(codeShutdown, "the session was ended: %s", reason))
	return true
}

// Drain lets running statements end, withdraws what is held, and ends each session when it is idle; when the context
// ends, all of them. The caller has closed the listener.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	open := s.open()
	goodbye := fatalf(codeShutdown, "Sluice is shutting down").hint("Connect again.")
	var wg sync.WaitGroup
	for _, session := range open {
		wg.Go(func() { session.drain(ctx, goodbye) })
	}
	wg.Wait()
}

// Close ends everything and waits for it.
func (s *Server) Close() {
	s.end()
	for _, session := range s.open() {
		session.stop(fatalf(codeShutdown, "Sluice is shutting down").hint("Connect again."))
	}
	s.work.Wait()
}
