package postgres

import (
	"crypto/subtle"
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// keys are the cancel keys of the sessions of this process. Agents get keys of ours, never the server's.
type keys struct {
	mu       sync.Mutex
	sessions map[uint32]keyed
	// tries bounds how often somebody may guess.
	tries  int
	window time.Time
}

type keyed struct {
	secret  [4]byte
	session *session
}

// maxCancelsPerSecond bounds cancel requests of all clients together: they need no login.
const maxCancelsPerSecond = 200

func newKeys() *keys { return &keys{sessions: map[uint32]keyed{}} }

// issue gives a session its key. Protocol 3.0 has four bytes for each part.
func (k *keys) issue(s *session, random io.Reader) (pid uint32, secret [4]byte, err error) {
	var b [8]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, secret, err
		}
		pid = binary.BigEndian.Uint32(b[:]) >> 1 // some clients take it for a signed number
		copy(secret[:], b[4:])
		k.mu.Lock()
		_, taken := k.sessions[pid]
		if !taken && pid != 0 {
			k.sessions[pid] = keyed{secret, s}
			k.mu.Unlock()
			return pid, secret, nil
		}
		k.mu.Unlock()
	}
}

func (k *keys) revoke(pid uint32) {
	k.mu.Lock()
	delete(k.sessions, pid)
	k.mu.Unlock()
}

// find gives the session that a key belongs to, nil if there is none or too many asked.
func (k *keys) find(pid uint32, secret []byte, now time.Time) *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.window) >= time.Second {
		k.window, k.tries = now, 0
	}
	k.tries++
	if k.tries > maxCancelsPerSecond {
		return nil
	}
	e, ok := k.sessions[pid]
	if !ok || subtle.ConstantTimeCompare(e.secret[:], secret) != 1 {
		return nil
	}
	return e.session
}
