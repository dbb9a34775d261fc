package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// apiClient is an HTTP client that trusts the stage's certificates.
func apiClient(t *testing.T, s *stage.Stage) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(s.HTTPCA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// answer is a whole response.
type answer struct {
	*http.Response
	body string
}

// call makes a request as somebody through Envoy; headers are "name: value".
func call(ctx context.Context, t *testing.T, s *stage.Stage, as, method, path string, headers ...string) (answer, error) {
	t.Helper()
	token, err := s.Token(ctx, as)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.HTTP+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := apiClient(t, s).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{res, string(body)}, err
}

func mustCall(t *testing.T, s *stage.Stage, as, method, path string, headers ...string) answer {
	t.Helper()
	a, err := call(patient(t), t, s, as, method, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// problemText checks a refusal.
func problemText(t *testing.T, a answer, status int, words ...string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Hint string
		Status                    int
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%v: %s %s", err, a.Header.Get("Content-Type"), a.body)
	}
	if a.StatusCode != status || p.Status != status || p.Title == "" || p.Type == "" {
		t.Errorf("got %d %+v", a.StatusCode, p)
	}
	for _, w := range words {
		if !strings.Contains(a.body, w) {
			t.Errorf("%q is missing in %s", w, a.body)
		}
	}
}

const (
	secretPassword = "secret-password-"
	secretKey      = "sk-live-key-"
)

func hasSecret(body string) bool {
	return strings.Contains(body, secretPassword) || strings.Contains(body, secretKey)
}

func TestAnHTTPAgentSeesMaskedJSON(t *testing.T) {
	s := sharedStage(t)
	for _, path := range []string{"/customers?limit=3", "/customers/7"} {
		a := mustCall(t, s, "agent", http.MethodGet, path, "Accept-Encoding: gzip", "Range: bytes=0-10")
		if a.StatusCode != 200 || !strings.Contains(a.body, `"password":"[masked]","api_key":"[masked]"`) || hasSecret(a.body) || !strings.Contains(a.body, "Customer ") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
		if tag := a.Header.Get("Etag"); tag != "" && !strings.HasPrefix(tag, `W/"s1.`) || a.Header.Get("Content-Encoding") != "" {
			t.Errorf("headers %v", a.Header)
		}
	}
	if a := mustCall(t, s, "alice", http.MethodGet, "/customers/7"); !hasSecret(a.body) {
		t.Errorf("whom the mask excepts: %s", a.body)
	}
	var all []any
	a := mustCall(t, s, "agent", http.MethodGet, "/export?mb=3")
	if err := json.Unmarshal([]byte(a.body), &all); err != nil || hasSecret(a.body) || len(a.body) < 2<<20 {
		t.Errorf("an export of %d bytes, %v", len(a.body), err)
	}
	if head := mustCall(t, s, "agent", http.MethodHead, "/customers/7"); head.StatusCode != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.StatusCode, head.body)
	}
}

func TestTheServiceSeesTheRealCredentialAndNothingOfTheAgents(t *testing.T) {
	s := sharedStage(t)
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	a := mustCall(t, s, "agent", http.MethodGet, "/echo", "X-HTTP-Method-Override: DELETE", "Proxy-Authorization: Bearer x")
	if !strings.Contains(a.body, "Bearer the-real-api-token") {
		t.Errorf("the real credential is missing: %s", a.body)
	}
	for _, part := range strings.Split(token, ".") {
		if strings.Contains(a.body, part) {
			t.Errorf("a part of the agent's token went on: %s", a.body)
		}
	}
	if strings.Contains(strings.ToLower(a.body), "override") || strings.Contains(a.body, "Proxy-Authorization") {
		t.Errorf("went on: %s", a.body)
	}
}

func TestHTTPRefusalsSayWhy(t *testing.T) {
	s := sharedStage(t)
	problemText(t, mustCall(t, s, "agent", http.MethodPost, "/customers"), 403, "no rule allows", "agents-get")
	problemText(t, mustCall(t, s, "mallory", http.MethodGet, "/customers"), 403, "no rule lets you")
	problemText(t, mustCall(t, s, "agent", http.MethodGet, "/customers", "Authorization: Bearer nonsense"), 401, "token")
	problemText(t, mustCall(t, s, "agent", http.MethodGet, "/no/such/page"), 502, "text/plain")
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := curl(t, s, "agent", "-X", "GET", "--data-binary", "@"+large, "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+"/customers"); out != "413" {
		t.Errorf("a body of a byte too much: %s", out)
	}
	for _, path := range []string{"//customers", "/a;b/customers", "/%2561dmin", "/a%00"} {
		out := curl(t, s, "agent", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+path)
		if out != "400" {
			t.Errorf("%s: %s", path, out)
		}
	}
	if out := curl(t, s, "agent", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", s.HTTP+"/customers%2f7"); out != "400" {
		t.Errorf("an encoded slash: %s", out)
	}
}

// curl runs curl as somebody, with both versions of HTTP.
func curl(t *testing.T, s *stage.Stage, as string, args ...string) string {
	t.Helper()
	token, err := s.Token(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	var before string
	for i, version := range []string{"--http1.1", "--http2"} {
		cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", version, "--cacert", s.HTTPCA, "-H", "Authorization: Bearer " + token, "--max-time", "20"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if i > 0 && string(out) != before {
			t.Errorf("HTTP/1.1 gives %s, HTTP/2 %s", before, out)
		}
		before = string(out)
	}
	return before
}

