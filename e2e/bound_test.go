package e2e

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// boundSQL makes relations of one name in two schemas possible: the agent may make his own, which stand before public.
const boundSQL = `
create schema orders_app authorization orders_app;
create table public.w(id int, v text); insert into public.w values (7, 'masked-value'); alter table public.w owner to orders_app;
create table public.vault(id int, v text); insert into public.vault values (7, 'vault-row'); alter table public.vault owner to orders_app;
create table public.held(id int, v text); insert into public.held values (7, 'before'); alter table public.held owner to orders_app;
create table public.plain(id int, v text); insert into public.plain values (7, 'plain'); alter table public.plain owner to orders_app;`

const boundPolicy = `
masks:
- {name: w, on: {targets: [wide]}, columns: ["public.w.v"], redact: {}}
rules:
- {name: truncate, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [TRUNCATE]}}, allow: {}}
- {name: vault, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [READ, INSERT, UPDATE, DELETE, TRUNCATE], relations: [public.vault]}}, deny: {message: Not the vault.}}
- {name: held, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [UPDATE], relations: [public.held]}}, approve: {by: [{groups: [dba], count: 1}], within: 1s}}
`

// A server looks up what a prepared statement names at Parse, and what a COPY names at Execute: neither is the moment of Bind.
func TestWhatNamesMeanAtTheServerIsWhatWasJudged(t *testing.T) {
	const slow = "select count(*) from generate_series(1, 3000000)"
	flush, look := &pgproto3.Flush{}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}
	prepared := func(sql string) group { return group{parse("s", sql), sync3()} }
	run := group{bind("", "s", 0), execute("", 0), sync3()}
	const own = "create table orders_app.%s(id int, v text)"
	both := func(format string, names ...string) (all []group) {
		for _, name := range names {
			all = append(all, group{queryOf(fmt.Sprintf(format, name))})
		}
		return all
	}
	bound := func(sql string) group { return group{parse("s", sql), bind("", "s", 0), flush} }
	late := group{execute("", 0), sync3()}
	swap := both("%s", "drop table public.plain", "alter table public.vault rename to plain")
	for name, c := range map[string]struct {
		before []group // of the other session
		attack []group // what each of them is followed by is the other's turn
		other  [][]group
		bad    []string
	}{
		"an approval": {
			attack: []group{prepared("update held set v = 'after' where id = 7 returning v"), {queryOf(fmt.Sprintf(own, "held"))}, run},
			bad:    []string{"after"},
		},
		"a mask, by another table that goes and comes": {
			before: both(own, "w"),
			attack: []group{{queryOf(slow), parse("s", "select upper(v) from w"), sync3()}, nil, run},
			other:  [][]group{both("%s", "drop table orders_app.w"), both(own, "w")},
			bad:    []string{"MASKED-VALUE"},
		},
		"a denial, by a name that goes and comes": {
			before: both(own, "vault"),
			attack: []group{{queryOf(slow), parse("s", "select v from vault"), sync3()}, nil, run},
			other:  [][]group{both("%s", "alter table orders_app.vault rename to x"), both("%s", "alter table orders_app.x rename to vault")},
			bad:    []string{"vault-row"},
		},
		"a description meanwhile": {
			before: both(own, "vault"),
			attack: []group{prepared("select v from vault"), {look, sync3()}, run},
			other:  [][]group{both("%s", "alter table orders_app.vault rename to x"), both("%s", "alter table orders_app.x rename to vault")},
			bad:    []string{"vault-row"},
		},
		"a description in the batch of the Parse": {
			before: both(own, "vault"),
			attack: []group{{parse("s", "select v from vault"), flush}, {look, sync3()}, run},
			other:  [][]group{both("%s", "alter table orders_app.vault rename to x"), both("%s", "alter table orders_app.x rename to vault")},
			bad:    []string{"vault-row"},
		},
		"COPY of a table":   {attack: []group{bound("copy public.plain to stdout"), late}, other: [][]group{swap}, bad: []string{"vault-row"}},
		"COPY of a query":   {attack: []group{bound("copy (select v from public.plain) to stdout"), late}, other: [][]group{swap}, bad: []string{"vault-row"}},
		"COPY of an UPDATE": {attack: []group{bound("copy (update public.plain set v = 'after' returning v) to stdout"), late}, other: [][]group{swap}, bad: []string{"after"}},
		"COPY into a table": {attack: []group{bound("copy public.plain from stdin"), {execute("", 0), data("8\tafter\n"), copyDone, sync3()}}, other: [][]group{swap}, bad: []string{"after"}},
		"TRUNCATE":          {attack: []group{bound("truncate public.plain"), late}, other: [][]group{swap}, bad: []string{"C\x00\x00\x00\x13TRUNCATE TABLE"}},
		"COPY behind one's own": {
			attack: []group{{
				parse("s", "copy public.plain to stdout"), parse("d", "drop table public.plain"), parse("e", "alter table public.vault rename to plain"),
				bind("", "s", 0), bind("d", "d", 0), execute("d", 0), bind("e", "e", 0), execute("e", 0), execute("", 0), sync3(),
			}},
			bad: []string{"vault-row"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ownStage(t, stage.Options{SQL: boundSQL})
			policyFile(t, s, "90-bound.yaml", boundPolicy)
			agent, other := wide(t, s), wide(t, s)
			tell := func(c *pgx.Conn, groups []group) {
				if out := say(t, c, groups...); bytes.Contains(out, []byte("SFATAL")) {
					t.Fatalf("the other session: %q", out)
				}
			}
			tell(other, c.before)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			var got []byte
			for i, g := range c.attack {
				if g != nil {
					part := make(chan []byte, 1)
					go func() { part <- sayFor(t, agent, 2*time.Second, g) }()
					time.Sleep(150 * time.Millisecond)
					if i < len(c.other) {
						tell(other, c.other[i])
					}
					got = append(got, <-part...)
				} else if i < len(c.other) {
					tell(other, c.other[i])
				}
			}
			for _, bad := range c.bad {
				if bytes.Contains(got, []byte(bad)) {
					t.Errorf("got %q", got)
				}
				for _, table := range []string{"held", "vault", "plain"} {
					written := "select count(*) from public." + table + " where v = 'after'"
					if bad == "after" && one[bool](t, s, "select to_regclass('public."+table+"') is not null") && one[int](t, s, written) > 0 {
						t.Errorf("%s has what was written past its rule: %q", table, got)
					}
				}
			}
		})
	}
}

