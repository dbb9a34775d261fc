package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/sluicegate/sluice/api/peer"
)

// TLVs of our own, in the range that PROXY v2 leaves to applications.
const (
	TLVTarget   proxyproto.PP2Type = 0xE0
	TLVNode     proxyproto.PP2Type = 0xE1
	TLVRevision proxyproto.PP2Type = 0xE2
)

// maxValue bounds a TLV of ours, in bytes.
const maxValue = 256

// Origin is what Envoy says of a connection.
type Origin struct {
	// Client is the agent's address.
	Client string
	// Target is the name of the target that the listener stands for.
	Target string
	// Node is the Envoy, Revision that of its listener.
	Node, Revision string
}

// HeaderError says why a connection was not taken. Nothing of it was answered.
type HeaderError struct {
	Reason string
	Err    error
}

// Error implements error.
func (e *HeaderError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("wire: %s: %v", e.Reason, e.Err)
	}
	return "wire: " + e.Reason
}

// Unwrap returns the cause.
func (e *HeaderError) Unwrap() error { return e.Err }

// Conn is a connection behind its header.
type Conn struct {
	net.Conn
	Origin Origin
	reader *bufio.Reader
}

// Read gives what came with the header first.
func (c *Conn) Read(b []byte) (int, error) {
	if c.reader != nil {
		if c.reader.Buffered() > 0 {
			return c.reader.Read(b)
		}
		c.reader = nil
	}
	return c.Conn.Read(b)
}

// Handshake reads the header within the time given. On an error the caller closes the connection.
func Handshake(ctx context.Context, conn net.Conn, timeout time.Duration) (*Conn, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, &HeaderError{Reason: "no deadline", Err: err}
	}
	name, err := peerName(ctx, conn)
	if err != nil {
		return nil, err
	}
	reader := bufio.NewReaderSize(conn, 4096)
	header, err := proxyproto.Read(reader)
	if err != nil {
		return nil, &HeaderError{Reason: "no PROXY header: only Envoy may connect here", Err: err}
	}
	origin, err := originOf(header)
	if err != nil {
		return nil, err
	}
	if name.Verified() && (name.Role != peer.Envoy || name.ID != origin.Node) {
		return nil, &HeaderError{Reason: fmt.Sprintf("the certificate is of %s/%s, the header of node %q", name.Role, name.ID, origin.Node)}
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, &HeaderError{Reason: "no deadline", Err: err}
	}
	return &Conn{Conn: conn, Origin: origin, reader: reader}, nil
}

// peerName is who mutual TLS proves the other end to be.
func peerName(ctx context.Context, conn net.Conn) (peer.Name, error) {
	t, ok := conn.(*tls.Conn)
	if !ok {
		if _, unix := conn.(*net.UnixConn); !unix {
			return peer.Name{}, &HeaderError{Reason: "neither a unix socket nor mutual TLS"}
		}
		return peer.Name{}, nil
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return peer.Name{}, &HeaderError{Reason: "mutual TLS failed", Err: err}
	}
	certs := t.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return peer.Name{}, &HeaderError{Reason: "no certificate"}
	}
	n, err := peer.NameOf(certs[0])
	if err != nil {
		return peer.Name{}, &HeaderError{Reason: "unknown peer", Err: err}
	}
	return n, nil
}

func originOf(h *proxyproto.Header) (Origin, error) {
	if h.Version != 2 {
		return Origin{}, &HeaderError{Reason: "PROXY version 1: version 2 is needed"}
	}
	if h.Command.IsLocal() {
		return Origin{}, &HeaderError{Reason: "a LOCAL header carries no connection"}
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return Origin{}, &HeaderError{Reason: "malformed TLVs", Err: err}
	}
	o := Origin{}
	if h.SourceAddr != nil {
		o.Client = h.SourceAddr.String()
	}
	for _, t := range tlvs {
		var to *string
		switch t.Type {
		case TLVTarget:
			to = &o.Target
		case TLVNode:
			to = &o.Node
		case TLVRevision:
			to = &o.Revision
		default:
			continue
		}
		if *to != "" {
			return Origin{}, &HeaderError{Reason: fmt.Sprintf("TLV %#x stands twice", byte(t.Type))}
		}
		if len(t.Value) == 0 || len(t.Value) > maxValue || string(t.Value) == "-" { // Envoy writes - for what it does not know
			return Origin{}, &HeaderError{Reason: fmt.Sprintf("TLV %#x has no value", byte(t.Type))}
		}
		*to = string(t.Value)
	}
	if o.Target == "" || o.Node == "" || o.Revision == "" {
		return Origin{}, &HeaderError{Reason: "the header names no target, node or revision", Err: errors.New("TLVs 0xE0, 0xE1 and 0xE2 are needed")}
	}
	return o, nil
}
