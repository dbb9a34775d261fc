package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// logLines are the lines of the sluice process with a message, and with all these attributes.
func logLines(t *testing.T, s *stage.Stage, message string, want map[string]any) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(s.SluiceLog())
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
next:
	for line := range strings.Lines(string(text)) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) != nil || one["msg"] != message {
			continue
		}
		for name, value := range want {
			if one[name] != value {
				continue next
			}
		}
		out = append(out, one)
	}
	return out
}

// metricOf is one series of the sluice process, as it is exposed; 0 if there is none.
func metricOf(t *testing.T, s *stage.Stage, series string) (value float64) {
	t.Helper()
	body, err := s.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			if _, err := fmt.Sscan(text, &value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return value
}

func TestEachDenialHoldAndVoteIsALineAndACount(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	c := connect(t, s, "agent")
	const decided = `sluice_decisions_total{protocol="postgres",rule="%s",target="orders",verdict="%s"}`
	for name, d := range map[string]struct{ sql, rule, label, code string }{
		"a rule that denies":  {"drop table work -- sesame", "never-drop", "never-drop", "42501"},
		"a masked column":     {"select 'sesame' from customers where password = 'sesame'", "secrets", "secrets", "42501"},
		"no rule":             {"select pg_sleep(0), 'sesame'", "", "(none)", "42501"},
		"what cannot be read": {"selec 'sesame'", "grammar", "grammar", "42601"},
	} {
		before := metricOf(t, s, fmt.Sprintf(decided, d.label, "deny"))
		for _, how := range []string{"simple", "extended"} {
			if how == "simple" {
				_, err := c.PgConn().Exec(t.Context(), d.sql).ReadAll()
				wantCode(t, err, d.code)
			} else {
				_, err := c.Exec(t.Context(), d.sql)
				wantCode(t, err, d.code)
			}
		}
		lines := logLines(t, s, "denied", map[string]any{"protocol": "postgres", "target": "orders", "principal": "demo:agent", "verdict": "deny", "rule": d.rule, "code": d.code})
		if len(lines) != 2 {
			t.Errorf("%s: %d lines, want one for each statement", name, len(lines))
		}
		if got := metricOf(t, s, fmt.Sprintf(decided, d.label, "deny")) - before; got != 2 {
			t.Errorf("%s: %v are counted", name, got)
		}
	}
	for _, line := range logLines(t, s, "denied", map[string]any{"rule": "never-drop"}) {
		if does := fmt.Sprint(line["does"]); !strings.Contains(does, "DDL public.work") || line["session"] == "" || line["number"] == 0.0 || line["policy"] == "" {
			t.Errorf("%v", line)
		}
	}

	allowed := metricOf(t, s, fmt.Sprintf(decided, "people-read", "allow"))
	for range 10 {
		var id int
		if err := c.QueryRow(t.Context(), "select id from work where id = 1").Scan(&id); err != nil {
			t.Fatal(err)
		}
	}
	if got := metricOf(t, s, fmt.Sprintf(decided, "people-read", "allow")) - allowed; got != 10 {
		t.Errorf("%v allowed are counted, want 10", got)
	}

	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), "delete from work where id = 7")
		done <- err
	}()
	id := held(t, s, "id = 7")
	if out, err := s.Sluice(t.Context(), "agent", "approve", id); err == nil {
		t.Errorf("the agent approved it: %s", out)
	}
	approve(t, s, id)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]map[string]any{
		"held":         {"protocol": "postgres", "rule": "writes-are-held", "verdict": "hold", "principal": "demo:agent"},
		"hold ended":   {"end": "approved", "rule": "writes-are-held"},
		"vote":         {"principal": "demo:alice", "choice": "approve", "state": "approved", "rule": "writes-are-held"},
		"vote refused": {"principal": "demo:agent"},
	} {
		want["approval"] = id
		want["target"] = "orders"
		if n := len(logLines(t, s, message, want)); n != 1 {
			t.Errorf("%q: %d lines", message, n)
		}
	}
	for series, want := range map[string]float64{
		fmt.Sprintf(decided, "writes-are-held", "hold"):                                                        1,
		`sluice_holds_total{end="approved",protocol="postgres",rule="writes-are-held",target="orders"}`:        1,
		`sluice_votes_total{choice="approve",rule="writes-are-held",state="approved",target="orders"}`:         1,
		`sluice_votes_total{choice="approve",rule="writes-are-held",state="refused",target="orders"}`:          1,
		`sluice_policy_changes_total{role="control",verdict="in_force"}`:                                       1,
		`sluice_policy_changes_total{role="processor",verdict="in_force"}`:                                     1,
		`sluice_decisions_total{protocol="postgres",rule="writes-are-held",target="orders",verdict="nothing"}`: 0,
	} {
		if got := metricOf(t, s, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}

	policyFile(t, s, "90-more.yaml", "rules:\n- {name: extra, on: {targets: [orders], sql: {commands: [CALL]}}, deny: {message: No.}}\n")
	for _, message := range []string{"policy served", "policy in force"} {
		found := false
		for _, line := range logLines(t, s, message, nil) {
			found = found || fmt.Sprint(line["changes"]) == "[rule extra added]"
		}
		if !found {
			t.Errorf("%q does not say what changed", message)
		}
	}

	// Metrics of the process and its whole log have nothing of what was said.
	if text, err := os.ReadFile(s.SluiceLog()); err != nil || strings.Contains(string(text), "sesame") {
		t.Errorf("the text of a statement stands in the log (%v)", err)
	}
}

