package e2e

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

// TestEnvoyTalksOnlyToItsOwnControlPlane wants the bootstrap's mTLS to hold on both sides: Envoy
// shows its certificate, and speaks only to the name it was told, although the authority signed
// others too.
func TestEnvoyTalksOnlyToItsOwnControlPlane(t *testing.T) {
	stack.Need(t, "envoy")
	for name, tc := range map[string]struct {
		serverName string
		speaks     bool
	}{
		"the control plane's name":      {"spiffe://sluice/control/a", true},
		"another name of the authority": {"spiffe://sluice/envoy/b", false},
	} {
		t.Run(name, func(t *testing.T) {
			certs, err := stack.NewCerts(t.TempDir(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			l := listen(t, certs, stack.Leaf{Names: []string{tc.serverName, "127.0.0.1"}})
			client, err := certs.Issue("envoy", stack.Leaf{Names: []string{"spiffe://sluice/envoy/edge-1"}})
			if err != nil {
				t.Fatal(err)
			}
			startEnvoyWith(t, envoy.XDS{Address: l.Addr().String(), TLS: &envoy.TLS{
				Certificate: client.Cert, Key: client.Key, CA: client.CA, ServerSAN: "spiffe://sluice/control/a",
			}})

			preface, err := firstBytes(t, l)
			if tc.speaks {
				// RFC 9113, section 3.4: what an HTTP/2 client sends first.
				if err != nil || preface != "PRI * HTTP/2.0\r\n" {
					t.Errorf("got %q, %v", preface, err)
				}
				return
			}
			if refused, ok := errors.AsType[*net.OpError](err); preface != "" || !ok || refused.Op != "remote error" {
				t.Errorf("got %q, %v; want a TLS alert from Envoy", preface, err)
			}
		})
	}
}

func listen(t *testing.T, certs *stack.Certs, leaf stack.Leaf) net.Listener {
	t.Helper()
	f, err := certs.Issue("control", leaf)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    certs.Pool(),
		NextProtos:   []string{"h2"},
		MinVersion:   tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func startEnvoyWith(t *testing.T, xds envoy.XDS) {
	t.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.Config{
		NodeID: "edge-1", Cluster: "edge", XDS: xds,
		Admin: envoy.Admin{Socket: filepath.Join(stack.NewShortDir(t), "a")},
	})
	if err != nil {
		t.Fatal(err)
	}
	stack.NewEnvoy(t, stack.EnvoyOptions{Bootstrap: bootstrap})
}

// firstBytes accepts one connection and reads the first line that the peer sends in it.
func firstBytes(t *testing.T, l net.Listener) (string, error) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	line := make([]byte, len("PRI * HTTP/2.0\r\n"))
	n, err := io.ReadFull(conn, line)
	return string(line[:n]), err
}
