package policies

import (
	"strings"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/httppath"
)

const httpTargets = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: api
  listener: {address: 127.0.0.1, port: 18443}
  http:
    endpoints: [{host: 127.0.0.1, port: 8080}]
    certificate: {chain: {file: cert.pem}, key: {file: key.pem}}
    tls: {mode: DISABLE}
  credential: {bearer: {token: {env: API_TOKEN}}}
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
`

func callRequest(t *testing.T, method, host, target string, values map[string]any) *Request {
	t.Helper()
	path, err := httppath.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	call := &Call{Host: host, Path: path, Values: func() map[string]any { return values }}
	return &Request{
		Principal: &identityv1.Principal{Issuer: "corp", Subject: "ci", Groups: []string{"agents"}},
		Target:    "api", Operations: []Operation{CallOf(method, call)}, Time: time.Unix(1, 0),
	}
}

func TestRulesSelectRequests(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: read, who: {groups: [agents]}, on: {targets: [api], http: {methods: [GET, HEAD]}}, allow: {}}
- {name: write, who: {groups: [agents]}, on: {targets: ["*"], http: {methods: [POST, DELETE], paths: ["/customers/{id}", "/orders/**"]}}, approve: {by: [{groups: [dba]}]}}
- {name: no-admin, on: {targets: ["*"], http: {paths: ["/admin/**"]}}, deny: {message: "Not here."}}
- {name: big, on: {targets: [api], http: {paths: ["/pay"]}}, when: "request.http.body.amount > 100", deny: {}}
- {name: pay, who: {groups: [agents]}, on: {targets: [api], http: {methods: [POST], paths: ["/pay"], hosts: ["pay.example", "*.pay.example"]}}, when: "request.http.body.amount >= 0", allow: {}}
- {name: mine, who: {groups: [agents]}, on: {targets: [api], http: {methods: [PUT], paths: ["/users/{name}/keys"]}}, when: "request.http.params.name == request.principal.subject", allow: {}}
- {name: sql, who: {groups: [agents]}, on: {targets: ["*"], sql: {}}, allow: {}}
`)
	small := map[string]any{"body": map[string]any{"amount": 5}}
	for _, c := range []struct {
		method, host, target string
		values               map[string]any
		want                 Verdict
		words                string
	}{
		{"GET", "api", "/customers", nil, Allow, ""},
		{"GET", "api", "/", nil, Allow, ""},
		{"OPTIONS", "api", "/customers", nil, Deny, "no rule allows OPTIONS /customers"},
		{"DELETE", "api", "/customers/7", nil, Hold, ""},
		{"DELETE", "api", "/customers", nil, Deny, "no rule allows"},
		{"DELETE", "api", "/customers/7/", nil, Deny, "no rule allows"},
		{"DELETE", "api", "/orders/1/lines/2", nil, Hold, ""},
		{"GET", "api", "/admin", nil, Deny, "Not here."},
		{"GET", "api", "/%61dmin/x", nil, Deny, "Not here."},
		{"GET", "api", "/Admin/x/", nil, Deny, "Not here."},
		{"POST", "pay.example", "/pay", small, Allow, ""},
		{"POST", "eu.pay.example", "/pay", small, Allow, ""},
		{"POST", "evilpay.example", "/pay", small, Deny, "no rule allows"},
		{"POST", "pay.example", "/pay", map[string]any{"body": map[string]any{"amount": 500}}, Deny, "big"},
		{"POST", "pay.example", "/pay", map[string]any{"body": map[string]any{}}, Deny, "big"},
		{"POST", "pay.example", "/pay", nil, Deny, "big"},
		{"PUT", "api", "/users/ci/keys", nil, Allow, ""},
		{"PUT", "api", "/users/root/keys", nil, Deny, "no rule allows"},
	} {
		d := p.Decide(callRequest(t, c.method, c.host, c.target, c.values))
		if d.Verdict != c.want || !strings.Contains(d.Message+d.Detail, c.words) {
			t.Errorf("%s %s%s: %v %q %q, want %v %q", c.method, c.host, c.target, d.Verdict, d.Message, d.Detail, c.want, c.words)
		}
	}
	// A denial says what is allowed.
	d := p.Decide(callRequest(t, "PATCH", "api", "/customers", nil))
	if !strings.Contains(d.Hint, "GET, HEAD") || !strings.Contains(d.Hint, "/orders/**") || strings.Contains(d.Hint, "sql") {
		t.Errorf("hint: %s", d.Hint)
	}
}

