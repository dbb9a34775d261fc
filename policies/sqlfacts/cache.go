package sqlfacts

import (
	"hash/maphash"
	"sync"
)

// shards is how many parts a cache is cut into, so that sessions seldom wait for each other.
const shards = 16

// cacheKey is a text, and for facts the catalog's version.
type cacheKey struct {
	text    string
	version uint64
}

// cache keeps what was used last, up to a number of bytes. It is safe for concurrent use.
type cache[V any] struct {
	seed   maphash.Seed
	shards [shards]shard[V]
}

type shard[V any] struct {
	mu      sync.Mutex
	entries map[cacheKey]*entry[V]
	root    entry[V] // ring: root.next is the newest, root.previous the oldest
	bytes   int
	limit   int
}

type entry[V any] struct {
	key            cacheKey
	value          V
	size           int
	next, previous *entry[V]
}

// entryCost is what the cache itself needs for an entry, about.
const entryCost = 200

// newCache makes a cache of at most limit bytes; one of none keeps nothing.
func newCache[V any](limit int) *cache[V] {
	c := &cache[V]{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.limit = limit / shards
		s.entries = make(map[cacheKey]*entry[V])
		s.root.next, s.root.previous = &s.root, &s.root
	}
	return c
}

func (c *cache[V]) shard(key cacheKey) *shard[V] {
	return &c.shards[maphash.String(c.seed, key.text)%shards]
}

// get returns the value of a key and makes it the newest.
func (c *cache[V]) get(key cacheKey) (V, bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		var none V
		return none, false
	}
	if s.root.next != e {
		e.unlink()
		s.link(e)
	}
	return e.value, true
}

// put keeps a value, and lets go of the oldest as far as room is needed. What would take more than a quarter of a
// shard is not kept: a few of those would drive everything else out.
func (c *cache[V]) put(key cacheKey, value V, size int) {
	size += len(key.text) + entryCost
	s := c.shard(key)
	if size > s.limit/4 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.entries[key]; ok {
		s.remove(old)
	}
	for s.bytes+size > s.limit {
		s.remove(s.root.previous)
	}
	e := &entry[V]{key: key, value: value, size: size}
	s.entries[key] = e
	s.bytes += size
	s.link(e)
}

func (s *shard[V]) link(e *entry[V]) {
	e.next, e.previous = s.root.next, &s.root
	s.root.next.previous = e
	s.root.next = e
}

func (s *shard[V]) remove(e *entry[V]) {
	e.unlink()
	delete(s.entries, e.key)
	s.bytes -= e.size
}

func (e *entry[V]) unlink() {
	e.previous.next, e.next.previous = e.next, e.previous
	e.next, e.previous = nil, nil
}
