package postgres

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// What the agent hears of a whole session, the policy and the catalog changing under it, is what a PostgreSQL that refused
// and masked would have sent, and it is what the record says.
func TestTheExchangeSaysWhatAGuardedPostgreSQLWould(t *testing.T) {
	exchangeModel(t, func(r *rapid.T, c *exchanged) {
		c.run()
		ideal := c.ideal()
		defer ideal.Stop()
		answered, status := c.x.engine.Answered(), c.x.engine.Status()
		took := c.over()
		want, got := transcript(ideal.Take()), transcript(c.heard)
		if took > time.Second {
			r.Fatalf("it took %s\non\n%s", took, c.words())
		}
		c.compareRecord()
		if ideal.Closed && len(got) > 0 && strings.HasPrefix(got[len(got)-1], "E FATAL") {
			return // the server gave up, and the session with it
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("differs (-ideal +session):\n%s\non\n%s", diff, c.words())
		}
		if !answered || status != ideal.Status {
			r.Fatalf("in the end: answered %v, status %c, ideal %c\non\n%s", answered, status, ideal.Status, c.words())
		}
	})
}

// A cancel may come at any time. It stops a statement that is being decided, or comes too late: in any case all that is
// sent is answered, no secret is shown, and both sides agree in the end.
func TestACancelLeavesTheExchangeInOrder(t *testing.T) {
	exchangeModel(t, func(r *rapid.T, c *exchanged) {
		var cancels sync.WaitGroup
		c.run(func() { cancels.Go(func() { _ = c.x.cancel(context.Background()) }) }) // the server knows none
		cancels.Wait()
		answered, status := c.x.engine.Answered(), c.x.engine.Status()
		took := c.over()
		c.compareRecord()
		c.noSecrets()
		if c.backend.Closed && c.gaveUp() {
			return
		}
		if !answered || status != c.backend.Status || took > time.Second {
			r.Fatalf("in the end: answered %v, status %c, the server's %c, after %s\non\n%s", answered, status, c.backend.Status, took, c.words())
		}
	})
}

// Whatever is lost, and whenever, what the agent has heard is the beginning of what it would have heard, the session ends at
// once, and its end is recorded.
func TestALossEndsTheExchangeAtOnce(t *testing.T) {
	for name, lose := range map[string]func(c *exchanged){
		"the server":            func(c *exchanged) { c.server.close() },
		"the agent":             func(c *exchanged) { c.agent.close() },
		"both":                  func(c *exchanged) { c.agent.close(); c.server.close() },
		"a write to the server": func(c *exchanged) { c.toServer.fails.Store(true); c.later = c.server.close },
		"a write to the agent":  func(c *exchanged) { c.toAgent.fails.Store(true); c.later = c.agent.close },
		"the session is ended": func(c *exchanged) {
			c.x.pipes.stop(fatalf(codeShutdown, "the session was ended"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			exchangeModel(t, func(r *rapid.T, c *exchanged) {
				c.runTo(func() { lose(c) })
				ideal := c.ideal()
				defer ideal.Stop()
				c.settle() // a server that lives ends what it does
				if c.later != nil {
					c.later()
					c.settle()
				}
				select {
				case <-c.done:
				case <-time.After(2 * goodbyeTimeout):
					r.Fatalf("it goes on\non\n%s", c.words())
				}
				c.over()
				c.noSecrets()
				if c.rec.ended == "" || len(c.rec.faults) > 0 {
					r.Fatalf("the record: %q, ended %q", c.rec.faults, c.rec.ended)
				}
				want, got := transcript(ideal.Take()), transcript(c.heard)
				for len(got) > 0 && (strings.HasPrefix(got[len(got)-1], "E FATAL") || strings.HasPrefix(got[len(got)-1], "cut ")) {
					got = got[:len(got)-1]
				}
				if last := len(got) - 1; last >= 0 && last < len(want) && got[last] == "E ERROR 08P01" && want[last] == missed {
					got[last] = missed // what tells it from others is behind it, and was lost
				}
				if len(got) > len(want) || !slices.Equal(want[:len(got)], got) {
					r.Fatalf("differs (-ideal +session):\n%s\non\n%s", cmp.Diff(want, got), c.words())
				}
			})
		})
	}
}

// A mask that comes into force while a session goes on hides from then on, whatever was bound or begun before.
func TestAMaskHidesFromTheMomentItIsInForce(t *testing.T) {
	before := compileBundle(t, strings.Replace(vaultBundle, "public.vault.key", "public.other.key", 1), "v0")
	exchangeModel(t, func(r *rapid.T, c *exchanged) {
		after := c.bundles
		c.bundles = []*policies.Policy{before}
		c.policy.Store(before)
		all := messages(c.said)
		at := rapid.IntRange(0, len(all)).Draw(r, "messages before")
		c.unsent = append(bytes.Join(all[:at], nil), pgmodel.Farewell()...)
		c.run()
		known := len(c.heard)
		c.bundles = after
		c.policy.Store(after[0])
		c.unsent = append(bytes.Join(all[at:], nil), pgmodel.Farewell()...)
		c.run()
		c.over()
		for _, secret := range pgmodel.Secrets() {
			if bytes.Contains(c.heard[known:], []byte(secret)) {
				r.Fatalf("%q is shown: %s\nwhen it was hidden, behind\n%s\non\n%s", secret, transcript(c.heard[known:]),
					strings.Join(pgmodel.Requests(bytes.Join(all[:at], nil)), "\n"), strings.Join(pgmodel.Requests(bytes.Join(all[at:], nil)), "\n"))
			}
		}
	})
}

func frontend(m pgproto3.FrontendMessage) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err) // nothing here is longer than the protocol can carry
	}
	return b
}

