package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// Listen opens a socket for peers. A unix socket gets mode 0600; a stale one in its place is removed, but not one that
// somebody answers at. TCP connections are *tls.Conn whose handshake asks for a certificate of the CA.
func Listen(ctx context.Context, s *configv1.Socket) (net.Listener, error) {
	switch a := s.GetAddress().(type) {
	case *configv1.Socket_Unix:
		return listenUnix(ctx, a.Unix)
	case *configv1.Socket_Mtls:
		cfg, err := ServerTLS(a.Mtls)
		if err != nil {
			return nil, err
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Mtls.GetAddress())
		if err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
		return tls.NewListener(l, cfg), nil
	}
	return nil, errors.New("peer: no address to listen at")
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("peer: %s exists and is no socket", path)
		}
		if err := stale(ctx, path); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("peer: %w", err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Linux gives the file the mode of the socket: nobody else can connect before the mode is set below.
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), socketMode) }), err)
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("peer: %w", err)
	}
	return l, nil
}

// socketMode lets nobody but the owner connect.
const socketMode = 0o600

// stale reports an error unless nobody listens at a socket any more. Whatever is no plain refusal, such as a full
// backlog, may be somebody.
func stale(ctx context.Context, path string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("peer: somebody listens at %s already", path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("peer: somebody may listen at %s already: %w", path, err)
}

// ServerTLS asks peers for a certificate of the CA that names a part of Sluice; which part, the caller asks NameOf.
func ServerTLS(m *configv1.MutualTls) (*tls.Config, error) {
	cert, pool, err := load(m)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return ErrName
			}
			_, err := NameOf(state.PeerCertificates[0])
			return err
		},
	}, nil
}

// ClientTLS shows a certificate to a peer and takes only one of the given role. The name in the URI SAN stands for
// the host name.
func ClientTLS(m *configv1.MutualTls, want Role) (*tls.Config, error) {
	cert, pool, err := load(m)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: pool,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks the chain, and the SAN in place of a host name
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return ErrName
			}
			intermediates := x509.NewCertPool()
			for _, c := range state.PeerCertificates[1:] {
				intermediates.AddCert(c)
			}
			leaf := state.PeerCertificates[0]
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: intermediates}); err != nil {
				return err
			}
			n, err := NameOf(leaf)
			if err != nil {
				return err
			}
			if n.Role != want {
				return fmt.Errorf("peer: %s/%s answered, a %s is needed", n.Role, n.ID, want)
			}
			return nil
		},
	}, nil
}

func load(m *configv1.MutualTls) (tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(m.GetCert(), m.GetKey())
	if err != nil {
		return cert, nil, fmt.Errorf("peer: %w", err)
	}
	pem, err := os.ReadFile(m.GetCa())
	if err != nil {
		return cert, nil, fmt.Errorf("peer: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return cert, nil, fmt.Errorf("peer: %s holds no certificate", m.GetCa())
	}
	return cert, pool, nil
}
