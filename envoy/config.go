package envoy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// MaxSocketPath is the longest path of a unix socket in bytes that Envoy takes: sockaddr_un holds
// 108 with the closing zero.
const MaxSocketPath = 107

// Config is what differs between one Envoy's bootstrap and another's.
type Config struct {
	// NodeID names this Envoy to the control plane: letters, digits, '.', '_' and '-', at most
	// 128 bytes. With mTLS the certificate must carry the same id.
	NodeID string
	// Cluster names the group of Envoys that this one belongs to; characters as for NodeID.
	Cluster string
	// XDS is where the control plane listens.
	XDS XDS
	// Admin is where Envoy's own administration interface listens.
	Admin Admin
}

// XDS is the address of the control plane: a unix socket, or a TCP address with mTLS. Exactly
// one of Socket and Address is set; plaintext TCP does not exist.
type XDS struct {
	// Socket is the absolute path of a unix socket.
	Socket string
	// Address is host:port; TLS is then needed.
	Address string
	// TLS belongs to Address.
	TLS *TLS
}

// TLS is how an Envoy and the control plane know each other. The files are absolute paths of Envoy's
// host.
type TLS struct {
	// Certificate and Key are Envoy's own, PEM.
	Certificate, Key string
	// CA is the file of authorities that may have signed the control plane's certificate, PEM.
	CA string
	// ServerSAN is the subject alternative name that the control plane's certificate must have: a
	// URI, an IP address or a DNS name. Empty means the host of Address. Being signed by the CA
	// alone is never enough, since the CA signs Envoys too.
	ServerSAN string
	// SecretsDir is the directory with the two files that Secrets makes, through which Envoy reads the
	// others again when something is moved into their directory: absolute, on Envoy's host. Empty: it
	// reads them at its start only, and a new certificate needs a restart.
	SecretsDir string
}

// Admin is the address of Envoy's administration interface, which has no authentication: a unix
// socket (made with mode 0600), or a loopback IP address. Exactly one is set.
type Admin struct {
	// Socket is the absolute path of a unix socket.
	Socket string
	// Address is host:port; host is a loopback IP address.
	Address string
}

// Default is the configuration of bootstrap.yaml: one Envoy on the host of its control plane.
func Default() Config {
	return Config{
		NodeID:  "envoy",
		Cluster: "sluice",
		XDS:     XDS{Socket: "/run/sluice/xds.sock"},
		Admin:   Admin{Socket: "/run/sluice/envoy-admin.sock"},
	}
}

// FieldError says which field of a Config cannot be used and why.
type FieldError struct {
	// Field is the path of the field, such as "xds.socket".
	Field string
	// Problem says what is wrong, for a person.
	Problem string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Validate returns all faults at once, joined; each is a *FieldError.
func (c Config) Validate() error {
	var v faults
	v.id("node_id", c.NodeID)
	v.id("cluster", c.Cluster)
	v.xds(c.XDS)
	v.admin(c.Admin)
	if c.XDS.Socket != "" && c.XDS.Socket == c.Admin.Socket {
		v.add("admin.socket", "is the xDS socket: Envoy would replace it")
	}
	return errors.Join(v...)
}

type faults []error

func (v *faults) add(field, format string, args ...any) {
	*v = append(*v, &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (v *faults) id(field, value string) {
	if !idPattern.MatchString(value) {
		v.add(field, "must be 1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit; got %q", value)
	}
}

func (v *faults) xds(x XDS) {
	switch {
	case x.Socket != "" && x.Address != "":
		v.add("xds.address", "is set together with xds.socket: choose one")
	case x.Socket != "":
		v.socket("xds.socket", x.Socket)
		if x.TLS != nil {
			v.add("xds.tls", "belongs to xds.address, not to a unix socket")
		}
	case x.Address != "":
		v.hostPort("xds.address", x.Address)
		if x.TLS == nil {
			v.add("xds.tls", "is needed with xds.address: plaintext goes over a unix socket only")
			return
		}
		v.file("xds.tls.certificate", x.TLS.Certificate)
		v.file("xds.tls.key", x.TLS.Key)
		v.file("xds.tls.ca", x.TLS.CA)
		if x.TLS.SecretsDir != "" {
			v.file("xds.tls.secrets_dir", x.TLS.SecretsDir)
		}
	default:
		v.add("xds.socket", "or xds.address must be set")
	}
}

func (v *faults) admin(a Admin) {
	switch {
	case a.Socket != "" && a.Address != "":
		v.add("admin.address", "is set together with admin.socket: choose one")
	case a.Socket != "":
		v.socket("admin.socket", a.Socket)
	case a.Address != "":
		host, ok := v.hostPort("admin.address", a.Address)
		if ip, err := netip.ParseAddr(host); ok && (err != nil || !ip.IsLoopback() || ip.Zone() != "") {
			v.add("admin.address", "must be a loopback IP address, since the interface has no authentication; got %q", host)
		}
	default:
		v.add("admin.socket", "or admin.address must be set")
	}
}

func (v *faults) socket(field, path string) {
	v.file(field, path)
	if len(path) > MaxSocketPath {
		v.add(field, "is %d bytes long, a unix socket path has at most %d: use a shorter directory", len(path), MaxSocketPath)
	}
}

// file wants an absolute path, since Envoy may run in another directory. Control characters never
// belong in one and would read wrongly in a log.
func (v *faults) file(field, path string) {
	if !filepath.IsAbs(path) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.add(field, "must be an absolute path; got %q", path)
	}
}

func (v *faults) hostPort(field, address string) (string, bool) {
	host, port, err := splitHostPort(address)
	if err != nil || host == "" || port == 0 {
		v.add(field, "must be host:port with a port from 1 to 65535; got %q", address)
		return "", false
	}
	return host, true
}

func splitHostPort(address string) (string, uint32, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, err
	}
	return host, uint32(port), nil
}
