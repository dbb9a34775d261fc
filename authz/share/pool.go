package share

import (
	"fmt"
	"sync"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// small is the part of a share that is left to everybody once half of all is taken.
const small = 8

// Pool is something of which there is so much. It is safe for concurrent use.
type Pool struct {
	what      string
	each, all int

	mu   sync.Mutex
	by   map[string]int
	used int
}

// NewPool makes a pool. What is its name in errors, each what one principal may have of it, and all what all may have together.
func NewPool(what string, each, all int) *Pool {
	return &Pool{what: what, each: each, all: all, by: map[string]int{}}
}

// SpentError says that somebody may have no more for now.
type SpentError struct {
	What string
	// Wanted is how many more they would have, Has and Each what they have and may have, Used and All what all do.
	Wanted, Has, Each, Used, All int
}

// Error implements error.
func (e *SpentError) Error() string {
	if e.Own() {
		return fmt.Sprintf("you have %d %s, and may have %d", e.Has, e.What, e.Each)
	}
	return fmt.Sprintf("all together have %d of %d %s, and you have your part of them", e.Used, e.All, e.What)
}

// Own reports whether it is their own share that is spent, and not what is there for all.
func (e *SpentError) Own() bool { return e.Has+e.Wanted > e.Each }

// Take gives somebody n more, or a *SpentError. Whoever got them gives them back.
func (p *Pool) Take(who string, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	has := p.by[who]
	if has+n > p.each || p.used+n > p.all || p.used+n > p.all/2 && has+n > max(n, p.each/small) {
		return &SpentError{What: p.what, Wanted: n, Has: has, Each: p.each, Used: p.used, All: p.all}
	}
	p.by[who] = has + n
	p.used += n
	return nil
}

// Give takes n back.
func (p *Pool) Give(who string, n int) { p.Add(who, -n) }

// Add counts n that somebody has, whether there is room for them or not; less than none are taken back.
func (p *Pool) Add(who string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used += n
	if p.by[who] += n; p.by[who] == 0 {
		delete(p.by, who)
	}
}

// Name is whose a principal's share is: nobody else has it.
func Name(who *identityv1.Principal) string { return who.GetIssuerUrl() + "\n" + who.GetSubject() }
