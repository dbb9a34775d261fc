package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
	"github.com/sluicegate/sluice/extproc/wire"
	"github.com/sluicegate/sluice/policies/source"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

// drain is how long Envoy lets connections of a changed listener live in these tests.
const drain = time.Second

// gateway is a real control plane, a real Envoy, and a processor of this test, which answers by echo.
type gateway struct {
	t         *testing.T
	control   *server.Server
	egressDir string
	arrived   chan wire.Origin
}

// gatewaySockets are where its parts meet, and how Envoy finds the control plane.
type gatewaySockets struct {
	xds, processor *configv1.Socket // of the servers
	envoyProcessor *configv1.Socket // as Envoy dials it
	bootstrap      func(xdsAddress string) envoy.XDS
}

func newGateway(t *testing.T, s gatewaySockets) *gateway {
	t.Helper()
	dir := stack.NewShortDir(t)
	g := &gateway{t: t, egressDir: filepath.Join(dir, "e"), arrived: make(chan wire.Origin, 100)}
	if err := os.Mkdir(g.egressDir, 0o700); err != nil {
		t.Fatal(err)
	}
	processor := g.listen(s.processor)
	if m := s.envoyProcessor.GetMtls(); m != nil {
		m.Address = processor.Addr().String()
	}
	var err error
	g.control, err = server.New(server.Options{
		Resources:  resources.Options{Postgres: s.envoyProcessor, EgressDir: g.egressDir},
		RetryFirst: 500 * time.Millisecond, RetryMost: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	xds := g.listen(s.xds)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.control.Serve(ctx, xds) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	go g.echo(processor)

	bootstrap, err := envoy.Bootstrap(envoy.Config{
		NodeID: "edge-1", Cluster: "edge", XDS: s.bootstrap(xds.Addr().String()),
		Admin: envoy.Admin{Socket: filepath.Join(dir, "a")},
	})
	if err != nil {
		t.Fatal(err)
	}
	stack.NewEnvoy(t, stack.EnvoyOptions{Bootstrap: bootstrap, DrainTime: drain})
	return g
}

func (g *gateway) listen(s *configv1.Socket) net.Listener {
	g.t.Helper()
	l, err := peer.Listen(g.t.Context(), s)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = l.Close() })
	return l
}

// echo is the processor: it takes what Envoy hands over and sends bytes back.
func (g *gateway) echo(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			c, err := wire.Handshake(context.Background(), conn, patience)
			if err != nil {
				g.t.Errorf("handshake: %v", err)
				return
			}
			g.arrived <- c.Origin
			_, _ = io.Copy(c, c)
		}()
	}
}

func unixSockets(t *testing.T) gatewaySockets {
	t.Helper()
	dir := stack.NewShortDir(t)
	at := func(name string) *configv1.Socket {
		return &configv1.Socket{Address: &configv1.Socket_Unix{Unix: filepath.Join(dir, name)}}
	}
	return gatewaySockets{
		xds: at("x"), processor: at("p"), envoyProcessor: at("p"),
		bootstrap: func(path string) envoy.XDS { return envoy.XDS{Socket: path} },
	}
}

// targetOn is a target in YAML whose listener is on a port; extra goes into the listener.
func targetOn(name string, port int, endpoint net.Addr, extra string) string {
	host, p, _ := net.SplitHostPort(endpoint.String())
	return fmt.Sprintf(`- name: %s
  listener: {address: 127.0.0.1, port: %d%s}
  postgres: {endpoints: [{host: %s, port: %s}], database: d, tls: {mode: DISABLE}}
  credential: {static: {username: app, password: {env: PW}}}
`, name, port, extra, host, p)
}

// serve puts a policy in force.
func (g *gateway) serve(text string) {
	g.t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		g.t.Fatal(err)
	}
	var err error
	if b.Version, err = source.Version(b); err != nil {
		g.t.Fatal(err)
	}
	if err := g.control.SetBundle(g.t.Context(), b, nil); err != nil {
		g.t.Fatal(err)
	}
}

