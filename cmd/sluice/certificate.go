package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/api/peer/rotate"
)

// certificate is a certificate in files that is read again when they change.
type certificate struct {
	files *rotate.Files[*tls.Certificate]
}

// get is tls.Config's GetCertificate. If new files cannot be read, the old certificate stays.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.files.Get(), nil }

// openCertificate takes the configured files, or makes a certificate for localhost in the state directory, with a CA of
// its own that clients can be given: tls/ca.pem. It looks at them while the instance lives.
func openCertificate(ctx context.Context, i *instance, name string, t *configv1.ServerTls) (*certificate, error) {
	cert, key := t.GetCert(), t.GetKey()
	if t == nil {
		dir := filepath.Join(i.config.GetStateDir(), "tls")
		cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		if err := localCertificate(ctx, i.logger, dir, time.Now()); err != nil {
			return nil, err
		}
	}
	files, err := rotate.Open(name, i.logger, func() (rotate.Loaded[*tls.Certificate], error) { return loadPair(cert, key) }, cert, key)
	if err != nil {
		return nil, err
	}
	i.follow(ctx, name, files)
	return &certificate{files}, nil
}

func loadPair(cert, key string) (rotate.Loaded[*tls.Certificate], error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	l := rotate.Loaded[*tls.Certificate]{Value: &pair}
	if err == nil && pair.Leaf != nil {
		l.Attrs = []any{slog.String("serial", pair.Leaf.SerialNumber.Text(16)), slog.Time("not_after", pair.Leaf.NotAfter)}
	}
	return l, err
}

const (
	localCA = "Sluice local CA"
	// renewBefore is how long a certificate of Sluice's own must still be good at a start: else there is another.
	renewBefore = 30 * 24 * time.Hour
)

// localCertificate makes the certificate in the state directory if there is none, or none that is of use for long. One that
// somebody else's authority made stays as it is, as long as it can be read.
func localCertificate(ctx context.Context, logger *slog.Logger, dir string, now time.Time) error {
	why := "there is none"
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		why = err.Error()
	case pair.Leaf.Issuer.CommonName != localCA || pair.Leaf.NotAfter.Sub(now) >= renewBefore:
		return nil
	default:
		why = "it ends at " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339)
	}
	if err := makeCertificate(dir, now); err != nil {
		return err
	}
	logger.InfoContext(ctx, "a certificate for localhost is made; clients need its authority", slog.String("reason", why),
		slog.String("ca", filepath.Join(dir, "ca.pem")))
	return nil
}

func makeCertificate(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	now = now.Add(-time.Minute)
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: localCA}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// In this order: one that breaks off leaves what the next start makes again.
	for _, f := range []struct {
		name  string
		block pem.Block
	}{
		{"ca.pem", pem.Block{Type: "CERTIFICATE", Bytes: caDER}},
		{"key.pem", pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}},
		{"cert.pem", pem.Block{Type: "CERTIFICATE", Bytes: der}},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), pem.EncodeToMemory(&f.block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readPool reads PEM certificates.
func readPool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " holds no certificate")
	}
	return pool, nil
}
