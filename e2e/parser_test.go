package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// unreadable are texts that no grammar takes.
var unreadable = []string{
	`select E'\u061'`, `select E'\U0000006'`, `select E'\udd00'`, `select U&'\zzzz'`, `select U&'a' uescape '+'`, `select 'ü', E'\xg', E'\u12'`,
	"create schema if not exists s create table t(i int)", "create schema s create nonsense",
	"create table c(i int references p on update set null (i))", "create table c(i int references p on delete set null (i) match partial)",
	"create table c(foo int, foreign key (foo) references p on update set null (foo))",
	"alter table t alter constraint c deferrable not deferrable", "create view v as select 1 with check option; create recursive",
	"selec 1", "select 1 from", "select * frm t", "select 1; selec 2", "", "select 'abc", `select "abc`, "select 1 /* open", "select $a$ open", "\nselect ''''||'x", "select 1 +", "select (1",
	"select 9223372036854775808x", "select 0x", "select 1_", "select $1a", "select \"\"", "explain explain select 1 2", "copy t (a from stdin",
	"set time zone interval '1' year", "select 1 limit 1 limit 2", "values (default) order by",
	"grant foo bar to baz", "select * from t for update of", "create function f() returns int language sql language sql as", "drop function f(out", "select a.* .b",
}

// What PostgreSQL's parser says of a text is what the agent reads, through Sluice too, whichever way it is sent.
func TestParserErrorsAreTheServersOwn(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	direct := superuser(t, s)
	through := wide(t, s)
	ways := map[string]func(c *pgconn.PgConn, sql string) error{
		"by Query": func(c *pgconn.PgConn, sql string) error {
			_, err := c.Exec(t.Context(), sql).ReadAll()
			return err
		},
		"by Parse": func(c *pgconn.PgConn, sql string) error {
			_, err := c.Prepare(t.Context(), "", sql, nil)
			return err
		},
		"by Parse of a name": func(c *pgconn.PgConn, sql string) error {
			_, err := c.Prepare(t.Context(), "named", sql, nil)
			return err
		},
	}
	for _, sql := range unreadable {
		if sql == "" {
			continue
		}
		for way, send := range ways {
			want, got := pgError(send(direct.PgConn(), sql)), pgError(send(through.PgConn(), sql))
			if diff := cmp.Diff(want, got); diff != "" || want.Code == "" {
				t.Errorf("%s: %s (-PostgreSQL +Sluice):\n%s", way, sql, diff)
			}
		}
	}
	t.Run("in a transaction", func(t *testing.T) {
		for _, c := range []*pgx.Conn{direct, through} {
			if _, err := c.PgConn().Exec(t.Context(), "begin").ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second time it has failed
			for way, send := range ways {
				want, got := pgError(send(direct.PgConn(), unreadable[0])), pgError(send(through.PgConn(), unreadable[0]))
				if diff := cmp.Diff(want, got); diff != "" || direct.PgConn().TxStatus() != 'E' || through.PgConn().TxStatus() != 'E' {
					t.Errorf("%s (-PostgreSQL +Sluice), in states %c and %c:\n%s", way, direct.PgConn().TxStatus(), through.PgConn().TxStatus(), diff)
				}
			}
		}
	})
}

// told is what a client reads of an error.
type told struct {
	Severity, Code, Message, Detail, Hint string
	Position                              int32
}

func pgError(err error) told {
	var e *pgconn.PgError
	if !asPgError(err, &e) {
		return told{}
	}
	return told{e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position}
}

// What the server's grammar takes and Sluice's does not is refused in Sluice's words, and nothing of it happens: no constant
// becomes a value, no name is looked up.
func TestATextThatTheServerTakesAndSluiceDoesNotIsNotRun(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true, SQL: movesSQL + `
create function spy(v text) returns boolean language plpgsql as $$ begin raise exception using errcode = '42601', message = 'spied ' || v; end $$;
create domain spied as text check (spy(value));`})
	c := wide(t, s)
	for name, sql := range map[string]string{
		"RETURNING WITH":        "update orders set total = 1 where id = 1 returning with (old as o) o.total",
		"a constant":            "update orders set total = 1 where 'x'::spied is null returning with (old as o) o.total",
		"a name":                "delete from nowhere_at_all returning with (new as n) n.id",
		"behind another":        "select 1; delete from orders returning with (old as o) o.id",
		"a comment in a string": "select 'a' -- c\n'b'::spied",
	} {
		for _, prepared := range []bool{false, true} {
			var err error
			if prepared {
				_, err = c.PgConn().Prepare(t.Context(), "", sql, nil)
			} else {
				_, err = c.PgConn().Exec(t.Context(), sql).ReadAll()
			}
			if e := pgError(err); e.Code != "42601" || !strings.Contains(e.Detail, "PostgreSQL 17's grammar") || strings.Contains(e.Message, "multiple commands") {
				t.Errorf("%s, prepared %v: %+v", name, prepared, e)
			}
		}
	}
	if n := one[int](t, s, "select count(*) from orders where total = 1"); n != 0 {
		t.Errorf("%d rows were changed", n)
	}
}

