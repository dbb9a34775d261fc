package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/api/peer"
)

// dial opens a connection to the control plane. With mutual TLS the files are read anew, and the other end must show a
// certificate of the role control.
func dial(ctx context.Context, s *configv1.Socket) (net.Conn, error) {
	switch a := s.GetAddress().(type) {
	case *configv1.Socket_Unix:
		return (&net.Dialer{}).DialContext(ctx, "unix", a.Unix)
	case *configv1.Socket_Mtls:
		cfg, err := peer.ClientTLS(a.Mtls, peer.Control)
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", a.Mtls.GetAddress())
	}
	return nil, errors.New("xds client: no control plane is set")
}

// witness notes when the peer of an accepted stream was last heard: its answers to keepalive pings are bytes too. What
// a peer says that refuses the stream proves nothing.
type witness struct {
	net.Conn
	client *Client
}

// Read implements net.Conn.
func (w *witness) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 && w.client.live.Load() {
		now := w.client.options.Now()
		w.client.seen.Store(&now)
	}
	return n, err
}
