package postgres

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
)

const (
	// agentBuffer and serverBuffer are the sizes of the read buffers, in bytes. Results are larger than statements.
	agentBuffer  = 8 << 10
	serverBuffer = 64 << 10
	// goodbyeTimeout bounds how long a last message may take.
	goodbyeTimeout = 2 * time.Second
)

// session is one agent on one target: an exchange between two connections, and what must be given back in the end.
type session struct {
	*exchange
	server    *Server
	id        string
	keyLength int
	admission *guard.Admission
	up        *upstream
	lease     *credential.Lease
	// leaveCatalog gives the catalog back.
	leaveCatalog func()
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
	return s.pipes.open(out)
}

// run moves the agent's bytes until the session ends.
func (s *session) run(ctx context.Context) {
	s.close(ctx, s.exchange.run(ctx))
}

// stop ends the session; the first reason counts. A *fatal is told to the agent.
func (s *session) stop(why error) { s.pipes.stop(why) }

// close lets go of everything that the session had.
func (s *session) close(ctx context.Context, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.server.keys.revoke(s, s.up.PID)
	s.server.unregister(s)
	s.leaveCatalog()
	s.keeps.close()
	if s.engine.Answered() {
		s.claimant.leave()
		_ = s.up.Conn.Close()
	} else {
		s.claimant.withdraw()
		s.server.work.Go(s.outlast)
	}
	if err := s.lease.Release(ctx); err != nil {
		s.server.o.Logger.Warn("a lease could not be released", slog.String("session", s.id), slog.Any("error", err))
	}
	if err := s.scribe.end(ctx, reason); err != nil {
		s.server.o.Logger.Error("the end of a session could not be recorded", slog.String("session", s.id), slog.Any("error", err))
	}
}

// maxUnread is how much an answer that nobody waits for may have before it is cancelled, in bytes.
const maxUnread = 64 << 10

// outlast lets go of what the session used and changed, once the server has run what it was sent: it does so also if nobody waits
// for it any more, and what that names must not change meanwhile. What takes long is cancelled.
func (s *session) outlast() {
	defer s.claimant.leave()
	defer func() { _ = s.up.Conn.Close() }()
	defer s.catalogChanged()
	defer context.AfterFunc(s.server.life, func() { _ = s.up.Conn.Close() })()
	if c, ok := s.up.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // a server that stands within a message sees the end
	}
	buf, unread := make([]byte, 32<<10), 0
	var last time.Time // of a cancel: what comes before it has arrived is no reason for more
	for end := time.Now().Add(claimWait); ; {
		_ = s.up.Conn.SetDeadline(end)
		n, err := s.up.Conn.Read(buf)
		unread += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || err == nil && unread > maxUnread && time.Since(last) > time.Second:
			s.passCancelLate()
			last, unread = time.Now(), 0
			end = last.Add(claimWait)
		case err != nil:
			return
		}
	}
}

// drain ends the session once nothing runs, or when the context ends.
func (s *session) drain(ctx context.Context, goodbye *fatal) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.turn.held() || s.engine.Idle() {
			s.stop(goodbye)
		}
		select {
		case <-s.pipes.over:
			return
		case <-ctx.Done():
			s.stop(goodbye)
			return
		case <-tick.C:
		}
	}
}
