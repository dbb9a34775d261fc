package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// claims are what sessions on one database are changing. A statement is judged by what its names mean now, and the server
// looks them up later: behind a lock, or behind what was sent before it. So a change of a name waits until the statements
// that were judged by it have run, and a statement waits until the change of a name that it uses is over; then it is judged
// anew. It is a lock on names, beside the server's own on tables.
//
// Who uses a name publishes that first and looks for changes then; who changes one does it the other way round: one of
// them sees the other.
type claims struct {
	// some is how many claims there are: most statements meet none.
	some atomic.Int32

	mu   sync.Mutex
	held map[*claimant]change
	// all are who may use names.
	all map[*claimant]struct{}
}

// claimant is a session, as those on the same database see it.
type claimant struct {
	claims *claims
	engine *engine.Engine
	turn   *turn
	over   <-chan struct{}
	// using is what it has judged and not sent on yet.
	using atomic.Pointer[sqlfacts.Facts]
}

func newClaims() *claims { return &claims{held: map[*claimant]change{}, all: map[*claimant]struct{}{}} }

// join adds a session.
func (c *claims) join(e *engine.Engine, t *turn, over <-chan struct{}) *claimant {
	m := &claimant{claims: c, engine: e, turn: t, over: over}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[m] = struct{}{}
	return m
}

// everybody are the sessions on the database.
func (c *claims) everybody() []*claimant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.all))
}

// change is what a session's open transaction changes the meaning of.
type change struct {
	all bool
	// code: what functions, operators and types mean, which a statement may use without naming anything else.
	code  bool
	names map[string]struct{}
	// sequences: those that a table or a column owns go with it.
	sequences bool
	// begun: the statement is on its way to the server.
	begun bool
}

const (
	// claimWait bounds the wait for others. The server's own locks would be waited for without end; two who wait for one
	// another here are not found out.
	claimWait = 30 * time.Second
	claimTick = 2 * time.Millisecond
)

// changeOf is what statements may change the meaning of; false if of nothing.
func changeOf(facts *sqlfacts.Facts) (c change, some bool) {
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if ofItsSession(st.Kind) {
			continue
		}
		if st.MovesSchemas {
			c.all, c.code, some = true, true, true
		}
		c.sequences = c.sequences || st.Operation.Command == "DROP TABLE" || st.Operation.Command == "ALTER TABLE"
		for _, p := range redefined(st) {
			if st.Temporary && (p.Effect == policyv1.Effect_UNKNOWN || strings.HasPrefix(p.Object, "pg_temp")) {
				continue
			}
			name := bare(p.Object)
			c.code = c.code || p.Effect == policyv1.Effect_UNKNOWN || (!ofRelation(st.Operation.Command) || st.MovesPath) && !st.Temporary
			c.all = c.all || c.code || name == "" || name == "*" || st.MovesNames && !st.Temporary
			if c.names == nil {
				c.names = map[string]struct{}{}
			}
			c.names[name] = struct{}{}
			some = true
		}
	}
	return c, some
}

// redefined are the pairs of what a definition makes another: what it is about, and what goes and changes with that, such as
// partitions and children; with a foreign key, what this leads to from what it refers to.
func redefined(st *sqlfacts.Statement) (list []policies.Pair) {
	refers := st.Operation.Command == "ALTER TABLE" || st.Operation.Command == "CREATE TABLE"
	for _, p := range st.Operation.Pairs {
		switch p.Effect {
		case policyv1.Effect_DDL, policyv1.Effect_UNKNOWN:
			list = append(list, p)
		case policyv1.Effect_READ:
			if refers {
				list = append(list, p)
			}
		}
	}
	for _, p := range st.Operation.Reached {
		if p.Effect == policyv1.Effect_DDL {
			list = append(list, p)
		}
	}
	return list
}

// ofItsSession reports whether a kind of statement changes what names mean for no other session. What SQL prepares, and what
// a cursor runs, defines nothing.
func ofItsSession(k sqlfacts.Kind) bool {
	switch k {
	case sqlfacts.Prepare, sqlfacts.Execute, sqlfacts.DeclareCursor, sqlfacts.Fetch, sqlfacts.Set, sqlfacts.Show, sqlfacts.Deallocate:
		return true
	}
	return false
}

