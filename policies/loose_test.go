package policies

import (
	"fmt"
	"strings"
	"testing"
)

// looseTargets has rules of each kind with one condition.
func looseRules(when, paths string) string {
	return httpTargets + fmt.Sprintf(`
rules:
- {name: base, who: {groups: [agents]}, on: {targets: [api], http: {methods: [GET]}}, allow: {}}
- {name: no, on: {targets: [api], http: {methods: [GET], paths: [%[2]q]}}, when: %[1]q, deny: {}}
- {name: ask, who: {groups: [agents]}, on: {targets: [api], http: {methods: [POST], paths: [%[2]q]}}, when: %[1]q, approve: {by: [{groups: [dba]}]}}
- {name: post, who: {groups: [agents]}, on: {targets: [api], http: {methods: [POST]}}, allow: {}}
- {name: only, who: {groups: [agents]}, on: {targets: [api], http: {methods: [PUT], paths: [%[2]q]}}, when: %[1]q, allow: {}}
`, when, paths)
}

type httpValues = map[string]any

func query(pairs ...string) httpValues {
	q := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		q[pairs[i]] = append(q[pairs[i]], pairs[i+1])
	}
	return httpValues{"query": q, "headers": map[string]string{}}
}

func mode(value string) httpValues {
	return httpValues{"headers": map[string]string{"x-mode": value}, "query": map[string][]string{}}
}

func body(members httpValues) httpValues {
	return httpValues{"body": members, "query": map[string][]string{}, "headers": map[string]string{}}
}

