package peer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Role is what a peer is.
type Role string

// Roles.
const (
	Envoy   Role = "envoy"
	Process Role = "process"
	Control Role = "control"
)

// Name is who a certificate says that a peer is. The zero Name is a peer on a unix socket: the socket's permissions
// vouch for it, and it may call itself anything.
type Name struct {
	Role Role
	ID   string
}

// ErrName says that a certificate does not name a part of Sluice.
var ErrName = errors.New("peer: the certificate needs exactly one URI SAN spiffe://DOMAIN/sluice/ROLE/ID")

// NameOf reads the URI SAN of a verified certificate: spiffe://DOMAIN/sluice/ROLE/ID.
func NameOf(cert *x509.Certificate) (Name, error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != "spiffe" {
		return Name{}, ErrName
	}
	parts := strings.Split(strings.TrimPrefix(cert.URIs[0].Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "sluice" || parts[2] == "" {
		return Name{}, ErrName
	}
	n := Name{Role: Role(parts[1]), ID: parts[2]}
	switch n.Role {
	case Envoy, Process, Control:
		return n, nil
	}
	return Name{}, fmt.Errorf("%w: role %q is not known", ErrName, n.Role)
}

// Verified reports whether mutual TLS proved the name.
func (n Name) Verified() bool { return n.Role != "" }