// ofRelation reports whether a command defines a relation, or a part of one: who uses that names it, or what leads to it. What else is
// defined, types above all, may be used by whom nobody sees name it.
func ofRelation(command string) bool {
	verb, kind, _ := strings.Cut(command, " ")
	switch kind {
	case "TABLE", "TABLE AS", "VIEW", "MATERIALIZED VIEW", "INDEX", "SEQUENCE", "TRIGGER", "POLICY", "STATISTICS", "FOREIGN TABLE":
		return true
	}
	return verb == "COMMENT" || command == "SELECT INTO"
}

// bare is a name without its schema.
func bare(object string) string { return object[strings.LastIndexByte(object, '.')+1:] }

// meets reports whether statements use a name that is being changed.
func (c change) meets(facts *sqlfacts.Facts) bool {
	for i := range facts.Statements {
		if c.meetsOne(&facts.Statements[i]) {
			return true
		}
	}
	return false
}

func (c change) meetsOne(st *sqlfacts.Statement) bool {
	if c.code && namesSomething(st) || slices.ContainsFunc(st.Types, c.ofType) {
		return true
	}
	for _, r := range st.Relations {
		if _, named := c.names[r.Name]; named || c.all && r.Schema != "pg_catalog" || c.sequences && r.Kind == 'S' {
			return true
		}
	}
	return slices.ContainsFunc(st.Operation.Pairs, c.concerns) || slices.ContainsFunc(st.Operation.Reached, c.concerns)
}

// nothing reports whether the meaning of nothing changes.
func (c change) nothing() bool { return !c.all && !c.code && !c.sequences && len(c.names) == 0 }

// ofType reports whether a type is being changed: each relation has one of its name, and an array of that, with a dash before it.
func (c change) ofType(full string) bool {
	for name := bare(full); ; name = name[1:] {
		if _, named := c.names[name]; named || c.all {
			return true
		}
		if !strings.HasPrefix(name, "_") {
			return false
		}
	}
}

// concerns reports whether a pair is of what is being changed, also where a statement only leads to it: what a foreign key
// carries on may be carried on from there.
func (c change) concerns(p policies.Pair) bool {
	if !isOfRelation(p.Effect) || strings.HasPrefix(p.Object, "pg_catalog.") {
		return false
	}
	_, named := c.names[bare(p.Object)]
	return named || c.all
}

func isOfRelation(e policyv1.Effect) bool {
	switch e {
	case policyv1.Effect_READ, policyv1.Effect_INSERT, policyv1.Effect_UPDATE, policyv1.Effect_DELETE, policyv1.Effect_TRUNCATE,
		policyv1.Effect_LOCK, policyv1.Effect_DDL, policyv1.Effect_EXECUTE, policyv1.Effect_PRIVILEGE, policyv1.Effect_MAINTENANCE:
		return true
	}
	return false
}

// met reports whether another session changes a name that statements use; mu is held.
func (c *claims) met(of *claimant, facts *sqlfacts.Facts) bool {
	for m, ch := range c.held {
		if m != of && ch.meets(facts) {
			return true
		}
	}
	return false
}

// inUse reports whether another session has a statement on its way that was judged by a name of the change.
func (m *claimant) inUse(ch change) bool {
	for _, other := range m.claims.everybody() {
		if other == m {
			continue
		}
		if facts := other.using.Load(); facts != nil && ch.meets(facts) {
			return true
		}
		if other.engine.Running(judgedBy(ch)) {
			return true
		}
	}
	return false
}

// judgedBy reports whether a run was judged by a name of the change. To whom nothing is bounded, what a name means decides
// nothing.
func judgedBy(ch change) func(*engine.Grant) bool {
	var last *sqlfacts.Facts // runs that follow one another often have the same
	return func(grant *engine.Grant) bool {
		if g, ok := grant.Context.(*granted); ok && g.unbounded || grant.Facts == last {
			return false
		}
		last = grant.Facts
		return ch.meets(last)
	}
}