func query(sql string) []byte { return frontend(&pgproto3.Query{String: sql}) }
func parse(sql string) []byte { return frontend(&pgproto3.Parse{Query: sql}) }

// changed stands for a change of the catalog, in what is said to talk.
var changed = []byte("changed")

// A question of Sluice's own in a batch is an Execute to the server: what comes behind it without Sync is one transaction.
func TestAQueryBehindAnUnfinishedBatchMaySeeItsTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
		got := x.talk(parse("select n from pub"), frontend(&pgproto3.Bind{}), changed, frontend(&pgproto3.Bind{}), query("deallocate all"), frontend(&pgproto3.Sync{}))
		x.over()
		if want := `1, 2, 2, C "DEALLOCATE ALL\x00", Z "T", Z "I"`; strings.Join(got, ", ") != want {
			t.Errorf("heard %q", got)
		}
	})
}

// A question of Sluice's own ends no transaction and begins none: a batch that has only prepared is as good as none, and what
// looks nothing up is not asked about, for a question would take the transaction's snapshot.
func TestAQuestionLeavesNoTransactionBehind(t *testing.T) {
	bind, execute, sync := frontend(&pgproto3.Bind{}), frontend(&pgproto3.Execute{}), frontend(&pgproto3.Sync{})
	for name, c := range map[string]struct {
		parts [][]byte
		asked string // the kinds of what the server gets; C to H or S is a question, P before S a refusal
	}{
		"a batch that has only prepared":  {[][]byte{parse("select n from pub"), changed, bind, execute, sync}, "P H CPBECCS BDES"},
		"one that has bound":              {[][]byte{parse("select n from pub"), bind, changed, bind, execute, sync}, "P B CPBECCH BDES"},
		"a transaction":                   {[][]byte{query("begin"), changed, parse("select n from pub"), changed, bind, execute, sync}, "Q CPBECCS P CPBECCH BDES"},
		"what looks nothing up":           {[][]byte{query("begin"), changed, query("set statement_timeout = '1h'"), changed, query("commit")}, "Q Q Q"},
		"what looks nothing up, in parts": {[][]byte{changed, parse("begin"), changed, bind, execute, sync}, "P BDES"},
		"a batch that the server skips":   {[][]byte{parse("select 1/0"), bind, changed, bind, sync}, "P B CPBECCH P S"},
		"a Parse that the server rejects": {[][]byte{query("begin"), query("select 1/0"), parse("select n from pub"), changed, bind, sync}, "Q Q P P S"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
				x.talk(query("select n from pub")) // so that where names are looked up is known
				x.fed = nil
				x.talk(c.parts...)
				x.over()
				if got := string(kindsOf(x.fed)); got != strings.ReplaceAll(c.asked, " ", "") {
					t.Errorf("the server got %s", got)
				}
			})
		})
	}
}

func kindsOf(b []byte) (kinds []byte) {
	for _, m := range messages(b) {
		kinds = append(kinds, m[0])
	}
	return kinds
}

