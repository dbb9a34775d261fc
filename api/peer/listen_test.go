package peer

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
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

func listen(t *testing.T, s *configv1.Socket) net.Listener {
	t.Helper()
	l, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func unixSocket(path string) *configv1.Socket {
	return &configv1.Socket{Address: &configv1.Socket_Unix{Unix: path}}
}

// shortDir is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestAUnixSocketIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, unixSocket(path))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := Listen(t.Context(), unixSocket(path)); err == nil || !strings.Contains(err.Error(), "listens at "+path+" already") {
		t.Errorf("a second one: %v", err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first one is gone: %v", err)
	} else {
		_ = c.Close()
	}
	_ = l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close leaves it: %v", err)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = old.Close() // as a crash leaves it
	listen(t, unixSocket(path))
	if c, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
}

func TestASocketThatMayBeAliveIsLeft(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := listen(t, unixSocket(path))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is learned from this dial
	if other, err := Listen(ctx, unixSocket(path)); err == nil {
		_ = other.Close()
		t.Error("it was replaced")
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := <-accepted; err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoSocketIsNotTouched(t *testing.T) {
	dir := shortDir(t)
	file, target, link := filepath.Join(dir, "file"), filepath.Join(dir, "t"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	listen(t, unixSocket(target))
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := Listen(t.Context(), unixSocket(path)); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if kept, err := os.ReadFile(file); string(kept) != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
	for name, s := range map[string]*configv1.Socket{
		"no address": {}, "no directory": unixSocket(filepath.Join(dir, "none", "s")), "too long": unixSocket(filepath.Join(dir, strings.Repeat("x", 108))),
	} {
		if _, err := Listen(t.Context(), s); err == nil {
			t.Errorf("%s: it listens", name)
		}
	}
}

// authority issues certificates into a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.ca(), "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) ca() string { return filepath.Join(a.dir, "ca.pem") }

// issue makes a certificate with these URIs.
func (a *authority) issue(t *testing.T, name string, change func(*x509.Certificate), uris ...string) *configv1.MutualTls {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	m := &configv1.MutualTls{Address: "127.0.0.1:0", Cert: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key"), Ca: a.ca()}
	writePEM(t, m.GetCert(), "CERTIFICATE", der)
	writePEM(t, m.GetKey(), "PRIVATE KEY", private)
	return m
}

// meet connects a client to a server, and gives the client's and the server's error.
func meet(t *testing.T, server *configv1.MutualTls, client *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	l := listen(t, &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: server}})
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		err = c.(*tls.Conn).Handshake()
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		done <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(raw, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 5)) // with TLS 1.3 a refused client learns of it by reading
	}
	_ = raw.Close()
	return clientErr, <-done
}

func TestMutualTLSProvesBothEnds(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	control := a.issue(t, "control", nil, "spiffe://x/sluice/control/c1")
	process := a.issue(t, "process", nil, "spiffe://x/sluice/process/p1")
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	serverOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	foreign := other.issue(t, "foreign", nil, "spiffe://x/sluice/process/p1")
	foreign.Ca = a.ca() // it trusts us, we do not trust it
	unnamed := func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }
	for _, c := range []struct {
		name           string
		server, client *configv1.MutualTls
		want           Role
		clientSays     string
		serverSays     string
	}{
		{"the right roles", control, process, Control, "", ""},
		{"an Envoy is named too", control, a.issue(t, "envoy", nil, "spiffe://x/sluice/envoy/e1"), Control, "", ""},
		{"a server of another role", a.issue(t, "not-control", nil, "spiffe://x/sluice/envoy/e1"), process, Control, "a control is needed", "any"},
		{"a server without a name", a.issue(t, "unnamed-server", unnamed), process, Control, "exactly one URI SAN", "any"},
		{"a server of another authority", func() *configv1.MutualTls {
			m := other.issue(t, "foreign-control", nil, "spiffe://x/sluice/control/c1")
			m.Ca = a.ca()
			return m
		}(), process, Control, "unknown authority", "any"},
		{"a server whose certificate has expired", a.issue(t, "expired-server", expired, "spiffe://x/sluice/control/c1"), process, Control, "expired", "any"},
		{"a client of another authority", control, foreign, Control, "any", "unknown authority"},
		{"a client whose certificate has expired", control, a.issue(t, "expired", expired, "spiffe://x/sluice/process/p1"), Control, "any", "expired"},
		{"a client whose certificate is for servers", control, a.issue(t, "server-only", serverOnly, "spiffe://x/sluice/process/p1"), Control, "any", "incompatible key usage"},
		{"a client without a name", control, a.issue(t, "unnamed", unnamed), Control, "any", "exactly one URI SAN"},
		{"a client with two names", control, a.issue(t, "two", nil, "spiffe://x/sluice/process/p1", "spiffe://x/sluice/envoy/e1"), Control, "any", "exactly one URI SAN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := ClientTLS(c.client, c.want)
			if err != nil {
				t.Fatal(err)
			}
			clientErr, serverErr := meet(t, c.server, cfg)
			says(t, "client", clientErr, c.clientSays)
			says(t, "server", serverErr, c.serverSays)
		})
	}
	t.Run("a client without a certificate", func(t *testing.T) {
		clientErr, serverErr := meet(t, control, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		says(t, "client", clientErr, "any")
		says(t, "server", serverErr, "didn't provide a certificate")
	})
	t.Run("an old TLS", func(t *testing.T) {
		cfg, err := ClientTLS(process, Control)
		if err != nil {
			t.Fatal(err)
		}
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		clientErr, serverErr := meet(t, control, cfg)
		says(t, "client", clientErr, "any")
		says(t, "server", serverErr, "unsupported versions")
	})
}

func says(t *testing.T, end string, err error, words string) {
	t.Helper()
	switch {
	case words == "" && err == nil:
	case words == "any" && err != nil:
	case err == nil || words == "" || !strings.Contains(err.Error(), words):
		t.Errorf("the %s says %v, want %q", end, err, words)
	}
}

func TestFilesThatAreNoCertificatesAreRefused(t *testing.T) {
	a := newAuthority(t)
	good := a.issue(t, "good", nil, "spiffe://x/sluice/control/c1")
	empty := filepath.Join(a.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*configv1.MutualTls{
		"no certificate":     {Cert: empty, Key: good.GetKey(), Ca: good.GetCa()},
		"no key":             {Cert: good.GetCert(), Key: filepath.Join(a.dir, "none"), Ca: good.GetCa()},
		"another's key":      {Cert: good.GetCert(), Key: a.issue(t, "another", nil).GetKey(), Ca: good.GetCa()},
		"no authority":       {Cert: good.GetCert(), Key: good.GetKey(), Ca: filepath.Join(a.dir, "none")},
		"an empty authority": {Cert: good.GetCert(), Key: good.GetKey(), Ca: empty},
	} {
		if _, err := ServerTLS(m); err == nil {
			t.Errorf("%s: a server", name)
		}
		if _, err := ClientTLS(m, Control); err == nil {
			t.Errorf("%s: a client", name)
		}
		if _, err := Listen(t.Context(), &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: m}}); err == nil {
			t.Errorf("%s: it listens", name)
		}
	}
}
