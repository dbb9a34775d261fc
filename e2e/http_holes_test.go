package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// TestAStrangersBodiesTakeNoMemory opens many connections to the API, each with a long body and no token, that then say
// nothing: all are refused at once, and closed.
func TestAStrangersBodiesTakeNoMemory(t *testing.T) {
	s := sharedStage(t)
	const connections = 100
	blanks := strings.Repeat(" ", 64<<10)
	at := strings.TrimPrefix(s.API, "http://")
	done := make(chan error, connections)
	for range connections {
		go func() {
			c, err := net.Dial("tcp", at)
			if err != nil {
				done <- err
				return
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(c, "POST /sluice.control.v1.ControlService/Explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n")
			for range 31 {
				if _, err := io.WriteString(c, blanks); err != nil {
					break // it is closed
				}
			}
			_, err = io.Copy(io.Discard, c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				done <- fmt.Errorf("it stays open: %w", err)
				return
			}
			done <- nil
		}()
	}
	for range connections {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if out, err := s.Sluice(t.Context(), "alice", "xds", "status"); err != nil {
		t.Errorf("the API does not answer others: %v: %s", err, out)
	}
}

func TestAServiceIsNotToldWhatAgentsSayOfThemselves(t *testing.T) {
	s := sharedStage(t)
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, header http.Header) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTP+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header, req.Host = header, "admin.internal"
		req.Header.Set("Authorization", "Bearer "+token)
		client := apiClient(t, s)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	_, out := get("/echo", http.Header{
		"X-Sluice-Principal": {"root"}, "Forwarded": {"for=1.2.3.4"}, "Cf-Connecting-Ip": {"1.2.3.4"}, "Client-Ip": {"1.2.3.4"},
		"X-Method": {"DELETE"}, "X-Override-Url": {"/admin"}, "Cookie": {"a=b"}, "X-Kept": {"yes"},
	})
	lower := strings.ToLower(out)
	for _, word := range []string{"admin.internal", "x-sluice", "1.2.3.4", "x-method", "override", "cookie"} {
		if strings.Contains(lower, word) {
			t.Errorf("%s reached the service: %s", word, out)
		}
	}
	if !strings.Contains(lower, "x-kept") {
		t.Errorf("got %s", out)
	}
	for _, query := range []string{"?_method=DELETE", "?x=1&_METHOD[]=delete"} {
		if code := curl(t, s, "agent", "-g", "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+"/echo"+query); code != "400" {
			t.Errorf("%s: %s", query, code)
		}
	}
	if code := curl(t, s, "agent", "-X", "GET", "-d", "_method=DELETE", "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+"/echo"); code != "400" {
		t.Errorf("in a form: %s", code)
	}
	for _, path := range []string{"/echo%3fx=1", "/echo%23x"} {
		if code := curl(t, s, "alice", "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+path); code != "400" {
			t.Errorf("%s: %s", path, code)
		}
	}
	if code, body := get("/customers/7", http.Header{"Upgrade": {"TLS/1.2"}, "Connection": {"Upgrade"}}); code != http.StatusOK {
		t.Errorf("an offer to upgrade: %d %s", code, body)
	}
}

// TestPeopleSeeTheBodyOfAHeldRequest holds bodies of types that masks do not read.
func TestPeopleSeeTheBodyOfAHeldRequest(t *testing.T) {
	s := sharedStage(t)
	for i, c := range []struct{ kind, body, shown string }{
		{"text/plain", `{"cascade":true}`, `"cascade": true`},
		{"application/octet-stream", "# clean up old rows\nDROP TABLE customers;\n", "| # clean up old rows\n        | DROP TABLE customers;\n"},
		{"application/x-www-form-urlencoded", "cascade=true&password=hunter2", "| cascade = true\n        | password = [masked]\n"},
		{"application/pdf", "%PDF\x00\x01", "6 bytes, application/pdf, sha256 "},
	} {
		token, err := s.Token(t.Context(), "agent")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		path := fmt.Sprintf("/customers/%d", 980+i)
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.HTTP+path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {c.kind}}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if res, err := apiClient(t, s).Do(req); err == nil {
				_ = res.Body.Close()
			}
		}()
		id := held(t, s, path)
		out, err := s.Sluice(t.Context(), "alice", "approvals", "show", id)
		if err != nil || !strings.Contains(out, c.shown) || strings.Contains(out, "hunter2") {
			t.Errorf("%s: %v: %s", c.kind, err, out)
		}
		cancel()
		<-gone
	}
}

