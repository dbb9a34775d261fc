package postgres

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protoyaml"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

var modelSteps = flag.Int("model.steps", 5_000, "how many steps the exchange is held against the model for")

// vaultBundle hides vault.key and refuses to drop tables.
const vaultBundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: vault
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: d}
  credential: {static: {username: app, password: {env: PW}}}
rules:
- {name: all, who: {groups: [agents]}, on: {targets: [vault]}, allow: {}}
- {name: drop, on: {targets: [vault], sql: {commands: [DROP]}}, deny: {message: No dropping.}}
masks:
- {name: keys, on: {targets: [vault]}, columns: [public.vault.key], redact: {}}
`

func init() {
	pgmodel.Probe(engine.ProbeSQL, []string{"app/app", `"$user", public`, "0", "d", "0", `["pg_catalog", "public"]`, "on", "UTF8"})
}

func compileBundle(t testing.TB, text, version string) *policies.Policy {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	b.Version = version
	p, err := policies.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inForce is the policy of the moment.
type inForce struct {
	atomic.Pointer[policies.Policy]
}

func (f *inForce) Current() (*policies.Policy, error) { return f.Load(), nil }

// vouching vouches for whomever it is asked about, as somebody else once it has one.
type vouching struct {
	as atomic.Pointer[identity.Identity]
}

func (*vouching) Verify(context.Context, string) (*identity.Identity, error) {
	return nil, errors.New("no token is proven here")
}

func (v *vouching) Again(who *identity.Identity) (*identity.Identity, error) {
	if as := v.as.Load(); as != nil {
		return as, nil
	}
	return who, nil
}

// inGroup is an agent.
func inGroup(group string) *identity.Identity {
	return &identity.Identity{Principal: &identityv1.Principal{
		Issuer: "corp", Subject: "agent", Groups: []string{"agents", group}, ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	}}
}

// vaultTables are the model's relations as a catalog; each Invalidate, and whoever asks, makes a newer version.
type vaultTables struct{ version atomic.Uint64 }

func (c *vaultTables) Invalidate() { c.version.Add(1) }

func (c *vaultTables) Latest(ctx context.Context, path []string) (sqlfacts.Catalog, error) {
	return c.Snapshot(ctx, path)
}

func (c *vaultTables) Snapshot(context.Context, []string) (sqlfacts.Catalog, error) {
	table := func(oid uint32, name string, columns ...sqlfacts.Column) *sqlfacts.Relation {
		return &sqlfacts.Relation{OID: oid, Schema: "public", Name: name, Kind: 'r', Columns: columns}
	}
	integer := func(number int16, name string) sqlfacts.Column {
		return sqlfacts.Column{Number: number, Name: name, TypeOID: 23, TypeName: "integer"}
	}
	of := factstest.New()
	of.Snapshot = c.version.Load()
	of.Relations = []*sqlfacts.Relation{
		table(pgmodel.PubOID, "pub", integer(1, "n")), table(pgmodel.SinkOID, "sink", integer(1, "n")),
		table(pgmodel.VaultOID, "vault", integer(1, "id"), sqlfacts.Column{Number: 2, Name: "key", TypeOID: 25, TypeName: "text"}),
	}
	return of, nil
}

// memory is a record that can be compared.
type memory struct {
	mu       sync.Mutex
	toAgent  []byte
	executed map[uint64]int
	decided  map[uint64]bool
	denied   map[uint64]bool
	codes    map[uint64]string // of the newest decision or outcome
	faults   []string
	ended    string
}

func (m *memory) Begin(context.Context, string, *recordv1.SessionStart) (Recording, error) {
	return m, nil
}
func (*memory) Hide([]byte) string { return "hidden" }

func (m *memory) Append(_ bool, events ...*recordv1.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		switch k := e.GetKind().(type) {
		case *recordv1.Event_Decision:
			m.decided[k.Decision.GetNumber()] = true
			m.codes[k.Decision.GetNumber()] = k.Decision.GetCode()
			if k.Decision.GetVerdict() == recordv1.Decision_DENY {
				m.denied[k.Decision.GetNumber()] = true
			}
		case *recordv1.Event_Execution:
			m.executed[k.Execution.GetNumber()]++
			if !m.decided[k.Execution.GetNumber()] {
				m.faults = append(m.faults, "executed and not decided: "+strconv.FormatUint(k.Execution.GetNumber(), 10))
			}
		case *recordv1.Event_Outcome:
			m.codes[k.Outcome.GetNumber()] = k.Outcome.GetCode()
			if !m.decided[k.Outcome.GetNumber()] {
				m.faults = append(m.faults, "an outcome of what was not decided: "+strconv.FormatUint(k.Outcome.GetNumber(), 10))
			}
		}
	}
	return nil
}

func (m *memory) AppendData(events []*recordv1.Event, d recordv1.Data_Direction, _ uint64, parts ...[]byte) error {
	if err := m.Append(false, events...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d == recordv1.Data_TO_AGENT {
		m.toAgent = append(m.toAgent, bytes.Join(parts, nil)...)
	}
	return nil
}

func (m *memory) End(_ context.Context, reason string) error {
	m.ended = reason
	return nil
}

// end is one end of a connection of the exchange's, whose other end a test holds: what it is given goes on when the
// exchange reads, what the exchange writes is there at once.
type end struct {
	conn  net.Conn
	queue chan []byte

	mu  sync.Mutex
	got []byte
	eof bool
}

func newEnd(conn net.Conn) *end {
	e := &end{conn: conn, queue: make(chan []byte, 1<<16)}
	go func() {
		for b := range e.queue {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			e.mu.Lock()
			e.got = append(e.got, buf[:n]...)
			e.eof = e.eof || err != nil
			e.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return e
}

func (e *end) close() { _ = e.conn.Close() }

// take takes what has come, at most so many bytes.
func (e *end) take(most int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(most, len(e.got))
	out := e.got[:n:n]
	e.got = e.got[n:]
	return out
}

func (e *end) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.got)
}

// faulty is a connection that comes to fail: the next write half-way, and all that follow.
type faulty struct {
	net.Conn
	fails, failed atomic.Bool
}

func (f *faulty) Write(b []byte) (int, error) {
	if !f.fails.Load() {
		return f.Conn.Write(b)
	}
	if f.failed.Swap(true) {
		return 0, net.ErrClosed
	}
	n, err := f.Conn.Write(b[:len(b)/2])
	return n, errors.Join(err, errors.New("a broken pipe"))
}

// exchanged is an exchange between an agent and a modelled server, and what goes on around it.
type exchanged struct {
	r        *rapid.T
	x        *exchange
	rec      *memory
	told     *oplogtest.Book
	policy   *inForce
	bundles  []*policies.Policy
	tables   *vaultTables
	vouching vouching
	backend  *pgmodel.Backend
	agent    *end
	server   *end
	// toAgent and toServer are the exchange's own ends.
	toAgent, toServer *faulty
	done              chan struct{}

	said, unsent, answers []byte
	heard, fed            []byte
	steps, moved          int
	began                 time.Time
	isOver                bool
	// later ends what nothing else has ended.
	later func()
}

// newExchanged belongs into a bubble.
func newExchanged(r *rapid.T, bundles []*policies.Policy, metrics *Metrics, parts [][]byte) *exchanged {
	agent, agentEnd := net.Pipe()
	server, serverEnd := net.Pipe()
	c := &exchanged{
		r: r, policy: &inForce{}, bundles: bundles, tables: &vaultTables{}, backend: pgmodel.New(nil), rec: &memory{executed: map[uint64]int{}, decided: map[uint64]bool{}, denied: map[uint64]bool{}, codes: map[uint64]string{}}, told: oplogtest.New(time.Now),
		agent: newEnd(agent), server: newEnd(server), done: make(chan struct{}), said: bytes.Join(parts, nil), began: time.Now(),
	}
	c.toAgent, c.toServer = &faulty{Conn: agentEnd}, &faulty{Conn: serverEnd}
	c.unsent = c.said
	c.policy.Store(bundles[0])
	g := guard.New(c.policy, &c.vouching, nil, nil, c.told.Log, time.Now)
	a, err := g.Connect(inGroup("some"), "vault")
	if err != nil {
		panic(err)
	}
	o := &Options{Guard: g, Recorder: c.rec, Analyzer: sqlfacts.NewAnalyzer(1 << 20), Metrics: metrics, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Told: c.told.Log}
	e := engine.New('I')
	e.HideCopied(c.rec.Hide)
	c.x = newExchange(o, "p1-1", c.toAgent, c.toServer, e, a, nil, newClaims(), &allowance{pool: newMemory()})
	c.x.scribe.rec, c.x.pipes.whole, c.x.judge.catalog, c.x.judge.path = c.rec, true, c.tables, []string{"pg_catalog", "public"}
	c.x.catalogChanged = c.tables.Invalidate
	c.x.cancelServer, c.x.cancelLate = func(context.Context) error { return nil }, func() {} // one may always come too late
	go func() {
		defer close(c.done)
		ended := c.x.run(context.Background())
		_ = c.x.scribe.end(context.Background(), ended) // it has no error
	}()
	return c
}

func (c *exchanged) some(n int) int {
	return min(n, rapid.SampledFrom([]int{1, 5, 17, 100, 1000, 1000}).Draw(c.r, "bytes"))
}

// step lets one thing happen and waits until nothing moves.
func (c *exchanged) step(what int) {
	c.steps++
	switch what {
	case 0: // the agent sends
		n := c.some(len(c.unsent))
		c.send(n)
	case 1: // the server reads, and has its answers
		c.feed(c.some(c.server.waiting()))
	case 2: // its answers come
		c.answer(c.some(len(c.answers)))
	case 3: // a policy of another version, that says the same
		c.policy.Store(rapid.SampledFrom(c.bundles).Draw(c.r, "bundle"))
	case 4: // something changes the catalog, to the same
		c.tables.Invalidate()
	}
	synctest.Wait()
	c.heard = append(c.heard, c.agent.take(1<<30)...)
}

func (c *exchanged) send(n int) {
	if n > 0 {
		c.agent.queue <- c.unsent[:n]
		c.unsent, c.moved = c.unsent[n:], c.moved+n
	}
}

func (c *exchanged) feed(n int) {
	if n > 0 {
		taken := c.server.take(n)
		c.fed = append(c.fed, taken...)
		c.backend.Feed(taken)
		c.answers = append(c.answers, c.backend.Take()...)
		c.moved += n
	}
}

func (c *exchanged) answer(n int) {
	if n > 0 {
		c.server.queue <- c.answers[:n]
		c.answers, c.moved = c.answers[n:], c.moved+n
	}
	if c.backend.Closed && len(c.answers) == 0 {
		synctest.Wait()
		c.server.close()
	}
}

// run lets things happen in an order drawn at random.
func (c *exchanged) run(also ...func()) {
	for range rapid.IntRange(5, 60).Draw(c.r, "steps") {
		what := rapid.IntRange(0, 4+len(also)).Draw(c.r, "what")
		if what > 4 {
			also[what-5]()
		}
		c.step(what)
	}
	c.settle()
}

// runTo lets things happen up to something that ends them.
func (c *exchanged) runTo(last func()) {
	for range rapid.IntRange(0, 60).Draw(c.r, "steps") {
		c.step(rapid.IntRange(0, 4).Draw(c.r, "what"))
	}
	last()
}

// settle moves what is left, in order.
func (c *exchanged) settle() {
	for before := -1; before != c.moved+len(c.heard); {
		before = c.moved + len(c.heard)
		c.send(len(c.unsent))
		synctest.Wait()
		c.feed(c.server.waiting())
		c.answer(len(c.answers))
		synctest.Wait()
		c.heard = append(c.heard, c.agent.take(1<<30)...)
	}
}

// over ends it, from both sides, and waits for that: at once by the clock of the bubble.
func (c *exchanged) over() (took time.Duration) {
	if c.isOver {
		return 0
	}
	c.isOver = true
	took = time.Since(c.began)
	c.agent.close()
	c.server.close()
	close(c.agent.queue)
	close(c.server.queue)
	<-c.done
	synctest.Wait()
	c.backend.Stop()
	return took
}

// ideal is a server that refuses and masks by itself, after the same conversation.
func (c *exchanged) ideal() *pgmodel.Backend {
	b := pgmodel.New(&pgmodel.Censor{
		RefuseText: func(text string) bool {
			_, ok := pgmodel.Parse(text)
			return ok && strings.Contains(text, pgmodel.Refused)
		},
		Hide: func(string) string { return "[masked]" },
	})
	b.Feed(c.said)
	return b
}

// gaveUp reports whether the session ended with the server.
func (c *exchanged) gaveUp() bool {
	got := transcript(c.heard)
	return len(got) > 0 && strings.HasPrefix(got[len(got)-1], "E FATAL")
}

func (c *exchanged) noSecrets() {
	for _, secret := range pgmodel.Secrets() {
		if bytes.Contains(c.heard, []byte(secret)) || bytes.Contains(c.rec.toAgent, []byte(secret)) {
			c.r.Fatalf("%q is shown\non\n%s", secret, c.words())
		}
	}
}

func (c *exchanged) words() string { return strings.Join(pgmodel.Requests(c.said), "\n") }

// missed stands in a transcript for the ways in which something is missed.
const missed = "E ERROR 34000, 26000 or 25P02"

// transcript puts what an agent hears into words. It leaves out in which of several ways a portal that a failed transaction
// took is missed, and whether a Bind that does not fit its statement hears of that or of the transaction.
func transcript(b []byte) []string {
	out := pgmodel.Transcript(b, map[uint32]string{pgmodel.PubOID: "pub", pgmodel.VaultOID: "vault", pgmodel.SinkOID: "sink"})
	for i, w := range out {
		unfit := w == "E ERROR 08P01" && i+1 < len(out) && out[i+1] == `Z "E"`
		if w == "E ERROR 25P02" || w == "E ERROR 34000" || w == "E ERROR 26000" || unfit {
			out[i] = missed
		}
	}
	return out
}

// exchangeModel runs conversations in bubbles until there were enough steps.
func exchangeModel(t *testing.T, check func(r *rapid.T, c *exchanged)) {
	bundles := []*policies.Policy{compileBundle(t, vaultBundle, "v1"), compileBundle(t, vaultBundle, "v2"), compileBundle(t, vaultBundle, "v3")}
	metrics := NewMetrics(prometheus.NewRegistry())
	names := pgmodel.Names()
	texts := append(pgmodel.Texts(), pgmodel.Refused)
	steps, began := 0, time.Now()
	for steps < *modelSteps {
		seed := flag.Lookup("rapid.seed").Value.String()
		if seed == "0" {
			seed = strconv.FormatInt(time.Now().UnixNano(), 10)
			if err := flag.Set("rapid.seed", seed); err != nil {
				t.Fatal(err)
			}
		}
		ok := t.Run("seed "+seed, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				parts := apart(rapid.SliceOfN(pgmodel.Messages(texts, names), 1, 20).Draw(r, "messages"))
				var thrown any
				var stack []byte
				synctest.Test(t, func(*testing.T) {
					c := newExchanged(r, bundles, metrics, append(parts, pgmodel.Farewell()))
					defer func() { steps += c.steps }()
					defer func() {
						if thrown = recover(); thrown != nil { // the check goes on outside of the bubble
							stack = debug.Stack()
							c.over()
						}
					}()
					check(r, c)
				})
				switch fmt.Sprintf("%T", thrown) { // a search for the smallest case tells failures by where they come from
				case "<nil>":
				case "rapid.stopTest":
					r.Fatalf("%v", thrown)
				case "rapid.invalidData":
					panic(thrown)
				default:
					panic(fmt.Sprintf("%v\n%s", thrown, stack))
				}
			})
		})
		_ = flag.Set("rapid.seed", "0")
		if !ok {
			t.Fatalf("seed %s: a violation within %d steps", seed, steps)
		}
	}
	t.Logf("%d steps in %s: 0 violations", steps, time.Since(began).Round(time.Millisecond))
}

// mixed: a string goes on behind the end of a failed transaction. If its state could not be asked before, it is refused.
func mixed(m []byte) bool {
	list, _ := pgmodel.Parse(strings.TrimRight(string(m[5:]), "\x00"))
	ends := 0
	for _, s := range list {
		if s.SQL == "commit" || s.SQL == "rollback" {
			ends++
		}
	}
	return ends > 0 && ends < len(list)
}

// apart ends what came by the extended protocol before a simple Query: a question of Sluice's own in such a batch is an
// Execute to the server, behind which a Query leaves its implicit transaction open up to the next Sync.
func apart(parts [][]byte) (out [][]byte) {
	for _, p := range parts {
		for _, m := range messages(p) {
			if m[0] == 'Q' && mixed(m) {
				continue
			}
			if m[0] == 'Q' {
				out = append(out, []byte{'S', 0, 0, 0, 4})
			}
			out = append(out, m)
		}
	}
	return out
}

func messages(b []byte) (out [][]byte) {
	for len(b) >= 5 {
		n := 1 + int(b[1])<<24 + int(b[2])<<16 + int(b[3])<<8 + int(b[4])
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

// talk sends each part whole and lets everything answer before the next: the `|` of a transcript. A part of "changed" is
// a change of the catalog.
func (c *exchanged) talk(parts ...[]byte) []string {
	for _, p := range parts {
		if string(p) == "changed" {
			c.tables.Invalidate()
			continue
		}
		c.unsent = p
		c.settle()
	}
	return transcript(c.heard)
}

// compareRecord: what the agent heard is in the record, but for words about what could not be read, and nothing ran or ended
// that was not decided.
func (c *exchanged) compareRecord() {
	heard, recorded := transcript(c.heard), transcript(c.rec.toAgent)
	if len(recorded) < len(heard) || !slices.Equal(recorded[:len(heard)], heard) {
		if f := slices.Index(heard, "E FATAL 08006"); f < 0 { // which is said, and not recorded as bytes
			c.r.Fatalf("heard and not recorded:\n%s\nrecorded\n%s", heard, recorded)
		}
	}
	if len(c.rec.faults) > 0 || c.rec.ended == "" {
		c.r.Fatalf("the record: %q, ended %q\non\n%s", c.rec.faults, c.rec.ended, c.words())
	}
	c.compareLog()
}

// compareLog: operators are told once of each denial that is recorded, and of nothing that was said.
func (c *exchanged) compareLog() {
	lines := map[uint64]int{}
	for _, line := range c.told.Lines(c.r, "denied") {
		lines[uint64(line["number"].(float64))]++
	}
	for number := range c.rec.denied {
		if lines[number] != 1 {
			c.r.Fatalf("%d lines about the denied statement %d\non\n%s", lines[number], number, c.words())
		}
	}
	for _, words := range append(pgmodel.Secrets(), "select", "SELECT") {
		if strings.Contains(c.told.Text(), words) {
			c.r.Fatalf("%q stands in the log\non\n%s", words, c.words())
		}
	}
}
