package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
)

// wide connects as the agent to the listener on which agents may do nearly everything, without TLS.
func wide(t *testing.T, s *stage.Stage) *pgx.Conn {
	t.Helper()
	return wideAs(t, s, "agent")
}

func wideAs(t *testing.T, s *stage.Stage, who string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig("postgres://agent@" + s.Wide + "/orders?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Password, err = s.Token(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// say sends each group of messages in one write, waits until nothing more comes for a while, and returns all that came.
func say(t *testing.T, c *pgx.Conn, groups ...[]pgproto3.FrontendMessage) []byte {
	t.Helper()
	return sayFor(t, c, 700*time.Millisecond, groups...)
}

// sayFor is say with the longest silence that is waited for.
func sayFor(t *testing.T, c *pgx.Conn, silence time.Duration, groups ...[]pgproto3.FrontendMessage) []byte {
	t.Helper()
	conn := c.PgConn().Conn()
	var got []byte
	buf := make([]byte, 64<<10)
	for _, g := range groups {
		var out []byte
		for _, m := range g {
			var err error
			if out, err = m.Encode(out); err != nil {
				t.Error(err)
				return got
			}
		}
		if _, err := conn.Write(out); err != nil {
			return got
		}
		for {
			if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
				t.Error(err)
				return got
			}
			n, err := conn.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
	}
	return got
}

type group = []pgproto3.FrontendMessage

func queryOf(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
func data(s string) pgproto3.FrontendMessage      { return &pgproto3.CopyData{Data: []byte(s)} }

var copyDone pgproto3.FrontendMessage = &pgproto3.CopyDone{}

const secretsSQL = "select id, password, api_key from customers order by id limit 2"

// Rows of a masked query passed as those of another, by messages that PostgreSQL ignores while it reads COPY data, and by
// names that it cuts.
func TestNoSequenceOfMessagesShowsWhatIsMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	secrets := one[[]string](t, s, "select array_agg(v) from (select unnest(array[password, api_key]) v from customers order by id limit 4) x")
	copyIn, long := queryOf("COPY public.orders FROM STDIN"), pgmodel.Long
	harmless, secret := queryOf("select 1 as one"), queryOf(secretsSQL)
	for name, groups := range map[string][]group{
		"a Sync before the COPY is granted":    {{copyIn, sync3()}, {copyDone}, {queryOf("select 1/0")}, {secret}},
		"a Sync behind a bad row":              {{copyIn}, {data("x\n"), sync3(), secret, harmless}},
		"a Sync before a bad row":              {{copyIn}, {data("1"), sync3(), data("x\n"), secret, harmless}},
		"a Sync behind a bad row, extended":    {{parse("", "COPY public.orders FROM STDIN"), bind("", "", 0), execute("", 0), &pgproto3.Flush{}}, {data("x\n"), sync3(), copyDone, secret, sync3(), harmless}},
		"Syncs about a CopyFail":               {{copyIn}, {sync3(), &pgproto3.CopyFail{Message: "x"}, sync3(), secret, harmless}},
		"a statement's name that is cut":       {{parse(long+"x", "select 1 as a"), sync3()}, {closing('S', long+"y"), parse(long+"y", secretsSQL), sync3()}, {bind("", long+"x", 0), execute("", 0), sync3()}},
		"a portal's name that is cut":          {{parse("p", "select 1 as a"), parse("q", secretsSQL), bind(long+"x", "p", 0), closing('P', long+"y"), bind(long+"y", "q", 0), execute(long+"x", 0), sync3()}},
		"a cut name, by SQL":                   {{parse(long, secretsSQL), sync3()}, {queryOf("deallocate " + long + "zz")}, {parse(long+"x", "select 1"), bind("", long, 0), execute("", 0), sync3()}},
		"a denied Parse between two of a kind": {{parse("", secretsSQL), sync3()}, {parse("", "drop role x"), sync3()}, {bind("", "", 0), execute("", 0), sync3()}},
	} {
		t.Run(name, func(t *testing.T) {
			got := say(t, wide(t, s), groups...)
			for _, v := range secrets {
				if bytes.Contains(got, []byte(v)) {
					t.Errorf("%q in clear: %q", v, got)
				}
			}
		})
	}
}

// What a COPY leaves behind is over when the COPY is.
func TestNothingWaitsBehindACopy(t *testing.T) {
	s := sharedStage(t)
	for name, end := range map[string]group{
		"done":     {data("1\n"), copyDone},
		"given up": {&pgproto3.CopyFail{Message: "x"}},
		"bad data": {data("x\n"), copyDone},
	} {
		t.Run(name, func(t *testing.T) {
			c := wide(t, s)
			began := time.Now()
			say(t, c, group{queryOf("begin; create table waits(a int)")}, group{queryOf("copy waits from stdin")}, end, group{queryOf("rollback")})
			if got := say(t, c, group{queryOf("select 41 + 1")}); !bytes.Contains(got, []byte("42")) {
				t.Errorf("got %q", got)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// The process id that a client hears is the server's own: its notifications and pg_backend_pid() agree with it.
func TestTheProcessIDIsTheServersOwn(t *testing.T) {
	c := wide(t, sharedStage(t))
	var pid uint32
	if err := c.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid); err != nil || pid != c.PgConn().PID() {
		t.Errorf("%d and %d: %v", pid, c.PgConn().PID(), err)
	}
}

// A cancel stops the statement that it is for, also while that is being decided.
func TestACancelDuringADecisionIsNotLost(t *testing.T) {
	s := sharedStage(t)
	c := wide(t, s)
	list := strings.Repeat("1,", 80_000) + "1"
	for i := range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		go func() {
			time.Sleep(time.Duration(5+3*i) * time.Millisecond)
			_ = c.PgConn().CancelRequest(ctx)
		}()
		began := time.Now()
		_, err := c.PgConn().Exec(ctx, "select count(*) from generate_series(1, 300000000) g where g in ("+list+")").ReadAll()
		cancel()
		wantCode(t, err, "57014")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it ran for %s", took)
		}
	}
}

// Strangers who send cancels that fit nobody take nobody's.
func TestWrongCancelsTakeNobodysCtrlC(t *testing.T) {
	s := sharedStage(t)
	ctx, stop := context.WithCancel(t.Context())
	var storm sync.WaitGroup
	for range 3 {
		storm.Go(func() {
			for ctx.Err() == nil {
				wrongCancel(ctx, s.Wide)
			}
		})
	}
	defer storm.Wait()
	defer stop()
	time.Sleep(300 * time.Millisecond)
	for range 5 {
		c := wide(t, s)
		go func() {
			time.Sleep(200 * time.Millisecond)
			_ = c.PgConn().CancelRequest(ctx)
		}()
		_, err := c.Exec(t.Context(), "select count(*) from generate_series(1, 300000000)")
		wantCode(t, err, "57014")
	}
}

func wrongCancel(ctx context.Context, address string) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	b := binary.BigEndian.AppendUint32(nil, 16)
	b = binary.BigEndian.AppendUint32(b, 80877102)
	_, _ = conn.Write(append(b, 0, 0, 0, 1, 0, 0, 0, 1))
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 1))
}

// What is no startup packet is closed without a word, as PostgreSQL does.
func TestWhatIsNoStartupPacketIsClosed(t *testing.T) {
	s := sharedStage(t)
	for name, b := range map[string][]byte{
		"Terminate":   {'X', 0, 0, 0, 4},
		"a length":    {0, 0, 0, 4},
		"a long one":  {0x7f, 0, 0, 0},
		"HTTP":        []byte("GET / HTTP/1.1\r\n\r\n"),
		"minus three": {0xff, 0xff, 0xff, 0xfd},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Wide)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			var timeout net.Error
			if len(got) > 0 || errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// Where strings end, and in which schema names are looked up, is asked before the next text is read.
func TestWhatChangesTheMeaningOfTextsIsSeenBeforeTheNext(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: `
create schema other; grant usage on schema other to orders_app;
create table other.customers(id int, note text); insert into other.customers values (1, 'in-another-schema');
grant select on other.customers to orders_app;`})
	root := superuser(t, s)
	policyFile(t, s, "90-other.yaml", "rules:\n- {name: not-there, on: {targets: [wide], sql: {relations: [\"other.*\"]}}, deny: {message: Not there.}}\n")
	c := wide(t, s)
	for _, move := range []string{"create schema orders_app", "alter role orders_app set work_mem = '4MB'"} {
		_, _ = c.Exec(t.Context(), move)
	}
	got := say(t, c, group{queryOf("create view sv as select * from pg_settings")})
	got = append(got, say(t, c, group{
		parse("", "update sv set setting = 'off' where name = 'standard_conforming_strings'"), bind("", "", 0), execute("", 0),
		parse("", `select '\', ' , v.note from other.customers v --'`), bind("", "", 0), execute("", 0), sync3(),
	})...)
	got = append(got, say(t, c, group{
		parse("", "update sv set setting = 'other' where name = 'search_path'"), bind("", "", 0), execute("", 0),
		parse("", "select * from customers"), bind("", "", 0), execute("", 0), sync3(),
	}, group{queryOf("set search_path = other; select * from customers")}, group{queryOf("select set_config('search_path', 'other', false)")}, group{queryOf("select * from customers limit 1")})...)
	if bytes.Contains(got, []byte("in-another-schema")) {
		t.Errorf("what a rule denies was read: %q", got)
	}
	if err := root.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}
