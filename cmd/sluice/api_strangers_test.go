package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	connectrpc "connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/share"
)

// servedAPI is the API of a process without roles and without issuers: everybody is a stranger.
func servedAPI(t *testing.T) string {
	t.Helper()
	ids, err := identity.New(nil, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ids.Close)
	i := &instance{
		config: &configv1.Config{Api: &configv1.Api{Listen: "127.0.0.1:0"}}, logger: slog.New(slog.DiscardHandler),
		metrics: prometheus.NewRegistry(), identities: ids, failed: make(chan error, 8),
	}
	a, err := startAPI(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.stop(context.Background())
		i.work.Wait()
	})
	return a.at.String()
}

// TestNothingOfAStrangersBodyIsRead sends bodies that never end, each of another kind of sender who is not known: the
// refusal comes at once, and the connection is closed.
func TestNothingOfAStrangersBodyIsRead(t *testing.T) {
	at := servedAPI(t)
	call := "POST /sluice.control.v1.ControlService/Explain HTTP/1.1\r\nHost: x\r\n"
	for name, head := range map[string]string{
		"no token":             call + "Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n",
		"a short body":         call + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n",
		"chunked":              call + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n",
		"a token that is none": call + "Authorization: Bearer x.y.z\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n",
		"compressed":           call + "Content-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n",
		"gRPC-Web":             call + "Content-Type: application/grpc-web+proto\r\nContent-Length: 2000000\r\n\r\n",
		"an unknown type":      call + "Content-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n",
		"an unknown path":      "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n",
		"metrics":              "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nContent-Length: 2000000\r\n\r\n",
		"a probe":              "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(c, head+"     "); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			_ = res.Body.Close()
			if name != "a probe" && res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") == "application/json" {
				t.Errorf("answered %d", res.StatusCode)
			}
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 3*time.Second {
				t.Errorf("the connection stays open: %v after %v", err, time.Since(began))
			}
		})
	}
}