// What names a parameter that no Bind can carry fails where PostgreSQL fails.
func TestParametersThatNoBindCarriesFailAsPostgreSQLFails(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	direct := superuser(t, s)
	through := wide(t, s)
	for name, c := range map[string]struct {
		sql    string
		values int
		simple bool
		code   string
	}{
		"$65536 by Bind":          {parametersTo(65536), 1, false, "08P01"},
		"$65536 and all it takes": {parametersTo(65536), 65535, false, "08P01"},
		"$70000 by Bind":          {parametersTo(70000), 0, false, "08P01"},
		"$65535 by Bind":          {parametersTo(65535), 2, false, "08P01"},
		"others left open":        {"select $65536::int", 1, false, "42P18"},
		"$65536 by Query":         {"select $65536::int", 0, true, "42P02"},
		"$0 by Bind":              {"select 'ü', $0", 0, false, "42P02"},
	} {
		t.Run(name, func(t *testing.T) {
			send := func(conn *pgx.Conn) told {
				if c.simple {
					_, err := conn.PgConn().Exec(t.Context(), c.sql).ReadAll()
					return pgError(err)
				}
				return pgError(conn.PgConn().ExecParams(t.Context(), c.sql, make([][]byte, c.values), nil, nil, nil).Read().Err)
			}
			want, got := send(direct), send(through)
			if diff := cmp.Diff(want, got); diff != "" || want.Code != c.code {
				t.Errorf("(-PostgreSQL +Sluice):\n%s", diff)
			}
			if _, err := through.Exec(t.Context(), "select 1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func parametersTo(n int) string {
	var b strings.Builder
	b.WriteString("values (1)")
	for i := range n {
		fmt.Fprintf(&b, ",($%d::int)", i+1)
	}
	return b.String()
}

// A SET that PostgreSQL refuses is refused in its words: they quote what the client wrote. Others are withheld where masks
// apply, as ever.
func TestTheErrorOfASetIsTold(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	direct := superuser(t, s)
	through := wide(t, s)
	send := func(conn *pgx.Conn, sql string) told {
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		return pgError(err)
	}
	for _, sql := range []string{
		"set client_min_messages = panic", "set statement_timeout = 'soon'", "set time zone 'Mars/Olympus'", "set local datestyle to 'backwards'",
		"set nosuch_setting = 1", "set work_mem = 1", "select 1; set extra_float_digits = 99",
	} {
		if diff := cmp.Diff(send(direct, sql), send(through, sql)); diff != "" {
			t.Errorf("%s (-PostgreSQL +Sluice):\n%s", sql, diff)
		}
	}
	for _, sql := range []string{"select 'abc'::int", "select set_config('statement_timeout', 'soon', false)", "select name::int from customers"} {
		if e := send(through, sql); !strings.Contains(e.Message, "withheld") {
			t.Errorf("%s: %+v", sql, e)
		}
	}
	if e := send(through, "set search_path = public"); e.Code != "42501" || e.Hint != "Name schemas in your statements." {
		t.Errorf("search_path: %+v", e)
	}
}

// What the server says of a text quotes it. The record hides the values of one that nobody could read, there too.
func TestAnErrorOfWhatCouldNotBeReadIsNotQuotedInTheRecord(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "bob")
	for _, sql := range []string{
		"select 1 'sesame'", "select $$sesame$$ 'sesame'", `select 'sesame', U&'sesame' uescape '+'`, "select 1, 'sesame", `alter role x password 'sesame' "sesame"`,
		`select 'sesame', E'\u061'`,
	} {
		_, simple := c.PgConn().Exec(t.Context(), sql).ReadAll()
		_, extended := c.Prepare(t.Context(), "", sql)
		for _, err := range []error{simple, extended} {
			if pgError(err).Code == "" {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	_, err := c.PgConn().Exec(t.Context(), "select 1 'sesame'").ReadAll()
	if !strings.Contains(pgError(err).Message, "sesame") {
		t.Errorf("the agent is told %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	replay := replayOf(t, s, "demo:bob")
	if strings.Contains(replay, "sesame") || !strings.Contains(replay, "syntax error at or near") || !strings.Contains(replay, "22025") {
		t.Errorf("the record has\n%s", replay)
	}
}