// Services do for HEAD what they do for GET, and leave the body out.
func TestRulesThatDenyOrAskAboutGETAreAboutHEAD(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: all, who: {groups: [agents]}, on: {targets: [api], http: {}}, allow: {}}
- {name: run, on: {targets: [api], http: {methods: [GET], paths: ["/jobs/run"]}}, approve: {by: [{groups: [dba]}]}}
- {name: no, on: {targets: [api], http: {methods: [GET, POST], paths: ["/export"]}}, deny: {}}
- {name: when, on: {targets: [api], http: {methods: [GET], paths: ["/stop"]}}, when: "'now' in request.http.query", approve: {by: [{groups: [dba]}]}}
- {name: said, on: {targets: [api], http: {paths: ["/said"]}}, when: "request.http.method == 'GET'", deny: {}}
- {name: other, on: {targets: [api], http: {methods: [DELETE], paths: ["/x"]}}, deny: {}}
- {name: head, on: {targets: [api], http: {methods: [HEAD], paths: ["/y"]}}, deny: {}}
`)
	for call, want := range map[string]Verdict{
		"GET /jobs/run": Hold, "HEAD /jobs/run": Hold, "HEAD /export": Deny, "HEAD /stop": Hold, "GET /said": Deny, "HEAD /said": Deny, "PUT /said": Allow, "POST /jobs/run": Allow, "OPTIONS /jobs/run": Allow,
		"HEAD /x": Allow, "HEAD /y": Deny, "GET /y": Allow,
	} {
		method, target, _ := strings.Cut(call, " ")
		values := query("now", "1")
		values["method"] = method
		if d := p.Decide(callRequest(t, method, "api", target, values)); d.Verdict != want {
			t.Errorf("%s: %v, want %v", call, d.Verdict, want)
		}
	}
	only := compileText(t, httpTargets+"rules:\n- {name: get, who: {groups: [agents]}, on: {targets: [api], http: {methods: [GET]}}, allow: {}}\n")
	if d := only.Decide(callRequest(t, "HEAD", "api", "/x", nil)); d.Verdict != Deny {
		t.Errorf("a rule that allows GET allows HEAD: %v", d.Verdict)
	}
}

// A service that gives a path to a program takes it for the one behind that.
func TestRulesThatDenyOrAskReadPathsBehindPrograms(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: all, who: {groups: [agents]}, on: {targets: [api], http: {}}, allow: {}}
- {name: admin, on: {targets: [api], http: {paths: ["/admin/**"]}}, deny: {}}
- {name: run, on: {targets: [api], http: {methods: [POST], paths: ["/jobs/{id}"]}}, approve: {by: [{groups: [dba]}]}}
- {name: root, on: {targets: [api], http: {paths: ["/users/{id}"]}}, when: "request.http.params.id == 'root'", deny: {}}
- {name: below, on: {targets: [api]}, when: "request.http.path.startsWith('/vault/')", deny: {}}
`)
	for call, want := range map[string]Verdict{
		"GET /index.php/admin/x": Deny, "GET /(S(x))/admin/x": Deny, "POST /index.php/jobs/7": Hold, "POST /jobs/index.php/7": Hold, "GET /index.php/users/root": Deny,
		"GET /index.php/users/root.json": Deny, "GET /users/(S(x))/root": Deny, "GET /index.php/vault/x": Deny, "GET /x/app.php/Vault/x": Deny, "GET /vault.php/x": Deny,
		"GET /index.php/users/7": Allow, "GET /index.php": Allow, "GET /index.php/x/vault/y": Allow,
	} {
		method, target, _ := strings.Cut(call, " ")
		values := map[string]any{"path": target, "headers": map[string]string{}, "query": map[string][]string{}}
		if d := p.Decide(callRequest(t, method, "api", target, values)); d.Verdict != want {
			t.Errorf("%s: %v, want %v", call, d.Verdict, want)
		}
	}
	// What is allowed at one path is not allowed at another that may be taken for it, nor as whom that would be for.
	own := compileText(t, httpTargets+`
rules:
- {name: own, who: {groups: [agents]}, on: {targets: [api], http: {paths: ["/{name}", "/{x}/{name}"]}}, when: "request.http.params.name == request.principal.subject", allow: {}}
`)
	for target, want := range map[string]Verdict{"/ci": Allow, "/x/ci": Allow, "/index.php/ci": Allow, "/ci/root.php": Deny, "/index.php/x/ci": Deny} {
		if d := own.Decide(callRequest(t, "GET", "api", target, nil)); d.Verdict != want {
			t.Errorf("%s: %v, want %v", target, d.Verdict, want)
		}
	}
}

