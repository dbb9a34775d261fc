package engine

import (
	"flag"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// What a find hides can be seen without what leads to it.
var (
	modelSteps = flag.Int("model.steps", 20_000, "how many steps the engine is held against the model for")
	modelShort = flag.Bool("model.short", false, "no names that PostgreSQL would cut")
)

// What the agent sees through the engine, in front of a modelled PostgreSQL, is what that would have sent by itself had
// it refused and masked: whatever is sent, however it is cut, whenever it arrives.
func TestTheEngineSaysWhatAGuardedPostgreSQLWould(t *testing.T) {
	steps, found, began := 0, 0, time.Now()
	for round := 0; steps < *modelSteps; round++ {
		seed := flag.Lookup("rapid.seed").Value.String()
		if seed == "0" {
			seed = strconv.FormatInt(time.Now().UnixNano(), 10)
			if err := flag.Set("rapid.seed", seed); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = flag.Set("rapid.seed", "0") }()
		}
		ok := t.Run("seed "+seed, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				c := newConversation(t, r, append(pgmodel.Texts(), pgmodel.Refused))
				defer c.backend.Stop()
				defer func() {
					if steps += c.steps; c.violated && found == 0 { // what follows makes it smaller
						found = steps
					}
				}()
				c.run()
			})
		})
		_ = flag.Set("rapid.seed", "0")
		if !ok {
			t.Fatalf("seed %s: a violation after %d steps", seed, found)
		}
	}
	t.Logf("%d steps in %s: 0 violations", steps, time.Since(began).Round(time.Millisecond))
}

// The origin of a column, as the server tells it, decides by itself: a statement that was taken for one that shows nothing
// masked shows nothing masked.
func TestAMaskedOriginIsHiddenWhateverTheStatementWasThoughtToBe(t *testing.T) {
	texts := slices.DeleteFunc(append(pgmodel.Texts(), pgmodel.Refused), func(s string) bool { return s == "copy vault to stdout" })
	rapid.Check(t, func(r *rapid.T) {
		c := newConversation(t, r, texts)
		defer c.backend.Stop()
		c.script.facts = func(text string) *sqlfacts.Facts {
			f := factsOf(text)
			for i := range f.Statements {
				f.Statements[i].Relations = nil
			}
			return f
		}
		c.run()
	})
}

// conversation is an agent, an engine and a modelled server, and the bytes on the way between them.
type conversation struct {
	r       *rapid.T
	backend *pgmodel.Backend
	script  *script

	said []byte
	// unsent are the agent's, unread the engine's input from it.
	unsent                         []byte
	toServer, fromServer, unparsed []byte
	// moved counts what got on.
	steps, moved int
	err          error
	violated     bool
}

func newConversation(t testing.TB, r *rapid.T, texts []string) *conversation {
	names := pgmodel.Names()
	if *modelShort {
		names = names[:5]
	}
	parts := rapid.SliceOfN(pgmodel.Messages(texts, names), 1, 20).Draw(r, "messages")
	said := join(append(parts, pgmodel.Farewell())...)
	c := &conversation{r: r, backend: pgmodel.New(nil), script: vaultScript(t), said: said, unsent: said}
	return c
}

// vaultScript masks vault.key, and refuses what the ideal refuses.
func vaultScript(t testing.TB) *script {
	s := scriptWith(t, &policyv1.Mask{Columns: []string{"public.vault.key"}})
	s.view = masking.NewView(s.masks, vaultCatalog{})
	s.facts = factsOf
	lifted := masking.NewView(scriptWith(t, &policyv1.Mask{Columns: []string{"public.other.key"}}).masks, vaultCatalog{})
	s.again = func(run *Run, most uint32) *Grant { // the policy changes back and forth between executions
		g := run.Grant
		g.Agent, g.Record = s.view, s.view
		if isLifted(int(most)) {
			g.Agent, g.Record = lifted, lifted
		}
		return &g
	}
	s.refuses = func(q *Question) *Refusal {
		switch {
		case strings.Contains(q.Text, pgmodel.Refused):
			return &Refusal{Code: "42501", Message: "refused", Rule: "test"}
		case q.Stage == AtBind && refusedValue(q.Text, q.Bind.Values):
			return &Refusal{Code: "42501", Message: "refused", Rule: "test"}
		}
		if code := pgmodel.Fault(q.Text); code != "" {
			if q.Stage == AtParse || !s.engine.client.unsynced { // else the server is not asked
				code = "XXXXX"
			}
			return &Refusal{Code: code, Message: "our own words", Rule: "grammar", Asks: q.Text}
		}
		return nil
	}
	return s
}

