package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
)

// openTarget adds a target on which agents may do everything and nothing is hidden, and returns its address.
func openTarget(t *testing.T, s *stage.Stage) string {
	t.Helper()
	port, err := stack.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	policyFile(t, s, "95-open.yaml", fmt.Sprintf(`targets:
- name: open
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  postgres:
    endpoints: [{host: 127.0.0.1, port: %d}]
    database: orders
    via: DIRECT
    tls: {mode: DISABLE}
  credential: {static: {username: orders_app, password: {env: ORDERS_PASSWORD}}}
rules:
- {name: open, who: {groups: [agents]}, on: {targets: [open]}, allow: {}}
`, port, s.Postgres.Port))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// openConfig is how an agent connects there.
func openConfig(t *testing.T, s *stage.Stage, address string) *pgx.ConnConfig {
	t.Helper()
	cfg, err := pgx.ParseConfig("postgres://agent@" + address + "/orders?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Password, err = s.Token(t.Context(), "agent"); err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return cfg
}

// openConn waits for the listener, which comes a moment after the policy.
func openConn(t *testing.T, cfg *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	var conn *pgx.Conn
	waitUntil(t, "the open listener", func() bool {
		var err error
		conn, err = pgx.ConnectConfig(t.Context(), cfg)
		return err == nil
	})
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Whoever may do everything waits for nobody's names, and what is a session's own is no matter of others.
func TestWhoMayDoEverythingWaitsForNobodysNames(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true, SQL: "grant create, temporary on database orders to orders_app; grant create on schema public to orders_app; create table public.book(id int); alter table public.book owner to orders_app;"})
	cfg := openConfig(t, s, openTarget(t, s))
	for name, c := range map[string]struct{ first, second string }{
		"a temporary table":         {"begin; create temp table named(i int)", "create table named(i int); drop table named"},
		"a temporary view":          {"begin; create temp view seen as select 1", "create view seen as select 2; drop view seen"},
		"what uses a temporary one": {"begin; create temp table mine(i int); insert into mine values (1)", "create table other(i int); drop table other"},
		"a block of code":           {"begin; do $$ begin end $$", "create table blocked(i int); drop table blocked"},
		"a function":                {"begin; create function held_back() returns int language sql as 'select 1'", "create table another(i int); drop table another"},
		"the same name":             {"begin; comment on table book is 'x'", "create table book_copy as select id from book; drop table book_copy"},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := openConn(t, cfg), openConn(t, cfg)
			if _, err := first.Exec(t.Context(), c.first); err != nil {
				t.Fatal(err)
			}
			mustEndSoon(t, second, c.second)
		})
	}
	t.Run("what runs long", func(t *testing.T) {
		first, second := openConn(t, cfg), openConn(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := first.Exec(ctx, "select count(*) from customers, pg_sleep(60)")
			done <- err
		}()
		waitUntil(t, "the long statement", func() bool {
			var n int
			return second.QueryRow(t.Context(), "select count(*) from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid()").Scan(&n) == nil && n > 0
		})
		mustEndSoon(t, second, "create table meanwhile(i int); do $$ begin end $$; drop table meanwhile")
		cancel()
		if err := <-done; err == nil {
			t.Error("a cancelled statement came to its end")
		}
	})
	t.Run("who is bounded waits for them", func(t *testing.T) {
		first, second := openConn(t, cfg), wide(t, s)
		if _, err := first.Exec(t.Context(), "begin; alter table book rename to book_moved"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := second.Exec(ctx, "select id from book limit 1"); err == nil {
			t.Error("it was let through by a name that is being changed")
		}
	})
}

