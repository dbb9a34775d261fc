package peergrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"google.golang.org/grpc/credentials"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/sluicegate/sluice/api/peer"
)

// Credentials refuse every connection but those of these roles by mutual TLS, and unix sockets.
func Credentials(roles ...peer.Role) credentials.TransportCredentials { return peerCredentials{roles} }

type peerCredentials struct{ roles []peer.Role }

// peerInfo is what they learn.
type peerInfo struct {
	credentials.CommonAuthInfo
	name peer.Name
}

// AuthType implements credentials.AuthInfo.
func (peerInfo) AuthType() string { return "sluice-peer" }

// ServerHandshake implements credentials.TransportCredentials. grpc bounds its time.
func (p peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
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
		if !slices.Contains(p.roles, name.Role) {
			return nil, nil, fmt.Errorf("peer: a %s has no business here", name.Role)
		}
		info.name = name
		return c, info, nil
	}
	return nil, nil, fmt.Errorf("peer: %T is neither a unix socket nor mutual TLS", conn)
}

// ClientHandshake implements credentials.TransportCredentials.
func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer: these credentials are a server's")
}

// Info implements credentials.TransportCredentials.
func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: peerInfo{}.AuthType()}
}

// Clone implements credentials.TransportCredentials.
func (p peerCredentials) Clone() credentials.TransportCredentials { return p }

// OverrideServerName implements credentials.TransportCredentials.
func (peerCredentials) OverrideServerName(string) error { return nil }

// NameOf is who the handshake found; false for a connection without one. On a unix socket the name is not Verified.
func NameOf(ctx context.Context) (peer.Name, bool) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return peer.Name{}, false
	}
	info, ok := p.AuthInfo.(peerInfo)
	return info.name, ok
}