func TestAStrangerIsRefusedInTheProtocolThatItSpeaks(t *testing.T) {
	at := servedAPI(t)
	res, err := http.Post("http://"+at+"/sluice.control.v1.ControlService/Status", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), `"code":"unauthenticated"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestMetricsAreForAuditorsAndForThisHostWhereThatIsConfigured(t *testing.T) {
	ids, err := identity.New(nil, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ids.Close()
	numbers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") })
	c := newCallers(&instance{identities: ids})
	for from, local := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "192.0.2.7:1": false, "[2001:db8::1]:1": false} {
		for _, open := range []bool{false, true} {
			want := http.StatusUnauthorized
			if local && open {
				want = http.StatusOK
			}
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			c.auditors(access{noPolicy{}}, open, numbers).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("from %s, open %v: %d", from, open, w.Code)
			}
		}
	}
}

// TestABodyMustProgress: one byte and then silence, a byte now and then without end; and what is behind a body may take
// its time.
func TestABodyMustProgress(t *testing.T) {
	const pause, whole = 200 * time.Millisecond, 600 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = paced(w, r.WithContext(r.Context()), pause, whole)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "too slow", http.StatusRequestTimeout)
			return
		}
		select {
		case <-time.After(3 * pause):
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	for name, c := range map[string]struct {
		every time.Duration
		bytes int
		want  int
	}{
		"silence":       {time.Hour, 1, 408},
		"a drip":        {pause / 4, 100, 408},
		"whole at once": {0, 10, 200},
		"slow but good": {pause / 4, 4, 200},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			length := c.bytes
			if c.every == time.Hour {
				length = 2
			}
			_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
			go func() {
				for range c.bytes {
					if _, err := conn.Write([]byte("x")); err != nil {
						return
					}
					time.Sleep(c.every)
				}
			}()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("answered %d", res.StatusCode)
			}
		})
	}
}

// pipes is a listener whose connections are made by the test.
type pipes struct{ waiting chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.waiting
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection from an address.
type from struct {
	net.Conn
	at string
}

func (f from) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.at)
	return a
}

func TestACallerHasSoManyConnectionsUntilSomeEnd(t *testing.T) {
	p := pipes{make(chan net.Conn, 100)}
	s := newStrangers(p)
	s.callers = share.NewPool("connections", 2, 100)
	connect := func() *stranger {
		_, b := net.Pipe()
		p.waiting <- from{b, "192.0.2.1:1"}
		c, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*stranger)
	}
	one, two, three, four := connect(), connect(), connect(), connect()
	for _, c := range []*stranger{one, two, one} { // a second call makes no second connection
		if err := c.known("mallory"); err != nil {
			t.Fatal(err)
		}
	}
	if err := known(withConnection(t.Context(), three), "mallory"); connectrpc.CodeOf(err) != connectrpc.CodeResourceExhausted {
		t.Errorf("one too many: %v", err)
	}
	if err := four.known("alice"); err != nil || s.count() != 1 {
		t.Errorf("another's: %v; %d strangers", err, s.count())
	}
	_ = one.Close()
	_ = one.Close() // it counts once
	if err := three.known("mallory"); err != nil {
		t.Errorf("one has ended: %v", err)
	}
	if err := connect().known("mallory"); err == nil {
		t.Error("closed twice, it counts as two")
	}
}

func TestStrangersAreBoundedAndTheKnownAreNot(t *testing.T) {
	p := pipes{make(chan net.Conn, 100)}
	s := newStrangers(p)
	s.most, s.bound, s.within = 4, 2, time.Hour
	connect := func(at string) (ours net.Conn) {
		a, b := net.Pipe()
		p.waiting <- from{b, at}
		return a
	}
	closed := func(c net.Conn) bool {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	defer close(p.waiting)
	first := connect("192.0.2.1:1")
	one := <-accepted
	connect("192.0.2.1:2")
	<-accepted
	if third := connect("192.0.2.1:3"); !closed(third) {
		t.Error("one address has more than its share")
	}
	withConnection(t.Context(), one)
	if err := one.(*stranger).known("alice"); err != nil {
		t.Fatal(err)
	}
	fourth := connect("192.0.2.1:4")
	<-accepted
	connect("192.0.2.2:1")
	<-accepted
	connect("192.0.2.3:1")
	<-accepted
	if n := s.count(); n != 4 {
		t.Fatalf("%d are counted", n)
	}
	// One more pushes the oldest stranger out (192.0.2.1:2), not the one that is known.
	connect("192.0.2.4:1")
	<-accepted
	if closed(first) || closed(fourth) {
		t.Error("who is known, or younger, was closed")
	}
	if n := s.count(); n != 4 {
		t.Errorf("%d are counted", n)
	}
}

func TestAStrangerHasToSayWhoItIs(t *testing.T) {
	p := pipes{make(chan net.Conn, 1)}
	s := newStrangers(p)
	s.within = 50 * time.Millisecond
	a, b := net.Pipe()
	p.waiting <- from{b, "192.0.2.1:1"}
	if _, err := s.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = a.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || s.count() != 0 {
		t.Errorf("still there: %v, %d", err, s.count())
	}
}

// TestTheKnownStayWhateverTheySpeak: HTTP/1.1 and HTTP/2 without TLS, one connection each, longer than a stranger may stay.
func TestTheKnownStayWhateverTheySpeak(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := newStrangers(l)
		s.within = 200 * time.Millisecond
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		server := &http.Server{Protocols: protocols, ConnContext: withConnection, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				if err := known(r.Context(), "alice"); err != nil {
					t.Error(err)
				}
			}
			_, _ = io.WriteString(w, r.RemoteAddr)
		})}
		done := make(chan error, 1)
		go func() { done <- server.Serve(s) }()
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		from := func(token string) string {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", token)
			res, err := client.Do(req)
			if err != nil {
				return err.Error()
			}
			defer func() { _ = res.Body.Close() }()
			body, _ := io.ReadAll(res.Body)
			return string(body)
		}
		first := from("Bearer x")
		time.Sleep(2 * s.within)
		if again := from("Bearer x"); again != first {
			t.Errorf("%s: the connection of somebody known was closed: %s, then %s", name, first, again)
		}
		client.CloseIdleConnections()
		stranger := from("")
		time.Sleep(2 * s.within)
		if again := from(""); again == stranger {
			t.Errorf("%s: a stranger's connection stays", name)
		}
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}
