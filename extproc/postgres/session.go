package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const (
	// agentBuffer and serverBuffer are the sizes of the read buffers, in bytes. Results are larger than statements.
	agentBuffer  = 8 << 10
	serverBuffer = 64 << 10
	// goodbyeTimeout bounds how long a last message may take.
	goodbyeTimeout = 2 * time.Second
)

// session is one agent on one target. Two goroutines move bytes: run for the agent's side, relay for the server's.
type session struct {
	server    *Server
	id        string
	keyLength int
	agent     net.Conn
	up        *upstream
	admission *guard.Admission
	lease     *credential.Lease
	rec       Recording
	engine    *engine.Engine
	cache     *relcache.Cache
	// claims are what sessions on the database are changing; using is what this one has judged and not sent on yet.
	claims *claims
	using  atomic.Pointer[sqlfacts.Facts]
	// leaveCache gives the cache back.
	leaveCache func()
	// attributes are what conditions of rules may read of the session.
	attributes map[string]any

	// cancels gets something when the client asks for a cancel while a statement is held.
	cancels chan struct{}
	// over is closed when the session must end; why says what the agent is told.
	over     chan struct{}
	overOnce sync.Once
	why      error

	// mu guards what both sides and others touch.
	mu      sync.Mutex
	holding bool
	// deciding: a statement has been read and has not gone on yet; cancelled: a cancel came meanwhile.
	deciding, cancelled bool
	// writing is held while bytes go to the agent; whole: the last of them ended a message.
	writing sync.Mutex
	whole   bool

	// changed belongs to the server's side: something that may have changed the catalog was done, and is not committed.
	changed bool

	// The rest belongs to the agent's side.
	number  uint64
	views   viewCache
	pending []*recordv1.Event
	last    struct {
		facts  *sqlfacts.Facts
		doings doings
	}
	// altered: something was let through that may change the catalog, and it has not been looked at again. moved: the same
	// of the role, the search_path and how a text is read.
	altered, moved bool
	// pathOf is the version of the catalog with which the search_path was asked for.
	pathOf uint64
	// renamed: among what altered the catalog was what makes names mean other relations.
	renamed bool

	// ended says why, for the record.
	ended string
}

// welcome ends the startup: the server's parameters, a key of ours, ready.
func (s *session) welcome() error {
	secret, err := s.server.keys.issue(s, s.up.PID, s.keyLength, s.server.o.Random)
	if err != nil {
		return err
	}
	out, err := (&pgproto3.AuthenticationOk{}).Encode(nil)
	for name, value := range s.up.ParameterStatuses {
		if err == nil {
			out, err = (&pgproto3.ParameterStatus{Name: name, Value: value}).Encode(out)
		}
	}
	if err == nil {
		out, err = (&pgproto3.BackendKeyData{ProcessID: s.up.PID, SecretKey: secret}).Encode(out)
	}
	if err == nil {
		out, err = (&pgproto3.ReadyForQuery{TxStatus: s.up.TxStatus}).Encode(out)
	}
	if err != nil {
		return err
	}
	if _, err := s.agent.Write(out); err != nil {
		return err
	}
	s.whole = true
	return s.agent.SetDeadline(time.Time{})
}

// stop ends the session; the first reason counts. A *fatal is told to the agent.
func (s *session) stop(why error) {
	s.overOnce.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.why = why
		close(s.over)
		// Both sides stand in reads or writes: those end now, but for what is on its way to an agent that reads.
		past := time.Unix(1, 0)
		_ = s.agent.SetReadDeadline(past)
		_ = s.agent.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
		_ = s.up.Conn.SetDeadline(past)
	})
}

// readOn lifts a deadline that ended a read of the agent's bytes, unless the session is over.
func (s *session) readOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.over:
	default:
		_ = s.agent.SetReadDeadline(time.Time{})
	}
}

// run moves the agent's bytes until the session ends.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop(guard.Safely(s.relay))
	}()
	s.stop(guard.Safely(func() error { return s.serve(ctx) }))
	s.goodbye()
	_ = s.agent.Close()
	_ = s.up.Conn.Close()
	<-done
	s.close(ctx, s.ended)
}

var errDatabaseClosed = errors.New("the database closed the connection")