// use makes sure that what a statement was judged by stays until the server has looked its names up. again is true if it had to
// wait for others: then it must be judged anew. A refusal says that the wait was too long.
func (m *claimant) use(ctx context.Context, facts *sqlfacts.Facts, unbounded bool) (again bool, r *engine.Refusal, err error) {
	if unbounded {
		return false, nil, nil
	}
	m.using.Store(facts)
	if m.claims.some.Load() == 0 {
		return false, nil, nil
	}
	return m.waitFor(ctx, func() bool { return m.claims.free(m, facts) })
}

// claim is use until the statement has run, and makes those wait who use what it changes.
func (m *claimant) claim(ctx context.Context, facts *sqlfacts.Facts, unbounded bool) (again bool, r *engine.Refusal, err error) {
	if again, r, err = m.use(ctx, facts, unbounded); again || r != nil || err != nil {
		return again, r, err
	}
	ch, changes := changeOf(facts)
	if !changes {
		return false, nil, nil
	}
	m.using.Store(nil) // it waits for those who use names, and must not be waited for
	if again, r, err = m.waitFor(ctx, func() bool { return m.claims.take(m, facts, ch, unbounded) }); again || r != nil || err != nil {
		return again, r, err
	}
	_, r, err = m.waitFor(ctx, func() bool { return !m.inUse(ch) })
	if r != nil || err != nil {
		m.withdraw()
	}
	return false, r, err
}

// free reports whether nobody else changes what statements use.
func (c *claims) free(of *claimant, facts *sqlfacts.Facts) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.met(of, facts)
}

// take makes a claim, unless somebody else has one that meets it, and what the statement means decides.
func (c *claims) take(m *claimant, facts *sqlfacts.Facts, ch change, unbounded bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !unbounded && c.met(m, facts) {
		return false
	}
	before, had := c.held[m]
	if !had {
		c.some.Add(1)
	}
	ch.all, ch.code, ch.sequences, ch.begun = ch.all || before.all, ch.code || before.code, ch.sequences || before.sequences, before.begun
	for name := range before.names {
		ch.names[name] = struct{}{}
	}
	c.held[m] = ch
	return true
}

// waitFor waits until something holds; waited is true if it did not at once. While it waits, others need not wait for it.
func (m *claimant) waitFor(ctx context.Context, holds func() bool) (waited bool, r *engine.Refusal, err error) {
	if holds() {
		return false, nil, nil
	}
	m.using.Store(nil)
	tick := time.NewTicker(claimTick)
	defer tick.Stop()
	end := time.Now().Add(claimWait)
	for !holds() {
		select {
		case <-m.over:
			return true, nil, errSessionOver
		case <-ctx.Done():
			return true, nil, ctx.Err()
		case <-tick.C:
		}
		if r := m.turn.cancelledMeanwhile(); r != nil {
			return true, r, nil
		}
		if time.Now().After(end) {
			return true, &engine.Refusal{
				Code: codeLocked, Message: "another session is changing what the statement names, or uses what it changes",
				Detail: "Sluice waited for " + claimWait.String() + ".", Hint: "Try again once that transaction has ended.", Rule: "claim",
			}, nil
		}
	}
	return true, nil, nil
}

// begun says that what was claimed for is on its way: from now on the engine knows of it.
func (m *claimant) begun() {
	m.using.Store(nil)
	c := m.claims
	if c.some.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.held[m]; ok {
		ch.begun = true
		c.held[m] = ch
	}
}

// settle lets go of what the session changed, once its transaction is over.
func (m *claimant) settle() {
	c := m.claims
	if c.some.Load() == 0 || !m.engine.Idle() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.held[m]; ok && ch.begun {
		delete(c.held, m)
		c.some.Add(-1)
	}
}

// withdraw lets go of what has not begun: others need not wait for what people have not decided.
func (m *claimant) withdraw() {
	m.using.Store(nil)
	c := m.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.held[m]; ok && !ch.begun {
		delete(c.held, m)
		c.some.Add(-1)
	}
}

// leave lets go of everything: the session has ended.
func (m *claimant) leave() {
	m.using.Store(nil)
	c := m.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, m)
	if _, ok := c.held[m]; ok {
		delete(c.held, m)
		c.some.Add(-1)
	}
}
