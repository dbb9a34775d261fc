package postgres

import (
	"context"
	"crypto/subtle"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
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
	} else if err := session.cancel(ctx); err != nil {
		s.o.Logger.WarnContext(ctx, "a cancel request could not be passed on", slog.String("session", session.id), slog.Any("error", err))
	}
	_ = h.conn.Close() // with TLS, it says so
}

// passCancel passes a cancel on to the database.
func (s *session) passCancel(ctx context.Context) error {
	return s.up.route.sendCancel(ctx, s.up.PID, s.up.SecretKey)
}

// passCancelLate is passCancel for a cancel that nobody waits for any more.
func (s *session) passCancelLate() {
	s.server.work.Go(func() {
		if err := s.passCancel(s.server.life); err != nil {
			s.server.o.Logger.Warn("a cancel request could not be passed on", slog.String("session", s.id), slog.Any("error", err))
		}
	})
}