// TestConditionsAreLooseWhereServicesAre: what a deny or approve rule asks of is met by whatever some service takes for it;
// what an allow rule asks of, by that alone.
func TestConditionsAreLooseWhereServicesAre(t *testing.T) {
	for _, c := range []struct {
		when, paths, target string
		values              httpValues
		exact               bool // an allow rule is met
		no                  bool // a deny rule is not
	}{
		{when: "request.http.body.force == true", values: body(httpValues{"force": true}), exact: true},
		{when: "request.http.body.force == true", values: body(httpValues{"Force": true})},
		{when: "request.http.body.force == true", values: body(httpValues{"FORCE[]": true})},
		{when: "request.http.body.force == true", values: body(httpValues{"force": "true"})},
		{when: "request.http.body.force == true", values: body(httpValues{"force": 1.0})},
		{when: "request.http.body.force == true", values: body(httpValues{"force": []any{true}})},
		{when: "has(request.http.body.opts) && request.http.body.opts.force", values: body(httpValues{"Opts": httpValues{"Force": true}})},
		{when: "has(request.http.body.force) && request.http.body.force == true && request.http.params.id != 'safe'", paths: "/x/{id}", target: "/x/SAFE", values: body(httpValues{"Force": true})},
		{when: "request.http.body.force == true", values: body(httpValues{"force": false}), no: true},
		{when: "request.http.body.force == true", values: body(httpValues{"force": "false", "enforce": true}), no: true},
		{when: "has(request.http.body.force) && request.http.body.force == true", values: body(httpValues{"enforce": true}), no: true},
		{when: "request.http.headers['x-mode'] in ['fast', 'quick']", values: mode("fast"), exact: true},
		{when: "request.http.headers['x-mode'] in ['fast', 'quick']", values: mode("QUICK")},
		{when: "request.http.headers['x-mode'] in ['fast', 'quick']", values: mode("slow"), no: true},
		// It may read any part, so all are read in every way.
		{when: "'bo' + 'dy' in request.http && has(request.http['bo' + 'dy'].force)", values: body(httpValues{"force": true}), exact: true},
		{when: "'bo' + 'dy' in request.http && has(request.http['bo' + 'dy'].force)", values: body(httpValues{"Force[]": true})},
		{when: "'bo' + 'dy' in request.http && has(request.http['bo' + 'dy'].force)", values: body(httpValues{"enforce": true}), no: true},
		{when: "'all' in request.http.query", values: query("all", "1"), exact: true},
		{when: "'all' in request.http.query", values: query("All", "1")},
		{when: "'all' in request.http.query", values: query("all[]", "1")},
		{when: "'all' in request.http.query", values: query(" all", "1")},
		{when: "'all' in request.http.query", values: query("all\x00", "1")},
		{when: "'all' in request.http.query", values: query("small", "1"), no: true},
		{when: "has(request.http.query.all)", values: query("ALL", "1")},
		{when: "has(request.http.query.all) && request.http.query.all[0] == '1'", values: query("all", "1"), exact: true},
		{when: "has(request.http.query.all) && request.http.query.all[0] == '1'", values: query("all", "0", "all", "1")},
		{when: "has(request.http.query.all) && request.http.query.all[0] == '1'", values: query("all", "0", "All", "1")},
		{when: "has(request.http.query.all) && request.http.query.all[0] == '1'", values: query("all", "0", "b", "1"), no: true},
		{when: "has(request.http.query.all) && request.http.query.all == ['yes']", values: query("all", "no", "all", "YES ")},
		{when: "has(request.http.query.a) && request.http.query.a[0] == 'x' && request.http.query.b[0] == 'y'", values: query("a", "-", "a", "x", "b", "-", "b", "y")},
		{when: "has(request.http.query.mode) && request.http.query.mode[0] in ['drop', 'purge']", values: query("mode", "PURGE")},
		{when: "'x-mode' in request.http.headers && request.http.headers['x-mode'] == 'delete'", values: mode("delete"), exact: true},
		{when: "'x-mode' in request.http.headers && request.http.headers['x-mode'] == 'delete'", values: mode("read, delete")},
		{when: "'x-mode' in request.http.headers && request.http.headers['x-mode'] == 'delete'", values: mode("Delete")},
		{when: "'x-mode' in request.http.headers && request.http.headers['x-mode'].matches('^DEL')", values: mode("read, delete")},
		{when: "'x-mode' in request.http.headers && request.http.headers['x-mode'] == 'delete'", values: mode("undelete"), no: true},
		{when: "request.http.path == '/users/@me'", target: "/users/@me", exact: true},
		{when: "request.http.path == '/users/@me'", target: "/users/%40me"},
		{when: "request.http.path == '/users/@me'", target: "/users/@ME"},
		{when: "request.http.path == '/users/@me'", target: "/users/@me.json"},
		{when: "request.http.path.startsWith('/users/@me')", target: "/Users./%40me/x"},
		{when: "request.http.path == '/users/@me'", target: "/users/@men", no: true},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/root", exact: true},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/Root"},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/root."},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/root%20"},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/root.json"},
		{when: "request.http.params.id == 'Root'", paths: "/team/{id}", target: "/team/ROOT"},
		{when: "request.http.params.id == 'root'", paths: "/team/{id}", target: "/team/groot", no: true},
		{when: "request.http.params.id in ['root', 'admin']", paths: "/team/{id}", target: "/team/ADMIN"},
		// What is not of the request is as exact as ever, and what was met before is met still.
		{when: "!('DBA' in request.principal.groups)", target: "/x", exact: true},
		{when: "'AGENTS' in request.principal.groups && request.http.path == '/y'", target: "/x", no: true},
		{when: "request.http.params.id != 'safe'", paths: "/x/{id}", target: "/x/SAFE", exact: true},
		{when: "request.time > timestamp('2026-01-01T00:00:00Z')", target: "/x", no: true},
		{when: "request.time.getHours('Europe/Berlin') == 99", target: "/x", no: true},
	} {
		if c.paths == "" {
			c.paths = "/**"
		}
		if c.target == "" {
			c.target = "/x"
		}
		if c.values == nil {
			c.values = query()
		}
		values := httpValues{"path": strings.SplitN(c.target, "?", 2)[0], "method": "GET"}
		for k, v := range c.values {
			values[k] = v
		}
		p := compileText(t, looseRules(c.when, c.paths))
		for method, want := range map[string]Verdict{"GET": Deny, "POST": Hold, "PUT": Deny} {
			switch {
			case method == "PUT" && c.exact:
				want = Allow
			case method != "PUT" && c.no:
				want = Allow
			}
			if d := p.Decide(callRequest(t, method, "api", c.target, values)); d.Verdict != want {
				t.Errorf("%s, %s %s %v: %v, want %v: %s", c.when, method, c.target, c.values, d.Verdict, want, d.Message)
			}
		}
	}
}