// said waits until Envoy's answer about a type is as wanted.
func (g *gateway) said(typeURL, what string, want func(*controlv1.Subscription) bool) *controlv1.Subscription {
	g.t.Helper()
	var last *controlv1.Subscription
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, n := range g.control.Status().GetNodes() {
			for _, s := range n.GetSubscriptions() {
				if n.GetId() == "edge-1" && n.GetRole() == "envoy" && s.GetTypeUrl() == typeURL {
					if last = s; want(s) {
						return s
					}
				}
			}
		}
	}
	g.t.Fatalf("%s: the ledger has %v", what, last)
	return nil
}

func isAcked(s *controlv1.Subscription) bool {
	return s.GetState() == controlv1.Subscription_ACKED && s.GetSentVersion() == s.GetAckedVersion()
}

// connect opens a connection as an agent and returns it with what the processor was told of it.
func (g *gateway) connect(port int) (net.Conn, wire.Origin) {
	g.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(g.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		g.t.Cleanup(func() { _ = conn.Close() })
		select {
		case o := <-g.arrived:
			return conn, o
		case <-time.After(patience):
			g.t.Fatal("the processor saw nothing")
		}
	}
	g.t.Fatalf("nobody listens on port %d", port)
	return nil, wire.Origin{}
}

func echoes(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v", got, err)
	}
}

func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
		t.Fatalf("read %d bytes, %v; want the end", n, err)
	}
}

// database is something that listens where a target's endpoint says, and tells its name.
func database(t *testing.T, name string) net.Addr {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			_ = conn.Close()
		}
	}()
	return l.Addr()
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := stack.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// throughEgress dials as the processor does and reads until the end.
func (g *gateway) throughEgress(target string) string {
	conn, err := (&net.Dialer{}).DialContext(g.t.Context(), "unix", resources.EgressSocket(g.egressDir, target, 0))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	text, _ := io.ReadAll(conn)
	return string(text)
}

func TestEnvoyFollowsThePolicy(t *testing.T) {
	stack.Need(t, "envoy")
	g := newGateway(t, unixSockets(t))
	port, second := freePort(t), freePort(t)
	one, two := database(t, "one"), database(t, "two")
	const rule = "rules: [{name: a, on: {targets: [orders]}, allow: {}}]\n"
	orders := "targets:\n" + targetOn("orders", port, one, "")
	g.serve(orders)

	session, origin := g.connect(port)
	steps := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"its answers are in the ledger", func(t *testing.T) {
			for _, u := range []string{resource.ListenerType, resource.ClusterType, resource.EndpointType} {
				if s := g.said(u, u, isAcked); s.GetNacks() > 0 || s.GetAckedVersion() == "" {
					t.Errorf("got %v", s)
				}
			}
			if n := g.control.Status().GetNodes()[0]; n.GetBuild() != "envoy "+envoy.Version {
				t.Errorf("got %v", n)
			}
		}},
		{"the processor learns where a connection came from, before the client says a word", func(t *testing.T) {
			if origin.Target != "orders" || origin.Node != "edge-1" || len(origin.Revision) != 12 || origin.Client != session.LocalAddr().String() {
				t.Errorf("got %+v from %v", origin, session.LocalAddr())
			}
			echoes(t, session, "hello")
		}},
		{"the processor reaches the database through a socket of its own user", func(t *testing.T) {
			if got := g.throughEgress("orders"); got != "one" {
				t.Errorf("got %q", got)
			}
			info, err := os.Stat(resources.EgressSocket(g.egressDir, "orders", 0))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
		}},
		{"a changed rule drops no connection", func(t *testing.T) {
			before := g.said(resource.ListenerType, "listeners", isAcked).GetAcks()
			g.serve(orders + rule)
			time.Sleep(drain + drain/2)
			echoes(t, session, "still here")
			if after := g.said(resource.ListenerType, "listeners", isAcked).GetAcks(); after != before {
				t.Error("listeners were sent again")
			}
		}},
		{"a target that is added opens its listener, and drops nothing", func(t *testing.T) {
			g.serve(orders + targetOn("shop", second, two, ", max_connections: 1") + rule)
			conn, o := g.connect(second)
			if o.Target != "shop" {
				t.Errorf("got %+v", o)
			}
			echoes(t, conn, "shop")
			over, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", second))
			if err != nil {
				t.Fatal(err)
			}
			defer over.Close()
			ends(t, over) // the limit of one
			echoes(t, session, "still here")
		}},
		{"an endpoint that moves is reached, and drops nothing", func(t *testing.T) {
			g.serve("targets:\n" + targetOn("orders", port, two, "") + rule)
			for end := time.Now().Add(patience); g.throughEgress("orders") != "two"; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("still the old one")
				}
			}
			echoes(t, session, "still here")
		}},
		{"a target that is removed ends its sessions at drain time", func(t *testing.T) {
			g.serve("targets:\n" + targetOn("shop", second, two, ""))
			ends(t, session)
			if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				_ = conn.Close()
				t.Error("its listener is still open")
			}
		}},
	}
	for _, s := range steps {
		if !t.Run(s.name, s.run) {
			return // each step stands on the one before
		}
	}
}

