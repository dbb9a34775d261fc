package postgres

import (
	"context"
	"crypto/subtle"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// keys are the cancel keys of the sessions of this process. Agents get secrets of ours, never the server's; the process id
// is the server's own, so that it agrees with pg_backend_pid() and notifications.
type keys struct {
	mu       sync.Mutex
	sessions map[uint32][]keyed
	// wrong counts the cancels of the last second that fit no session, by where they came from.
	wrong  map[string]int
	window time.Time
	// slow are those that wait since their source has sent too many wrong ones.
	slow int
}

type keyed struct {
	secret  []byte
	session *session
}

// keyLength is how many bytes a secret has, as from PostgreSQL itself: protocol 3.0 has room for four, 3.2 for more.
func keyLength(minor uint16) int {
	if minor >= 2 {
		return 32
	}
	return 4
}

const (
	// maxWrongCancels is how many cancels a second that fit no session one address may send. Beyond it, its cancels are
	// looked up late: others of that address still get theirs.
	maxWrongCancels = 20
	// wrongCancelDelay is how late.
	wrongCancelDelay = 50 * time.Millisecond
	// maxSlowCancels bounds those that wait; more are dropped.
	maxSlowCancels = 1000
	// maxSources bounds the memory of who has sent wrong ones, within a second.
	maxSources = 10_000
)

func newKeys() *keys { return &keys{sessions: map[uint32][]keyed{}, wrong: map[string]int{}} }

// issue gives a session its secret. Sessions on different servers may have one id.
func (k *keys) issue(s *session, pid uint32, length int, random io.Reader) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		secret := make([]byte, length)
		if _, err := io.ReadFull(random, secret); err != nil {
			return nil, err
		}
		if k.session(pid, secret) == nil {
			k.sessions[pid] = append(k.sessions[pid], keyed{secret, s})
			return secret, nil
		}
	}
}

func (k *keys) revoke(s *session, pid uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.sessions[pid][:0]
	for _, e := range k.sessions[pid] {
		if e.session != s {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		delete(k.sessions, pid)
		return
	}
	k.sessions[pid] = kept
}

// session is whose key it is, nil if nobody's; mu is held.
func (k *keys) session(pid uint32, secret []byte) *session {
	var found *session
	for _, e := range k.sessions[pid] {
		if subtle.ConstantTimeCompare(e.secret, secret) == 1 {
			found = e.session
		}
	}
	return found
}

// find gives the session that a key belongs to, nil if there is none. Who guesses is answered late.
func (k *keys) find(ctx context.Context, pid uint32, secret []byte, source string, now time.Time) *session {
	if k.suspect(source, now) {
		if !k.waits(1) {
			return nil
		}
		defer k.waits(-1)
		select {
		case <-time.After(wrongCancelDelay):
		case <-ctx.Done():
			return nil
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.session(pid, secret)
	if found == nil && len(k.wrong) < maxSources {
		k.wrong[source]++
	}
	return found
}

// suspect reports whether an address has sent too many wrong ones within this second.
func (k *keys) suspect(source string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.window) >= time.Second {
		k.window = now
		clear(k.wrong)
	}
	return k.wrong[source] >= maxWrongCancels
}

// waits counts who waits; false if too many do.
func (k *keys) waits(n int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n > 0 && k.slow >= maxSlowCancels {
		return false
	}
	k.slow += n
	return true
}

// cancel passes a cancel request on to the session that it is for. It is answered by a close, whatever it brought.
func (s *Server) cancel(ctx context.Context, h *hello, client string) {
	source, _, err := net.SplitHostPort(client)
	if err != nil {
		source = client
	}
	session := s.keys.find(ctx, h.cancel.ProcessID, h.cancel.SecretKey, source, s.o.Now())
	if session == nil {
		s.o.Metrics.refused.WithLabelValues("cancel").Inc()
	} else if err := session.cancelStatement(ctx); err != nil {
		s.o.Logger.WarnContext(ctx, "a cancel request could not be passed on", slog.String("session", session.id), slog.Any("error", err))
	}
	_ = h.conn.Close() // with TLS, it says so
}

// overtaken is how long a cancel waits for the statement that it is for: it came by another connection.
const overtaken = 3 * time.Millisecond

// cancelStatement does what the client's cancel request asks: it ends a hold, stops a statement that is being decided, or
// goes on to the server.
func (s *session) cancelStatement(ctx context.Context) error {
	if !s.busy() {
		select {
		case <-time.After(overtaken):
		case <-s.over:
			return nil
		}
	}
	s.mu.Lock()
	holding, deciding := s.holding, s.deciding
	switch {
	case holding:
		select {
		case s.cancels <- struct{}{}:
		default:
		}
	case deciding:
		s.cancelled = true
	}
	s.mu.Unlock()
	if holding || deciding && s.engine.Answered() {
		return nil
	}
	return s.up.route.sendCancel(ctx, s.up.PID, s.up.SecretKey)
}

// busy reports whether a statement is anywhere between the agent's bytes and the server's answer.
func (s *session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holding || s.deciding || !s.engine.Answered()
}

// decides: from now on a cancel means the statement that was read.
func (s *session) decides() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deciding = true
}

// wentOn: what was decided is at the server; a cancel that came too late to stop it is for that.
func (s *session) wentOn() {
	s.mu.Lock()
	late := s.cancelled
	s.deciding, s.cancelled = false, false
	s.mu.Unlock()
	if !late {
		return
	}
	s.server.work.Go(func() {
		if err := s.up.route.sendCancel(s.server.life, s.up.PID, s.up.SecretKey); err != nil {
			s.server.o.Logger.Warn("a cancel request could not be passed on", slog.String("session", s.id), slog.Any("error", err))
		}
	})
}

// cancelledMeanwhile is the refusal of a statement for which a cancel came while it was being decided, nil if none did.
func (s *session) cancelledMeanwhile() *engine.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.cancelled {
		return nil
	}
	s.cancelled = false
	return &engine.Refusal{Code: codeCanceled, Message: "canceling statement due to user request", Hint: "It never ran.", Rule: "cancel"}
}
