package policies

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

func TestBoundsOfATargetHaveDefaults(t *testing.T) {
	if got := MaxRequestBytes(&policyv1.Http{}); got != 1<<20 {
		t.Errorf("%d bytes", got)
	}
	if got := MaxRequestBytes(&policyv1.Http{MaxRequestBytes: 1}); got != 1 {
		t.Errorf("%d bytes", got)
	}
	if got := BodyTimeout(&policyv1.Http{}); got != time.Minute {
		t.Errorf("%v", got)
	}
	if got := BodyTimeout(&policyv1.Http{BodyTimeout: durationpb.New(time.Nanosecond)}); got != time.Nanosecond {
		t.Errorf("%v", got)
	}
}

func TestTheHostThatAServiceSees(t *testing.T) {
	plain := &policyv1.UpstreamTls{Mode: policyv1.UpstreamTls_DISABLE}
	at := func(host string, port uint32) []*policyv1.Endpoint {
		return []*policyv1.Endpoint{{Host: host, Port: port}, {Host: "second", Port: 1}}
	}
	for name, c := range map[string]struct {
		http *policyv1.Http
		want string
		own  bool
	}{
		"the agent's, if the target names hosts":  {&policyv1.Http{Hosts: []string{"a.example"}, Endpoints: at("b", 443)}, "", false},
		"the agent's, if there is no other":       {&policyv1.Http{}, "", false},
		"what the target says":                    {&policyv1.Http{Hosts: []string{"a.example"}, HostRewrite: "c.example", Endpoints: at("b", 443)}, "c.example", true},
		"the endpoint's":                          {&policyv1.Http{Endpoints: at("API.internal", 443)}, "api.internal", true},
		"with a port that is not the scheme's":    {&policyv1.Http{Endpoints: at("api.internal", 8443)}, "api.internal:8443", true},
		"with the port of the other scheme":       {&policyv1.Http{Endpoints: at("api.internal", 80)}, "api.internal:80", true},
		"without TLS":                             {&policyv1.Http{Endpoints: at("localhost", 80), Tls: plain}, "localhost", true},
		"without TLS, with the port of the other": {&policyv1.Http{Endpoints: at("localhost", 443), Tls: plain}, "localhost:443", true},
		"an address of IPv6":                      {&policyv1.Http{Endpoints: at("::1", 443)}, "[::1]", true},
		"an address of IPv6 with a port":          {&policyv1.Http{Endpoints: at("::1", 444)}, "[::1]:444", true},
	} {
		if got, own := UpstreamHost(c.http); got != c.want || own != c.own {
			t.Errorf("%s: %q, %v", name, got, own)
		}
	}
}

func httpTarget(name, more string) string {
	return "\n- name: " + name + `
  listener: {address: 127.0.0.1, port: 18444}
  http:
    endpoints: [{host: 127.0.0.1, port: 8080}]
    certificate: {chain: {file: cert.pem}, key: {file: key.pem}}
    tls: {mode: DISABLE}
    ` + more + `
  credential: {bearer: {token: {env: API_TOKEN}}}`
}

func TestAHostRewriteIsAHost(t *testing.T) {
	for host, good := range map[string]bool{
		"azAZ09.example": true, "a-b_c.d:8080": true, "[::1]:80": true, "127.0.0.1": true,
		"a`b": false, "a{b": false, "a@b": false, "a/b": false, "a b": false, "a^b": false, "ä.example": false,
	} {
		_, err := Compile(mustBundle(t, httpTargets+httpTarget("one", `host_rewrite: "`+host+`"`)))
		if (err == nil) != good {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestTargetsOfOneListenerDifferInHostOrPath(t *testing.T) {
	for name, c := range map[string]struct {
		one, other string
		good       bool
	}{
		"both any host":                 {"", "", false},
		"one any host, other by name":   {"", "hosts: [a.example]", true},
		"other any host, one by name":   {"hosts: [a.example]", "", true},
		"different hosts":               {"hosts: [a.example, c.example]", "hosts: [b.example]", true},
		"a host of both":                {"hosts: [a.example, c.example]", "hosts: [b.example, c.example]", false},
		"different paths":               {"path_prefix: /a", "path_prefix: /b", true},
		"a path with a slash behind it": {"path_prefix: /a", "path_prefix: /a/", false},
	} {
		_, err := Compile(mustBundle(t, httpTargets+httpTarget("one", c.one)+httpTarget("other", c.other)))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATargetIsFoundByItsName(t *testing.T) {
	p := mustCompile(t)
	if got := p.Target("billing"); got.GetName() != "billing" {
		t.Errorf("got %v", got)
	}
	if got := p.Target("nope"); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestOfWhatATargetIsNotSpokenInVain(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an HTTP rule of a database":      {"rules:\n- {name: r, on: {targets: [orders], http: {methods: [GET]}}, deny: {}}", "rules[0].on: target \"orders\" speaks another protocol"},
		"an SQL rule of a service":        {"rules:\n- {name: r, on: {targets: [api], sql: {effects: [READ]}}, deny: {}}", "rules[0].on: target \"api\" speaks another protocol"},
		"a rule of some":                  {"rules:\n- {name: r, on: {targets: [\"*\"], sql: {effects: [READ]}}, deny: {}}", ""},
		"a rule of none yet":              {"rules:\n- {name: r, on: {targets: [\"later-*\"], sql: {effects: [READ]}}, deny: {}}", ""},
		"a rule of one that is not there": {"rules:\n- {name: r, on: {targets: [later]}, deny: {}}", "no target is named \"later\""},
		"columns of a service":            {"masks:\n- {name: m, on: {targets: [api]}, columns: [\"a.b.c\"], redact: {}}", "masks[0]: it hides nothing of target \"api\""},
		"paths of a database":             {"masks:\n- {name: m, on: {targets: [orders]}, paths: [\"$.a\"], redact: {}}", "masks[0]: it hides nothing of target \"orders\""},
		"headers of a database":           {"masks:\n- {name: m, on: {targets: [orders]}, headers: [x-secret], redact: {}}", "masks[0]: it hides nothing of target \"orders\""},
		"detectors of either":             {"masks:\n- {name: m, on: {targets: [orders]}, detect: [jwt], redact: {}}", ""},
		"headers of a service":            {"masks:\n- {name: m, on: {targets: [api]}, headers: [x-secret], redact: {}}", ""},
		"a mask of none yet":              {"masks:\n- {name: m, on: {targets: [\"later-*\"]}, columns: [\"a.b.c\"], redact: {}}", ""},
		"a column that is no column":      {"masks:\n- {name: m, on: {targets: [orders]}, columns: [\"bb.cc\"], redact: {}}", "has 2 parts"},
		"a column with a part too many":   {"masks:\n- {name: m, on: {targets: [orders]}, columns: [\"a.b.c.d\"], redact: {}}", "has 4 parts"},
	} {
		_, err := Compile(mustBundle(t, httpTargets+c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATargetNamedTwiceHasARuleOnce(t *testing.T) {
	p := compileText(t, httpTargets+"rules:\n- {name: r, on: {targets: [orders, \"ord*\"]}, allow: {}}\n")
	d := p.Decide(&Request{Principal: member("x"), Target: "orders"})
	if len(d.Rules) != 1 {
		t.Errorf("got %q", d.Rules)
	}
}