func TestWhatEnvoyRefusesIsShownAndTriedAgain(t *testing.T) {
	stack.Need(t, "envoy")
	g := newGateway(t, unixSockets(t))
	port, added, db := freePort(t), freePort(t), database(t, "db")
	orders := "targets:\n" + targetOn("orders", port, db, "")
	g.serve(orders)
	session, _ := g.connect(port)
	g.said(resource.ListenerType, "listeners", isAcked)

	foreign, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	taken := foreign.Addr().(*net.TCPAddr).Port
	g.serve(orders + targetOn("blocked", taken, db, "") + targetOn("good", added, db, ""))
	s := g.said(resource.ListenerType, "refusal", func(s *controlv1.Subscription) bool { return s.GetState() == controlv1.Subscription_NACKED })
	if !strings.Contains(s.GetNackDetail(), "postgres/blocked") || s.GetNacks() == 0 || s.GetNackedAt() == nil || s.GetAckedVersion() == s.GetSentVersion() {
		t.Errorf("got %v", s)
	}
	if strings.Contains(strings.Join(s.GetInDoubt(), " "), "postgres/blocked") || len(s.GetInDoubt()) == 0 {
		t.Errorf("in doubt: %v", s.GetInDoubt())
	}
	echoes(t, session, "the old ones go on")
	conn, o := g.connect(added)
	if o.Target != "good" {
		t.Errorf("got %+v", o)
	}
	echoes(t, conn, "and the good ones of the same push work")

	// It is asked again, by a new stream, until the cause is gone.
	g.said(resource.ListenerType, "a second refusal", func(s *controlv1.Subscription) bool { return s.GetNacks() >= 2 })
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	s = g.said(resource.ListenerType, "acceptance", isAcked)
	if len(s.GetInDoubt()) > 0 {
		t.Errorf("in doubt: %v", s.GetInDoubt())
	}
	late, o := g.connect(taken)
	if o.Target != "blocked" {
		t.Errorf("got %+v", o)
	}
	echoes(t, late, "mended")
	echoes(t, session, "the old ones went on all the time")
}

func TestEnvoyOverMutualTLS(t *testing.T) {
	stack.Need(t, "envoy")
	certs, err := stack.NewCerts(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(role, id string) *configv1.MutualTls {
		f, err := certs.Issue(role+"-"+id, stack.Leaf{Names: []string{"spiffe://example.test/sluice/" + role + "/" + id}})
		if err != nil {
			t.Fatal(err)
		}
		return &configv1.MutualTls{Address: "127.0.0.1:0", Cert: f.Cert, Key: f.Key, Ca: f.CA}
	}
	over := func(m *configv1.MutualTls) *configv1.Socket {
		return &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: m}}
	}
	own := issue("envoy", "edge-1")
	g := newGateway(t, gatewaySockets{
		xds: over(issue("control", "c1")), processor: over(issue("process", "p1")), envoyProcessor: over(own),
		bootstrap: func(address string) envoy.XDS {
			return envoy.XDS{Address: address, TLS: &envoy.TLS{
				Certificate: own.GetCert(), Key: own.GetKey(), CA: own.GetCa(), ServerSAN: "spiffe://example.test/sluice/control/c1",
			}}
		},
	})
	port := freePort(t)
	g.serve("targets:\n" + targetOn("orders", port, database(t, "db"), ""))
	conn, o := g.connect(port)
	if o.Target != "orders" || o.Node != "edge-1" {
		t.Errorf("got %+v", o)
	}
	echoes(t, conn, "through two names that know each other")
	if got := g.throughEgress("orders"); got != "db" {
		t.Errorf("got %q", got)
	}
}
