package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/extproc/record"
)

func asPgError(err error, to **pgconn.PgError) bool { return errors.As(err, to) }

// inBackground runs a statement that will be held.
func inBackground(ctx context.Context, c *pgx.Conn, sql string, args ...any) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(ctx, sql, args...)
		done <- err
	}()
	return done
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
		return nil
	}
}

// waitUntil tries for ten seconds.
func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(what)
}

func TestAPreparedDeleteApprovedForOneParameterIsHeldAgainForAnother(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	const sql = "delete from work where id = $1"
	if _, err := c.Prepare(t.Context(), "d", sql); err != nil {
		t.Fatal(err)
	}
	first := inBackground(t.Context(), c, "d", 11)
	approve(t, s, held(t, s, "11"))
	if err := wait(t, first); err != nil {
		t.Fatal(err)
	}
	second := inBackground(t.Context(), c, "d", 12)
	id := held(t, s, "12")
	if n := one[int](t, s, "select count(*) from work where id = 12"); n != 1 {
		t.Error("it ran before it was approved")
	}
	if out, err := s.Sluice(t.Context(), "bob", "reject", id, "--reason", "not this one"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantCode(t, wait(t, second), "42501", "not this one", "demo:bob")
	if n := one[int](t, s, "select count(*) from work where id in (11, 12)"); n != 1 {
		t.Errorf("%d rows are left, want the one that was rejected", n)
	}
	// And for the same parameter again: an approval is used once.
	third := inBackground(t.Context(), c, "d", 11)
	approve(t, s, held(t, s, "11"))
	if err := wait(t, third); err != nil {
		t.Fatal(err)
	}
}

func TestAClientKilledWhileHeldIsNeverExecuted(t *testing.T) {
	s := sharedStage(t)
	cmd, err := s.PsqlCommand(t.Context(), "agent", "-XAtc", "delete from work where id = 21")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := held(t, s, "id = 21")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	waitUntil(t, "the approval was not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "id = 21") == id })
	if out, err := s.Sluice(t.Context(), "alice", "approve", id); err == nil {
		t.Errorf("it could be approved afterwards: %s", out)
	}
	time.Sleep(300 * time.Millisecond)
	if n := one[int](t, s, "select count(*) from work where id = 21"); n != 1 {
		t.Error("it was executed")
	}
}

func TestCancelWhileHeldAnswersAtOnceAndTheSessionLives(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "delete from work where id = 31")
	id := held(t, s, "id = 31")
	start := time.Now()
	if err := c.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, wait(t, done), "57014")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if approvalOf(t, s, "withdrawn", "id = 31") != id {
		t.Error("the approval was not withdrawn")
	}
	var n int
	if err := c.QueryRow(t.Context(), "select count(*) from work where id = 31").Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestCancelOfARunningStatementReachesTheDatabase(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "select count(*) from generate_series(1, 10000000000) where random() < 2")
	time.Sleep(300 * time.Millisecond)
	if err := c.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, wait(t, done), "57014")
}

