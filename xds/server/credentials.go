package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/sluicegate/sluice/api/peer"
)

// peerCredentials learn who is at the other end of a connection that package peer accepted: a name that mutual TLS
// proved, or nobody in particular on a unix socket, whose permissions vouch for it. Anything else is refused.
type peerCredentials struct{}

// peerInfo is what they learn.
type peerInfo struct {
	credentials.CommonAuthInfo
	name peer.Name
}

// AuthType implements credentials.AuthInfo.
func (peerInfo) AuthType() string { return "sluice-peer" }

// ServerHandshake implements credentials.TransportCredentials. grpc bounds its time.
func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := peerInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	switch c := conn.(type) {
	case *net.UnixConn:
		return c, info, nil
	case *tls.Conn:
		if err := c.Handshake(); err != nil { //nolint:noctx // grpc has set a deadline on the connection
			return nil, nil, err
		}
		certs := c.ConnectionState().PeerCertificates
		if len(certs) == 0 {
			return nil, nil, peer.ErrName
		}
		name, err := peer.NameOf(certs[0])
		if err != nil {
			return nil, nil, err
		}
		if name.Role != peer.Envoy && name.Role != peer.Process {
			return nil, nil, fmt.Errorf("xds server: a %s has nothing to subscribe to", name.Role)
		}
		info.name = name
		return c, info, nil
	}
	return nil, nil, fmt.Errorf("xds server: %T is neither a unix socket nor mutual TLS", conn)
}

// ClientHandshake implements credentials.TransportCredentials.
func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("xds server: these credentials are a server's")
}

// Info implements credentials.TransportCredentials.
func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: peerInfo{}.AuthType()}
}

// Clone implements credentials.TransportCredentials.
func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials.
func (peerCredentials) OverrideServerName(string) error { return nil }

// nameOf is who the handshake found; false for a connection without one.
func nameOf(ctx context.Context) (peer.Name, bool) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return peer.Name{}, false
	}
	info, ok := p.AuthInfo.(peerInfo)
	return info.name, ok
}
