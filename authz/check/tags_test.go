package check

import (
	"strings"
	"testing"
)

// tagged is the bundle with masks for bodies of one target, for headers alone of another.
var tagged = strings.Replace(bundle, "rules:\n", "masks:\n- {name: bodies, on: {targets: [api]}, paths: [\"$..key\"], redact: {}}\n- {name: heads, on: {targets: [keyed]}, headers: [x-a], redact: {}}\nrules:\n", 1)

func TestEntityTagsGoBackToWhomTheyWereGiven(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, tagged, "v1"))
	let := func(target, path string, headers ...string) (*Exchange, map[string]string) {
		t.Helper()
		r := f.check(t, ask(target, "GET", path, append(headers, good)...))
		e, ok := f.Take(ticketOf(r), "r-1")
		if !ok {
			t.Fatalf("not let through: %v", r)
		}
		got := map[string]string{}
		for _, name := range []string{"if-match", "if-none-match"} {
			if v := headerOf(r.GetOkResponse().GetHeaders(), name); v != "" {
				got[name] = v
			}
		}
		return e, got
	}
	e, _ := let("api", "/x")
	sealed, ok := e.Tags().Seal(`"v7"`)
	if !ok {
		t.Fatal("it is not sealed")
	}
	for name, c := range map[string]struct {
		path, header string
		want         map[string]string
		known        bool
	}{
		"what was given":           {"/x", "if-none-match: " + sealed, map[string]string{"if-none-match": `"v7"`}, true},
		"for a write":              {"/x", "if-match: " + sealed, map[string]string{"if-match": `"v7"`}, true},
		"with others":              {"/x?a=1", `if-match: "guess", ` + sealed, map[string]string{"if-match": `"v7"`}, true},
		"anything":                 {"/x", "if-match: *", map[string]string{"if-match": "*"}, true},
		"a guess":                  {"/x", `if-none-match: "v7"`, nil, false},
		"a weak guess":             {"/x", `if-match: W/"v7"`, nil, false},
		"for another resource":     {"/y", "if-none-match: " + sealed, nil, false},
		"something that is no tag": {"/x", "if-match: v7", nil, false},
	} {
		_, got := let("api", c.path, c.header)
		if c.known && (len(got) != 1 || got["if-match"] != c.want["if-match"] || got["if-none-match"] != c.want["if-none-match"]) ||
			!c.known && (len(got) != 1 || strings.Contains(got["if-match"]+got["if-none-match"], "v7")) {
			t.Errorf("%s: the service is asked %q", name, got)
		}
	}
	f.policies.policy.Store(compiled(t, strings.Replace(tagged, "$..key", "$..keys", 1), "v2"))
	if _, got := let("api", "/x", "if-none-match: "+sealed); strings.Contains(got["if-none-match"], "v7") {
		t.Errorf("under other masks the service is asked %q", got)
	}
	if e, got := let("keyed", "/x", `if-none-match: "v7"`); e.Tags != nil || len(got) != 0 {
		t.Errorf("where bodies are as they came: %q", got)
	}
}

func TestTagsInOtherConditionsAreTriedByNobody(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, tagged, "v1"))
	asked := func(name, value string) string {
		t.Helper()
		r := f.check(t, ask("api", "GET", "/x", good, name+": "+value))
		if r.GetOkResponse() == nil {
			t.Fatalf("%s: %v", name, r)
		}
		return headerOf(r.GetOkResponse().GetHeaders(), name)
	}
	e, ok := f.Take(ticketOf(f.check(t, ask("api", "GET", "/x", good))), "r-1")
	if !ok {
		t.Fatal("not let through")
	}
	sealed, _ := e.Tags().Seal(`"v7"`)
	for _, name := range []string{"x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match", "x-ms-source-if-match", "if"} {
		for _, guess := range []string{`"v7"`, "v7", `(["v7"])`, `(<urn:uuid:1> ["v7"]) (Not ["v7"])`, `["v7"`, `[W/"v7"] ["v7"]`} {
			if name != "if" && strings.Contains(guess, "[") || name == "if" && !strings.Contains(guess, "[") {
				continue
			}
			if got := asked(name, guess); got == "" || strings.Contains(got, "v7") {
				t.Errorf("%s: %s: the service is asked %q", name, guess, got)
			}
		}
	}
	if got := asked("x-ms-source-if-match", sealed); got != `"v7"` {
		t.Errorf("what was given: %q", got)
	}
	if got := asked("if", "(<urn:uuid:1> ["+sealed+"])"); got != `(<urn:uuid:1> ["v7"])` {
		t.Errorf("what was given, beside a lock: %q", got)
	}
}
