package stack

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func client(t *testing.T, v *Valkey) *redis.Client {
	t.Helper()
	o := v.Options()
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestValkeyLosesNothingAndAsksForItsPassword(t *testing.T) {
	dir := filepath.Join(NewShortDir(t), "v")
	o := ValkeyOptions{Dir: dir, Password: `a "quoted" \ one`}
	v := NewValkey(t, o)
	c := client(t, v)
	if err := c.Set(t.Context(), "k", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for directive, want := range map[string]string{"appendfsync": "always", "maxmemory-policy": "noeviction", "appendonly": "yes"} {
		if got, err := c.ConfigGet(t.Context(), directive).Result(); err != nil || got[directive] != want {
			t.Errorf("%s: %v, %v; want %s", directive, got, err, want)
		}
	}
	stranger := v.Options()
	stranger.Password = ""
	s := redis.NewClient(stranger)
	defer s.Close()
	if err := s.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
	v.Kill()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers after Kill")
	}
	again := client(t, NewValkey(t, o))
	if got, err := again.Get(t.Context(), "k").Result(); err != nil || got != "kept" {
		t.Errorf("after a power cut: %q, %v", got, err)
	}
}

func TestValkeyOnASocketPausesAndResumes(t *testing.T) {
	Need(t, "valkey")
	v := NewValkey(t, ValkeyOptions{Socket: filepath.Join(NewShortDir(t), "v")})
	c := client(t, v)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	v.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("a paused server answered")
	}
	v.Resume()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestAValkeyThatCannotStartShowsItsLog(t *testing.T) {
	Need(t, "valkey")
	_, err := StartValkey(t.Context(), ValkeyOptions{Dir: NewShortDir(t), Settings: map[string]string{"no-such-directive": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("got %v", err)
	}
}