// goodbye tells the agent why the session ends, if it can be told, and the server that it does.
func (s *session) goodbye() {
	s.ended = "the client closed the connection"
	var f *fatal
	var fault *guard.PanicError
	switch {
	case errors.As(s.why, &f): // first: its cause may be an end of file too, the database's
		s.ended = f.refusal.Message
		if f.err != nil {
			s.server.o.Logger.Warn("a session ends", slog.String("session", s.id), slog.Any("error", f))
		}
	case errors.Is(s.why, errDatabaseClosed):
		s.ended = s.why.Error()
	case s.why == nil || errors.Is(s.why, io.EOF) || errors.Is(s.why, net.ErrClosed):
	case errors.As(s.why, &fault):
		s.ended = fault.Error()
		s.server.o.Logger.Error("a session ends by a fault of ours", slog.String("session", s.id), slog.Any("error", fault))
	default:
		s.ended = "the connection was lost"
		s.server.o.Logger.Info("a session ends", slog.String("session", s.id), slog.Any("error", s.why))
	}
	deadline := time.Now().Add(goodbyeTimeout)
	_ = s.agent.SetWriteDeadline(deadline)
	_ = s.up.Conn.SetDeadline(deadline)
	if f != nil {
		s.writing.Lock()
		if s.whole {
			_, _ = s.agent.Write(engine.Fatal(&f.refusal)) // it may be gone
		}
		s.writing.Unlock()
	}
	_, _ = s.up.Conn.Write([]byte{'X', 0, 0, 0, 4}) // the same
}

// close lets go of everything that the session had.
func (s *session) close(ctx context.Context, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.server.keys.revoke(s, s.up.PID)
	s.server.unregister(s)
	s.leaveCache()
	s.unclaim()
	_ = s.up.Conn.Close()
	if err := s.lease.Release(ctx); err != nil {
		s.server.o.Logger.Warn("a lease could not be released", slog.String("session", s.id), slog.Any("error", err))
	}
	if s.rec == nil {
		return
	}
	if err := s.rec.End(ctx, reason); err != nil {
		s.server.o.Logger.Error("the end of a session could not be recorded", slog.String("session", s.id), slog.Any("error", err))
	}
}

// drain ends the session once nothing runs, or when the context ends.
func (s *session) drain(ctx context.Context, goodbye *fatal) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		holding := s.holding
		s.mu.Unlock()
		if holding || s.engine.Idle() {
			s.stop(goodbye)
		}
		select {
		case <-s.over:
			return
		case <-ctx.Done():
			s.stop(goodbye)
			return
		case <-tick.C:
		}
	}
}

// serve is the agent's side: bytes to the engine, its questions to the guard, what it lets through to the server.
func (s *session) serve(ctx context.Context) error {
	in := newInbox(agentBuffer)
	var out engine.Output
	need := 0
	for {
		if err := in.fill(s.agent, need); err != nil {
			return err
		}
		var err error
		if need, err = s.steps(ctx, in, &out); err != nil {
			return err
		}
	}
}