// Where names are looked up is asked again when the catalog has changed. In a transaction that has failed the server does
// not answer that, which once took the rest of the batch with it, unheard.
func TestAFailedTransactionEndsThoughTheCatalogChanged(t *testing.T) {
	bind, execute, sync := frontend(&pgproto3.Bind{}), frontend(&pgproto3.Execute{}), frontend(&pgproto3.Sync{})
	closed := frontend(&pgproto3.Close{ObjectType: 'S', Name: "b"})
	fails := [][]byte{query("begin"), query("select 1/0")}
	for name, c := range map[string]struct {
		parts [][]byte
		want  string // what is heard behind the error
	}{
		"in one batch":           {[][]byte{changed, parse("rollback"), changed, bind, execute, sync}, `1, 2, C "ROLLBACK\x00", Z "I"`},
		"prepared before":        {[][]byte{closed, changed, parse("commit"), bind, execute, sync}, `3, 1, 2, C "ROLLBACK\x00", Z "I"`},
		"twice":                  {[][]byte{closed, changed, parse("rollback"), changed, bind, execute, sync}, `3, 1, 2, C "ROLLBACK\x00", Z "I"`},
		"by a simple query":      {[][]byte{changed, query("rollback")}, `C "ROLLBACK\x00", Z "I"`},
		"something else":         {[][]byte{closed, changed, parse("select n from pub"), bind, execute, sync}, `3, E ERROR 34000, 26000 or 25P02, Z "E"`},
		"something behind":       {[][]byte{changed, query("rollback;select n from pub"), query("rollback")}, `E ERROR 34000, 26000 or 25P02, Z "E", C "ROLLBACK\x00", Z "I"`},
		"something behind, late": {[][]byte{parse("rollback"), changed, bind, execute, changed, parse("select n from pub"), bind, execute, sync}, `1, 2, C "ROLLBACK\x00", 1, 2, D "\x00\x01\x00\x00\x00\x011", D "\x00\x01\x00\x00\x00\x012", D "\x00\x01\x00\x00\x00\x013", C "SELECT 3\x00", Z "I"`},
		"refused anyway":         {[][]byte{closed, changed, parse("select n from pub;set statement_timeout = '1h'"), sync}, `3, E ERROR 42601, Z "E"`},
		"denied":                 {[][]byte{closed, changed, parse(pgmodel.Refused), sync}, `3, E ERROR 42501, Z "E"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
				before := len(x.talk(fails...))
				got := strings.Join(x.talk(c.parts...)[before:], ", ")
				x.over()
				if got != c.want {
					t.Errorf("heard %s, want %s", got, c.want)
				}
			})
		})
	}
}

// The server's own words about a text that nobody could read quote it, and so do Sluice's. The record hides what it has of such
// a text, and has the code that the agent got.
func TestTheRecordHasNoWordsAboutATextThatCouldNotBeRead(t *testing.T) {
	sync := frontend(&pgproto3.Sync{})
	for name, c := range map[string]struct {
		parts      [][]byte
		heard      string // what of the text
		want, code string
		hidden     bool
	}{
		"by a Query":            {[][]byte{query(pgmodel.Escape)}, "u061", `E ERROR 22025, Z "I"`, "22025", true},
		"by a Parse":            {[][]byte{parse(pgmodel.Escape), sync}, "u061", `E ERROR 22025, Z "I"`, "22025", true},
		"of the same code":      {[][]byte{query(pgmodel.Syntax)}, pgmodel.Syntax, `E ERROR 42601, Z "I"`, "42601", true},
		"in words of ours":      {[][]byte{parse("select n from pub"), query("selec 'u061'"), sync}, "selec", `1, E ERROR 42601, Z "I", Z "I"`, "42601", true},
		"what could be read is": {[][]byte{query(pgmodel.Refused)}, "No dropping.", `E ERROR 42501, Z "I"`, "42501", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
				got := strings.Join(x.talk(c.parts...), ", ")
				x.over()
				if got != c.want || strings.Join(transcript(x.rec.toAgent), ", ") != c.want {
					t.Errorf("heard %s, recorded %s", got, transcript(x.rec.toAgent))
				}
				if !bytes.Contains(x.heard, []byte(c.heard)) || bytes.Contains(x.rec.toAgent, []byte(c.heard)) == c.hidden {
					t.Errorf("heard %q, recorded %q", x.heard, x.rec.toAgent)
				}
				if code := x.rec.codes[x.x.scribe.number]; code != c.code || len(x.rec.faults) > 0 {
					t.Errorf("the code in the record is %q; %q", code, x.rec.faults)
				}
			})
		})
	}
}

// slow is a catalog that answers once it is let.
type slow struct {
	sqlfacts.Catalog
	answers chan struct{}
}

func (s slow) Relation(schema, name string) (*sqlfacts.Relation, error) {
	<-s.answers
	return s.Catalog.Relation(schema, name)
}

// Long texts are read one at a time: whoever goes away while one waits, or is read, is gone at once, and what was sent behind
// it is not lost for whoever stays.
func TestALongTextIsReadForWhoeverIsThere(t *testing.T) {
	long := query("select n from pub where n in (" + strings.Repeat("1, ", 30_000) + "1)")
	for name, c := range map[string]struct {
		goes bool
		want string
	}{
		"gone":   {true, ""},
		"stayed": {false, `E ERROR 42601, Z "I", C "DEALLOCATE ALL\x00", Z "I"`}, // the model does not know the long one
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
				x.talk(query("deallocate all")) // it has asked where names are
				before := len(x.heard)
				other, err := x.tables.Snapshot(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				first := slow{other, make(chan struct{})}
				var reading sync.WaitGroup
				reading.Go(func() {
					_, _ = x.x.judge.o.Analyzer.FactsContext(t.Context(), "select n from pub where n in ("+strings.Repeat("2, ", 30_000)+"1)", first)
				})
				synctest.Wait()
				x.talk(long, query("deallocate all"))
				if len(x.heard) != before {
					t.Errorf("heard %q before the text was read", transcript(x.heard[before:]))
				}
				if c.goes {
					x.agent.close()
					synctest.Wait()
					if x.rec.ended != "the client closed the connection" {
						t.Errorf("ended: %q", x.rec.ended)
					}
				}
				close(first.answers)
				reading.Wait()
				x.settle()
				if got := strings.Join(transcript(x.heard[before:]), ", "); got != c.want {
					t.Errorf("heard %s, want %s", got, c.want)
				}
				x.over()
			})
		})
	}
}

// A string in which names are looked up behind what moves them is refused, whatever moves them: the end of a transaction that
// has moved them is one.
func TestNothingIsLookedUpBehindAMove(t *testing.T) {
	tables, err := (&vaultTables{}).Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := sqlfacts.NewAnalyzer(1 << 20)
	for _, c := range []struct {
		text              string
		refused, inOpened bool // whatever was before; in a transaction that has moved them
	}{
		{"rollback", false, false},
		{"rollback; select n from pub", false, true},
		{"commit; delete from pub", false, true},
		{"commit and chain; delete from pub", false, true},
		{"rollback to s; delete from pub", false, true},
		{"select n from pub; rollback", false, false},
		{"rollback; begin", false, false},
		{"begin; reset all; savepoint a", false, false},
		{"set role x; select n from pub", true, true},
		{"reset search_path; select n from pub", true, true},
	} {
		facts, err := a.Facts(c.text, tables)
		if err != nil {
			t.Fatal(c.text, err)
		}
		if got := behindMove(facts, false) != nil; got != c.refused {
			t.Errorf("%s: refused %v", c.text, got)
		}
		if got := behindMove(facts, true) != nil; got != c.inOpened {
			t.Errorf("%s, in a transaction that has moved names: refused %v", c.text, got)
		}
	}
}

// Where rules go by names, a definition that may be another way to a relation, or free its name for another, is one behind
// which nothing is certain; a new table is none. And what changes names for its own session only makes nobody wait.
func TestWhatADefinitionMeansForOthers(t *testing.T) {
	tables, err := (&vaultTables{}).Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := sqlfacts.NewAnalyzer(1 << 20)
	for text, want := range map[string]struct{ way, claims bool }{
		"create view v as select n from pub":            {true, true},
		"create or replace view v as select n from pub": {true, true},
		"drop table pub":    {true, true},
		"drop view v":       {true, true},
		"create schema app": {true, true},
		"alter table pub add foreign key (n) references sink (n) on delete cascade": {true, true},
		"alter table pub rename to hub":                                             {true, true},
		"create table t (i int)":                                                    {false, true},
		"create index on pub (n)":                                                   {false, true},
		"select n from pub":                                                         {false, false},
		"declare c cursor for select n from pub":                                    {false, false},
		"fetch 1 from c":                                                            {true, false},
		"prepare p as select n from pub":                                            {false, false},
		"execute p":                                                                 {true, false},
		"set search_path = public":                                                  {true, false},
		"set local search_path = public":                                            {true, false},
		"reset role":                                                                {false, false},
		"grant select on pub to x":                                                  {false, false},
		"grant usage on schema public to x":                                         {false, true},
		"grant readers to x":                                                        {false, true},
		"alter schema public owner to x":                                            {false, true},
		"reassign owned by x to y":                                                  {false, true},
	} {
		facts, err := a.Facts(text, tables)
		if err != nil {
			t.Fatal(text, err)
		}
		if got := movesNames(facts.Statements); got != want.way {
			t.Errorf("%s: another way %v", text, got)
		}
		if _, got := changeOf(facts); got != want.claims {
			t.Errorf("%s: claims %v", text, got)
		}
	}
}
