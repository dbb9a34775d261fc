package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

// answered checks an error's SQLSTATE and words, and returns it.
func answered(t *testing.T, err error, code string, words ...string) *pgconn.PgError {
	t.Helper()
	wantCode(t, err, code, words...)
	var e *pgconn.PgError
	asPgError(err, &e)
	return e
}

// tryAs connects as somebody with a changed configuration.
func tryAs(t *testing.T, s *stage.Stage, name string, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	t.Helper()
	token, err := s.Token(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return tryToken(t, s, token, change)
}

// works checks that new sessions open and answer.
func works(t *testing.T, s *stage.Stage) {
	t.Helper()
	var last error
	defer func() {
		if t.Failed() {
			t.Logf("the last try: %v", last)
		}
	}()
	waitUntil(t, "no session opens", func() bool {
		c, err := tryAs(t, s, "agent", func(*pgx.ConnConfig) {})
		if err == nil {
			_, err = c.Exec(patient(t), "select id from customers limit 1")
		}
		last = err
		return err == nil
	})
}

func TestStartupsThatAreRefused(t *testing.T) {
	s := sharedStage(t)
	parameter := func(name, value string) func(*pgx.ConnConfig) {
		return func(c *pgx.ConnConfig) { c.RuntimeParams[name] = value }
	}
	for _, c := range []struct {
		name, code string
		change     func(*pgx.ConnConfig)
		words      []string
	}{
		{"another database", "3D000", func(c *pgx.ConnConfig) { c.Database = "postgres" }, []string{"postgres", "orders"}},
		{"without TLS", "28000", func(c *pgx.ConnConfig) { c.TLSConfig = nil }, []string{"TLS", "verify-full"}},
		{"replication", "0A000", parameter("replication", "true"), []string{"replication"}},
		{"replication of a database", "0A000", parameter("replication", "database"), []string{"replication"}},
		{"search_path", "0A000", parameter("search_path", "pg_temp"), []string{"search_path"}},
		{"search_path among the options", "0A000", parameter("options", "-c search_path=pg_temp"), []string{"search_path"}},
		{"the role", "42501", parameter("role", "postgres"), []string{"role"}},
		{"session_preload_libraries", "42501", parameter("options", "--session_preload-libraries=x"), []string{"session_preload_libraries"}},
		{"an option that is none", "0A000", parameter("options", "-F"), []string{"-F"}},
		{"an option without a value", "22023", parameter("options", "-c x"), []string{"name=value"}},
		{"another encoding", "22023", parameter("client_encoding", "SJIS"), []string{"UTF8"}},
		{"another encoding among the options", "0A000", parameter("options", "-c Client_Encoding=SJIS"), []string{"UTF8"}},
		{"strings read in the old way", "0A000", parameter("options", "-c standard_conforming_strings=off"), []string{"standard_conforming_strings"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tryAs(t, s, "agent", c.change)
			if e := answered(t, err, c.code, c.words...); e.Severity != "FATAL" || e.Hint == "" {
				t.Errorf("got %+v", e)
			}
		})
	}
	t.Run("startup packets that are none", func(t *testing.T) {
		for _, packet := range []string{
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x00\x00\x00\x07\x00\x03\x00\x00", "\xff\xff\xff\xff\x00\x03\x00\x00", "\x00\x00\x27\x11\x00\x03\x00\x00",
			"\x00\x00\x00\x08\x00\x03\x00\x00", "\x00\x00\x00\x0c\x00\x03\x00\x00user", "\x00\x00\x00\x08\x00\x02\x00\x00", "\x00\x00\x00\x08\x04\xd2\x16\x2fSTARTED IN THE CLEAR",
			"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
		} {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			_, _ = io.WriteString(conn, packet)
			if answer, err := io.ReadAll(conn); err != nil && os.IsTimeout(err) || len(answer) > 1000 {
				t.Errorf("%q: %v, %q", packet, err, answer)
			}
			_ = conn.Close()
		}
		works(t, s)
	})
}

func TestMessagesThatAreNoneEndTheirSessionAndNoOther(t *testing.T) {
	s := sharedStage(t)
	bystander := connect(t, s, "agent")
	long := strings.Repeat("x", 2<<20)
	message := func(kind byte, body string) string { return string(kind) + string(be32(uint32(len(body)+4))) + body }
	const lives = "" // for what is refused and leaves the session
	for _, c := range []struct{ name, bytes, want string }{
		{"an unknown message", message('!', ""), "08P01"},
		{"one of the server's", message('T', "\x00\x00"), "08P01"},
		{"a length of zero", "Q\x00\x00\x00\x00", "08P01"},
		{"a length of three", "Q\x00\x00\x00\x03", "08P01"},
		{"a negative length", "Q\xff\xff\xff\xff", "08P01"},
		{"a length of 2 GB", "Q\x7f\xff\xff\xff", "08P01"},
		{"a Query without its end", message('Q', "select 1"), "08P01"},
		{"a Query with more behind its end", message('Q', "select 1\x00select 2\x00"), "08P01"},
		{"a Parse of nothing", message('P', ""), "08P01"},
		{"a Parse that counts too many types", message('P', "\x00select 1\x00\xff\xff"), "08P01"},
		{"a Bind that counts too many values", message('B', "\x00\x00\x00\x00\x7f\xff"), "08P01"},
		{"a Bind with a value of negative length", message('B', "\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfe\x00\x00"), "08P01"},
		{"an Execute without a count", message('E', "\x00"), "08P01"},
		{"a Describe of something else", message('D', "X\x00"), "08P01"},
		{"a Close of something else", message('C', "X\x00"), "08P01"},
		{"a Sync with a body", message('S', "x"), "54000"},
		{"a CopyFail of 1 MB", message('f', long[:1<<20])[:5], "54000"},
		{"a password", message('p', "x\x00"), "08P01"},
		{"a startup packet", "\x00\x00\x00\x08\x00\x03\x00\x00", "08P01"},
		{"a Query of 2 MB", message('Q', long+"\x00"), lives},
		{"a function call", message('F', "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), lives},
		{"COPY data that nobody asked for", message('d', long) + message('c', ""), lives},
		{"bytes that are no UTF-8", message('Q', "select '\xff\xfe'\x00"), lives},
		{"half a message, then nothing", message('Q', "select 1\x00")[:7], "end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := connect(t, s, "agent").PgConn().Hijack()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Conn.Close()
			_ = conn.Conn.SetDeadline(time.Now().Add(20 * time.Second))
			done := make(chan struct{})
			go func() { // it may be read no further
				defer close(done)
				_, _ = io.WriteString(conn.Conn, c.bytes)
				if c.want == lives {
					_, _ = io.WriteString(conn.Conn, message('Q', "select 'alive'\x00"))
				}
				if c.want == "end" {
					_ = conn.Conn.Close()
				}
			}()
			<-done
			got := readUntil(conn.Conn, "alive")
			switch c.want {
			case lives:
				if !strings.Contains(got, "alive") {
					t.Errorf("the session has ended: %q", got)
				}
			case "end":
			default:
				if !strings.Contains(got, "SFATAL\x00VFATAL\x00C"+c.want) {
					t.Errorf("want %s, got %q", c.want, got)
				}
			}
		})
	}
	if _, err := bystander.Exec(t.Context(), "select 1"); err != nil {
		t.Errorf("another session has ended: %v", err)
	}
}

// readUntil reads until the end of the connection, or until the words came.
func readUntil(r io.Reader, words string) string {
	var got strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		got.Write(buf[:n])
		if err != nil || strings.Contains(got.String(), words) {
			return got.String()
		}
	}
}

// goodbye is what a session was told at its end: whatever came after its last statement, as text.
func goodbye(t *testing.T, c *pgx.Conn, sql string) <-chan string {
	t.Helper()
	conn, err := c.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn.Conn, "Q"+string(be32(uint32(len(sql)+5)))+sql+"\x00"); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		said <- readUntil(conn.Conn, "\x00nothing ends it but its end\x00")
		_ = conn.Conn.Close()
	}()
	return said
}