// TestAHeldRequestEndsWithItsIssuer: nobody vouches for whoever asked any more.
func TestAHeldRequestEndsWithItsIssuer(t *testing.T) {
	s := ownStage(t, stage.Options{})
	type result struct {
		a   answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		a, err := call(patient(t), t, s, "agent", http.MethodDelete, "/customers/901")
		done <- result{a, err}
	}()
	held(t, s, "/customers/901")
	path := filepath.Join(s.PolicyDir, "10-issuers.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "url: \"")
	url, _, _ := strings.Cut(rest, "\"")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), url, "https://idp.elsewhere.example", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	problemText(t, r.a, 401, "is not accepted here")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %v", took)
	}
	if n := one[int](t, s, "select count(*) from customers where id = $1", 901); n != 1 {
		t.Error("it was done")
	}
}

func TestExplainIsForWhomTheTargetLetsIn(t *testing.T) {
	s := sharedStage(t)
	for _, target := range []string{"orders", "shop", "nosuch"} {
		text := map[string]string{"orders": "select 1 from customers", "shop": "GET /customers"}[target]
		out, err := s.Sluice(t.Context(), "mallory", "policy", "explain", "--target", target, text)
		if want := fmt.Sprintf("no target is named %q, or no rule lets you use it", target); err == nil || !strings.Contains(out, want) || strings.Contains(out, "never-drop") {
			t.Errorf("%s: %v: %s", target, err, out)
		}
	}
	out, err := s.Sluice(t.Context(), "agent", "policy", "explain", "--target", "orders", "select 1 from customers")
	if err != nil || strings.Contains(out, "not about you") {
		t.Errorf("the agent hears of others' rules: %v: %s", err, out)
	}
	out, err = s.Sluice(t.Context(), "alice", "policy", "explain", "--as", "demo:agent", "--groups", "agents", "--target", "orders", "select 1 from customers")
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAStreamOfEventsEndsWithTheMasksThatItBeganUnder adds a mask while a stream is under way: what it hides must not go on
// in clear.
func TestAStreamOfEventsEndsWithTheMasksThatItBeganUnder(t *testing.T) {
	s := ownStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := apiClient(t, s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	events := make(chan time.Time, 10_000)
	go func() {
		defer close(events)
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				events <- time.Now()
			}
		}
	}()
	<-events
	policyFile(t, s, "75-others.yaml", "rules:\n- {name: for-others, who: {groups: [nobody]}, on: {targets: [shop], http: {}}, allow: {}}\n")
	changed := time.Now()
	for at := range events { // a change that is not about it leaves it alone
		if at.Sub(changed) > 2500*time.Millisecond {
			break
		}
	}
	policyFile(t, s, "76-names.yaml", "masks:\n- {name: names, on: {targets: [shop]}, paths: [$..name], redact: {}}\n")
	changed = time.Now()
	last := changed
	for at := range events {
		last = at
	}
	if after := last.Sub(changed); after > 3*time.Second {
		t.Errorf("events went on for %v", after)
	}
	if ctx.Err() != nil {
		t.Error("the stream never ended")
	}
	waitUntil(t, "the record does not say why", func() bool {
		out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "-o", "json")
		if err != nil {
			return false
		}
		_, rest, _ := strings.Cut(out, `"id": "`)
		id, _, _ := strings.Cut(rest, `"`)
		out, err = s.Sluice(t.Context(), "carol", "sessions", "replay", id)
		return err == nil && strings.Contains(out, "the masks of the policy changed")
	})
}
