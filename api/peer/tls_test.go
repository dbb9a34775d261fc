package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// lockedLog is a log that may be read while it is written to.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) await(t *testing.T, words string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l.mu.Lock()
		found := strings.Contains(l.b.String(), words)
		l.mu.Unlock()
		if found {
			return
		}
	}
	t.Fatalf("the log does not say %q: %s", words, l.b.String())
}

// replace puts the files of one in place of those of another.
func replace(t *testing.T, old, with *configv1.MutualTls) {
	t.Helper()
	for from, to := range map[string]string{with.GetCert(): old.GetCert(), with.GetKey(): old.GetKey()} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
}

func echoAt(t *testing.T, m *configv1.MutualTls, log *lockedLog) net.Listener {
	t.Helper()
	l, err := ListenAs(t.Context(), "control.xds", &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: m}}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l
}

func ping(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func dialEcho(t *testing.T, l net.Listener, cfg *tls.Config) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, ping(c)
}

func TestARenewedServerCertificateIsShownAndLiveConnectionsStay(t *testing.T) {
	a := newAuthority(t)
	server, log := a.issue(t, "control", nil, "spiffe://x/sluice/control/c1"), &lockedLog{}
	l := echoAt(t, server, log)
	cfg, err := ClientTLS(a.issue(t, "process", nil, "spiffe://x/sluice/process/p1"), Control)
	if err != nil {
		t.Fatal(err)
	}
	first, err := dialEcho(t, l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, server, a.issue(t, "control-next", nil, "spiffe://x/sluice/control/c2"))
	log.await(t, "rotation done")
	second, err := dialEcho(t, l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := NameOf(second.(*tls.Conn).ConnectionState().PeerCertificates[0]); err != nil || n.ID != "c2" {
		t.Errorf("%v, %v answers", n, err)
	}
	if err := ping(first); err != nil {
		t.Errorf("the live connection: %v", err)
	}
}

func TestANewAuthorityIsTrustedAndTheOldOneNoMoreNotEvenByATicket(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	server, log := a.issue(t, "control", nil, "spiffe://x/sluice/control/c1"), &lockedLog{}
	l := echoAt(t, server, log)
	old, err := ClientTLS(a.issue(t, "old", nil, "spiffe://x/sluice/process/p1"), Control)
	if err != nil {
		t.Fatal(err)
	}
	old.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	live, err := dialEcho(t, l, old)
	if err != nil {
		t.Fatal(err)
	}
	ticketed, err := dialEcho(t, l, old)
	if err != nil || !ticketed.(*tls.Conn).ConnectionState().DidResume {
		t.Fatalf("no ticket is used: the test proves nothing (%v)", err)
	}
	m := next.issue(t, "new", nil, "spiffe://x/sluice/process/p1")
	renewed, err := ClientTLS(&configv1.MutualTls{Cert: m.GetCert(), Key: m.GetKey(), Ca: server.GetCa()}, Control)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialEcho(t, l, renewed); err == nil {
		t.Fatal("it is trusted before its authority is")
	}
	if err := os.Rename(next.ca(), server.GetCa()); err != nil {
		t.Fatal(err)
	}
	log.await(t, "rotation done")
	if _, err := dialEcho(t, l, renewed); err != nil {
		t.Errorf("of the new authority: %v", err)
	}
	if _, err := dialEcho(t, l, old); err == nil {
		t.Error("a ticket outlives the authority")
	}
	if err := ping(live); err != nil {
		t.Errorf("the live connection: %v", err)
	}
}

func TestFilesThatDoNotBelongTogetherLeaveTheOldOnes(t *testing.T) {
	a := newAuthority(t)
	server, log := a.issue(t, "control", nil, "spiffe://x/sluice/control/c1"), &lockedLog{}
	l := echoAt(t, server, log)
	cfg, err := ClientTLS(a.issue(t, "process", nil, "spiffe://x/sluice/process/p1"), Control)
	if err != nil {
		t.Fatal(err)
	}
	next := a.issue(t, "next", nil, "spiffe://x/sluice/control/c2")
	if err := os.Rename(next.GetCert(), server.GetCert()); err != nil { // its key comes later
		t.Fatal(err)
	}
	log.await(t, "rotation failed")
	if _, err := dialEcho(t, l, cfg); err != nil {
		t.Errorf("between certificate and key: %v", err)
	}
	if err := os.Rename(next.GetKey(), server.GetKey()); err != nil {
		t.Fatal(err)
	}
	log.await(t, "rotation done")
	if _, err := dialEcho(t, l, cfg); err != nil {
		t.Error(err)
	}
}