// mustEndSoon runs what would have waited for half a minute.
func mustEndSoon(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.Exec(ctx, sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// Cursors and prepared statements of SQL are followed by nobody, so they are for those to whom nothing is bounded, for as
// long as they are.
func TestCursorsAndPreparedStatementsOfSQLAreForWhomNothingIsBounded(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	cfg := openConfig(t, s, openTarget(t, s))
	one := func(c *pgx.Conn, sql string) (v string, err error) {
		err = c.QueryRow(t.Context(), sql).Scan(&v)
		return v, err
	}
	for name, c := range map[string]struct {
		before []string
		sql    string
		want   string
	}{
		"FETCH":                         {[]string{"begin", "declare c cursor for select i::text from generate_series(1, 9) i", "move 3 in c"}, "fetch next from c", "4"},
		"FETCH over COMMIT":             {[]string{"begin", "declare h cursor with hold for select 'held'", "commit"}, "fetch all from h", "held"},
		"MOVE and FETCH backward":       {[]string{"begin", "declare b scroll cursor for select i::text from generate_series(1, 9) i", "move last in b"}, "fetch prior from b", "8"},
		"a name again behind CLOSE":     {[]string{"begin", "declare c cursor for select '1'", "close c", "declare c cursor for select '2'"}, "fetch c", "2"},
		"EXECUTE":                       {[]string{"prepare p(int) as select ($1 + 1)::text"}, "execute p(41)", "42"},
		"a name again after DEALLOCATE": {[]string{"prepare p as select '1'", "deallocate p", "prepare p as select '2'"}, "execute p", "2"},
		"EXPLAIN EXECUTE":               {[]string{"prepare p as select '1'"}, "explain execute p", "Result  (cost=0.00..0.01 rows=1 width=32)"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := openConn(t, cfg)
			for _, sql := range c.before {
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			if got, err := one(conn, c.sql); err != nil || got != c.want {
				t.Errorf("%s: %q, %v", c.sql, got, err)
			}
		})
	}
	t.Run("what the protocol prepared", func(t *testing.T) {
		conn := openConn(t, cfg)
		if _, err := conn.Prepare(t.Context(), "by_protocol", "select 'prepared'"); err != nil {
			t.Fatal(err)
		}
		if got, err := one(conn, "execute by_protocol"); err != nil || got != "prepared" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("until a mask comes", func(t *testing.T) {
		conn := openConn(t, cfg)
		for _, sql := range []string{
			"prepare p as select password from customers where id = 1", "begin",
			"declare h cursor with hold for select password from customers", "commit",
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		bound := say(t, conn, group{parse("f", "fetch 1 from h"), bind("f", "f", 0), &pgproto3.Flush{}})
		if !strings.Contains(string(bound), "2\x00\x00\x00\x04") {
			t.Fatalf("FETCH was not bound: %q", bound)
		}
		policyFile(t, s, "96-mask.yaml", "masks:\n- {name: open, on: {targets: [open]}, columns: [public.customers.password], redact: {}}\n")
		got := say(t, conn, group{execute("f", 0), sync3()}, group{queryOf("fetch 1 from h")}, group{queryOf("execute p")},
			group{bind("", "p", 0), execute("", 0), sync3()}, group{execute("h", 0), sync3()})
		if words := strings.Join(pgmodel.Transcript(got, nil), " "); strings.Contains(words, " D ") || !strings.HasPrefix(words, "E ERROR 42501") || strings.Count(words, "E ERROR 0A000") != 2 {
			t.Errorf("a mask came, and then: %s", words)
		}
	})
}

// What was put in the place of a name while nothing was bounded is not run as what was prepared under it, and who listens gets
// no words of others in clear, once a mask has come.
func TestWhatWasDoneWhileNothingWasBoundedIsNoWayRoundAMask(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	cfg := openConfig(t, s, openTarget(t, s))
	conn, listens, speaks := openConn(t, cfg), openConn(t, cfg), openConn(t, cfg)
	done := say(t, conn, group{parse("s", "select name from customers"), sync3()},
		group{queryOf("do $$ begin execute 'deallocate s'; execute 'prepare s as delete from customers returning password'; end $$")})
	if words := strings.Join(pgmodel.Transcript(done, nil), " "); words != `1 Z "I" C "DO\x00" Z "I"` {
		t.Fatal(words)
	}
	if _, err := listens.Exec(t.Context(), "listen news"); err != nil {
		t.Fatal(err)
	}
	policyFile(t, s, "96-mask.yaml", "masks:\n- {name: open, on: {targets: [open]}, columns: [public.customers.password], redact: {}}\n")
	got := say(t, conn, group{bind("", "s", 0), execute("", 0), sync3()})
	if words := strings.Join(pgmodel.Transcript(got, nil), " "); strings.Contains(words, " D ") || !strings.HasPrefix(words, "E ERROR 26000") {
		t.Errorf("the statement: %s", words)
	}
	if _, err := speaks.Exec(t.Context(), "notify news, 'hunter2'"); err != nil {
		t.Fatal(err)
	}
	n, err := listens.WaitForNotification(t.Context())
	if err != nil || n.Channel != "news" || n.Payload != "" {
		t.Errorf("heard %+v, %v", n, err)
	}
}

// replacesNames is a function that gives the name of a prepared statement to another, and what runs it.
const replacesNames = `create function replaces() returns int language plpgsql as $f$ begin
	execute 'deallocate s'; execute 'prepare s as select upper(password) from customers order by id'; return 1; end $f$;
create function fires() returns trigger language plpgsql as $f$ begin perform replaces(); return null; end $f$;
create table at_once(i int); create trigger t after insert on at_once for each row execute function fires();
create table at_commit(i int); create constraint trigger t after insert on at_commit deferrable initially deferred for each row execute function fires();
create procedure replaces_by_call() language plpgsql as $f$ begin perform replaces(); end $f$;
grant all on at_once, at_commit to orders_app; grant create on schema public to orders_app;`

// It may be replaced by what no text says, and after a mask has come: by what waits for the transaction's end.
func TestNothingGivesAPreparedNameAnotherMeaningUnderAMask(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true, SQL: replacesNames})
	cfg := openConfig(t, s, openTarget(t, s))
	conns := map[string]*pgx.Conn{}
	after := map[string]string{}
	for name, c := range map[string]struct{ before, then, after string }{
		"EXECUTE":                    {"prepare p as select replaces()", "execute p", ""},
		"FETCH":                      {"begin; declare c cursor for select replaces()", "fetch c", "commit"},
		"a cursor that is held":      {"begin; declare c cursor with hold for select replaces()", "", "commit"},
		"a trigger":                  {"", "insert into at_once values (1)", ""},
		"a trigger at COMMIT":        {"begin; insert into at_commit values (1)", "commit", ""},
		"a trigger at COMMIT, later": {"begin; insert into at_commit values (1)", "", "commit"},
		"CALL":                       {"", "call replaces_by_call()", ""},
		"a default":                  {"create table filled(i int); insert into filled values (1)", "alter table filled add column j int default replaces()", ""},
	} {
		conns[name], after[name] = openConn(t, cfg), c.after
		groups := []group{{queryOf(c.before)}, {parse("s", "select name from customers order by id"), sync3()}, {queryOf(c.then)}}
		if words := strings.Join(pgmodel.Transcript(sayFor(t, conns[name], 300*time.Millisecond, groups...), nil), " "); strings.Contains(words, "ERROR") {
			t.Fatalf("%s: %s", name, words)
		}
	}
	policyFile(t, s, "96-mask.yaml", "masks:\n- {name: open, on: {targets: [open]}, columns: [public.customers.password], redact: {}}\n")
	for name, conn := range conns {
		got := sayFor(t, conn, 300*time.Millisecond, group{queryOf(after[name])}, group{bind("", "s", 0), execute("", 0), sync3()})
		if words := strings.Join(pgmodel.Transcript(got, nil), " "); strings.Contains(words, " D ") || !strings.Contains(words, "E ERROR 26000") {
			t.Errorf("%s: %s", name, words)
		}
	}
}

// What a client may say at startup, it may say here: the path in which names are looked up, and which protocol it speaks.
func TestTheSearchPathOfAStartupCountsForWhomNothingIsBounded(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true, SQL: "create schema aside; create table aside.only_here(i int); grant usage on schema aside to orders_app; grant select on aside.only_here to orders_app;"})
	address := openTarget(t, s)
	openConn(t, openConfig(t, s, address))
	for name, c := range map[string]struct {
		set      func(*pgx.ConnConfig)
		to, code string
	}{
		"as a parameter":         {func(c *pgx.ConnConfig) { c.RuntimeParams["search_path"] = "aside" }, address, ""},
		"in options":             {func(c *pgx.ConnConfig) { c.RuntimeParams["options"] = "-c search_path=aside,public" }, address, ""},
		"of no schema":           {func(c *pgx.ConnConfig) { c.RuntimeParams["search_path"] = "nowhere" }, address, "42P01"},
		"by SET behind it":       {func(c *pgx.ConnConfig) { c.AfterConnect = setting("set search_path = aside") }, address, ""},
		"where masks apply":      {func(c *pgx.ConnConfig) { c.RuntimeParams["search_path"] = "aside" }, s.Wide, "0A000"},
		"in options, with masks": {func(c *pgx.ConnConfig) { c.RuntimeParams["options"] = "-c search_path=aside" }, s.Wide, "0A000"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := openConfig(t, s, c.to)
			c.set(cfg)
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err == nil {
				defer func() { _ = conn.Close(context.Background()) }()
				_, err = conn.Exec(t.Context(), "select * from only_here")
			}
			if c.code == "" && err != nil {
				t.Error(err)
			} else if c.code != "" {
				wantCode(t, err, c.code)
			}
		})
	}
}