// isLifted: no mask applies to an Execute of two rows.
func isLifted(most int) bool { return most == 2 }

func refusedValue(text string, values [][]byte) bool {
	return text == pgmodel.ByValue && len(values) == 1 && string(values[0]) == "13"
}

var (
	pub = &sqlfacts.Relation{OID: pgmodel.PubOID, Schema: "public", Name: "pub", Kind: 'r', Columns: []sqlfacts.Column{
		{Number: 1, Name: "n", TypeOID: 23, TypeName: "integer"},
	}}
	vault = &sqlfacts.Relation{OID: pgmodel.VaultOID, Schema: "public", Name: "vault", Kind: 'r', Columns: []sqlfacts.Column{
		{Number: 1, Name: "id", TypeOID: 23, TypeName: "integer"}, {Number: 2, Name: "key", TypeOID: 25, TypeName: "text"},
	}}
)

type vaultCatalog struct{ catalog }

func (vaultCatalog) RelationByOID(oid uint32) (*sqlfacts.Relation, error) {
	switch oid {
	case pub.OID:
		return pub, nil
	case vault.OID:
		return vault, nil
	}
	return nil, nil
}

// factsOf says what the model's statements do.
func factsOf(text string) *sqlfacts.Facts {
	list, _ := pgmodel.Parse(text)
	f := &sqlfacts.Facts{}
	for _, s := range list {
		st := sqlfacts.Statement{Text: s.SQL, ReadOnly: true}
		rel := pub
		if s.Masked {
			rel = vault
		}
		switch name, all, deallocates := s.Deallocates(); {
		case s.CopyIn():
			st.Kind = sqlfacts.CopyIn
		case s.CopyOut():
			st.Kind, st.Relations = sqlfacts.CopyOut, []*sqlfacts.Relation{rel}
			st.Copy = &sqlfacts.Copy{Relation: rel, Columns: rel.Columns, Delimiter: '\t', Null: `\N`}
		case deallocates:
			st.Kind, st.Name = sqlfacts.Deallocate, name
			if all {
				st.Name = ""
			}
		case s.Rows():
			st.Relations = []*sqlfacts.Relation{rel}
		case s.SQL == "begin":
			st.Kind = sqlfacts.Begin
		case s.SQL == "commit":
			st.Kind = sqlfacts.Commit
		case s.SQL == "rollback":
			st.Kind = sqlfacts.Rollback
		default:
			st.Kind = sqlfacts.Set
		}
		f.Statements = append(f.Statements, st)
	}
	return f
}

// run moves bytes in an order drawn at random until nothing moves any more, and compares.
func (c *conversation) run() {
	for idle := 0; idle < 3 && c.err == nil; {
		before := c.moved
		switch rapid.IntRange(0, 2).Draw(c.r, "who") {
		case 0:
			c.agentSends()
		case 1:
			c.serverReads()
		case 2:
			c.engineHears()
		}
		c.steps++
		if c.moved == before {
			idle++
			continue
		}
		idle = 0
	}
	c.settle()
	c.compare()
}

// settle moves what is left, in order.
func (c *conversation) settle() {
	for before := -1; before != c.moved && c.err == nil; {
		before = c.moved
		c.agentSends()
		c.serverReads()
		c.engineHears()
	}
}

