package peer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
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

// NameOf reads the URI SAN of a verified certificate: spiffe://DOMAIN/sluice/ROLE/ID, as SPIFFE-ID, section 2, has it.
func NameOf(cert *x509.Certificate) (Name, error) {
	if len(cert.URIs) != 1 || !isSPIFFE(cert.URIs[0]) {
		return Name{}, ErrName
	}
	parts := strings.Split(strings.TrimPrefix(cert.URIs[0].EscapedPath(), "/"), "/")
	if len(parts) != 3 || parts[0] != "sluice" || !isSegment(parts[2]) {
		return Name{}, ErrName
	}
	n := Name{Role: Role(parts[1]), ID: parts[2]}
	switch n.Role {
	case Envoy, Process, Control:
		return n, nil
	}
	return Name{}, fmt.Errorf("%w: role %q is not known", ErrName, n.Role)
}

// isSPIFFE: a trust domain and a path, and nothing else.
func isSPIFFE(u *url.URL) bool {
	return u.Scheme == "spiffe" && u.Host != "" && u.Port() == "" && u.User == nil && u.Opaque == "" &&
		u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// isSegment: letters, digits, dots, dashes and underscores, and no step in the path.
func isSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// Verified reports whether mutual TLS proved the name.
func (n Name) Verified() bool { return n.Role != "" }
