package client

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

func newClient(t *testing.T, file string) *Client {
	t.Helper()
	c, err := New(t.Context(), Options{
		Socket: &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/nowhere"}}, NodeID: "p1",
		Apply: policies.Compile, StateFile: file, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheKeptTimeFollowsTheContact lets hours pass with a stream that is up and nothing but keepalive on it.
func TestTheKeptTimeFollowsTheContact(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy")
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, file)
		if err := c.apply(&policyv1.Bundle{Version: "v1"}, state{up: true}); err != nil {
			t.Fatal(err)
		}
		c.setUp(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.keep(ctx) }()
		for range 4 * 60 * 2 {
			time.Sleep(30 * time.Second)
			now := time.Now()
			c.seen.Store(&now) // as a ping's answer does
		}
		synctest.Wait()
		_, seen, err := readState(file)
		if age := time.Since(seen); err != nil || age > 2*time.Minute {
			t.Errorf("after four hours the kept policy is %v old: %v", age, err)
		}
		cancel()
		<-done
		if _, seen, err = readState(file); err != nil || !seen.Equal(c.lastSeen()) {
			t.Errorf("at the end it is of %v, last seen %v: %v", seen, c.lastSeen(), err)
		}
	})
}

// TestAgesInTime walks through a loss of contact to the second.
func TestAgesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "")
		if err := c.apply(&policyv1.Bundle{Version: "v1"}, state{up: true}); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		c.seen.Store(&now)
		c.setUp(true)
		time.Sleep(time.Hour)
		if _, err := c.Current(); err != nil {
			t.Error("stale while the stream is up")
		}
		heard := time.Now()
		c.seen.Store(&heard)
		time.Sleep(35 * time.Second) // a frozen peer is noticed late: its age counts from when it was heard
		c.setUp(false)
		time.Sleep(DefaultMaxAge - 36*time.Second)
		if _, err := c.Current(); err != nil {
			t.Error("stale too early")
		}
		time.Sleep(time.Second)
		if _, err := c.Current(); err == nil {
			t.Error("not stale after 15 minutes")
		}
		c.setUp(true)
		if _, err := c.Current(); err != nil {
			t.Error("stale after the contact came back")
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	c := &Client{options: Options{Jitter: func() float64 { return 0 }}}
	for attempt, want := range map[int]time.Duration{0: retryFirst, 1: 2 * retryFirst, 5: 8 * time.Second, 6: retryMost, 1 << 30: retryMost} {
		if got := c.backoff(attempt); got != want {
			t.Errorf("attempt %d: %v, want %v", attempt, got, want)
		}
	}
	c.options.Jitter = func() float64 { return 1 }
	if got := c.backoff(0); got != retryFirst/2 {
		t.Errorf("the shortest wait is %v", got)
	}
}

func FuzzDecodeState(f *testing.F) {
	good, err := encodeState(&policyv1.Bundle{Version: "v1"}, time.Unix(1_800_000_000, 5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("sluice-policy/1 x y\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, seen, err := decodeState(text)
		if err != nil {
			return
		}
		again, err := encodeState(b, seen)
		if err != nil {
			t.Fatal(err)
		}
		back, at, err := decodeState(again)
		if err != nil || !proto.Equal(b, back) || !at.Equal(seen) || b.GetVersion() == "" {
			t.Fatalf("%q became %q: %v", text, again, err)
		}
	})
}
