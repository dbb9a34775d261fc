package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// sharedStage is the whole of Sluice on real parts, started once for all tests that leave it as it was.
func sharedStage(t *testing.T) *stage.Stage {
	t.Helper()
	stack.Need(t, "envoy", "postgresql", "valkey")
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "sluice-e2e-")
		if err != nil {
			shared.err = err
			return
		}
		shared.dir = dir
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		shared.stage, shared.err = stage.Start(ctx, stage.Options{Dir: dir, SQL: extraSQL})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.stage
}

var shared struct {
	once  sync.Once
	dir   string
	stage *stage.Stage
	err   error
}

func stopShared() {
	if shared.stage != nil {
		shared.stage.Stop()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir) // what is left is in the way of nobody
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	stopShared()
	os.Exit(code)
}

// ownStage is one that the test may break.
func ownStage(t *testing.T, o stage.Options) *stage.Stage {
	t.Helper()
	stack.Need(t, "envoy", "postgresql", "valkey")
	o.Dir = t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := stage.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// extraSQL are tables that tests change, so that the sample data stay.
const extraSQL = `
CREATE TABLE work (id int PRIMARY KEY, note text);
INSERT INTO work SELECT i, 'row ' || i FROM generate_series(1, 1000) i;
CREATE TABLE staff (id int PRIMARY KEY, name text, api_key text);
CREATE TABLE staff_eu () INHERITS (staff);
INSERT INTO staff_eu VALUES (1, 'Eve', 'sk-live-key-eve');
CREATE VIEW staff_view AS SELECT * FROM staff;
CREATE FUNCTION raises(text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE secret text; BEGIN SELECT password INTO secret FROM public.customers WHERE id = 1;
RAISE EXCEPTION 'the password is %', secret USING ERRCODE = $1; END $$;
CREATE TABLE guarded (id int);
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION says(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE DOMAIN spoken AS text CHECK (says(VALUE));
CREATE TABLE speakers (t spoken);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far_away (id int) SERVER nowhere;
CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard();
GRANT ALL ON ALL TABLES IN SCHEMA public TO orders_app;
`

// connect opens a session as somebody, by pgx, through Envoy.
func connect(t *testing.T, s *stage.Stage, as string) *pgx.Conn {
	t.Helper()
	return connectWith(t, s, as, func(*pgx.ConnConfig) {})
}

func connectWith(t *testing.T, s *stage.Stage, as string, change func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(s.PG)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Password, err = s.Token(t.Context(), as); err != nil {
		t.Fatal(err)
	}
	change(cfg)
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Close(ctx) // the test may have closed it
	})
	return c
}

// superuser is a connection to the target itself: what is really there.
func superuser(t *testing.T, s *stage.Stage) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.Direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// one reads one value of the target itself.
func one[T any](t *testing.T, s *stage.Stage, sql string, args ...any) (v T) {
	t.Helper()
	if err := superuser(t, s).QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// held waits for the approval that a statement with these words waits for.
func held(t *testing.T, s *stage.Stage, words string) string {
	t.Helper()
	for range 100 {
		if id := approvalOf(t, s, "pending", words); id != "" {
			return id
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nothing with %q is held", words)
	return ""
}

// approvalOf finds the newest approval in a state whose text has these words; "" if there is none.
func approvalOf(t *testing.T, s *stage.Stage, state, words string) string {
	t.Helper()
	out, err := s.Sluice(t.Context(), "alice", "approvals", "list", "--state", state, "-o", "json")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all []struct {
		ID     string `json:"id"`
		Action struct {
			Text       string `json:"text"`
			Parameters []struct {
				Value string `json:"value"`
			} `json:"parameters"`
		} `json:"action"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, a := range all {
		text := a.Action.Text
		for _, p := range a.Action.Parameters {
			text += " " + p.Value
		}
		if strings.Contains(text, words) {
			return a.ID
		}
	}
	return ""
}

func approve(t *testing.T, s *stage.Stage, id string) {
	t.Helper()
	if out, err := s.Sluice(t.Context(), "alice", "approve", id); err != nil {
		t.Fatalf("approve: %v: %s", err, out)
	}
}

// wantCode checks an error's SQLSTATE and words.
func wantCode(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	var e *pgconn.PgError
	if !asPgError(err, &e) || e.Code != code {
		t.Fatalf("got %v, want SQLSTATE %s", err, code)
	}
	text := fmt.Sprintf("%s\n%s\n%s", e.Message, e.Detail, e.Hint)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in: %s", w, text)
		}
	}
}

// policyFile writes a file of the policy and waits until the processor has taken it.
func policyFile(t *testing.T, s *stage.Stage, name, text string) {
	t.Helper()
	before := bundleVersion(t, s)
	path := filepath.Join(s.PolicyDir, name)
	if text == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if v := bundleVersion(t, s); v != before && v != "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the processor did not take the new policy")
}

// bundleVersion is of the bundle that the processor has accepted.
func bundleVersion(t *testing.T, s *stage.Stage) string {
	t.Helper()
	cmd, err := s.Command(t.Context(), "alice", "xds", "status", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output() // it ends with 1 while a fault keeps the newest policy from being served
	if len(out) == 0 {
		t.Fatalf("%v", err)
	}
	var st struct {
		Nodes []struct {
			Role          string `json:"role"`
			Subscriptions []struct {
				Acked string `json:"acked_version"`
			} `json:"subscriptions"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(out, &st); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, n := range st.Nodes {
		if n.Role == "process" && len(n.Subscriptions) == 1 {
			return n.Subscriptions[0].Acked
		}
	}
	return ""
}

// replayOf replays the newest session of somebody, once it has ended.
func replayOf(t *testing.T, s *stage.Stage, principal string, flags ...string) string {
	t.Helper()
	for range 100 {
		out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "--principal", principal, "--limit", "1", "-o", "json")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var all []struct {
			ID    string `json:"id"`
			State string `json:"state"`
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(all) == 1 && all[0].State == "ended" {
			if out, err = s.Sluice(t.Context(), "carol", append([]string{"sessions", "replay", all[0].ID}, flags...)...); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return out
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no session of %s has ended", principal)
	return ""
}

// runTool runs a client program of PostgreSQL's as somebody.
func runTool(t *testing.T, s *stage.Stage, program, as string, args ...string) (string, error) {
	t.Helper()
	path, err := stack.PostgresTool(program)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append(args, s.PG)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+token)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// codeOf is the SQLSTATE of an error message; "" for another message.
func codeOf(m pgproto3.BackendMessage) string {
	if e, ok := m.(*pgproto3.ErrorResponse); ok {
		return e.Code
	}
	return ""
}
