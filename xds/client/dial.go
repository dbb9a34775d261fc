package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/api/peer/rotate"
)

// dial opens a connection to the control plane. With mutual TLS it is with the files as they stand, and the other end
// must show a certificate of the role control.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	switch a := c.options.Socket.GetAddress().(type) {
	case *configv1.Socket_Unix:
		return (&net.Dialer{}).DialContext(ctx, "unix", a.Unix)
	case *configv1.Socket_Mtls:
		files, err := c.own(a.Mtls)
		if err != nil {
			return nil, err
		}
		files.Look(ctx)
		return (&tls.Dialer{Config: files.Client(peer.Control)}).DialContext(ctx, "tcp", a.Mtls.GetAddress())
	}
	return nil, errors.New("xds client: no control plane is set")
}

// own are the client's files, once they could be read.
func (c *Client) own(m *configv1.MutualTls) (*peer.Files, error) {
	if files := c.files.Load(); files != nil {
		return files, nil
	}
	files, err := peer.OpenFiles("process.xds", m, c.options.Logger)
	if err == nil {
		c.files.Store(files)
	}
	return files, err
}

// watchFiles looks at the files while a stream lives, so that a rotation is a line when it happens.
func (c *Client) watchFiles(ctx context.Context) {
	tick := time.NewTicker(rotate.LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if files := c.files.Load(); files != nil {
				files.Look(ctx)
			}
		}
	}
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
