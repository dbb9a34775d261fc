package stack

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestShortDirIsShortWhereverTMPDIRIs(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 80))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	dir := NewShortDir(t)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 || len(dir) > longestShortDir {
		t.Errorf("%s: %v, %v", dir, info.Mode(), err)
	}
	if left, err := os.ReadDir(long); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCertsAreGoodForTheNamesAndTimesAskedFor(t *testing.T) {
	now := time.Now()
	c, err := NewCerts(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(name string, l Leaf) *x509.Certificate {
		f, err := c.Issue(name, l)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	const id = "spiffe://sluice/envoy/a"
	good := leaf("good", Leaf{Names: []string{"localhost", "127.0.0.1", id}})
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := good.Verify(x509.VerifyOptions{Roots: c.Pool(), DNSName: name, CurrentTime: now}); err != nil {
			t.Error(err)
		}
	}
	if len(good.URIs) != 1 || good.URIs[0].String() != id {
		t.Errorf("URIs: %v", good.URIs)
	}
	old := leaf("old", Leaf{Names: []string{"localhost"}, NotAfter: now.Add(-time.Minute)})
	_, err = old.Verify(x509.VerifyOptions{Roots: c.Pool(), CurrentTime: now})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.Expired {
		t.Errorf("an expired one: %v", err)
	}
	other, err := NewCerts(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.Verify(x509.VerifyOptions{Roots: other.Pool(), CurrentTime: now}); err == nil {
		t.Error("another authority vouches for it")
	}
}

func TestAMissingToolIsNamedWithTheWayToGetIt(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Tool("valkey")
	missing, ok := errors.AsType[*MissingToolError](err)
	if !ok || missing.Name != "valkey" || !strings.Contains(err.Error(), "deploy/tools/install valkey") {
		t.Errorf("got %v", err)
	}
}
