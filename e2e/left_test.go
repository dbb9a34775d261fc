package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

const leftPolicy = `
masks:
- {name: w, on: {targets: [wide]}, columns: ["public.w.v"], redact: {}, except: {groups: [dba]}}
rules:
- {name: dba, who: {groups: [dba]}, on: {targets: [wide]}, allow: {}}
- {name: more, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [PRIVILEGE, MAINTENANCE]}}, allow: {}}
- {name: vault, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [READ, INSERT, UPDATE, DELETE, PRIVILEGE, MAINTENANCE], relations: [public.vault]}}, deny: {message: Not the vault.}}
- {name: held, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [UPDATE, DELETE, INSERT], relations: [orders_app.vault]}}, approve: {by: [{groups: [dba], count: 1}], within: 60s}}
`

// leftSQL are tables of the agent's own in front of those that are masked and denied.
const leftSQL = "create table orders_app.w(id int, v text); create table orders_app.vault(id int, v text); create table orders_app.plain(id int, v text); insert into orders_app.plain values (7, 'own');"

// afresh makes the tables of boundSQL anew, and what the agent's role owns.
func afresh(t *testing.T, direct *pgx.Conn, own string) {
	t.Helper()
	if _, err := direct.Exec(t.Context(), "drop schema if exists orders_app cascade; drop table if exists public.w, public.vault, public.held, public.plain cascade;"+
		"drop domain if exists public.inner cascade; drop type if exists public.d cascade; drop function if exists public.danger(text) cascade;"+
		boundSQL+"set role orders_app;"+own+"reset role"); err != nil {
		t.Fatal(err)
	}
}

