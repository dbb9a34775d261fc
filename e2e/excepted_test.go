package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// Whom a mask excepts may read all of it, and do everything.
const exceptedRules = `rules:
- {name: excepted, who: {groups: [dba]}, on: {targets: [wide]}, allow: {}}
`

// A mask that spares nobody.
const unsparing = `masks:
- {name: unsparing, on: {targets: [wide]}, columns: ["public.customers.password"], redact: {}}
`

// exceptedConn is a session of somebody whom the masks except.
func exceptedConn(t *testing.T, s *stage.Stage) *pgconn.PgConn {
	t.Helper()
	cfg, err := pgx.ParseConfig("postgres://alice@" + s.Wide + "/orders?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = mustToken(t, s, "alice")
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c.PgConn()
}

// said is all that a string of statements gives, in words.
func said(ctx context.Context, c *pgconn.PgConn, sql string) string {
	var b strings.Builder
	results, err := c.Exec(ctx, sql).ReadAll()
	for _, r := range results {
		for _, row := range r.Rows {
			for _, v := range row {
				b.Write(v)
				b.WriteByte(' ')
			}
		}
	}
	if err != nil {
		b.WriteString(err.Error())
	}
	return b.String()
}

// Others read the record: what somebody whom a mask excepts works out of what is masked is hidden there.
func TestTheRecordHidesWhatTheExceptedWorkOutOfWhatIsMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	policyFile(t, s, "95-excepted.yaml", exceptedRules)
	c := exceptedConn(t, s)
	const secret = "secret-password-"
	ctx := t.Context()
	for _, sql := range []string{
		"create view plain as select id, name from customers",
		"create function leaks() returns text language sql stable as 'select password from public.customers where id = 1'",
	} {
		if got := said(ctx, c, sql); got != "" {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	for _, sql := range []string{
		"select password || '' from customers where id = 1",
		"select upper(password), lower(password) from customers where id = 1",
		"select min(password) from customers",
		"select password from customers where id = 1 union select ''",
		"with p as (select password as x from customers where id = 1) select x from p",
		"update customers set name = name where id = 1 returning password || ''",
		"select name, password || '' from customer_view where id = 1",
		"select leaks()",
		"select * from leaks()",
		"explain (verbose) select id from customers where password = '" + secret + "1'",
		"begin; create view fresh as select password || '' as n from customers; select n || '' from fresh limit 1; rollback",
		"begin; create or replace view plain as select id, password || '' as name from customers; select name || '' from plain where id = 1; rollback",
	} {
		if got := said(ctx, c, sql); !strings.Contains(strings.ToLower(got), secret) {
			t.Errorf("%s: %s", sql, got)
		}
	}
	for _, sql := range []string{ // in steps
		"begin", "create or replace view plain as select id, password || '' as name from customers", "select name || '' from plain where id = 1",
		"rollback",
	} {
		said(ctx, c, sql)
	}
	for _, sql := range []string{
		"copy (select lower(password) from customers where id = 1) to stdout",
		"copy (select password, 1 from customers where id = 1) to stdout with (format csv, header)",
		"copy (select leaks()) to stdout",
		"copy (select password || '' from customers where id = 1) to stdout with (format binary)",
	} {
		var b strings.Builder
		if _, err := c.CopyTo(ctx, &b, sql); err != nil || !strings.Contains(b.String(), secret) {
			t.Errorf("%s: %v %s", sql, err, b.String())
		}
	}
	said(ctx, c, "begin; create or replace view plain as select id, password || '' as name from customers")
	var b strings.Builder
	if _, err := c.CopyTo(ctx, &b, "copy (select name || '' from plain where id = 1) to stdout"); err != nil || !strings.Contains(b.String(), secret) {
		t.Errorf("a COPY behind a change: %v %s", err, b.String())
	}
	said(ctx, c, "rollback")
	if got := said(ctx, c, "select count(*), 'words' from customers"); !strings.Contains(got, "words") {
		t.Error(got)
	}
	_ = c.Close(ctx)
	got := replayOf(t, s, "demo:alice")
	for line := range strings.Lines(got) {
		if strings.Contains(strings.ToLower(line), secret) {
			t.Errorf("the record has %s", line)
		}
	}
	if !strings.Contains(got, "words") {
		t.Error("what has nothing to do with a mask is not in the record")
	}
}

// The data of COPY … FROM STDIN is hidden in the record as constants of INSERT are, whoever sends it and however it ends.
func TestTheRecordHidesWhatIsCopiedIntoWhatIsMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	policyFile(t, s, "95-excepted.yaml", exceptedRules)
	c := exceptedConn(t, s)
	ctx := t.Context()
	const secret = "copied-secret"
	if got := said(ctx, c, "create table unmasked (i int, t text)"); got != "" {
		t.Fatal(got)
	}
	for _, one := range []struct {
		sql, data string
		fails     bool
	}{
		{sql: "copy customers (api_key, id, name, email, password) from stdin", data: "k\t3001\tshown-name\tn@example.com\t" + secret + "1\n"},
		{sql: "copy customers (api_key, id, name, password, email) from stdin csv", data: "k,3002,\"shown\nlines\",\"" + secret + "\"\"2\n\",n@example.com\n"},
		{sql: "copy customers (api_key, id, name, email, password) from stdin csv header", data: "e,a,b,c,d\nk,3003,shown-head,n@example.com," + secret + "3"},
		{sql: "copy unmasked from stdin", data: "1\tshown-all\n"},
		{sql: "copy customers (id, name, email, password) from stdin", data: "3004\tn\tn@example.com\t" + secret + "4\tx\n", fails: true},
		{sql: "copy customers (id, name, email, password) from stdin", data: "nine\tn\tn@example.com\t" + secret + "5\n", fails: true},
		{sql: "copy customers (id, password) from stdin binary", data: "PGCOPY\n" + secret, fails: true},
	} {
		if _, err := c.CopyFrom(ctx, strings.NewReader(one.data), one.sql); (err != nil) != one.fails {
			t.Errorf("%s: %v", one.sql, err)
		}
	}
	got := said(ctx, c, "select count(*) from customers where id between 3001 and 3003 and starts_with(password, 'copied')")
	if got != "3 " {
		t.Errorf("rows that came: %s", got)
	}
	_ = c.Close(ctx)
	got = replayOf(t, s, "demo:alice")
	data := copiedIn(t, replayOf(t, s, "demo:alice", "-o", "json"))
	for line := range strings.Lines(got + data) {
		if strings.Contains(line, secret) {
			t.Errorf("the record has %s", line)
		}
	}
	for _, shown := range []string{"shown-name", "shown\nlines", "shown-head", "shown-all", "hidden, 14 bytes"} {
		if !strings.Contains(data, shown) {
			t.Errorf("the record does not have %s", shown)
		}
	}
}

// Nothing that is no UTF-8, and nothing long, makes the record fail: PostgreSQL answers, and the session goes on.
func TestWhatIsNoUTF8IsRefusedAsPostgreSQLDoes(t *testing.T) {
	s := ownStage(t, stage.Options{})
	policyFile(t, s, "95-excepted.yaml", exceptedRules)
	c := exceptedConn(t, s)
	ctx := t.Context()
	const want = `ERROR: invalid byte sequence for encoding "UTF8": 0xff (SQLSTATE 22021)`
	for _, sql := range []string{"select 1 -- \xff", "select '\xff'", "\xff"} {
		if got := said(ctx, c, sql); got != want {
			t.Errorf("%q: %s", sql, got)
		}
	}
	if _, err := c.Prepare(ctx, "\xffn", "select 1", nil); err == nil || err.Error() != want {
		t.Errorf("a name: %v", err)
	}
	for _, format := range []int16{0, 1} {
		got := c.ExecParams(ctx, "select $1", [][]byte{{0xff}}, []uint32{25}, []int16{format}, nil).Read()
		if got.Err == nil || !strings.Contains(got.Err.Error(), "22021") {
			t.Errorf("a parameter of format %d: %v", format, got.Err)
		}
	}
	long := slices.Repeat([][]byte{[]byte(strings.Repeat("\x00", 64<<10))}, 250)
	var sql strings.Builder
	for i := range long {
		fmt.Fprintf(&sql, ", $%d", i+1)
	}
	if got := c.ExecParams(ctx, "select coalesce("+sql.String()[2:]+") is null", long, slices.Repeat([]uint32{17}, len(long)), []int16{1}, nil).Read(); got.Err != nil {
		t.Error(got.Err)
	}
	if got := said(ctx, c, "select 'goes on'"); got != "goes on " {
		t.Errorf("then %s", got)
	}
	_ = c.Close(ctx)
	if got := replayOf(t, s, "demo:alice"); !strings.Contains(got, `-- \xff`) || !strings.Contains(got, "goes on") {
		t.Errorf("the record has %s", got)
	}
}

// copiedIn is the data of COPY … FROM STDIN that a record has.
func copiedIn(t *testing.T, replay string) string {
	t.Helper()
	var out strings.Builder
	for events := json.NewDecoder(strings.NewReader(replay)); events.More(); {
		var event struct {
			Data struct {
				Direction string `json:"direction"`
				Bytes     []byte `json:"bytes"`
			} `json:"data"`
		}
		if err := events.Decode(&event); err != nil {
			t.Fatal(err)
		}
		if event.Data.Direction == "FROM_AGENT" {
			out.Write(event.Data.Bytes)
		}
	}
	return out.String()
}

// A trigger may put something else in the place of a prepared statement, as late as its transaction ends. Once a mask comes
// for whoever prepared it, it shows nothing more.
func TestNoTriggerPutsWhatIsMaskedInThePlaceOfAName(t *testing.T) {
	s := ownStage(t, stage.Options{})
	policyFile(t, s, "95-excepted.yaml", exceptedRules)
	ctx := t.Context()
	setup := exceptedConn(t, s)
	for _, sql := range []string{
		"create table later (i int)", "create table now (i int)", "create table off (i int)",
		`create function swap() returns trigger language plpgsql as $$ begin execute 'deallocate p'; execute 'prepare p as select password || '''' as name from public.customers order by id limit 1'; return new; end $$`,
		"create constraint trigger tr after insert on later deferrable initially deferred for each row execute function swap()",
		"create trigger tr after insert on off for each row execute function swap()", "alter table off disable trigger tr",
	} {
		if got := said(ctx, setup, sql); got != "" {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	const sql = "select name from public.customers limit 1"
	prepare := func(c *pgconn.PgConn) {
		t.Helper()
		if _, err := c.Prepare(ctx, "p", sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	const prepared = "" // where p is prepared
	script := func(steps ...string) func(*pgconn.PgConn) {
		return func(c *pgconn.PgConn) {
			for _, step := range steps {
				if step == prepared {
					prepare(c)
				} else {
					said(ctx, c, step)
				}
			}
		}
	}
	const insert = "insert into later values (1)"
	ways := map[string]func(*pgconn.PgConn){
		"deferred, prepared in its transaction":             script("begin", insert, prepared, "commit"),
		"deferred, and the next transaction begins at once": script("begin", insert, prepared, "commit and chain"),
		"at SET CONSTRAINTS":                                script("begin", insert, prepared, "set constraints all immediate", "commit"),
		"of a trigger that is new": script("begin", "create trigger tr before insert on now for each row execute function swap()",
			prepared, "insert into now values (1)", "drop trigger tr on now", "commit"),
		"of a trigger that was off": script(prepared, "begin", "alter table off enable trigger tr", "insert into off values (1)",
			"alter table off disable trigger tr", "commit"),
		"in a batch that is a transaction": func(c *pgconn.PgConn) {
			p := c.StartPipeline(ctx)
			p.SendQueryParams(insert, nil, nil, nil, nil)
			p.SendPrepare("p", sql, nil)
			if err := p.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"by COPY": func(c *pgconn.PgConn) {
			said(ctx, c, "begin")
			if _, err := c.CopyFrom(ctx, strings.NewReader("1\n"), "copy later from stdin"); err != nil {
				t.Fatal(err)
			}
			prepare(c)
			said(ctx, c, "commit")
		},
	}
	sessions := map[string]*pgconn.PgConn{}
	for name, way := range ways {
		sessions[name] = exceptedConn(t, s)
		way(sessions[name])
	}
	policyFile(t, s, "96-unsparing.yaml", unsparing)
	for name, c := range sessions {
		r := c.ExecPrepared(ctx, "p", nil, nil, nil).Read()
		for _, row := range r.Rows {
			if strings.Contains(string(row[0]), "secret-password") {
				t.Errorf("%s: shows %s", name, row[0])
			}
		}
		if len(r.Rows) == 0 && r.Err == nil {
			t.Errorf("%s: nothing came", name)
		}
	}
}