// steps takes what the inbox has as far as it goes.
func (s *session) steps(ctx context.Context, in *inbox, out *engine.Output) (need int, err error) {
	for {
		step, err := s.engine.Client(in.bytes(), out)
		if err != nil {
			// What was decided before the fault is recorded, and runs, as if the fault had come later.
			return 0, errors.Join(s.flush(out), s.protocolFault(err))
		}
		in.consume(step.Consumed)
		switch {
		case step.Question != nil:
			s.decides()
			grant, refusal, err := s.answer(ctx, step.Question, in, out)
			if err != nil {
				return 0, err
			}
			in.consume(s.engine.Answer(grant, refusal, out))
			s.begun()
			// Small statements that came together leave together.
			if out.ToServer.Size > serverBuffer || len(in.bytes()) == 0 {
				if err := s.send(out); err != nil {
					return 0, err
				}
			}
			continue
		case step.Closed:
			if err := s.send(out); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		if err := s.send(out); err != nil {
			return 0, err
		}
		if !step.Stalled {
			return step.Need, nil
		}
		select {
		case <-s.engine.Progress():
		case <-s.over:
			return 0, net.ErrClosed
		}
	}
}

func (s *session) protocolFault(err error) error {
	var p *engine.ProtocolError
	if errors.As(err, &p) && p.Code == engine.CodeUnexpected {
		s.server.o.Metrics.unexpected.Inc()
		return fatalf(p.Code, "the database's answer is not one that the statement can give").
			hint("Nothing of it was passed on. Whoever runs Sluice should know: its log has the reason.").cause(err)
	}
	if errors.As(err, &p) {
		return fatalf(p.Code, "protocol violation by the %s", p.Peer).cause(err)
	}
	return err
}

// send is flush for what was decided: questions of ours in between are no part of that.
func (s *session) send(out *engine.Output) error {
	if err := s.flush(out); err != nil {
		return err
	}
	s.wentOn()
	return nil
}

// flush records what the step let through, then sends it on.
func (s *session) flush(out *engine.Output) error {
	defer out.Reset()
	durable := false
	for i := range out.Notes {
		n := &out.Notes[i]
		event, safe := s.event(n)
		durable = durable || safe
		if event != nil {
			s.pending = append(s.pending, event)
		}
	}
	if len(s.pending) > 0 {
		err := s.rec.Append(durable, s.pending...)
		clear(s.pending)
		s.pending = s.pending[:0]
		if err != nil {
			return noRecord(err)
		}
	}
	if out.FromAgent.Size > 0 {
		if err := s.rec.AppendData(nil, recordv1.Data_FROM_AGENT, s.number, out.FromAgent.Parts...); err != nil {
			return noRecord(err)
		}
	}
	if out.ToServer.Size == 0 {
		return nil
	}
	s.server.o.Metrics.toServer.Add(float64(out.ToServer.Size))
	return write(s.up.Conn, out.ToServer.Parts)
}

// write sends parts in one system call where the connection can.
func write(to net.Conn, parts [][]byte) error {
	if len(parts) == 1 {
		_, err := to.Write(parts[0])
		return err
	}
	buffers := net.Buffers(parts)
	_, err := buffers.WriteTo(to)
	return err
}

// relay is the server's side: bytes to the engine, what it shows of them to the record and the agent.
func (s *session) relay() error {
	in := newInbox(serverBuffer)
	var out engine.Output
	need := 0
	for {
		if err := in.fill(s.up.Conn, need); err != nil {
			select {
			case <-s.over:
				return err
			default:
			}
			if s.engine.GaveUp() {
				return errDatabaseClosed // the agent has heard why
			}
			return fatalf("08006", "the connection to the database was lost").cause(err)
		}
		consumed, more, err := s.engine.Server(in.bytes(), &out)
		need = more
		s.sawChanges(&out)
		s.settleClaims()
		if sendErr := s.show(&out); sendErr != nil {
			return sendErr
		}
		if err != nil {
			return s.protocolFault(err)
		}
		in.consume(consumed)
	}
}

// show records what the agent is about to see, then sends it.
func (s *session) show(out *engine.Output) error {
	defer out.Reset()
	var few [4]*recordv1.Event
	events := few[:0]
	for i := range out.Notes {
		n := &out.Notes[i]
		if n.Kind == engine.NoteSettings {
			return fatalf(codeUnsupported, "the session ends: %s", n.Message).hint("Sluice reads statements as UTF8 with standard_conforming_strings on.")
		}
		if event, _ := s.event(n); event != nil {
			events = append(events, event)
		}
	}
	shown := out.ToAgent.Parts
	if out.Dual {
		shown = out.ForRecord.Parts
	}
	if err := s.rec.AppendData(events, recordv1.Data_TO_AGENT, 0, shown...); err != nil {
		return noRecord(err)
	}
	if out.ToAgent.Size == 0 {
		return nil
	}
	s.server.o.Metrics.toAgent.Add(float64(out.ToAgent.Size))
	s.writing.Lock()
	defer s.writing.Unlock()
	s.whole = false
	err := write(s.agent, out.ToAgent.Parts)
	s.whole = err == nil && s.engine.Whole()
	return err
}

// tell sends a message of Sluice's own to the agent, between the server's.
func (s *session) tell(message []byte) error {
	if err := s.rec.AppendData(nil, recordv1.Data_TO_AGENT, s.number, message); err != nil {
		return noRecord(err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.whole {
		return nil
	}
	_, err := s.agent.Write(message)
	return err
}