func mustRun(t *testing.T, c *pgx.Conn, list ...string) {
	t.Helper()
	for _, sql := range list {
		if _, err := c.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// sendAndLeave sends statements and closes the connection without waiting for any.
func sendAndLeave(t *testing.T, c *pgx.Conn, list ...string) {
	t.Helper()
	var out []byte
	for _, sql := range list {
		var err error
		if out, err = queryOf(sql).Encode(out); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.PgConn().Conn().Write(out); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := c.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
}

// A server runs what it was sent also if its client is gone: until it has, others wait for what that changes, and for what it uses.
func TestWhatASessionLeavesRunningIsWaitedFor(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-left.yaml", leftPolicy)
	direct := superuser(t, s)
	for name, change := range map[string][]string{
		"a table that is dropped":  {"drop table orders_app.w"},
		"a table that is renamed":  {"alter table orders_app.w rename to x"},
		"in a transaction":         {"begin", "drop table orders_app.w", "commit"},
		"a table that is replaced": {"drop table orders_app.w; create table orders_app.x(id int)"},
	} {
		t.Run(name, func(t *testing.T) {
			afresh(t, direct, leftSQL)
			agent, leaves, locks := wide(t, s), wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			mustRun(t, locks, "begin", "select id from orders_app.w")
			sendAndLeave(t, leaves, change...)
			got := make(chan []byte, 1)
			go func() { got <- sayFor(t, agent, 3*time.Second, group{queryOf("select upper(v) from w")}) }()
			time.Sleep(300 * time.Millisecond)
			mustRun(t, locks, "commit")
			if out := <-got; bytes.Contains(out, []byte("MASKED-VALUE")) {
				t.Errorf("got %q", out)
			}
		})
	}
	for name, write := range map[string]string{"a DELETE": "delete from vault2", "an UPDATE": "update vault2 set v = 'after'", "an INSERT": "insert into vault2 values (8, 'after')"} {
		t.Run(name, func(t *testing.T) {
			afresh(t, direct, leftSQL+"create table orders_app.vault2(id int, v text);")
			leaves, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond)
			sendAndLeave(t, leaves, "select count(*) from generate_series(1, 8000000)", write)
			mustRun(t, other, "drop table orders_app.vault2", "create view orders_app.vault2 as select id, v from plain")
			time.Sleep(4 * time.Second)
			if one[int](t, s, "select count(*) from orders_app.plain where id = 7 and v = 'own'") != 1 || one[int](t, s, "select count(*) from orders_app.plain") != 1 {
				t.Error("what was left wrote to what its name came to mean")
			}
		})
	}
}

// Where names are looked up may change between an approval and the moment from which nobody changes it any more.
func TestAHeldStatementRunsWhereItsNamesWereShown(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-left.yaml", leftPolicy)
	direct := superuser(t, s)
	for name, write := range map[string]string{
		"an UPDATE": "update vault set v = 'after' returning v", "a DELETE": "delete from vault where v <> 'after'", "an INSERT": "insert into vault values (8, 'after')",
		"one in a WITH": "with x as (update vault set v = 'after' returning v) select 1 from x",
	} {
		t.Run(name, func(t *testing.T) {
			afresh(t, direct, leftSQL)
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			got := make(chan []byte, 1)
			go func() { got <- sayFor(t, agent, 3*time.Second, group{queryOf(write)}) }()
			id := held(t, s, "'after'")
			mustRun(t, other, "begin", "revoke usage on schema orders_app from orders_app")
			approve(t, s, id)
			time.Sleep(500 * time.Millisecond)
			mustRun(t, other, "commit")
			if out := <-got; one[int](t, s, "select count(*) from public.vault where v = 'vault-row'") != 1 || one[int](t, s, "select count(*) from public.vault") != 1 {
				t.Errorf("got %q", out)
			}
		})
	}
}

// "$user" stands for the name of a role, and who owns the database may use other schemas.
func TestARoleThatIsRenamedTakesItsSchemaAlong(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-left.yaml", leftPolicy)
	direct := superuser(t, s)
	if _, err := direct.Exec(t.Context(), "alter schema orders_app owner to current_user; grant usage, create on schema orders_app to pg_database_owner; alter database orders owner to orders_app; "+
		"create table orders_app.w(id int, v text); alter table orders_app.w owner to orders_app; insert into orders_app.w values (1, 'own-value')"); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"alter database orders owner to current_user", "alter database orders owner to orders_app; alter role orders_app rename to other_app"} {
		agent := wide(t, s)
		if out := say(t, agent, group{queryOf("select upper(v) from w")}); !bytes.Contains(out, []byte("OWN-VALUE")) {
			t.Fatalf("got %q", out)
		}
		if _, err := direct.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if out := say(t, agent, group{queryOf("select upper(v) from w")}); bytes.Contains(out, []byte("MASKED-VALUE")) || !bytes.Contains(out, []byte("42501")) {
			t.Errorf("%s: got %q", change, out)
		}
		if _, err := direct.Exec(t.Context(), "alter database orders owner to orders_app"); err != nil && !strings.Contains(change, "rename") {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
	}
}

// A type is a name, too: what its values run is that of the type which was judged.
func TestATypeThatATextNamesIsWaitedFor(t *testing.T) {
	const (
		slow   = "select count(*) from generate_series(1, 5000000)"
		danger = "reset role; create function public.danger(text) returns boolean language plpgsql as $$ begin insert into public.vault values (8, 'danger'); return true; end $$; grant execute on function public.danger to public;"
		domain = danger + "create domain public.d as text check (public.danger(value)); set role orders_app;"
		row    = danger + "create domain public.inner as text check (public.danger(value)); create type public.d as (a public.inner); set role orders_app;"
	)
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-left.yaml", leftPolicy)
	direct := superuser(t, s)
	for name, c := range map[string]struct{ before, attack, change string }{
		"a domain":                 {domain + "create domain orders_app.d as text", "select 'x'::d", "drop domain orders_app.d"},
		"an enum":                  {domain + "create type orders_app.d as enum ('x')", "select 'x'::d from public.plain", "drop type orders_app.d"},
		"a composite type":         {row + "create type orders_app.d as (a text)", "select '(x)'::d", "drop type orders_app.d"},
		"the row of a table":       {row + "create table orders_app.d(a text)", "select '(x)'::d", "drop table orders_app.d"},
		"an array of such":         {row + "create table orders_app.d(a text)", "select '{\"(x)\"}'::d[]", "drop table orders_app.d"},
		"an array by its own name": {row + "create table orders_app.d(a text)", "select '{\"(x)\"}'::_d", "drop table orders_app.d"},
		"one that is renamed":      {domain + "create domain orders_app.d as text", "select 'x'::d", "alter domain orders_app.d rename to e"},
		"a check that comes":       {danger + "set role orders_app; create domain orders_app.d as text; create table orders_app.kept(a d)", "insert into kept values ('x')", "dba: alter domain orders_app.d add constraint c check (public.danger(value)) not valid"},
		"a function that comes":    {danger + "set role orders_app", "select lower(1)", "dba: create function orders_app.lower(int) returns boolean language sql as $$ select public.danger('x') $$"},
		"an operator that comes":   {danger + "set role orders_app", "select 'x'::text <@@> 'y'::text", "dba: create function orders_app.f(text, text) returns boolean language sql as $$ select public.danger('x') $$; create operator orders_app.<@@> (leftarg = text, rightarg = text, function = orders_app.f)"},
	} {
		t.Run(name, func(t *testing.T) {
			afresh(t, direct, c.before+";")
			agent, other := wide(t, s), wide(t, s)
			change, by := c.change, other
			if sql, ok := strings.CutPrefix(change, "dba: "); ok {
				change, by = sql, wideAs(t, s, "alice")
			}
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			got := make(chan []byte, 1)
			go func() { got <- sayFor(t, agent, 3*time.Second, group{queryOf(slow), queryOf(c.attack)}) }()
			time.Sleep(150 * time.Millisecond)
			mustRun(t, by, change)
			if out := <-got; one[int](t, s, "select count(*) from public.vault where v = 'danger'") > 0 {
				t.Errorf("got %q", out)
			}
		})
	}
	for name, c := range map[string]struct{ before, comes, change string }{
		"a prepared statement keeps its domain": {danger + "create domain public.d as text; set role orders_app;", "create domain orders_app.d as text", "alter domain public.d add check (public.danger(value))"},
	} {
		t.Run(name, func(t *testing.T) {
			afresh(t, direct, c.before)
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond)
			got := say(t, agent, group{parse("p", "select 'x'::d"), sync3()})
			mustRun(t, other, c.comes)
			if _, err := direct.Exec(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
			got = append(got, say(t, agent, group{bind("", "p", 0), execute("", 0), sync3()})...)
			if one[int](t, s, "select count(*) from public.vault where v = 'danger'") > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A server that reads its files again may take a search_path from them that live sessions follow.
func TestASearchPathOfTheServersFilesIsFollowed(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-left.yaml", leftPolicy)
	direct := superuser(t, s)
	afresh(t, direct, leftSQL)
	agent := wide(t, s)
	mustRun(t, agent, "select upper(v) from w")
	mustRun(t, direct, "alter system set search_path = public, orders_app", "select pg_reload_conf()")
	time.Sleep(1500 * time.Millisecond)
	if out := say(t, agent, group{queryOf("select upper(v) from w")}); bytes.Contains(out, []byte("MASKED-VALUE")) || !bytes.Contains(out, []byte("42501")) {
		t.Errorf("got %q", out)
	}
}

// Rows that nobody reads are not worth the work of the server.
func TestRowsThatASessionLeavesAreCancelled(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	sendAndLeave(t, wide(t, s), "select generate_series(1, 2000000000) as left_rows")
	waitUntil(t, "what nobody reads ends", func() bool {
		return one[int](t, s, "select count(*) from pg_stat_activity where state = 'active' and query like '%left_rows%' and pid <> pg_backend_pid()") == 0
	})
}
