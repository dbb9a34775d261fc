package client_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/client"
)

func TestAPolicyIsInForceOnceItCompiledAndEachNextOneToo(t *testing.T) {
	p := newPlace(t)
	p.start("")
	c := p.run(p.options())
	c.keeps(none)
	changed := c.Changed()
	p.push("v1")
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatal("nobody was told")
	}
	c.want("v1")
	p.push("v2")
	c.want("v2")
	if n := p.server.Status().GetNodes()[0]; n.GetBuild() != "sluice test" || n.GetRole() != "process" || n.GetId() != "p1" {
		t.Errorf("got %v", n)
	}
}

func TestWhatDoesNotCompileIsRefusedAndTheOldOneStays(t *testing.T) {
	p := newPlace(t)
	p.start("v1")
	o := p.options()
	o.Apply = func(b *policyv1.Bundle) (*policies.Policy, error) {
		if b.GetVersion() == "v2" {
			return nil, policies.Faults{{Field: "rules[0].when", Message: strings.Repeat("no ", 3000)}}
		}
		return policies.Compile(b)
	}
	c := p.run(o)
	c.want("v1")
	p.push("v2")
	deadline := time.Now().Add(patience)
	for {
		s := p.server.Status().GetNodes()[0].GetSubscriptions()[0]
		if s.GetNacks() >= 2 { // the server asks again
			if s.GetAckedVersion() != "v1" || !strings.Contains(s.GetNackDetail(), "rules[0].when: no no") || len(s.GetNackDetail()) > 4200 {
				t.Errorf("got %v", s)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v", s)
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.keeps("v1")
	p.push("v3")
	c.want("v3")
	if s := p.server.Status().GetNodes()[0].GetSubscriptions()[0]; s.GetState() == controlv1.Subscription_NACKED {
		t.Errorf("got %v", s)
	}
}

func TestAPolicyEndsFifteenMinutesAfterItsControlPlaneWasLastSeen(t *testing.T) {
	p := newPlace(t)
	p.start("v1")
	c := p.run(p.options())
	c.want("v1")

	p.clock.pass(24 * time.Hour)
	c.keeps("v1") // while the stream is up its policy is fresh
	p.stop()      // the end of the stream is the last that is heard
	time.Sleep(100 * time.Millisecond)
	p.clock.pass(15*time.Minute - time.Second)
	c.keeps("v1")
	p.clock.pass(time.Second)
	c.want(stale)
	_, err := c.Current()
	var old *client.StaleError
	if !errors.Is(err, client.ErrStale) || !errors.As(err, &old) || !old.Seen.Equal(p.clock.now().Add(-15*time.Minute)) {
		t.Errorf("got %#v", err)
	}

	p.start("") // it is there again, without a policy of its own yet
	c.want("v1")
	p.push("v2")
	c.want("v2")
}

// refuser accepts connections and speaks gRPC, but has no such service.
func refuser(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer()
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	return g.Serve(l)
}

// mute has the service but never says anything.
type mute struct {
	envoy_service_discovery_v3.UnimplementedAggregatedDiscoveryServiceServer
}

func (mute) DeltaAggregatedResources(s envoy_service_discovery_v3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	<-s.Context().Done()
	return nil
}

func TestWhoRefusesTheStreamProvesNothing(t *testing.T) {
	for name, serve := range map[string]func(context.Context, net.Listener) error{
		"it has no such service": refuser,
		"it is mute": func(ctx context.Context, l net.Listener) error {
			g := grpc.NewServer()
			envoy_service_discovery_v3.RegisterAggregatedDiscoveryServiceServer(g, mute{})
			stop := context.AfterFunc(ctx, g.Stop)
			defer stop()
			return g.Serve(l)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.start("v1")
			o := p.options()
			o.StateFile = filepath.Join(t.TempDir(), "policy")
			c := p.run(o)
			c.want("v1")
			p.stop()
			time.Sleep(100 * time.Millisecond)
			p.serve(serve)
			p.clock.pass(15 * time.Minute)
			time.Sleep(700 * time.Millisecond) // some attempts
			c.keeps(stale)
			c.stop()

			// Nor does it make the kept one younger.
			again, err := client.New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := current(again.Current()); got != none {
				t.Errorf("after a restart: %q", got)
			}
		})
	}
}

func TestARestartGoesOnWithTheKeptPolicyWhileItIsYoung(t *testing.T) {
	p := newPlace(t)
	p.start("v1")
	o := p.options()
	o.StateFile = filepath.Join(t.TempDir(), "policy")
	c := p.run(o)
	c.want("v1")
	p.clock.pass(time.Hour) // it is the last time of contact that counts, not that of receiving
	p.push("v1b")
	c.want("v1b")
	c.stop()
	p.stop()
	if info, err := os.Stat(o.StateFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}

	p.clock.pass(15*time.Minute - time.Second)
	c = p.run(o)
	c.keeps("v1b")
	p.clock.pass(time.Second)
	c.want(stale)
	c.stop()
	c = p.run(o)
	c.keeps(none)
	p.start("v2")
	c.want("v2")
}

func TestAKeptPolicyThatCannotBeTrustedIsLeftAlone(t *testing.T) {
	p := newPlace(t)
	p.start("v1")
	o := p.options()
	o.StateFile = filepath.Join(t.TempDir(), "policy")
	c := p.run(o)
	c.want("v1")
	c.stop()
	p.stop()
	good, err := os.ReadFile(o.StateFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(t *testing.T)
		want   string
	}{
		"as written":       {func(*testing.T) {}, "v1"},
		"one byte changed": {func(t *testing.T) { put(t, o.StateFile, strings.Replace(string(good), "v1", "v9", 1)) }, none},
		"its time changed": {func(t *testing.T) { put(t, o.StateFile, strings.Replace(string(good), "2026", "2027", 1)) }, none},
		"cut":              {func(t *testing.T) { put(t, o.StateFile, string(good[:len(good)-1])) }, none},
		"empty":            {func(t *testing.T) { put(t, o.StateFile, "") }, none},
		"others may write it": {func(t *testing.T) {
			if err := os.Chmod(o.StateFile, 0o660); err != nil {
				t.Fatal(err)
			}
		}, none},
		"of the future": {func(*testing.T) { p.clock.pass(-time.Hour) }, none},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.clock.now()
			if err := os.Remove(o.StateFile); err != nil {
				t.Fatal(err)
			}
			put(t, o.StateFile, string(good))
			tc.change(t)
			c, err := client.New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := current(c.Current()); got != tc.want {
				t.Errorf("got %q", got)
			}
			p.clock.pass(before.Sub(p.clock.now()))
		})
	}
	o.Apply = func(*policyv1.Bundle) (*policies.Policy, error) { return nil, errors.New("another version of Sluice") }
	if err := os.Chmod(o.StateFile, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, o.StateFile, string(good))
	if c, err := client.New(t.Context(), o); err != nil || current(c.Current()) != none {
		t.Errorf("what does not compile any more was taken: %v", err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	p := newPlace(t)
	for name, change := range map[string]func(*client.Options){
		"no control plane": func(o *client.Options) { o.Socket = nil },
		"no node id":       func(o *client.Options) { o.NodeID = "" },
		"a bad node id":    func(o *client.Options) { o.NodeID = "P 1" },
		"no Apply":         func(o *client.Options) { o.Apply = nil },
		"no Logger":        func(o *client.Options) { o.Logger = nil },
	} {
		o := p.options()
		change(&o)
		if _, err := client.New(t.Context(), o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestCurrentCostsNoMemory(t *testing.T) {
	p := newPlace(t)
	p.start("v1")
	c := p.run(p.options())
	c.want("v1")
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Current() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
