package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// tlsFront ends TLS in front of a server that knows none, as a sidecar does: the Valkey of the tools is built without.
type tlsFront struct {
	net.Listener
	to   string // the server's unix socket
	cert atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newTLSFront(t *testing.T, to string) *tlsFront {
	t.Helper()
	f := &tlsFront{to: to, conns: map[net.Conn]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.Listener = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return f.cert.Load(), nil
	}})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			work.Go(func() { f.relay(c) })
		}
	})
	t.Cleanup(func() {
		_ = f.Close()
		f.cut()
		work.Wait()
	})
	return f
}

func (f *tlsFront) relay(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	f.conns[c] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	server, err := net.Dial("unix", f.to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, c)
	}()
	_, _ = io.Copy(c, server)
}

// cut ends all connections: the next ones show what is trusted now.
func (f *tlsFront) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

// show makes an authority's certificate the one that is shown.
func (f *tlsFront) show(t *testing.T, authority *stack.Certs) {
	t.Helper()
	files, err := authority.Issue("redis", stack.Leaf{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	f.cert.Store(&pair)
}

// TestTheAuthorityAndThePasswordOfRedisAreReadAgainAndWhatIsHeldStays: both change under a statement that waits, and all
// connections are made anew each time.
func TestTheAuthorityAndThePasswordOfRedisAreReadAgainAndWhatIsHeldStays(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	dir := t.TempDir()
	var authorities [3]*stack.Certs
	for i := range authorities {
		var err error
		if authorities[i], err = stack.NewCerts(filepath.Join(dir, fmt.Sprint(i)), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	old, renewed, stranger := authorities[0], authorities[1], authorities[2]
	ca, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	replace := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path+".next", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	trust := func(all ...*stack.Certs) {
		t.Helper()
		var text strings.Builder
		for _, c := range all {
			one, err := os.ReadFile(c.CAFile())
			if err != nil {
				t.Fatal(err)
			}
			text.Write(one)
		}
		replace(ca, text.String())
	}
	admin := redis.NewClient(s.Valkey.Options())
	t.Cleanup(func() { _ = admin.Close() })
	ask := func(p string) { // an admin connection that is up stays logged in
		t.Helper()
		if err := admin.ConfigSet(t.Context(), "requirepass", p).Err(); err != nil {
			t.Fatal(err)
		}
	}
	front := newTLSFront(t, s.Valkey.Addr)
	front.show(t, old)
	trust(old)
	replace(password, "first")
	ask("first")

	s.StopSluice()
	path := filepath.Join(s.Dir, "sluice.yaml")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(config), "redis:")
	_, after, _ := strings.Cut(string(config), "api:")
	replace(path, fmt.Sprintf("%sredis: {tcp: %q, tls: true, tls_ca: %q, password: {file: %q}}\napi:%s", before, front.Addr(), ca, password, after))
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}

	logged := func(n int, message, part string) {
		t.Helper()
		waitUntil(t, fmt.Sprintf("%d lines %q of %s", n, message, part), func() bool {
			return len(logLines(t, s, message, map[string]any{"part": part})) == n
		})
	}
	hold := func(words string) (id string, done chan error) {
		t.Helper()
		c, done := connect(t, s, "agent"), make(chan error, 1)
		go func() {
			_, err := c.Exec(t.Context(), "delete from work where "+words)
			done <- err
		}()
		return held(t, s, words), done
	}
	id, done := hold("id = 1")

	// The new authority is trusted beside the old one, shown, and then alone.
	trust(old, renewed)
	logged(1, "rotation done", "redis.tls_ca")
	front.show(t, renewed)
	front.cut()
	second, secondDone := hold("id = 2")
	trust(renewed)
	logged(2, "rotation done", "redis.tls_ca")
	front.cut()
	approve(t, s, id)
	if err := <-done; err != nil {
		t.Fatalf("what was held before is lost: %v", err)
	}

	// What is no certificate changes nothing.
	replace(ca, "no certificate")
	logged(1, "rotation failed: the last good files stay in use", "redis.tls_ca")
	front.cut()
	approve(t, s, second)
	if err := <-secondDone; err != nil {
		t.Fatalf("what was held meanwhile is lost: %v", err)
	}
	trust(renewed)
	logged(3, "rotation done", "redis.tls_ca")

	// A new password, and one that cannot be read.
	third, thirdDone := hold("id = 3")
	ask("second")
	replace(password, "second\n") // as editors end it
	front.cut()
	logged(1, "rotation done", "redis.password")
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	front.cut()
	approve(t, s, third)
	if err := <-thirdDone; err != nil {
		t.Fatalf("what was held before the password changed is lost: %v", err)
	}
	logged(1, "rotation failed: the last good files stay in use", "redis.password")
	replace(password, "second")

	// Whoever is not trusted any more is not: nothing can be held there.
	for name, authority := range map[string]*stack.Certs{"the old authority": old, "a stranger": stranger} {
		front.show(t, authority)
		front.cut()
		_, err := connect(t, s, "agent").Exec(t.Context(), "delete from work where id = 9")
		wantCode(t, err, "58000", "approvals are not available")
		if n := one[int](t, s, "select count(*) from work where id = 9"); n != 1 {
			t.Errorf("%s: it ran", name)
		}
	}
	front.show(t, renewed)
	if text, err := os.ReadFile(s.SluiceLog()); err != nil || strings.Contains(string(text), `"second"`) {
		t.Errorf("the password stands in the log (%v)", err)
	}
}
