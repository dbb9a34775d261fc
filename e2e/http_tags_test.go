package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEntityTagsAreOfUseAndNoOracle asks a service that answers conditions by a digest of what masks hide.
func TestEntityTagsAreOfUseAndNoOracle(t *testing.T) {
	s := sharedStage(t)
	const tag = `"v7"`
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "application/json")
		switch match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match"); {
		case match != "" && match != "*" && !strings.Contains(match, tag):
			w.WriteHeader(http.StatusPreconditionFailed)
		case none != "" && strings.Contains(none, tag):
			w.WriteHeader(http.StatusNotModified)
		default:
			_, _ = io.WriteString(w, `{"password":"secret-password-1"}`)
		}
	}))
	defer service.Close()
	port := freePort(t)
	policyFile(t, s, "78-tags.yaml", fmt.Sprintf(`
targets:
- name: tags
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: %s}], tls: {mode: DISABLE}}
  credential: {header: {name: x-api-key, value: {env: SHOP_TOKEN}}}
rules:
- {name: tags-all, who: {groups: [agents, dba]}, on: {targets: [tags], http: {}}, allow: {}}
masks:
- {name: tags-secrets, on: {targets: [tags]}, paths: ["$..password"], redact: {}, except: {groups: [dba]}}
`, port, service.URL[strings.LastIndexByte(service.URL, ':')+1:]))
	defer policyFile(t, s, "78-tags.yaml", "")

	ask := func(as, method, path string, headers ...string) (int, string) {
		t.Helper()
		token, err := s.Token(t.Context(), as)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Add(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode, res.Header.Get("ETag")
	}
	waitUntil(t, "the target is not served", func() bool {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/x", port))
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusUnauthorized
	})
	status, ours := ask("agent", http.MethodGet, "/x")
	if status != 200 || !strings.HasPrefix(ours, `W/"`) || strings.Contains(ours, "v7") {
		t.Fatalf("%d, the tag is %s", status, ours)
	}
	for _, c := range []struct {
		name, as, method, path string
		headers                []string
		status                 int
	}{
		{"what was given", "agent", http.MethodGet, "/x", []string{"If-None-Match: " + ours}, 304},
		{"among others", "agent", http.MethodGet, "/x", []string{`If-None-Match: "a"`, "If-None-Match: " + ours}, 304},
		{"a write", "agent", http.MethodPut, "/x", []string{"If-Match: " + ours}, 200},
		{"a write of anything", "agent", http.MethodPut, "/x", []string{"If-Match: *"}, 200},
		{"a guess", "agent", http.MethodGet, "/x", []string{"If-None-Match: " + tag}, 200},
		{"a guess in a list", "agent", http.MethodGet, "/x", []string{"If-None-Match: W/" + tag + `, "v8"`}, 200},
		{"a guess for a write", "agent", http.MethodPut, "/x", []string{"If-Match: " + tag}, 412},
		{"a wrong guess for a write", "agent", http.MethodPut, "/x", []string{`If-Match: "v8"`}, 412},
		{"another resource", "agent", http.MethodGet, "/y", []string{"If-None-Match: " + ours}, 200},
		{"somebody else's", "alice", http.MethodGet, "/x", []string{"If-None-Match: " + ours}, 200},
		{"whom masks except", "alice", http.MethodGet, "/x", []string{"If-None-Match: " + tag}, 304},
	} {
		if got, now := ask(c.as, c.method, c.path, c.headers...); got != c.status || c.as == "agent" && strings.Contains(now, "v7") {
			t.Errorf("%s: %d, tag %s", c.name, got, now)
		}
	}
	if _, now := ask("agent", http.MethodGet, "/x", "If-None-Match: "+ours); now != ours {
		t.Errorf("a 304 has the tag %s", now)
	}
}
