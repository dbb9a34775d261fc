package e2e

import (
	"bytes"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// A statement is judged by what its names mean, and the server looks them up later: behind a lock of somebody who changes
// them, or behind what was sent before it. Whichever way, what runs is what was judged.
func TestWhatRunsIsWhatWasJudgedWhoeverChangesItMeanwhile(t *testing.T) {
	const slow = "select count(*) from generate_series(1, 5000000)"
	s := ownStage(t, stage.Options{SQL: `
grant create on database orders to orders_app;
create table public.ledger(id int, amount int); insert into public.ledger select i, 1 from generate_series(1, 5) i; grant all on public.ledger to orders_app;`})
	policyFile(t, s, "90-ledger.yaml", "rules:\n- {name: ledger, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [UPDATE], relations: [public.ledger]}}, deny: {message: Not the ledger.}}\n")
	exec := func(c *pgx.Conn, sql ...string) {
		t.Helper()
		for _, q := range sql {
			if _, err := c.PgConn().Exec(t.Context(), q).ReadAll(); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
	}
	secret := one[string](t, s, "select password from customers where id = 5")
	for name, c := range map[string]struct {
		before         []string
		change, attack string
		after          []string
		bad            string
	}{
		"a COPY whose columns change": {
			[]string{"create table cpy(id int, api_key text)", "insert into cpy values (1, 'sk-live-copysecret')"},
			"alter table cpy drop column id, add column z text", "copy cpy to stdout",
			[]string{"drop table cpy"},
			"sk-live-copysecret",
		},
		"another table of the name": {
			[]string{"create schema orders_app", "create table orders_app.customers(id int, password text)"},
			"drop table orders_app.customers", "select id, upper(password), to_json(c) from customers c where id = 5",
			[]string{"drop schema orders_app"},
			secret,
		},
		"a column that comes to be compared": {
			[]string{"create table decoy(guess text)", "insert into decoy values ('" + secret + "'), ('another')"},
			"alter table decoy rename column guess to password", "select 'n=' || count(*) from customers c natural join decoy d where c.id = 5",
			[]string{"drop table decoy"},
			"n=1",
		},
		"a write that is denied": {
			[]string{"create schema orders_app", "create table orders_app.ledger(id int, amount int)"},
			"drop table orders_app.ledger", "update ledger set amount = 666 returning amount",
			[]string{"drop schema orders_app"},
			"666",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for way, attack := range map[string][]group{
				"behind a lock":       {{queryOf(c.attack)}},
				"in the next message": {{queryOf(slow), queryOf(c.attack)}},
				"in one string":       {{queryOf(slow + "; " + c.attack)}},
				"in one batch":        {{parse("", slow), bind("", "", 0), execute("", 0), parse("", c.attack), bind("", "", 0), execute("", 0), sync3()}},
			} {
				if c.bad != "sk-live-copysecret" && (way == "in one string" || way == "in one batch") {
					continue // the ways are tried on the first case
				}
				t.Run(way, func(t *testing.T) {
					changer, attacker := wide(t, s), wide(t, s)
					exec(changer, c.before...)
					time.Sleep(1200 * time.Millisecond) // the catalog of the attacker is that of now
					exec(attacker, "select 1")
					locked := way == "behind a lock"
					if locked {
						exec(changer, "begin", c.change)
					}
					got := make(chan []byte, 1)
					go func() { got <- sayFor(t, attacker, 3*time.Second, attack...) }()
					time.Sleep(200 * time.Millisecond)
					if locked {
						exec(changer, "commit")
					} else {
						exec(changer, c.change)
					}
					if out := <-got; bytes.Contains(bytes.ToLower(out), bytes.ToLower([]byte(c.bad))) {
						t.Errorf("got %q", out)
					}
					exec(changer, c.after...)
				})
			}
		})
	}
}

// Who is waited for here can be waited for no longer than the database would let them, and a cancel ends the wait.
func TestAWaitForAnothersChangeEnds(t *testing.T) {
	s := ownStage(t, stage.Options{})
	changer, reader := wide(t, s), wide(t, s)
	for _, c := range []struct {
		conn *pgx.Conn
		sql  string
	}{
		{changer, "create table waits(id int)"},
		{reader, "select id from waits"}, // the catalog is read before it is locked
		{changer, "begin"},
		{changer, "alter table waits add column x int"},
	} {
		if _, err := c.conn.PgConn().Exec(t.Context(), c.sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	done := inBackground(t.Context(), reader, "select id from waits")
	time.Sleep(300 * time.Millisecond)
	if err := reader.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, wait(t, done), "57014")
	done = inBackground(t.Context(), reader, "select id from waits")
	time.Sleep(300 * time.Millisecond)
	if err := changer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
}