// TestARefusedLoginIsALineAndStrangersDoNotFillTheLog: at each door. A stranger needs no token for either.
func TestARefusedLoginIsALineAndStrangersDoNotFillTheLog(t *testing.T) {
	s := ownStage(t, stage.Options{})
	const strangers = 300
	knock := func(password string) {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Wide)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		f := pgproto3.NewFrontend(c, c)
		f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "x"}})
		if err := f.Flush(); err != nil {
			return // Envoy has as many as it takes
		}
		if _, err := f.Receive(); err != nil || password == "" {
			return
		}
		f.Send(&pgproto3.PasswordMessage{Password: password})
		if err := f.Flush(); err == nil {
			_, _ = f.Receive() // the refusal
		}
	}
	for i := range strangers {
		knock([]string{"", "open-sesame"}[i%2])
	}
	const refused = `sluice_logins_refused_total{protocol="postgres",reason="%s",target="wide"}`
	waitUntil(t, "not all are counted", func() bool {
		return metricOf(t, s, fmt.Sprintf(refused, "malformed"))+metricOf(t, s, fmt.Sprintf(refused, "gone")) == strangers
	})
	lines := logLines(t, s, "login refused", map[string]any{"protocol": "postgres", "target": "wide", "principal": ""})
	first, last := parseTime(t, lines[0]), parseTime(t, lines[len(lines)-1])
	if most := 20 * (int(last.Sub(first)/time.Second) + 2); len(lines) > most {
		t.Errorf("%d lines within %s", len(lines), last.Sub(first))
	}

	// Who is known, and may use nothing, is named.
	if out, err := s.Psql(t.Context(), "mallory", "select 1"); err == nil {
		t.Fatal(out)
	}
	if n := len(logLines(t, s, "login refused", map[string]any{"principal": "demo:mallory", "reason": "forbidden", "target": "orders"})); n == 0 {
		t.Error("mallory is not named")
	}
	if text, err := os.ReadFile(s.SluiceLog()); err != nil || strings.Contains(string(text), "open-sesame") {
		t.Errorf("a password stands in the log (%v)", err)
	}
}

func parseTime(t *testing.T, line map[string]any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"]))
	if err != nil {
		t.Fatal(err)
	}
	return at
}
