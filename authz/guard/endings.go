package guard

import (
	"sync"
	"time"

	"github.com/sluicegate/sluice/authz/identity"
)

// maxEndings bounds how many tokens are remembered as ended. People end sessions one by one: so many are not ended while
// their tokens would still be good.
const maxEndings = 100_000

// endings are tokens that open nothing any more although they have not expired. The zero value is ready.
type endings struct {
	mu sync.Mutex
	by map[identity.Key]ending
}

type ending struct {
	reason string
	until  time.Time // the token is good for nothing after that anyway
}

func (e *endings) add(k identity.Key, reason string, until, now time.Time) {
	if k == (identity.Key{}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by == nil {
		e.by = map[identity.Key]ending{}
	}
	if len(e.by) >= maxEndings {
		for old, one := range e.by {
			if !now.Before(one.until) {
				delete(e.by, old)
			}
		}
	}
	e.by[k] = ending{reason, until}
}

func (e *endings) find(k identity.Key, now time.Time) (reason string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	one, ok := e.by[k]
	if ok && !now.Before(one.until) {
		delete(e.by, k)
		return "", false
	}
	return one.reason, ok
}