func TestWhatIsOnlyMeantPeopleAreAskedAboutAndNobodyGives(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: ask, who: {groups: [agents]}, on: {targets: [api], http: {}}, when: "request.http.query.kind == ['small']", approve: {by: [{groups: [dba]}]}}
`)
	if d := p.Decide(callRequest(t, "GET", "api", "/x", query("kind", "small"))); d.Verdict != Hold {
		t.Errorf("as it is written: %v", d)
	}
	if d := p.Decide(callRequest(t, "GET", "api", "/x", query("Kind", "small", "kind", "large"))); d.Verdict != Deny {
		t.Errorf("no rule covers it: %v", d)
	}
}

func TestTooManyReadingsAreMet(t *testing.T) {
	p := compileText(t, looseRules("has(request.http.query.a) && request.http.query.a[0] == 'never'", "/**"))
	pairs := []string{"a", "1"}
	for range maxReadings {
		pairs = append(pairs, "a", "1")
	}
	if d := p.Decide(callRequest(t, "GET", "api", "/x", query(pairs...))); d.Verdict != Deny {
		t.Errorf("got %v", d)
	}
	if d := p.Decide(callRequest(t, "GET", "api", "/x", query(append([]string{"b", "1"}, strings.Split(strings.Repeat("b,2,", 40), ",")[:80]...)...))); d.Verdict != Allow {
		t.Errorf("what the rule does not mention: %v", d)
	}
}

func TestOtherSpellingsOfAPathAreNoWayAroundADenial(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: all, who: {groups: [agents]}, on: {targets: [api], http: {}}, allow: {}}
- {name: admin, on: {targets: [api], http: {paths: [/admin, "/internal/**", "/v1.2/{id}/purge"]}}, deny: {}}
`)
	for target, denied := range map[string]bool{
		"/admin": true, "/admin.json": true, "/admin.JSON": true, "/ADMIN.": true, "/admin%20": true, "/admin/": true, "/admin.tar.gz": true, "/%61dmin.xml": true,
		"/internal/x": true, "/Internal./x": true, "/internal.json": true, "/%20internal/x": true, "/v1.2/7/purge.json": true, "/V1.2/7/Purge/": true,
		"/administrators": false, "/admins.json": false, "/x/admin": false, "/v1/7/purge": false, "/internals/x": false,
	} {
		d := p.Decide(callRequest(t, "GET", "api", target, nil))
		if (d.Verdict == Deny) != denied {
			t.Errorf("%s: %v", target, d.Verdict)
		}
	}
}

func TestOnlyHostsAreABorderBetweenTargets(t *testing.T) {
	const text = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: front
  listener: {address: 127.0.0.1, port: 1, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], tls: {mode: DISABLE}, hosts: [a.example, b.example]}
  credential: {bearer: {token: {env: T}}}
- name: admin
  listener: {address: 127.0.0.1, port: 1, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], tls: {mode: DISABLE}, hosts: ["a.example:1", "*.c.example"], path_prefix: /admin/v1}
  credential: {bearer: {token: {env: T}}}
`
	p := compileText(t, text)
	for _, c := range []struct {
		target, host, path string
		foreign            bool
	}{
		{"front", "a.example", "/ADMIN/v1/x", true},
		{"front", "a.example", "/admin./v1", true},
		{"front", "a.example", "/admin%20/V1/x", true},
		{"front", "a.example", "/admin/v1.json", true},
		{"front", "a.example", "/admin/v2", false},
		{"front", "a.example", "/x/admin/v1", false},
		{"front", "b.example", "/ADMIN/v1/x", false},
		{"admin", "a.example", "/admin/v1/x", false},
		{"none", "a.example", "/admin/v1", false},
	} {
		if got := p.Foreign(c.target, c.host, callRequest(t, "GET", c.host, c.path, nil).Operations[0].Call.Path); (got == "admin") != c.foreign {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