func TestARuleSpeaksOnlyOfItsProtocol(t *testing.T) {
	p := compileText(t, httpTargets+`
rules:
- {name: calls, who: {groups: [agents]}, on: {targets: ["*"], http: {}}, allow: {}}
`)
	statement := &Request{
		Principal: &identityv1.Principal{Issuer: "corp", Subject: "ci", Groups: []string{"agents"}}, Target: "orders",
		Operations: []Operation{{Command: "SELECT", Pairs: []Pair{{Effect: policyv1.Effect_READ, Object: "public.orders"}}}},
	}
	if d := p.Decide(statement); d.Verdict != Deny {
		t.Errorf("a rule about requests allows a statement: %v", d)
	}
	for rule, words := range map[string]string{
		"on: {targets: [orders], http: {}}":                          `target "orders" speaks another protocol`,
		"on: {targets: [api], sql: {}}":                              `target "api" speaks another protocol`,
		"on: {targets: [api], http: {paths: [\"a\"]}}":               "rules[0].on.http.paths[0]",
		"on: {targets: [api], http: {}, sql: {}}":                    "not both",
		"on: {targets: [api], http: {methods: [get]}}":               "rules[0].on.http.methods[0]",
		"on: {targets: [api], http: {hosts: [\"https://example\"]}}": "rules[0].on.http.hosts[0]",
	} {
		_, err := Compile(mustBundle(t, httpTargets+"rules:\n- {name: r, allow: {}, "+rule+"}\n"))
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", rule, err, words)
		}
	}
}

func TestHTTPTargetsAreChecked(t *testing.T) {
	const first = `
- name: a
  listener: {address: 127.0.0.1, port: 1}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: c}, key: {file: k}}, hosts: [a.example]}
  credential: {bearer: {token: {env: T}}}
`
	for name, c := range map[string]struct{ target, words string }{
		"a second one at another host": {`
- name: b
  listener: {address: 127.0.0.1, port: 1}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: c}, key: {file: k}}, hosts: [b.example]}
  credential: {header: {name: x-api-key, value: {env: T}}}`, ""},
		"a second one at another path": {`
- name: b
  listener: {address: 127.0.0.1, port: 1}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: c}, key: {file: k}}, hosts: [a.example], path_prefix: /v2}
  credential: {static: {username: u, password: {env: T}}}`, ""},
		"the same host and path": {`
- name: b
  listener: {address: 127.0.0.1, port: 1}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: c}, key: {file: k}}, hosts: [b.example, a.example], path_prefix: /}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http: targets[0] has the same host"},
		"another certificate": {`
- name: b
  listener: {address: 127.0.0.1, port: 1}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: d}, key: {file: k}}}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http.certificate: the listener is shared"},
		"PostgreSQL beside it": {`
- name: b
  listener: {address: 127.0.0.1, port: 1}
  postgres: {endpoints: [{host: 127.0.0.1, port: 2}], database: d}
  credential: {static: {username: u, password: {env: T}}}`, "targets[1].listener: 127.0.0.1:1 is the listener of targets[0]"},
		"no certificate": {`
- name: b
  listener: {address: 127.0.0.1, port: 3}
  http: {endpoints: [{host: 127.0.0.1, port: 2}]}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http.certificate: it is needed"},
		"plaintext and a certificate": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], certificate: {chain: {file: d}, key: {file: k}}}
  credential: {bearer: {token: {env: T}}}`, "either TLS or plaintext"},
		"no TLS over a network": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 192.0.2.1, port: 2}], tls: {mode: DISABLE}}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http.endpoints[0].host"},
		"a token for PostgreSQL": {`
- name: b
  listener: {address: 127.0.0.1, port: 3}
  postgres: {endpoints: [{host: 127.0.0.1, port: 2}], database: d}
  credential: {bearer: {token: {env: T}}}`, "PostgreSQL needs static"},
		"steps in a prefix": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], path_prefix: /a/../b}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http.path_prefix: \"/a/../b\" has steps"},
		"a line break in a host": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], host_rewrite: "a\r\nx-evil: b"}
  credential: {bearer: {token: {env: T}}}`, "targets[1].http.host_rewrite:"},
		"a host for the service": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], path_prefix: /a/b/, host_rewrite: "[2001:db8::1]:8080"}
  credential: {bearer: {token: {env: T}}}`, ""},
		"a header that frames": {`
- name: b
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}]}
  credential: {header: {name: host, value: {env: T}}}`, "not for credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(mustBundle(t, "issuers: [{name: corp, url: \"https://idp.example\", audiences: [sluice]}]\ntargets:"+first+c.target+"\n"))
			if c.words == "" && err != nil || c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)) {
				t.Errorf("got %v, want %q", err, c.words)
			}
		})
	}
}