func (c *conversation) some(b []byte) int {
	if len(b) == 0 || c.r == nil {
		return len(b)
	}
	return min(len(b), rapid.SampledFrom([]int{1, 5, 17, 100, 1000, 1000}).Draw(c.r, "bytes"))
}

func (c *conversation) agentSends() {
	n := c.some(c.unsent)
	if c.script.stalled && len(c.script.rest) > 0 { // as a session: it reads no further, and goes on when it is told
		n = 0
		select {
		case <-c.script.engine.Progress():
			c.moved++
		default:
			return
		}
	}
	c.moved += n
	part := c.unsent[:n]
	c.unsent = c.unsent[n:]
	c.err = c.script.send(part)
	c.toServer = append(c.toServer, c.script.server...)
	c.script.server = nil
}

func (c *conversation) serverReads() {
	n := c.some(c.toServer)
	if n == 0 {
		return
	}
	c.moved += n
	c.backend.Feed(c.toServer[:n])
	c.toServer = c.toServer[n:]
	c.fromServer = append(c.fromServer, c.backend.Take()...)
}

func (c *conversation) engineHears() {
	n := c.some(c.fromServer)
	if n == 0 {
		return
	}
	c.moved += n
	c.unparsed = append(c.unparsed, c.fromServer[:n]...)
	c.fromServer = c.fromServer[n:]
	var out Output
	consumed, _, err := c.script.engine.Server(c.unparsed, &out)
	c.script.take(&out)
	c.unparsed = append([]byte(nil), c.unparsed[consumed:]...)
	c.err = err
}

// compare holds what the agent got against the ideal.
func (c *conversation) compare() {
	c.violated = true
	ideal := c.ideal()
	defer ideal.Stop()
	want, got := transcript(ideal.Take()), transcript(c.script.agent)
	if ideal.Closed { // the server gave up: so has the engine's, and the session with it
		if len(got) > 0 && strings.HasPrefix(got[len(got)-1], "E FATAL") && c.err == nil {
			c.violated = false
			return
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || c.err != nil {
		c.r.Fatalf("error %v; differs (-ideal +engine):\n%s\non\n%s", c.err, diff, c.words())
	}
	e := c.script.engine
	if !e.Answered() || e.Status() != ideal.Status || len(c.script.rest) > 0 {
		c.r.Fatalf("in the end: answered %v, status %c, ideal %c, unread %q\non\n%s", e.Answered(), e.Status(), ideal.Status, c.script.rest, c.words())
	}
	if statements, portals := counted(&e.shared); statements != e.shared.preparedBytes || portals != e.shared.portalBytes {
		c.r.Fatalf("%d and %d bytes are counted, %d and %d are there\non\n%s", e.shared.preparedBytes, e.shared.portalBytes, statements, portals, c.words())
	}
	c.violated = false
}

// ideal is a server that refuses and masks by itself, after the same conversation.
func (c *conversation) ideal() *pgmodel.Backend {
	b := pgmodel.New(&pgmodel.Censor{
		RefuseText:  func(text string) bool { return strings.Contains(text, pgmodel.Refused) },
		RefuseValue: refusedValue,
		Hide:        func(string) string { return "[masked]" },
		Lifted:      isLifted,
	})
	b.Feed(c.said)
	return b
}

func (c *conversation) words() string { return strings.Join(pgmodel.Requests(c.said), "\n") }

// transcript leaves out in which of two ways a portal that a failed transaction took is missed: 34000 or 25P02.
func transcript(b []byte) []string {
	out := pgmodel.Transcript(b, map[uint32]string{pgmodel.PubOID: "pub", pgmodel.VaultOID: "vault", pgmodel.SinkOID: "sink"})
	for i, w := range out {
		if w == "E ERROR 25P02" || w == "E ERROR 34000" || w == "E ERROR 26000" {
			out[i] = "E ERROR 34000, 26000 or 25P02"
		}
	}
	return out
}
