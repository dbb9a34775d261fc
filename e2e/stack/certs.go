package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Certs is a small certificate authority for tests and the demo. Its keys are files without a
// passphrase: it is for nothing else.
type Certs struct {
	dir    string
	now    time.Time
	parent *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Files are the PEM files of one certificate.
type Files struct {
	// Cert and Key belong together; CA is the authority's certificate.
	Cert, Key, CA string
}

// Leaf says what a certificate is for. It is good for a server and for a client.
type Leaf struct {
	// Names are DNS names, IP addresses, and URIs where they contain "://".
	Names []string
	// NotBefore and NotAfter bound its life; zero means from an hour before the authority was
	// made until a day after.
	NotBefore, NotAfter time.Time
}

const (
	validBefore = time.Hour
	validAfter  = 24 * time.Hour
)

// NewCerts makes an authority whose files go into dir, as of now.
func NewCerts(dir string, now time.Time) (*Certs, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	c := &Certs{dir: dir, now: now, key: key}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Sluice test authority"},
		NotBefore:             now.Add(-validBefore),
		NotAfter:              now.Add(validAfter),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := c.sign(template, template, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if c.parent, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if err := writePEM(c.CAFile(), "CERTIFICATE", der); err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	return c, nil
}

// CAFile is the PEM file of the authority's certificate.
func (c *Certs) CAFile() string { return filepath.Join(c.dir, "ca.pem") }

// Pool holds the authority's certificate alone.
func (c *Certs) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.parent)
	return pool
}

// Issue writes a certificate and its key as name.pem and name.key; the key's mode is 0600.
func (c *Certs) Issue(name string, leaf Leaf) (Files, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	template, err := c.template(name, leaf)
	if err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	der, err := c.sign(template, c.parent, &key.PublicKey)
	if err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	f := Files{Cert: filepath.Join(c.dir, name+".pem"), Key: filepath.Join(c.dir, name+".key"), CA: c.CAFile()}
	if err := writePEM(f.Cert, "CERTIFICATE", der); err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	if err := writePEM(f.Key, "PRIVATE KEY", keyDER); err != nil {
		return Files{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	return f, nil
}

func (c *Certs) template(name string, leaf Leaf) (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = c.now.Add(-validBefore)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = c.now.Add(validAfter)
	}
	for _, n := range leaf.Names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		if !strings.Contains(n, "://") {
			t.DNSNames = append(t.DNSNames, n)
			continue
		}
		u, err := url.Parse(n)
		if err != nil {
			return nil, err
		}
		t.URIs = append(t.URIs, u)
	}
	return t, nil
}

func (c *Certs) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	const serialBits = 127
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, public, c.key)
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
