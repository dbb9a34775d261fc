package server

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/sluicegate/sluice/api/peer"
)

// refusalsEvery is how often a refused peer is a line at most: a stranger must not fill the log.
const refusalsEvery = time.Second

// refusals tell of peers that were refused.
type refusals struct {
	mu     sync.Mutex
	last   time.Time
	untold int
}

// tell writes a line, unless there was one just now; the next one then says how many there were.
func (r *refusals) tell(ctx context.Context, log *slog.Logger, text string, attrs ...slog.Attr) {
	r.mu.Lock()
	now := time.Now()
	if now.Sub(r.last) < refusalsEvery {
		r.untold++
		r.mu.Unlock()
		return
	}
	untold := r.untold
	r.last, r.untold = now, 0
	r.mu.Unlock()
	log.LogAttrs(ctx, slog.LevelWarn, text, append(attrs, slog.Int("untold", untold))...) //nolint:sloglint // one of two constants
}

// told are credentials whose refusals are lines.
type told struct {
	credentials.TransportCredentials
	server *Server
}

// ServerHandshake implements credentials.TransportCredentials.
func (t told) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	out, info, err := t.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		t.server.peers.tell(context.Background(), t.server.options.Logger, "xds peer refused",
			slog.String("address", conn.RemoteAddr().String()), slog.Any("error", err))
	}
	return out, info, err
}

// Clone implements credentials.TransportCredentials.
func (t told) Clone() credentials.TransportCredentials {
	return told{t.TransportCredentials.Clone(), t.server}
}

func certificateOf(n peer.Name) string {
	if !n.Verified() {
		return "none: a unix socket"
	}
	return string(n.Role) + "/" + n.ID
}
