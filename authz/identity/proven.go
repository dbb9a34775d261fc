package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxProven bounds what is remembered of one policy's issuers.
const maxProven = 4096

// proof is a token that was found good, and what it was found good by.
type proof struct {
	identity *Identity
	set      *keySet
	keys     *snapshot
}

// holds reports whether the token would be found good now: everything but the time and the keys is the token's own, or
// the issuer's, and each change of policy begins with nothing proven. What was not too early once is not later.
func (p *proof) holds(now time.Time) bool {
	return p != nil && now.Before(p.identity.Principal.GetExpiresAt().AsTime().Add(Leeway)) && p.set.uses(p.keys)
}

// proven remembers tokens that were found good, by their digest: the tokens themselves are not kept. Only good ones
// are, so what an agent makes up cannot fill it. The zero value is ready.
type proven struct {
	mu sync.Mutex
	by map[[sha256.Size]byte]*proof
}

func (p *proven) find(digest [sha256.Size]byte) *proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[digest]
}

// add makes room by forgetting any one: that one is checked again when it comes.
func (p *proven) add(digest [sha256.Size]byte, one *proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[[sha256.Size]byte]*proof{}
	}
	for old := range p.by {
		if len(p.by) < maxProven {
			break
		}
		delete(p.by, old)
	}
	p.by[digest] = one
}