func setting(sql string) pgconn.AfterConnectFunc {
	return func(ctx context.Context, c *pgconn.PgConn) error {
		_, err := c.Exec(ctx, sql).ReadAll()
		return err
	}
}

// Protocol 3.2 differs by longer cancel keys, which cancel.
func TestClientsMaySpeakProtocol32(t *testing.T) {
	s := ownStage(t, stage.Options{Plaintext: true})
	for name, c := range map[string]struct {
		least, most string
		key         int
	}{
		"3.0":            {"3.0", "3.0", 4},
		"3.2":            {"3.2", "3.2", 32},
		"the newest":     {"3.0", "latest", 32},
		"3.2 or nothing": {"3.2", "latest", 32},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := openConfig(t, s, s.Wide)
			cfg.MinProtocolVersion, cfg.MaxProtocolVersion = c.least, c.most
			conn := openConn(t, cfg)
			if got := len(conn.PgConn().SecretKey()); got != c.key {
				t.Fatalf("a key of %d bytes", got)
			}
			done := make(chan error, 1)
			go func() {
				_, err := conn.PgConn().Exec(context.Background(), "select count(*) from generate_series(1, 2000000000)").ReadAll()
				done <- err
			}()
			for range 100 {
				if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-done:
					wantCode(t, err, "57014")
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
			t.Error("the cancel cancelled nothing")
		})
	}
	direct := fmt.Sprintf("127.0.0.1:%d", s.Postgres.Port)
	for name, version := range map[string]uint32{"one to come": 3<<16 | 9, "3.0 with what nobody knows": 3 << 16, "3.2 with that": 3<<16 | 2} {
		t.Run(name, func(t *testing.T) {
			const parameters = "user\x00agent\x00database\x00orders\x00_pq_.new\x00x\x00\x00"
			want, got := startupAnswer(t, direct, version, parameters), startupAnswer(t, s.Wide, version, parameters)
			if negotiated, _, _ := strings.Cut(want, "R"); !strings.HasPrefix(got, negotiated) || !strings.HasPrefix(negotiated, "v") {
				t.Errorf("got %q, from PostgreSQL %q", got, want)
			}
		})
	}
}

// startupAnswer is what is said first to a startup packet.
func startupAnswer(t *testing.T, address string, version uint32, parameters string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	packet = append(binary.BigEndian.AppendUint32(packet, version), parameters...)
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 1024)
	n, err := conn.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(said[:n])
}
