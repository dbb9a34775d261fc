package server_test

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
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/codes"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/client"
	"github.com/sluicegate/sluice/xds/resources"
)

// authority signs the certificates of one test.
type authority struct {
	t      *testing.T
	dir    string
	parent *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = a.newKey()
	a.parent = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.write("ca.pem", "CERTIFICATE", a.sign(a.parent, &a.key.PublicKey))
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a name such as process/p1.
func (a *authority) issue(name string) *configv1.MutualTls {
	a.t.Helper()
	key := a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "example.test", Path: "/sluice/" + name}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	file := strings.ReplaceAll(name, "/", "-")
	return &configv1.MutualTls{
		Address: "127.0.0.1:0",
		Cert:    a.write(file+".pem", "CERTIFICATE", a.sign(template, &key.PublicKey)),
		Key:     a.write(file+".key", "PRIVATE KEY", pkcs8),
		Ca:      filepath.Join(a.dir, "ca.pem"),
	}
}

func mutual(m *configv1.MutualTls) *configv1.Socket {
	return &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: m}}
}

// dialAs connects with a certificate of any role.
func (h *harness) dialAs(m *configv1.MutualTls) *rawClient {
	h.t.Helper()
	pair, err := tls.LoadX509KeyPair(m.GetCert(), m.GetKey())
	if err != nil {
		h.t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	return h.dialWith(func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", h.socket.GetMtls().GetAddress())
	})
}

func TestTheCertificateSaysWhoMaySubscribeToWhat(t *testing.T) {
	a := newAuthority(t)
	o, log := options(), &lines{}
	o.Logger = slog.New(slog.NewJSONHandler(log, nil))
	h := serve(t, o, mutual(a.issue("control/c1")))
	h.set(orders)
	for name, tc := range map[string]struct {
		cert, node, typeURL string
		code                codes.Code
		text                string
	}{
		"an Envoy gets listeners":          {"envoy/edge", "edge", resource.ListenerType, codes.OK, ""},
		"a processor gets the bundle":      {"process/p1", "p1", resources.BundleType(), codes.OK, ""},
		"an Envoy never gets the bundle":   {"envoy/edge", "edge", resources.BundleType(), codes.PermissionDenied, "is for a process"},
		"a processor never gets secrets":   {"process/p1", "p1", resource.SecretType, codes.PermissionDenied, "is for a envoy"},
		"an Envoy cannot be another":       {"envoy/edge", "other", resource.ListenerType, codes.PermissionDenied, "certificate is of envoy/edge"},
		"a processor cannot be another":    {"process/p1", "p2", resources.BundleType(), codes.PermissionDenied, "certificate is of process/p1"},
		"a control plane gets nothing":     {"control/c2", "c2", resource.ListenerType, codes.Unavailable, ""},
		"an unknown role does not connect": {"auditor/x", "x", resource.ListenerType, codes.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sub := &harness{Server: h.Server, t: t, socket: h.socket}
			m := a.issue(tc.cert)
			if tc.code == codes.Unavailable {
				// The stream may fail before or after it is opened.
				pair, err := tls.LoadX509KeyPair(m.GetCert(), m.GetKey())
				if err != nil {
					t.Fatal(err)
				}
				conn, err := tls.Dial("tcp", h.socket.GetMtls().GetAddress(), &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 || isTimeout(err) {
					t.Fatalf("read %d bytes, %v: want the end", n, err)
				}
				return
			}
			c := sub.dialAs(m)
			c.subscribe(tc.node, tc.typeURL, "*")
			if tc.code == codes.OK {
				c.recv()
				return
			}
			c.wantEnd(tc.code, tc.text)
		})
	}
	// Whoever is refused is a line at control, too, and not one for each try; strangers hide nobody.
	if n := log.count(`"level":"WARN","msg":"xds node refused"`); n == 0 || n > 4 {
		t.Errorf("%d lines about refused nodes: %s", n, log.text())
	}
	for _, n := range h.Status().GetNodes() {
		if n.GetId() == "other" || n.GetId() == "p2" {
			t.Errorf("the ledger took %s/%s", n.GetRole(), n.GetId())
		}
	}
}

// lines are a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) count(words string) int { return strings.Count(l.text(), words) }

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func TestPlaintextIsNotServedOnTheNetwork(t *testing.T) {
	o := options()
	h := start(t, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 || isTimeout(err) {
		t.Errorf("read %d bytes, %v: want the end", n, err)
	}
}

// TestAProcessorAndItsControlPlaneKnowEachOther is client and server together.
func TestAProcessorAndItsControlPlaneKnowEachOther(t *testing.T) {
	a := newAuthority(t)
	for name, tc := range map[string]struct {
		server, client string
		works          bool
	}{
		"a control plane":                  {"control/c1", "process/p1", true},
		"an Envoy in its place":            {"envoy/edge", "process/p1", false},
		"the processor of another's name":  {"control/c1", "process/p2", false},
		"an Envoy's certificate as client": {"control/c1", "envoy/p1", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, options(), mutual(a.issue(tc.server)))
			b := h.set(orders)
			m := a.issue(tc.client)
			m.Address = h.socket.GetMtls().GetAddress()
			c, err := client.New(t.Context(), client.Options{
				Socket: mutual(m), NodeID: "p1", Apply: policies.Compile, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			changed := c.Changed()
			if !tc.works {
				select {
				case <-changed:
					t.Fatal("a policy came")
				case <-time.After(3 * quiet):
				}
				return
			}
			select {
			case <-changed:
			case <-time.After(patience):
				t.Fatal("no policy came")
			}
			if p, err := c.Current(); err != nil || p.Version() != b.GetVersion() {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
}
