package e2e

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestApprovalsWatchShowsEachChange(t *testing.T) {
	s := sharedStage(t)
	cmd, err := s.Command(t.Context(), "alice", "approvals", "watch")
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	done := inBackground(t.Context(), connect(t, s, "agent"), "delete from work where id = 301")
	id := held(t, s, "id = 301")
	approve(t, s, id)
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	seen := ""
	timeout := time.After(10 * time.Second)
	for !strings.Contains(seen, "consumed") {
		select {
		case l := <-lines:
			if strings.HasPrefix(l, id) {
				seen += l + "\n"
			}
		case <-timeout:
			t.Fatalf("saw only:\n%s", seen)
		}
	}
	if !strings.Contains(seen, "pending") || !strings.Contains(seen, "demo:agent") {
		t.Errorf("saw:\n%s", seen)
	}
}

func TestExplainSaysWhatWouldBeDecidedAndWhy(t *testing.T) {
	s := sharedStage(t)
	for _, c := range []struct {
		name, as string
		args     []string
		want     []string
		refused  bool
	}{
		{"a read", "alice", []string{"--as", "demo:agent", "--groups", "agents", "select id from customers"}, []string{"allow by people-read with masks secrets, mail", "READ public.customers"}, false},
		{"a write", "alice", []string{"--as", "demo:agent", "--groups", "agents", "delete from orders where id = 1"}, []string{"hold by", "writes-are-held", "DELETE public.orders"}, false},
		{"a drop", "alice", []string{"--as", "demo:agent", "--groups", "agents", "drop table orders"}, []string{"deny by never-drop", "migration"}, false},
		{"a masked column in a predicate", "alice", []string{"--as", "demo:agent", "--groups", "agents", "select 1 from customers where password = 'x'"}, []string{"deny", "masked by", "WHERE"}, false},
		{"a stranger", "alice", []string{"--as", "demo:nobody", "select 1"}, []string{"deny", "Nothing is allowed"}, false},
		{"oneself", "agent", []string{"select 1"}, []string{"allow"}, false},
		{"somebody else needs policy_read", "agent", []string{"--as", "demo:alice", "select 1"}, []string{"not allowed"}, true},
		{"what cannot be parsed", "alice", []string{"selec 1"}, []string{"syntax error"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := s.Sluice(t.Context(), c.as, append([]string{"policy", "explain", "--target", "orders"}, c.args...)...)
			if (err != nil) != c.refused {
				t.Fatalf("%v: %s", err, out)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is missing in:\n%s", w, out)
				}
			}
		})
	}
}

func TestTheAPIIsForThoseWhomPolicyNames(t *testing.T) {
	s := sharedStage(t)
	for _, c := range []struct {
		as      string
		args    []string
		allowed bool
	}{
		{"alice", []string{"xds", "status"}, true},
		{"agent", []string{"xds", "status"}, false},
		{"carol", []string{"sessions", "list", "--principal", "demo:alice"}, true},
		{"mallory", []string{"sessions", "list", "--principal", "demo:alice"}, false},
		{"mallory", []string{"sessions", "list"}, true}, // one's own
		{"mallory", []string{"sessions", "show", "p1-0000000000000000"}, false},
		{"carol", []string{"sessions", "end", "p1-0000000000000000"}, false},
		{"mallory", []string{"approvals", "show", "00000000000000000000000000"}, false},
	} {
		out, err := s.Sluice(t.Context(), c.as, c.args...)
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v: %v: %s", c.as, c.args, err, out)
		}
	}
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	s := sharedStage(t)
	for path, c := range map[string]struct {
		as, want string
		status   int
	}{
		"/healthz": {}, "/readyz": {}, "/metrics": {"carol", "sluice_postgres_sessions", 200},
		"/metrics?": {"", "audit_read", 401}, "/metrics?agent": {"agent", "audit_read", 403}, "/metrics?alice": {"alice", "audit_read", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.API+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.as != "" {
			req.Header.Set("Authorization", "Bearer "+mustToken(t, s, c.as))
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != max(c.status, 200) || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %s, %v", path, res.Status, err)
		}
	}
}
