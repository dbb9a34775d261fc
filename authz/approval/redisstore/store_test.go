package redisstore_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/approval/redisstore"
	"github.com/sluicegate/sluice/authz/approval/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) (*miniredis.Miniredis, *redisstore.Store) {
	t.Helper()
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	return m, redisstore.New(client)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		m, store := start(t)
		var mu sync.Mutex
		now := time.Now()
		m.SetTime(now)
		return storetest.Harness{Store: store, Advance: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(d)
			m.SetTime(now)
		}}
	})
}

func TestAllKeysAreUnderOneHashTag(t *testing.T) {
	m, store := start(t)
	if _, err := store.Create(t.Context(), storetest.NewApproval(t, store, time.Minute)); err != nil {
		t.Fatal(err)
	}
	keys := m.Keys()
	if len(keys) < 5 {
		t.Errorf("keys %v", keys)
	}
	for _, k := range keys {
		if !strings.HasPrefix(k, "sluice:{approval}:") {
			t.Errorf("key %s", k)
		}
	}
}

func TestAnOpenApprovalHasNoTTLAndAnEndedOneThirtyDays(t *testing.T) {
	m, store := start(t)
	a := storetest.NewApproval(t, store, time.Minute)
	if _, err := store.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	key := "sluice:{approval}:a:" + a.GetId()
	if ttl := m.TTL(key); ttl != 0 {
		t.Errorf("open: %v", ttl)
	}
	if err := store.Withdraw(t.Context(), a.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	if ttl := m.TTL(key); ttl != 30*24*time.Hour {
		t.Errorf("ended: %v", ttl)
	}
	m.FastForward(31 * 24 * time.Hour)
	if _, err := store.Changes(t.Context(), approval.FromNow); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.Keys() {
		if k != "sluice:{approval}:seq" && k != "sluice:{approval}:created" {
			t.Errorf("%s is left", k)
		}
	}
}

func TestAStoreThatIsAwayIsUnavailable(t *testing.T) {
	m, store := start(t)
	a := storetest.NewApproval(t, store, time.Minute)
	m.Close()
	_, create := store.Create(t.Context(), a)
	_, get := store.Get(t.Context(), "x")
	_, progress := store.Progress(t.Context(), []string{"x"})
	_, list := store.List(t.Context(), approval.Query{Limit: 1})
	_, changes := store.Changes(t.Context(), 0)
	_, clock := store.ServerTime(t.Context())
	for name, err := range map[string]error{
		"create": create, "get": get, "progress": progress, "list": list, "changes": changes, "clock": clock,
		"withdraw": store.Withdraw(t.Context(), "x", ""), "consume": store.Consume(t.Context(), "x"), "durability": store.CheckDurability(t.Context()),
	} {
		if !errors.Is(err, approval.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedDataIsAnErrorNotAnApproval(t *testing.T) {
	for field, value := range map[string]string{"body": "\xff\xff", "votes": "x", "created": "x", "state": "99"} {
		m, store := start(t)
		a := storetest.NewApproval(t, store, time.Minute)
		if _, err := store.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		m.HSet("sluice:{approval}:a:"+a.GetId(), field, value)
		if got, err := store.Get(t.Context(), a.GetId()); !errors.Is(err, approval.ErrUnavailable) || got != nil {
			t.Errorf("%s: %v, %v", field, got, err)
		}
	}
}

func TestDurabilityIsAskedOfTheServer(t *testing.T) {
	good := map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
	for name, tt := range map[string]struct {
		change map[string]string
		want   string // in the error; empty for none
	}{
		"good":              {nil, ""},
		"every second":      {map[string]string{"appendfsync": "everysec"}, "appendfsync"},
		"no append file":    {map[string]string{"appendonly": "no"}, "appendonly"},
		"evicts":            {map[string]string{"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy"},
		"keeps it a secret": {map[string]string{"appendfsync": ""}, "cannot be read"},
	} {
		m, store := start(t)
		if err := m.Server().Register("CONFIG", func(c *server.Peer, _ string, args []string) {
			value, changed := tt.change[args[1]]
			if !changed {
				value = good[args[1]]
			}
			if value == "" {
				c.WriteError("NOPERM no permission")
				return
			}
			c.WriteMapLen(1)
			c.WriteBulk(args[1])
			c.WriteBulk(value)
		}); err != nil {
			t.Fatal(err)
		}
		err := store.CheckDurability(t.Context())
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, approval.ErrMayLose) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
