package client_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/client"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// clock is what time it is for a client.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)} }

// place is a control plane that can be stopped and started, and the clients' clock.
type place struct {
	t      *testing.T
	socket *configv1.Socket
	clock  *clock
	server *server.Server
	stop   func()
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, clock: newClock(), socket: &configv1.Socket{Address: &configv1.Socket_Unix{Unix: filepath.Join(t.TempDir(), "x")}}}
	p.stop = func() {}
	t.Cleanup(func() { p.stop() })
	return p
}

// start begins a control plane that serves a bundle of this version; empty: none.
func (p *place) start(version string) {
	p.t.Helper()
	s, err := server.New(server.Options{
		Resources: resources.Options{Postgres: &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/p"}}},
		Logger:    slog.New(slog.DiscardHandler), RetryFirst: 100 * time.Millisecond,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.server = s
	if version != "" {
		p.push(version)
	}
	p.serve(s.Serve)
}

func (p *place) serve(serve func(context.Context, net.Listener) error) {
	p.t.Helper()
	l, err := peer.Listen(p.t.Context(), p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = serve(ctx, l) }()
	var once sync.Once
	p.stop = func() { once.Do(func() { cancel(); <-done }) }
}

func (p *place) push(version string) {
	p.t.Helper()
	if err := p.server.SetBundle(p.t.Context(), &policyv1.Bundle{Version: version}, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) options() client.Options {
	return client.Options{
		Socket: p.socket, NodeID: "p1", Build: "test", Apply: policies.Compile, Now: p.clock.now,
		Jitter: func() float64 { return 1 }, Logger: slog.New(slog.DiscardHandler),
	}
}

// running is a client whose Run goes on until stop.
type running struct {
	*client.Client
	t    *testing.T
	stop func()
}

func (p *place) run(o client.Options) *running {
	p.t.Helper()
	c, err := client.New(p.t.Context(), o)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				p.t.Errorf("Run: %v", err)
			}
		})
	}
	p.t.Cleanup(stop)
	return &running{Client: c, t: p.t, stop: stop}
}

// want waits until Current gives this: a version, or the text of an error.
func (r *running) want(text string) {
	r.t.Helper()
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p, err := r.Current()
		if last = current(p, err); last == text {
			return
		}
	}
	r.t.Fatalf("Current gives %q, want %q", last, text)
}

func current(p *policies.Policy, err error) string {
	if err != nil {
		return err.Error()
	}
	return p.Version()
}

// keeps wants Current to stay as it is for a while.
func (r *running) keeps(text string) {
	r.t.Helper()
	for range 20 {
		if got := current(r.Current()); got != text {
			r.t.Fatalf("Current gives %q, want %q", got, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const (
	none  = "no policy received yet"
	stale = "cut off from the control plane for longer than 15m0s"
)