func TestAHeldDeleteIsDoneOnceItIsApproved(t *testing.T) {
	s := sharedStage(t)
	type result struct {
		a   answer
		err error
	}
	ask := func(ctx context.Context, id int) <-chan result {
		done := make(chan result, 1)
		go func() {
			a, err := call(ctx, t, s, "agent", http.MethodDelete, fmt.Sprintf("/customers/%d", id))
			done <- result{a, err}
		}()
		return done
	}
	there := func(id int) bool { return one[int](t, s, "select count(*) from customers where id = $1", id) == 1 }

	done := ask(patient(t), 901)
	id := held(t, s, "/customers/901")
	if !there(901) {
		t.Error("it was done before it was approved")
	}
	approve(t, s, id)
	if r := <-done; r.err != nil || r.a.StatusCode != 204 || there(901) {
		t.Errorf("approved: %v %v, it is there: %v", r.a.Response, r.err, there(901))
	}

	done = ask(patient(t), 902)
	id = held(t, s, "/customers/902")
	if out, err := s.Sluice(t.Context(), "agent", "approve", id); err == nil {
		t.Errorf("the agent approves its own: %s", out)
	}
	if out, err := s.Sluice(t.Context(), "bob", "reject", id, "--reason", "keep it"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	problemText(t, r.a, 403, "keep it", id)

	ctx, cancel := context.WithCancel(t.Context())
	done = ask(ctx, 903)
	id = held(t, s, "/customers/903")
	cancel() // the client goes
	<-done
	waitUntil(t, "it is not withdrawn", func() bool { return approvalOf(t, s, "withdrawn", "/customers/903") == id })
	if out, err := s.Sluice(t.Context(), "alice", "approve", id); err == nil {
		t.Errorf("what was withdrawn is approved: %s", out)
	}
	if !there(902) || !there(903) {
		t.Error("what nobody approved was done")
	}
}

func TestServerSentEventsAreLiveAndMasked(t *testing.T) {
	s := sharedStage(t)
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := apiClient(t, s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	began, events := time.Now(), 0
	for events < 5 && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events++
			if hasSecret(lines.Text()) || !strings.Contains(lines.Text(), `"password":"[masked]"`) {
				t.Errorf("got %s", lines.Text())
			}
		}
	}
	// 1,000 events take 100 s in all: five of them came while it went on.
	if events < 5 || time.Since(began) > 10*time.Second {
		t.Errorf("%d events in %s, %v", events, time.Since(began), lines.Err())
	}
}

// What dies while a body is on its way leaves no secret with the agent.
func TestAProcessorThatDiesLeaksNothing(t *testing.T) {
	s := ownStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	client := apiClient(t, s)
	fetch := func(ctx context.Context, path string) (int, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+path, nil)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = res.Body.Close() }()
		var out bytes.Buffer
		_, err = io.Copy(&out, res.Body)
		return res.StatusCode, out.String(), err
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				_, body, err := fetch(patient(t), "/export?mb=50")
				if hasSecret(body) {
					t.Errorf("a secret reached the agent")
				}
				if err == nil && len(body) > 50<<20 && !strings.HasSuffix(body, "]\n") {
					t.Errorf("a body that was cut looks whole")
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	s.KillSluice()
	if status, body, err := fetch(patient(t), "/customers/7"); err != nil || status < 502 || hasSecret(body) {
		t.Errorf("without a processor: %d %s %v", status, body, err)
	}
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	waitUntil(t, "it does not come back", func() bool {
		status, body, err := fetch(patient(t), "/customers/7")
		return err == nil && status == 200 && !hasSecret(body)
	})
	waitUntil(t, "the record does not verify", func() bool {
		_, err := s.Sluice(t.Context(), "carol", "audit", "verify", s.Recordings)
		return err == nil
	})
}

// A service that cannot be reached is told of as other refusals are, to whom masks apply too.
func TestAServiceThatIsDownIsAProblem(t *testing.T) {
	s := sharedStage(t)
	port := freePort(t)
	policyFile(t, s, "90-down.yaml", fmt.Sprintf(`targets:
- name: down
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: %d}], tls: {mode: DISABLE}}
  credential: {bearer: {token: {env: SHOP_TOKEN}}}
rules:
- {name: down-get, who: {groups: [agents]}, on: {targets: [down], http: {methods: [GET]}}, allow: {}}
masks:
- {name: down-secrets, on: {targets: [down]}, paths: ["$..password"], redact: {}}
`, port, freePort(t)))
	defer policyFile(t, s, "90-down.yaml", "")
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	waitUntil(t, "Envoy does not listen", func() bool {
		req, err := http.NewRequestWithContext(patient(t), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/x", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		a = answer{res, string(body)}
		return err == nil
	})
	problemText(t, a, 503, "urn:sluice:problem:service", "does not answer")
}

func TestExplainKnowsRequests(t *testing.T) {
	s := sharedStage(t)
	out, err := s.Sluice(t.Context(), "alice", "policy", "explain", "--as", "demo:agent", "--groups", "agents", "--target", "shop", "DELETE /customers/7")
	if err != nil || !strings.Contains(out, "hold by deletes-are-held") || !strings.Contains(out, "CALL /customers/7") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = s.Sluice(t.Context(), "alice", "policy", "explain", "--as", "demo:agent", "--groups", "agents", "--target", "shop", "DELETE"); err == nil || !strings.Contains(out, "METHOD PATH") {
		t.Errorf("%v: %s", err, out)
	}
}
