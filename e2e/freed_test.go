package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// A name that was dropped, renamed or moved leads to another of its kind, further down the search_path, in the same string,
// batch or transaction. Nobody has judged that one: it may be masked, denied, or nothing that a rule allows.
func TestANameThatWasFreedLeadsNowhereInItsTransaction(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: `
grant create on database orders to orders_app; grant create on schema public to orders_app;
alter table customers owner to orders_app;
create table public.vault(id int primary key, secret text); alter table public.vault owner to orders_app;
create table public.asked(id int primary key, secret text); alter table public.asked owner to orders_app;`})
	policyFile(t, s, "90-vault.yaml", `rules:
- {name: vault, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [DDL], relations: [public.vault]}}, deny: {message: Not the vault.}}
- {name: asked, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [DDL], relations: [public.asked]}}, approve: {by: [{groups: [dba]}], within: 5s}}
`)
	own := wide(t, s)
	exec := func(sql ...string) {
		t.Helper()
		for _, q := range sql {
			if _, err := own.PgConn().Exec(t.Context(), q).ReadAll(); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
	}
	left := func() string {
		return one[string](t, s, `select string_agg(format('%s.%s', attrelid::regclass, attname), ' ' order by attrelid::regclass::text, attnum) from pg_attribute
			where attrelid in (to_regclass('public.vault'), to_regclass('public.asked')) and attnum > 0 and not attisdropped`)
	}
	before := left()
	for name, c := range map[string]struct{ shadow, frees, attack string }{
		"a mask, by a check":         {"create table orders_app.customers(z int)", "drop table orders_app.customers", "alter table customers add constraint guess check (password not like 's%')"},
		"a mask, by an index":        {"create table orders_app.customers(z int)", "alter table orders_app.customers rename to elsewhere", "create index on customers ((1 / case when password like 's%' then 0 else 1 end))"},
		"denied, behind DROP":        {"create table orders_app.vault(z int)", "drop table orders_app.vault", "alter table vault drop column secret"},
		"denied, dropped":            {"create table orders_app.vault(z int)", "drop table vault", "drop table vault"},
		"denied, behind RENAME":      {"create table orders_app.vault(z int)", "alter table vault rename to elsewhere", "alter table vault drop column secret"},
		"denied, behind SET SCHEMA":  {"create schema aside; create table orders_app.vault(z int)", "alter table vault set schema aside", "alter table vault drop column secret"},
		"denied, behind CASCADE":     {"create table orders_app.base(z int); create view orders_app.vault as select z from orders_app.base", "drop table orders_app.base cascade", "alter table vault drop column secret"},
		"denied, behind a column":    {"create table orders_app.base(y int, z int); create view orders_app.vault as select z from orders_app.base", "alter table orders_app.base drop column z cascade", "alter table vault drop column secret"},
		"denied, behind a parent":    {"create table orders_app.base(z int) partition by list (z); create table orders_app.vault partition of orders_app.base default", "drop table orders_app.base", "alter table vault drop column secret"},
		"denied, behind a savepoint": {"create table orders_app.vault(z int)", "savepoint a; drop table vault; release a", "alter table vault drop column secret"},
		"held":                       {"create table orders_app.asked(z int)", "drop table orders_app.asked", "alter table asked drop column secret"},
	} {
		var batch, messages []pgproto3.FrontendMessage
		for _, q := range strings.Split("begin; "+c.frees+"; "+c.attack+"; commit", "; ") {
			batch = append(batch, parse("", q), bind("", "", 0), execute("", 0))
			messages = append(messages, queryOf(q))
		}
		for way, attack := range map[string][]group{
			"in one string":    {{queryOf("begin; " + c.frees + "; " + c.attack + "; commit")}},
			"without BEGIN":    {{queryOf(c.frees + "; " + c.attack)}},
			"in a transaction": {messages},
			"in one batch":     {append(batch, sync3())},
		} {
			if way == "without BEGIN" && strings.HasPrefix(c.frees, "savepoint") {
				continue
			}
			t.Run(name+"/"+way, func(t *testing.T) {
				exec("create schema orders_app")
				exec(strings.Split(c.shadow, "; ")...)
				attacker := wide(t, s)
				if out := sayFor(t, attacker, 300*time.Millisecond, attack...); !bytes.Contains(out, []byte("0A000")) && !bytes.Contains(out, []byte("Not the vault")) {
					t.Errorf("got %q", out)
				}
				if err := attacker.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if after := left(); after != before {
					t.Errorf("left is %s", after)
				}
				if _, err := superuser(t, s).Exec(t.Context(), "drop schema orders_app cascade; drop schema if exists aside cascade"); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// What only makes something anew, and what names something else, goes on behind a name that was freed.
func TestBehindANameThatWasFreedOthersGoOn(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: "grant create on database orders to orders_app; grant create on schema public to orders_app;"})
	c := wide(t, s)
	for _, q := range []string{
		"create table a(x int, y int)", "create table b(x int)",
		"begin; drop table a; create table a(x int, y int); alter table b add column y int; alter table b add column z int; drop table b; commit",
		"drop table if exists b; create table b(x int)", "begin; drop table b", "create table b(x int)", "commit", "drop table a; drop table b",
	} {
		if _, err := c.PgConn().Exec(t.Context(), q).ReadAll(); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}