func TestADenialInATransactionLeavesItFailedOnBothSides(t *testing.T) {
	s := sharedStage(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement} {
		t.Run(mode.String(), func(t *testing.T) {
			c := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = mode })
			exec := func(sql string) error { _, err := c.Exec(t.Context(), sql); return err }
			if err := exec("begin"); err != nil {
				t.Fatal(err)
			}
			wantCode(t, exec("drop table work"), "42501", "never-drop")
			if got := c.PgConn().TxStatus(); got != 'E' {
				t.Errorf("the client thinks the transaction is %c", got)
			}
			wantCode(t, exec("select 1"), "25P02")
			tag, err := c.Exec(t.Context(), "commit")
			if err != nil || tag.String() != "ROLLBACK" {
				t.Errorf("COMMIT answered %s, %v", tag, err)
			}
			if got := c.PgConn().TxStatus(); got != 'I' {
				t.Errorf("then it is %c", got)
			}
			if err := exec("select 1"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADenialOutsideATransactionRunsNothingOfTheString(t *testing.T) {
	s := sharedStage(t)
	c := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	_, err := c.Exec(t.Context(), "select 1; drop table work; select 2")
	wantCode(t, err, "42501", "never-drop")
	if got := c.PgConn().TxStatus(); got != 'I' {
		t.Errorf("the transaction is %c", got)
	}
}

func TestAPipelinedBatchWithADenialInItsMiddle(t *testing.T) {
	s := sharedStage(t)
	policyFile(t, s, "90-inserts.yaml", `rules:
- name: mallory-adds
  who: {subjects: [mallory]}
  on: {targets: [orders], sql: {effects: [READ, INSERT], relations: [public.work]}}
  allow: {}
`)
	defer policyFile(t, s, "90-inserts.yaml", "")
	c := connect(t, s, "mallory")
	p := c.PgConn().StartPipeline(t.Context())
	p.SendQueryParams("insert into work values (5001, 'first')", nil, nil, nil, nil)
	p.SendQueryParams("delete from work", nil, nil, nil, nil)
	p.SendQueryParams("insert into work values (5002, 'last')", nil, nil, nil, nil)
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	var faults []error
	synced := false
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !synced {
			r, err := p.GetResults()
			switch r := r.(type) {
			case *pgconn.ResultReader:
				if _, err := r.Close(); err != nil {
					faults = append(faults, err)
				}
			case *pgconn.PipelineSync:
				synced = true
			default:
				if err == nil {
					return
				}
				faults = append(faults, err)
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the pipeline hangs")
	}
	if len(faults) != 1 || !synced {
		t.Fatalf("got errors %v, synced %v", faults, synced)
	}
	wantCode(t, faults[0], "42501")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, s, "select count(*) from work where id in (5001, 5002)"); n != 0 {
		t.Errorf("%d rows of the batch were committed", n)
	}
	if n := one[int](t, s, "select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'work' and l.mode <> 'AccessShareLock'"); n != 0 {
		t.Errorf("%d locks are left", n)
	}
	var n int
	if err := c.QueryRow(t.Context(), "select 7").Scan(&n); err != nil || n != 7 {
		t.Errorf("the session is of no use afterwards: %v", err)
	}
}

func TestAMaskedPreparedStatementStaysMasked(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	if _, err := c.Prepare(t.Context(), "m", "select id, password, email from customers where id = $1"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 10; i++ {
		var id int
		var password, email string
		if err := c.QueryRow(t.Context(), "m", i).Scan(&id, &password, &email); err != nil {
			t.Fatal(err)
		}
		if id != i || password != "[masked]" || email != "***@example.com" {
			t.Fatalf("execution %d: %d %q %q", i, id, password, email)
		}
	}
}

func TestAHoldThatNobodyAnswersExpires(t *testing.T) {
	s := sharedStage(t)
	policyFile(t, s, "90-short.yaml", `rules:
- name: short
  who: {groups: [agents]}
  on: {targets: [orders], sql: {effects: [DELETE], relations: [public.staff]}}
  approve: {by: [{groups: [dba]}], within: 1s}
`)
	defer policyFile(t, s, "90-short.yaml", "")
	c := connect(t, s, "agent")
	wantCode(t, wait(t, inBackground(t.Context(), c, "delete from staff where id = 1")), "42501", "approval expired")
	if n := one[int](t, s, "select count(*) from staff"); n != 1 {
		t.Error("it was executed")
	}
}

func TestAPolicyThatDeniesWhileHeldWins(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "delete from work where id = 51")
	id := held(t, s, "id = 51")
	policyFile(t, s, "90-freeze.yaml", `rules:
- name: freeze
  on: {targets: [orders], sql: {effects: [DELETE]}}
  deny: {message: "Nothing is deleted today."}
`)
	defer policyFile(t, s, "90-freeze.yaml", "")
	approve(t, s, id)
	wantCode(t, wait(t, done), "42501", "Nothing is deleted today.", "freeze")
	if n := one[int](t, s, "select count(*) from work where id = 51"); n != 1 {
		t.Error("it was executed")
	}
}

func TestNobodyApprovesTheirOwnAndMachinesNever(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "delete from work where id = 61")
	id := held(t, s, "id = 61")
	for _, name := range []string{"agent", "carol", "mallory"} {
		if out, err := s.Sluice(t.Context(), name, "approve", id); err == nil {
			t.Errorf("%s could approve it: %s", name, out)
		}
	}
	approve(t, s, id)
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
}

func TestAHoldInATransactionGoesOnInIt(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := inBackground(t.Context(), c, "delete from work where id = 71")
	approve(t, s, held(t, s, "id = 71"))
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, s, "select count(*) from work where id = 71"); n != 1 {
		t.Error("it was committed by the hold")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, s, "select count(*) from work where id = 71"); n != 1 {
		t.Error("the rollback did not undo it")
	}
}

func TestTooMuchInputWhileHeldWithdraws(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	hijacked, err := c.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	send := func(sql string) error {
		b := append([]byte{'Q', 0, 0, 0, 0}, sql...)
		b = append(b, 0)
		n := len(b) - 1
		b[1], b[2], b[3], b[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		_, err := hijacked.Conn.Write(b)
		return err
	}
	if err := send("delete from work where id = 81"); err != nil {
		t.Fatal(err)
	}
	id := held(t, s, "id = 81")
	go func() {
		for range 40 {
			if send("select '"+strings.Repeat("x", 100<<10)+"'") != nil {
				return
			}
		}
	}()
	go func() { _, _ = io.Copy(io.Discard, hijacked.Conn) }()
	waitUntil(t, "the approval was not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "id = 81") == id })
	if n := one[int](t, s, "select count(*) from work where id = 81"); n != 1 {
		t.Error("it was executed")
	}
}

func TestSluiceKilledWhileHeldNeverExecutes(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	c := connect(t, s, "agent")
	done := inBackground(t.Context(), c, "delete from work where id = 91")
	id := held(t, s, "id = 91")
	s.KillSluice()
	if err := wait(t, done); err == nil {
		t.Error("it went through")
	}
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Sluice(t.Context(), "alice", "approve", id); err != nil {
		t.Logf("approving what nobody holds: %s", out)
	}
	time.Sleep(500 * time.Millisecond)
	if n := one[int](t, s, "select count(*) from work where id = 91"); n != 1 {
		t.Error("it was executed")
	}
	// Sessions work again, and the record of the killed one is whole.
	var n int
	if err := connect(t, s, "agent").QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Error(err)
	}
	waitUntil(t, "the record does not verify", func() bool {
		out, err := s.Sluice(t.Context(), "carol", "audit", "verify", s.Recordings)
		if err != nil {
			t.Log(out)
		}
		return err == nil
	})
}

func TestAStopLetsRunningStatementsEndAndWithdrawsHolds(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	running, holding := connect(t, s, "agent"), connect(t, s, "agent")
	slow := make(chan error, 1)
	go func() {
		var n int64
		slow <- running.QueryRow(t.Context(), "select count(*) from generate_series(1, 8000000) where random() < 2").Scan(&n)
	}()
	held1 := inBackground(t.Context(), holding, "delete from work where id = 92")
	held(t, s, "id = 92")
	s.StopSluice()
	if err := wait(t, slow); err != nil {
		t.Errorf("the running statement was cut: %v", err)
	}
	if err := wait(t, held1); err == nil {
		t.Error("the held one went through")
	}
	if n := one[int](t, s, "select count(*) from work where id = 92"); n != 1 {
		t.Error("it was executed")
	}
}

func TestOnlyEnvoyMayHandOverConnections(t *testing.T) {
	s := sharedStage(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", s.ProcessorSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 16)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a connection without a header was answered: %d bytes, %v", n, err)
	}
}

// A report of the change (ParameterStatus) comes too late: what was sent behind it has been read in the old way.
func TestSettingsThatDecideWhereAStringEndsCannotChange(t *testing.T) {
	s := sharedStage(t)
	c := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	for _, sql := range []string{
		"set standard_conforming_strings = off",
		"set local standard_conforming_strings to 'off'",
		"set client_encoding to 'SJIS'",
		"set names 'LATIN1'",
		"select set_config('standard_conforming_strings', 'off', false)",
		"select set_config('client_encoding', 'SJIS', false)",
		"select 1; set standard_conforming_strings = off; select 2",
	} {
		_, err := c.Exec(t.Context(), sql)
		wantCode(t, err, "0A000", "cannot be changed")
	}
	for _, sql := range []string{
		"set standard_conforming_strings = on", "SET client_encoding TO 'UTF8'", "set client_encoding = utf8", "reset client_encoding",
	} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, options := range []string{"-c standard_conforming_strings=off", "-c client_encoding=sjis", "-c search_path=pg_temp"} {
		cfg, err := pgx.ParseConfig(s.PG)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Password, err = s.Token(t.Context(), "agent"); err != nil {
			t.Fatal(err)
		}
		cfg.RuntimeParams["options"] = options
		_, err = pgx.ConnectConfig(t.Context(), cfg)
		wantCode(t, err, "0A000")
	}
}

// A portal that was bound under one policy is decided again by the one of the moment when it is executed.
func TestAPolicyChangeBetweenBindAndExecuteCounts(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	for name, c := range map[string]struct{ rule, code, words string }{
		"it still allows": {rule: "- {name: more, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, allow: {}}"},
		"it denies":       {"- {name: frozen, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, deny: {message: Frozen.}}", "42501", "Frozen."},
		"it holds": {
			"- {name: asks, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, approve: {by: [{groups: [dba], count: 1}], within: 60s}}",
			"42501", "run it again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			agent := connect(t, s, "agent").PgConn()
			before := bundleVersion(t, s)
			if _, err := agent.Exec(t.Context(), "begin").ReadAll(); err != nil {
				t.Fatal(err)
			}
			f := agent.Frontend()
			f.SendParse(&pgproto3.Parse{Query: "select id from work limit 1"})
			f.SendBind(&pgproto3.Bind{})
			f.Send(&pgproto3.Flush{})
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
			for range 2 { // ParseComplete, BindComplete
				if m, err := f.Receive(); err != nil || codeOf(m) != "" {
					t.Fatalf("%v %v", m, err)
				}
			}
			policyFile(t, s, "90-change.yaml", "rules:\n"+c.rule+"\n")
			after := bundleVersion(t, s)
			f.SendExecute(&pgproto3.Execute{})
			f.SendSync(&pgproto3.Sync{})
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
			m, err := f.Receive()
			if err != nil || codeOf(m) != c.code {
				t.Fatalf("got %v %v, want %q", m, err, c.code)
			}
			if e, ok := m.(*pgproto3.ErrorResponse); ok && !strings.Contains(e.Message, c.words) {
				t.Errorf("%q is missing in %q", c.words, e.Message)
			}
			_ = agent.Conn().Close()
			decided, executed := versionsOf(t, s, "select id from work limit 1")
			if want := map[bool]string{true: after}[c.code == ""]; decided != before || executed != want {
				t.Errorf("decided by %.8s, executed by %.8s; want %.8s and %.8s", decided, executed, before, want)
			}
			policyFile(t, s, "90-change.yaml", "")
		})
	}
}

// versionsOf are the bundles that decided and let through a statement of the agent's newest session.
func versionsOf(t *testing.T, s *stage.Stage, sql string) (decided, executed string) {
	t.Helper()
	replayOf(t, s, "demo:agent") // it has ended
	out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "--principal", "demo:agent", "--limit", "1", "-o", "json")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := record.OpenDir(s.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	number := uint64(0)
	for e, err := range r.Events(t.Context(), all[0].ID) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.GetStatement().GetText() == sql:
			number = e.GetStatement().GetNumber()
		case number != 0 && e.GetDecision().GetNumber() == number && decided == "":
			decided = e.GetDecision().GetBundleVersion()
		case number != 0 && e.GetExecution().GetNumber() == number:
			executed = e.GetExecution().GetBundleVersion()
		}
	}
	return decided, executed
}
