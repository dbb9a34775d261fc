package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/api/peer/rotate"
)

// Files are the certificate, the key and the authorities of one end of mutual TLS, as they stand in their files now.
// While new ones cannot be read, or do not belong together, the last good ones stay.
type Files struct {
	files *rotate.Files[material]
}

// material is one state of the files.
type material struct {
	pair tls.Certificate
	pool *x509.CertPool
}

// OpenFiles reads the files. name stands in the log of rotations.
func OpenFiles(name string, m *configv1.MutualTls, logger *slog.Logger) (*Files, error) {
	files, err := rotate.Open(name, logger, func() (rotate.Loaded[material], error) { return load(m) }, m.GetCert(), m.GetKey(), m.GetCa())
	if err != nil {
		return nil, err
	}
	return &Files{files: files}, nil
}

// Run looks at the files every second until ctx ends.
func (f *Files) Run(ctx context.Context) error { return f.files.Run(ctx) }

// Look looks at the files now.
func (f *Files) Look(ctx context.Context) { f.files.Look(ctx) }

// Server asks peers for a certificate of the CA that names a part of Sluice; which part, the caller asks NameOf. Each
// handshake is with the files of that moment.
func (f *Files) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := f.files.Get()
			return now.server(), nil
		},
	}
}

func (m material) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.pair},
		ClientCAs: m.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return ErrName
			}
			if state.DidResume { // by a ticket of a time when other authorities may have been trusted
				if err := m.verify(state.PeerCertificates, x509.ExtKeyUsageClientAuth); err != nil {
					return err
				}
			}
			_, err := NameOf(state.PeerCertificates[0])
			return err
		},
	}
}

// Client shows a certificate to a peer and takes only one of the given role. The name in the URI SAN stands for the
// host name. Each handshake is with the files of that moment.
func (f *Files) Client(want Role) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			now := f.files.Get()
			return &now.pair, nil
		},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks the chain, and the SAN in place of a host name
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return ErrName
			}
			if err := f.files.Get().verify(state.PeerCertificates, x509.ExtKeyUsageServerAuth); err != nil {
				return err
			}
			n, err := NameOf(state.PeerCertificates[0])
			if err != nil {
				return err
			}
			if n.Role != want {
				return fmt.Errorf("peer: %s/%s answered, a %s is needed", n.Role, n.ID, want)
			}
			return nil
		},
	}
}

// verify checks a chain against the authorities.
func (m material) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: m.pool, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

// ServerTLS is Files.Server for files that are read once.
func ServerTLS(m *configv1.MutualTls) (*tls.Config, error) {
	l, err := load(m)
	if err != nil {
		return nil, err
	}
	return l.Value.server(), nil
}

// ClientTLS is Files.Client for files that are read once.
func ClientTLS(m *configv1.MutualTls, want Role) (*tls.Config, error) {
	f, err := OpenFiles("peer", m, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return f.Client(want), nil
}

func load(m *configv1.MutualTls) (rotate.Loaded[material], error) {
	var l rotate.Loaded[material]
	pair, err := tls.LoadX509KeyPair(m.GetCert(), m.GetKey())
	if err != nil {
		return l, fmt.Errorf("peer: %s with %s: %w", m.GetCert(), m.GetKey(), err)
	}
	pem, err := os.ReadFile(m.GetCa())
	if err != nil {
		return l, fmt.Errorf("peer: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return l, fmt.Errorf("peer: %s holds no certificate", m.GetCa())
	}
	l.Value = material{pair: pair, pool: pool}
	if pair.Leaf != nil {
		l.Attrs = []any{slog.String("serial", pair.Leaf.SerialNumber.Text(16)), slog.Time("not_after", pair.Leaf.NotAfter)}
	}
	return l, nil
}