func TestTheDatabaseGoesAway(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	live := goodbye(t, connect(t, s, "agent"), "select 1")
	holding := goodbye(t, connect(t, s, "agent"), "delete from work where id = 501")
	id := held(t, s, "id = 501")
	s.Postgres.Kill()
	for name, said := range map[string]<-chan string{"idle": live, "holding": holding} {
		// The database may have said so itself, before Sluice does.
		if got := <-said; !strings.Contains(got, "VFATAL\x00C08006\x00") && !strings.Contains(got, "VFATAL\x00C57P01\x00") {
			t.Errorf("%s: %q", name, got)
		}
	}
	waitUntil(t, "the approval was not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "id = 501") == id })
	_, err := tryAs(t, s, "agent", func(*pgx.ConnConfig) {})
	if e := answered(t, err, "08001", "orders", "cannot be reached"); e.Severity != "FATAL" || e.Hint == "" || strings.Contains(e.Message, fmt.Sprint(s.Postgres.Port)) {
		t.Errorf("got %+v", e)
	}
	back, err := stack.StartPostgres(t.Context(), stack.PostgresOptions{Dir: filepath.Join(s.Dir, "postgresql"), Port: s.Postgres.Port, TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(back.Stop)
	s.Direct = back.Superuser("orders")
	works(t, s)
	if n := one[int](t, s, "select count(*) from work where id = 501"); n != 1 {
		t.Error("the held statement was executed")
	}
	back.Stop() // in good order, which says why
	_, err = tryAs(t, s, "agent", func(*pgx.ConnConfig) {})
	wantCode(t, err, "08001", "cannot be reached")
}

func TestValkeyGoesAway(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	c, holding := connect(t, s, "agent"), connect(t, s, "agent")
	done := inBackground(t.Context(), holding, "delete from work where id = 511")
	held(t, s, "id = 511")
	s.Valkey.Kill()
	_, err := c.Exec(patient(t), "delete from work where id = 512")
	if e := answered(t, err, "58000", "Redis"); e.Severity != "ERROR" || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
	if _, err := c.Exec(t.Context(), "select id from customers limit 1"); err != nil {
		t.Errorf("what needs no approval: %v", err)
	}
	works(t, s)
	socket := s.Valkey.Addr
	_ = os.Remove(socket)
	back := func(settings map[string]string) *stack.Valkey {
		v, err := stack.StartValkey(t.Context(), stack.ValkeyOptions{Dir: filepath.Join(s.Dir, "valkey"), Socket: socket, Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Stop)
		return v
	}
	v := back(nil)
	approve(t, s, held(t, s, "id = 511"))
	if err := wait(t, done); err != nil {
		t.Errorf("what was held when it went: %v", err)
	}
	again := inBackground(t.Context(), c, "delete from work where id = 513")
	approve(t, s, held(t, s, "id = 513"))
	if err := wait(t, again); err != nil {
		t.Errorf("after its return: %v", err)
	}
	client := redis.NewClient(v.Options())
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(patient(t), "delete from work where id = 514")
	wantCode(t, err, "58000", "may lose what it acknowledged")
	if n := one[int](t, s, "select count(*) from work where id in (511, 512, 513, 514)"); n != 2 {
		t.Errorf("%d rows are left, want the two that were never approved", n)
	}
}

func TestEnvoyGoesAwayAndComesBack(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	holding := connect(t, s, "agent")
	done := inBackground(t.Context(), holding, "delete from work where id = 521")
	id := held(t, s, "id = 521")
	s.Envoy.Stop()
	if err := wait(t, done); err == nil {
		t.Error("it went through")
	}
	waitUntil(t, "the approval was not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "id = 521") == id })
	if _, err := tryAs(t, s, "agent", func(*pgx.ConnConfig) {}); err == nil {
		t.Error("a session opens without Envoy")
	}
	config := envoy.Default()
	config.NodeID = "envoy-1"
	config.XDS = envoy.XDS{Socket: filepath.Join(filepath.Dir(s.ProcessorSocket()), "xds.sock")}
	config.Admin = envoy.Admin{Socket: strings.TrimPrefix(s.EnvoyAdmin, "unix:")}
	bootstrap, err := envoy.Bootstrap(config)
	if err != nil {
		t.Fatal(err)
	}
	stack.NewEnvoy(t, stack.EnvoyOptions{Bootstrap: bootstrap, LogFile: filepath.Join(s.Dir, "log", "envoy-2.log"), DrainTime: time.Second})
	works(t, s)
}

func TestSluiceComesBackWithItsPolicy(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	s.KillSluice()
	if _, err := tryAs(t, s, "agent", func(*pgx.ConnConfig) {}); err == nil {
		t.Error("a session opens without Sluice")
	}
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	works(t, s)
	_, err := connect(t, s, "agent").Exec(t.Context(), "drop table work")
	wantCode(t, err, "42501", "never-drop")
}

func TestABrokenPolicyIsNeverServed(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	c := connect(t, s, "agent")
	path := filepath.Join(s.PolicyDir, "70-broken.yaml")
	for _, b := range []struct{ name, text, field string }{
		{"no YAML", "rules:\n- name: [", "70-broken.yaml:2"},
		{"an unknown field", "rules:\n- name: x\n  on: {targets: [orders]}\n  permit: {}\n", "permit"},
		{"a field twice", "rules:\n- name: x\n  on: {targets: [orders]}\n  allow: {}\n  name: y\n", "70-broken.yaml:5"},
		{"a target that is none", "rules:\n- name: x\n  on: {targets: [nowhere]}\n  allow: {}\n", "nowhere"},
		{"a condition that is none", "rules:\n- name: x\n  on: {targets: [orders]}\n  when: request.nope(\n  allow: {}\n", "when"},
		{"a name twice", "rules:\n- name: never-drop\n  on: {targets: [orders]}\n  allow: {}\n", "never-drop"},
	} {
		t.Run(b.name, func(t *testing.T) {
			before := bundleVersion(t, s)
			if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			shown := ""
			waitUntil(t, "the fault is not shown", func() bool {
				shown, _ = s.Sluice(t.Context(), "alice", "xds", "status")
				return strings.Contains(shown, "70-broken.yaml") && strings.Contains(shown, b.field)
			})
			if !regexp.MustCompile(`70-broken\.yaml:\d+`).MatchString(shown) {
				t.Errorf("no line is named:\n%s", shown)
			}
			text, err := os.ReadFile(s.SluiceLog())
			if err != nil || !strings.Contains(string(text), b.field) {
				t.Errorf("the log does not name %s: %v", b.field, err)
			}
			if after := bundleVersion(t, s); after != before {
				t.Errorf("version %s became %s", before, after)
			}
			_, err = c.Exec(t.Context(), "drop table work")
			wantCode(t, err, "42501", "never-drop")
			works(t, s)
			if out, err := s.Sluice(t.Context(), "alice", "policy", "check", s.PolicyDir); err == nil || !strings.Contains(out, b.field) {
				t.Errorf("policy check: %v: %s", err, out)
			}
		})
	}
	policyFile(t, s, "70-broken.yaml", "rules:\n- name: freeze\n  on: {targets: [orders], sql: {effects: [DELETE]}}\n  deny: {message: Frozen.}\n")
	_, err := c.Exec(t.Context(), "delete from work where id = 1")
	wantCode(t, err, "42501", "Frozen.")
	waitUntil(t, "the fault is still shown", func() bool {
		out, err := s.Sluice(t.Context(), "alice", "xds", "status")
		return err == nil && !strings.Contains(out, "70-broken.yaml")
	})
}

func TestWithAFullDiskNothingIsForwarded(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	s.StopSluice()
	if err := os.RemoveAll(s.Recordings); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Recordings, 0o700); err != nil {
		t.Fatal(err)
	}
	// 96 MiB: sessions stop while less than 64 MiB is free.
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "none", s.Recordings).CombinedOutput(); err != nil {
		t.Skipf("a disk that is full needs a file system of its own, which only root can mount here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		s.StopSluice()
		if out, err := exec.CommandContext(context.Background(), "umount", s.Recordings).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	works(t, s)
	c := connect(t, s, "alice")
	policyFile(t, s, "90-write.yaml", "rules:\n- name: alice-writes\n  who: {groups: [dba]}\n  on: {targets: [orders], sql: {effects: [READ, DELETE], relations: [public.work]}}\n  allow: {}\n")
	filler := filepath.Join(s.Recordings, "filler")
	if err := os.WriteFile(filler, make([]byte, 40<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	waitUntil(t, "it goes on", func() bool {
		_, err = c.Exec(patient(t), "select id from customers limit 1")
		return err != nil
	})
	if e := answered(t, err, "58030", "record", "nothing is forwarded"); e.Severity != "FATAL" || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
	_, err = tryAs(t, s, "alice", func(*pgx.ConnConfig) {})
	wantCode(t, err, "58030", "record")
	if n := one[int](t, s, "select count(*) from pg_stat_activity where application_name like 'sluice/alice/%'"); n != 0 {
		t.Errorf("%d connections of the session are left", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	works(t, s)
	waitUntil(t, "the record does not verify", func() bool {
		out, err := s.Sluice(t.Context(), "carol", "audit", "verify", s.Recordings)
		if err != nil {
			t.Log(out)
		}
		return err == nil
	})
}

func TestALiveSessionIsEndedByWhoMayAndNobodyElse(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	var id string
	if err := c.QueryRow(t.Context(), "show application_name").Scan(&id); err != nil {
		t.Fatal(err)
	}
	id = id[strings.LastIndexByte(id, '/')+1:]
	for _, name := range []string{"carol", "agent", "mallory"} {
		if out, err := s.Sluice(t.Context(), name, "sessions", "end", id, "--reason", "because"); err == nil {
			t.Errorf("%s could end it: %s", name, out)
		}
	}
	if _, err := c.Exec(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	done := inBackground(t.Context(), c, "delete from work where id = 531")
	approval := held(t, s, "id = 531")
	if out, err := s.Sluice(t.Context(), "alice", "sessions", "end", id, "--reason", "odd at night"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if e := answered(t, wait(t, done), "57P01", "odd at night"); e.Severity != "FATAL" {
		t.Errorf("got %+v", e)
	}
	waitUntil(t, "the approval was not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "id = 531") == approval })
	if out, err := s.Sluice(t.Context(), "alice", "sessions", "end", id); err == nil {
		t.Errorf("a session that has ended was ended again: %s", out)
	}
	waitUntil(t, "it is still listed as live", func() bool {
		out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "--principal", "demo:agent", "--state", "live", "-o", "json")
		return err == nil && !strings.Contains(out, id)
	})
}

func TestTwoProcessesOnOneStateDirectoryDoNotRun(t *testing.T) {
	s := ownStage(t, stage.Options{})
	text, err := os.ReadFile(filepath.Join(s.Dir, "sluice.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	sockets := filepath.Dir(s.ProcessorSocket())
	other := strings.NewReplacer(
		filepath.Join(sockets, "xds.sock"), filepath.Join(sockets, "xds2.sock"),
		s.ProcessorSocket(), filepath.Join(sockets, "postgres2.sock"),
		strings.TrimPrefix(s.API, "http://"), "127.0.0.1:0",
	).Replace(string(text))
	path := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Binary, "serve", "--config", path)
	cmd.Env = append(os.Environ(), "ORDERS_PASSWORD=x")
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "is in use by process") {
		t.Errorf("%v: %s", err, out)
	}
	works(t, s)
}

// A server keeps its answers for itself up to Sync, so what must know whether something has run has to ask for them.
func TestWhatFollowsAFunctionInATransactionDoesNotWait(t *testing.T) {
	s := sharedStage(t)
	policyFile(t, s, "90-call.yaml", `rules:
- name: mallory-calls
  who: {subjects: [mallory]}
  on: {targets: [orders], sql: {effects: [READ, EXECUTE], relations: ["public.*"]}}
  allow: {}
`)
	defer policyFile(t, s, "90-call.yaml", "")
	c := connect(t, s, "mallory").PgConn()
	began := time.Now()
	for _, sql := range []string{"begin", "select customer_password(1)", "commit"} {
		err := c.ExecParams(patient(t), sql, nil, nil, nil, nil).Read().Err // Parse to Sync in one piece
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