// The names of a statement that stays prepared may come to mean the same again, and what else changes is no reason to refuse it.
func TestAPreparedStatementOutlivesWhatChangesBesideIt(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-bound.yaml", boundPolicy)
	c := wide(t, s)
	for i, sql := range []string{
		"select 1", "create table orders_app.other(id int)", "alter table public.plain add column n int", "create index on public.plain(id)",
		"drop table orders_app.other", "alter table public.plain drop column n",
	} {
		if _, err := c.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if i == 0 {
			if _, err := c.PgConn().Prepare(t.Context(), "p", "select v from plain where id = $1", nil); err != nil {
				t.Fatal(err)
			}
		}
		if r := c.PgConn().ExecPrepared(t.Context(), "p", [][]byte{[]byte("7")}, nil, nil).Read(); r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "plain" {
			t.Errorf("behind %q: %+v", sql, r)
		}
	}
}

// What people released is executed by the catalog of its release, also where its names are looked up at Execute.
func TestAReleasedDefinitionRunsByTheExtendedProtocol(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-bound.yaml", `
rules:
- {name: truncate, who: {groups: [agents]}, on: {targets: [wide], sql: {commands: [TRUNCATE, ALTER], relations: [public.plain]}}, approve: {by: [{groups: [dba], count: 1}], within: 30s}}
`)
	c := wide(t, s)
	for _, sql := range []string{"truncate public.plain", "alter table public.plain add column m int"} {
		done := make(chan error, 1)
		go func() { done <- c.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, nil).Read().Err }()
		approve(t, s, held(t, s, sql))
		if err := <-done; err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if n := one[int](t, s, "select count(m) + count(*) from public.plain"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
