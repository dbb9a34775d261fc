package postgres

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
)

// unusedCatalog is how long a catalog is kept that no session uses.
const unusedCatalog = 2 * time.Minute

// catalogs are the caches of the databases' catalogs: one for each target as it is configured, endpoint and role,
// shared by the sessions on it.
type catalogs struct {
	life   context.Context
	work   *sync.WaitGroup
	now    func() time.Time
	logger *slog.Logger
	names  *relcache.Names
	// version numbers the snapshots of all of them.
	version atomic.Uint64

	mu      sync.Mutex
	entries map[string]*catalogEntry
	// claims by database. There are as many as databases that targets name.
	claims map[string]*claims
}

type catalogEntry struct {
	cache *relcache.Cache
	// place is the database, whatever targets it has.
	place string
	end   context.CancelFunc
	users int
	since time.Time
}

// use gives the cache for a connection, and what gives it back.
func (c *catalogs) use(t *policyv1.Target, up *upstream, connect relcache.Connect) (cache *relcache.Cache, done func()) {
	spec, err := (proto.MarshalOptions{Deterministic: true}).Marshal(t)
	if err != nil {
		spec = []byte(t.GetName())
	}
	key := string(spec) + "\x00" + strconv.Itoa(up.route.endpoint) + "\x00" + up.role
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	e := c.entries[key]
	if e == nil {
		ctx, end := context.WithCancel(c.life)
		e = &catalogEntry{end: end, place: up.route.place(), cache: relcache.New(t.GetName(), connect, c.names, func() uint64 { return c.version.Add(1) }, c.now, c.logger)}
		c.entries[key] = e
		c.work.Add(1)
		go func() {
			defer c.work.Done()
			e.cache.Run(ctx)
		}()
	}
	e.users++
	return e.cache, sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		e.users--
		e.since = c.now()
	})
}

// claimsOn are what is being changed on a database.
func (c *catalogs) claimsOn(place string) *claims {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.claims[place]
	if found == nil {
		found = newClaims()
		c.claims[place] = found
	}
	return found
}

// changed makes all that know a database look again: something has changed its catalog.
func (c *catalogs) changed(place string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.place == place {
			e.cache.Invalidate()
		}
	}
}

// sweep ends what nobody has used for a while, such as the catalogs of targets that have changed; mu is held.
func (c *catalogs) sweep() {
	for key, e := range c.entries {
		if e.users == 0 && c.now().Sub(e.since) > unusedCatalog {
			e.end()
			delete(c.entries, key)
		}
	}
}
