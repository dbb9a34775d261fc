package check

import (
	"strings"
	"testing"
)

// moves is the bundle with a rule for WebDAV, and a target that takes a part of the paths of another.
var moves = strings.Replace(bundle, "rules:\n", `- name: part
  listener: {address: 127.0.0.1, port: 18443}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}], certificate: {chain: {file: c}, key: {file: k}}, tls: {mode: DISABLE}, path_prefix: /part}
  credential: {bearer: {token: {env: API_TOKEN}}}
rules:
- {name: moves, who: {groups: [agents]}, on: {targets: [api, part], http: {methods: [MOVE, COPY], paths: ["/files/**", "/part/**"]}}, allow: {}}
`, 1)

func TestADestinationIsAPathToo(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, moves, "v1"))
	for _, c := range []struct {
		target, method, path, to string
		status                   int // 0: let through
	}{
		{"api", "MOVE", "/files/a", "/files/b", 0},
		{"api", "MOVE", "/files/a", "https://api.example:18443/files/b", 0},
		{"api", "COPY", "/files/a", "https://API.example/files/b", 0},
		{"api", "MOVE", "/files/a", "/admin/b", 403},
		{"api", "MOVE", "/files/a", "/ADMIN./b", 403},
		{"api", "MOVE", "/files/a", "https://api.example:18443/admin/b", 403},
		{"api", "MOVE", "/files/a", "/elsewhere", 403},
		{"api", "MOVE", "/files/a", "https://other.example/files/b", 400},
		{"api", "MOVE", "/files/a", "/files/../admin", 400},
		{"api", "MOVE", "/files/a", "/files/%2e%2e/admin", 400},
		{"api", "MOVE", "/files/a", "files/b", 400},
		{"api", "MOVE", "/files/a", "", 400},
		{"api", "GET", "/files/a", "/admin/b", 403},
		{"api", "GET", "/files/a", "Berlin", 0},
		{"part", "COPY", "/part/a", "/part/b", 0},
		{"part", "COPY", "/part/a", "/files/b", 400},
	} {
		r := f.check(t, ask(c.target, c.method, c.path, good, "destination: "+c.to))
		if c.status == 0 {
			if r.GetOkResponse() == nil {
				t.Errorf("%+v: %v", c, r)
			}
			continue
		}
		if p := problemOf(t, r); p.Status != c.status {
			t.Errorf("%+v: %+v", c, p)
		}
	}
	if p := problemOf(t, f.check(t, ask("api", "MOVE", "/files/a", good, "destination: /files/b", "destination: /files/c"))); p.Status != 400 {
		t.Errorf("two of them: %+v", p)
	}
}

func TestAPathOfAnotherTargetInOtherWordsIsRefused(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, moves, "v1"))
	for _, path := range []string{"/PART/x", "/part./x", "/part%20/x", "/Part", "/part.json"} {
		if p := problemOf(t, f.check(t, ask("api", "GET", path, good))); p.Status != 400 || !strings.Contains(p.Detail, `"part"`) {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if r := f.check(t, ask("api", "GET", "/parts", good)); r.GetOkResponse() == nil {
		t.Errorf("got %v", r)
	}
}

func TestARuleForADestinationSeesTheBodysFields(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, moves+`- {name: over, on: {targets: [api], http: {paths: [/files/b]}}, when: "'overwrite' in request.http.query", deny: {}}
`, "v1"))
	form := []string{good, "content-type: application/x-www-form-urlencoded", "destination: /files/b"}
	for body, passes := range map[string]bool{"a=1": true, "overwrite=1": false} {
		r := f.check(t, withBody(ask("api", "MOVE", "/files/a", form...), body))
		if (r.GetOkResponse() != nil) != passes {
			t.Errorf("%s: %v", body, r)
		}
	}
}
