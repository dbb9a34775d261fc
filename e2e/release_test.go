package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

const releaseSQL = extraSQL + `
create table left_rows(id int); insert into left_rows select generate_series(1, 5);
create table right_rows(id int); insert into right_rows select generate_series(1, 5);
alter table left_rows owner to orders_app; alter table right_rows owner to orders_app;
grant all on all tables in schema public to orders_app;`

// What people approve is of the relations that its names meant then: tables that changed places meanwhile are others.
func TestAHeldStatementIsReadAgainByTheCatalogOfItsRelease(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: releaseSQL})
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "delete from left_rows")
	id := held(t, s, "left_rows")
	superuserExec(t, s, "alter table left_rows rename to was_left; alter table right_rows rename to left_rows")
	if out, err := s.Sluice(t.Context(), "alice", "approve", id); err == nil && !strings.Contains(out, "approved") {
		t.Errorf("approve said %s", out)
	}
	wantCode(t, wait(t, done), "42501")
	for _, table := range []string{"was_left", "left_rows"} {
		if n := one[int](t, s, "select count(*) from "+table); n != 5 {
			t.Errorf("%s has %d rows", table, n)
		}
	}
	// A table that was dropped and made again is another one, too.
	done = inBackground(t.Context(), c, "delete from was_left where id = 1")
	id = held(t, s, "was_left")
	superuserExec(t, s, "drop table was_left; create table was_left(id int); insert into was_left values (1); grant all on was_left to orders_app")
	_, _ = s.Sluice(t.Context(), "alice", "approve", id) // whether it says so already is a race
	wantCode(t, wait(t, done), "42501")
	if n := one[int](t, s, "select count(*) from was_left"); n != 1 {
		t.Error("it ran on the other table")
	}
}

// BEGIN in one write with a held statement: people see the transaction, and the approved statement runs in it.
func TestAHeldStatementIsShownInTheTransactionThatItIsIn(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	conn := c.PgConn().Conn()
	both, err := (&pgproto3.Query{String: "begin"}).Encode(nil)
	if err == nil {
		both, err = (&pgproto3.Query{String: "delete from work where id = 903"}).Encode(both)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(both); err != nil {
		t.Fatal(err)
	}
	id := held(t, s, "id = 903")
	out, err := s.Sluice(t.Context(), "alice", "approvals", "show", id)
	if err != nil || !strings.Contains(out, "transaction open") {
		t.Errorf("people see: %s %v", out, err)
	}
	approve(t, s, id)
	var got []byte
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !bytes.Contains(got, []byte("DELETE")) && !bytes.Contains(got, []byte("ERROR")); {
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, _ := conn.Read(buf)
		got = append(got, buf[:n]...)
	}
	if !bytes.Contains(got, []byte("DELETE 1")) {
		t.Errorf("got %q", got)
	}
}

// What may run in no transaction may be held by the extended protocol too: the question in what state the session is leaves none.
// And what must be a transaction's first is, whoever changed the catalog before.
func TestAQuestionOfSluicesIsInNobodysWay(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true, SQL: "create table public.indexed(i int); alter table public.indexed owner to orders_app;"})
	policyFile(t, s, "90-held.yaml", `rules:
- name: by-hand
  who: {groups: [agents]}
  on: {targets: [wide], sql: {commands: [CREATE INDEX, VACUUM]}}
  approve: {by: [{groups: [dba], count: 1}], within: 60s}
- {name: maintenance, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [MAINTENANCE]}}, allow: {}}
`)
	c := wide(t, s)
	for _, sql := range []string{"create index concurrently by_i on indexed(i)", "vacuum indexed"} {
		done := make(chan error, 1)
		go func() {
			_, err := c.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, nil).Close()
			done <- err
		}()
		approve(t, s, held(t, s, sql))
		if err := wait(t, done); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for i, sql := range []string{"set transaction isolation level serializable", "set transaction read only", "show transaction_isolation"} {
		if _, err := c.Exec(t.Context(), "begin"); err != nil {
			t.Fatal(err)
		}
		superuserExec(t, s, fmt.Sprintf("create table made_meanwhile_%d(i int)", i))
		time.Sleep(1500 * time.Millisecond) // past Sluice, so it is seen by looking
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if _, err := c.Exec(t.Context(), "rollback"); err != nil {
			t.Fatal(err)
		}
	}
}

// A change of the catalog through one session is seen by the next statement of another.
func TestAChangeThroughSluiceIsSeenAtOnceByOtherSessions(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: "create table swaps(id int, note text, api_key text); insert into swaps values (1, 'note', 'sk-live-swapped'); alter table swaps owner to orders_app;"})
	policyFile(t, s, "90-dba.yaml", "rules:\n- {name: dba-all, who: {groups: [dba]}, on: {targets: [orders]}, allow: {}}\n")
	agent, dba := wide(t, s), connect(t, s, "alice")
	read := func() string {
		var v *string
		if err := agent.QueryRow(t.Context(), "select made from fresh").Scan(&v); err != nil {
			return err.Error()
		}
		return *v
	}
	read()
	for i := range 5 {
		if _, err := dba.Exec(t.Context(), "create view fresh as select api_key as made from swaps"); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != "[masked]" {
			t.Errorf("round %d: got %q", i, got)
		}
		superuserExec(t, s, "drop view fresh")
		waitUntil(t, "its end is seen", func() bool { return strings.Contains(read(), "42P01") })
	}
}

// A schema that comes to stand on the path while a session is open is seen by its next statement.
func TestASchemaThatComesOntoThePathIsSeen(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: "create table public.accounts(id int, x text); alter table public.accounts owner to orders_app;"})
	c := wide(t, s)
	if _, err := c.Exec(t.Context(), "select to_json(a) from accounts a"); err != nil {
		t.Fatal(err)
	}
	superuserExec(t, s, "create schema orders_app authorization orders_app; create table orders_app.accounts(id int, x text, api_key text); insert into orders_app.accounts values (1, 'x', 'sk-live-onthepath'); grant all on orders_app.accounts to orders_app")
	time.Sleep(1500 * time.Millisecond) // it was made past Sluice: the window of LIMITS
	if got := say(t, c, group{queryOf("select to_json(a) from accounts a")}, group{parse("", "select to_json(a) from accounts a"), bind("", "", 0), execute("", 0), sync3()}); bytes.Contains(got, []byte("sk-live")) {
		t.Errorf("got %q", got)
	}
}
