package policies

import (
	"fmt"
	"strings"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

func pairOf(effect policyv1.Effect, object string) Pair { return Pair{Effect: effect, Object: object} }

const toldRules = `
rules:
- {name: read, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ], relations: ["public.*", "audit.log"]}}, allow: {}}
- {name: keep, who: {groups: [agents]}, on: {targets: [orders], sql: {commands: [VACUUM, ANALYZE]}}, when: "request.attributes.hour < 6", allow: {}}
- {name: ask, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [UPDATE, DELETE]}}, approve: {by: [{groups: [dba]}]}}
- {name: no, on: {targets: [orders], sql: {commands: [DROP]}}, deny: {message: No dropping.}}
- {name: other, who: {groups: [others]}, on: {targets: [orders]}, allow: {}}
- {name: get, who: {groups: [agents]}, on: {targets: [api], http: {methods: [POST, GET], hosts: [a.example, b.example], paths: ["/x/{id}", "/y"]}}, allow: {}}
- {name: at, who: {groups: [agents]}, on: {targets: [api], http: {hosts: [c.example]}}, approve: {by: [{groups: [dba]}]}}
- {name: on, who: {groups: [agents]}, on: {targets: [api], http: {paths: ["/z"]}}, allow: {}}
`

func TestADenialSaysWhatIsNotCoveredAndWhatIsAllowed(t *testing.T) {
	p := compileText(t, httpTargets+toldRules)
	const (
		sql = "To you on this target allowed (rule read): READ on public.*, audit.log; " +
			"allowed (rule keep): ANALYZE, VACUUM where its condition holds; held for approval (rule ask): DELETE, UPDATE."
		http = "To you on this target allowed (rule get): GET, POST at a.example, b.example on /x/{id}, /y; " +
			"held for approval (rule at): every request at c.example; allowed (rule on): every request on /z."
	)
	read := func(n int) (pairs []Pair) {
		for i := range n {
			pairs = append(pairs, pairOf(policyv1.Effect_READ, fmt.Sprintf("secret.t%d", i)))
		}
		return pairs
	}
	six := "READ secret.t0, READ secret.t1, READ secret.t2, READ secret.t3, READ secret.t4, READ secret.t5"
	for name, c := range map[string]struct {
		groups                []string
		op                    []Operation
		message, detail, hint string
	}{
		"one of two": {
			[]string{"agents"},
			op("SELECT", pairOf(policyv1.Effect_READ, "public.t"), pairOf(policyv1.Effect_READ, "secret.t")),
			"no rule allows READ secret.t", "SELECT does: READ public.t, READ secret.t. Not covered: READ secret.t.", sql,
		},
		"six":   {[]string{"agents"}, op("SELECT", read(6)...), "no rule allows " + six, "SELECT does: " + six + ". Not covered: " + six + ".", sql},
		"seven": {[]string{"agents"}, op("SELECT", read(7)...), "no rule allows " + six + ", and 1 more", "SELECT does: " + six + ", and 1 more. Not covered: " + six + ", and 1 more.", sql},
		"what has no effect, to whom nothing is allowed": {
			[]string{"nobody"}, op("VACUUM"), "no rule allows VACUUM", "VACUUM does: nothing. Not covered: VACUUM.", `Nothing is allowed to you on target "orders".`,
		},
		"what has no object": {
			[]string{"nobody"},
			op("BEGIN", pairOf(policyv1.Effect_TRANSACTION, "")), "no rule allows TRANSACTION",
			"BEGIN does: TRANSACTION. Not covered: TRANSACTION.", `Nothing is allowed to you on target "orders".`,
		},
		"by a rule": {
			[]string{"agents"},
			op("DROP TABLE", pairOf(policyv1.Effect_DDL, "public.t")), "No dropping.", `Rule "no" denies DROP TABLE (DDL public.t).`,
			"Nothing was run. A rule that denies can not be approved around; ask the owner of the policy.",
		},
		"by a rule, without effect": {
			[]string{"agents"},
			op("DROP OWNED"), "No dropping.", `Rule "no" denies DROP OWNED.`,
			"Nothing was run. A rule that denies can not be approved around; ask the owner of the policy.",
		},
		"a session": {
			[]string{"a", "b"},
			nil, `no rule lets you use target "orders"`, "You are corp:x with groups a, b.",
			"Ask the owner of the policy for a rule that names you or one of your groups.",
		},
		"a session of nobody": {
			nil, nil, `no rule lets you use target "orders"`, "You are corp:x with groups none.",
			"Ask the owner of the policy for a rule that names you or one of your groups.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := p.Decide(&Request{Principal: member(c.groups...), Target: "orders", Operations: c.op})
			if d.Verdict != Deny || d.Message != c.message || d.Detail != c.detail || d.Hint != c.hint {
				t.Errorf("got %s: %q\n%q\n%q", d.Verdict, d.Message, d.Detail, d.Hint)
			}
		})
	}
	d := p.Decide(callRequest(t, "PUT", "a.example", "/x/1", nil))
	if d.Message != "no rule allows PUT /x/1" || d.Hint != http {
		t.Errorf("got %q\n%q", d.Message, d.Hint)
	}
	if d := p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: op("SELECT", read(1)...)}); d.Masks != nil {
		t.Errorf("masks of a denial: %q", d.Masks)
	}
}

func TestADenialForWhatIsReachedSaysSo(t *testing.T) {
	p := compileText(t, httpTargets+"\nrules:\n"+
		"- {name: all, on: {targets: [orders]}, allow: {}}\n- {name: no, on: {targets: [orders], sql: {effects: [READ], relations: [\"secret.*\"]}}, deny: {}}\n")
	read := func(object string) Pair { return pairOf(policyv1.Effect_READ, object) }
	for want, op := range map[string]Operation{
		`Rule "no" denies SELECT (READ public.v): it covers what it reaches: READ secret.t.`: {
			Command: "SELECT", Pairs: []Pair{read("public.v")}, Reached: []Pair{read("secret.t"), read("public.t")},
		},
		`Rule "no" denies SELECT (READ secret.v): it covers READ secret.v, and what it reaches: READ secret.t.`: {
			Command: "SELECT", Pairs: []Pair{read("secret.v")}, Reached: []Pair{read("secret.t")},
		},
		`Rule "no" denies SELECT (READ secret.v): it covers READ secret.v.`: {
			Command: "SELECT", Pairs: []Pair{read("secret.v")}, Reached: []Pair{read("public.t")},
		},
	} {
		d := p.Decide(&Request{Principal: member("x"), Target: "orders", Operations: []Operation{op}})
		if d.Verdict != Deny || d.Detail != want {
			t.Errorf("got %s: %s, want %s", d.Verdict, d.Detail, want)
		}
	}
}

func TestOfWhatIsReachedSixtyFourAreShown(t *testing.T) {
	for n, want := range map[int]int{0: 0, 63: 63, 64: 64, 65: 65, 1000: 65} {
		op := Operation{Reached: make([]Pair, n)}
		shown := op.ReachedShown()
		if len(shown) != want || n > 64 && shown[64].Object != fmt.Sprintf("… and %d more", n-64) {
			t.Errorf("of %d, %d: %v", n, len(shown), shown[max(0, len(shown)-1):])
		}
	}
}

func TestARevisionIsOfTheTargetAndTheNamedRules(t *testing.T) {
	of := func(text string, rules ...string) string {
		r, err := compileText(t, text).Revision("orders", rules)
		if err != nil || len(r) != 32 {
			t.Fatalf("%x, %v", r, err)
		}
		return string(r)
	}
	text := httpTargets + toldRules
	first := of(text, "read", "ask")
	for name, c := range map[string]struct {
		other string
		same  bool
	}{
		"nothing else":         {of(text, "read", "ask"), true},
		"another rule changes": {of(strings.Replace(text, "No dropping.", "Never.", 1), "read", "ask"), true},
		"one of them changes":  {of(strings.Replace(text, "audit.log", "audit.logs", 1), "read", "ask"), false},
		"the target changes":   {of(strings.Replace(text, "database: orders", "database: others", 1), "read", "ask"), false},
		"one rule less":        {of(text, "read"), false},
		"no rule":              {of(text), false},
	} {
		if (c.other == first) != c.same {
			t.Errorf("%s: the same %v", name, c.other == first)
		}
	}
}

func TestAHintNamesAtMostEightRules(t *testing.T) {
	rules := "\nrules:\n"
	for i := range 9 {
		rules += fmt.Sprintf("- {name: r%d, on: {targets: [orders], sql: {effects: [READ], relations: [public.t%d]}}, allow: {}}\n", i, i)
	}
	d := compileText(t, httpTargets+rules).Decide(&Request{Principal: member("x"), Target: "orders", Operations: op("SELECT", pairOf(policyv1.Effect_READ, "a.b"))})
	if strings.Count(d.Hint, "(rule ") != 8 || strings.Contains(d.Hint, "r8") {
		t.Errorf("got %q", d.Hint)
	}
}

func TestAnExplanationSaysWhyOfEachRule(t *testing.T) {
	p := compileText(t, httpTargets+toldRules+`
- {name: fails, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, when: "request.attributes.nope < 6", allow: {}}
- {name: strict, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, when: "request.attributes.nope < 6", approve: {by: [{groups: [dba]}]}}
`)
	req := &Request{
		Principal: member("agents"), Target: "orders", Attributes: map[string]any{"hour": 7},
		Operations: op("VACUUM", pairOf(policyv1.Effect_READ, "public.t"), pairOf(policyv1.Effect_MAINTENANCE, "public.t")),
	}
	d, traces := p.Explain(req)
	if d.Verdict != Deny {
		t.Errorf("got %s", d.Verdict)
	}
	reasons := map[string]string{}
	for _, tr := range traces {
		reasons[tr.Rule] = fmt.Sprintf("%s %v: %s", tr.Action, tr.Matched, tr.Reason)
	}
	for rule, want := range map[string]string{
		"read":  "allow true: it covers READ public.t",
		"keep":  "allow false: its condition does not hold",
		"ask":   "approve false: it covers no effect of this statement",
		"other": "allow false: it is not about you",
	} {
		if reasons[rule] != want {
			t.Errorf("%s: %q", rule, reasons[rule])
		}
	}
	for rule, want := range map[string]string{"fails": "allow false: ", "strict": "approve true: it covers READ public.t, and "} {
		if got := reasons[rule]; !strings.HasPrefix(got, want) || !strings.Contains(got, "nope") {
			t.Errorf("%s: %q", rule, got)
		}
	}
	_, traces = p.Explain(callRequest(t, "PUT", "c.example", "/q", nil))
	reasons = map[string]string{}
	for _, tr := range traces {
		reasons[tr.Rule] = tr.Reason
	}
	if reasons["get"] != "it selects other requests" || reasons["at"] != "it covers CALL /q" {
		t.Errorf("got %q", reasons)
	}
}

func TestWhatIsCoveredOfManyPairs(t *testing.T) {
	p := mustCompile(t)
	pairs := func(n, bad int) (all []Pair) {
		for i := range n {
			object := fmt.Sprintf("public.t%d", i)
			if i == bad {
				object = "secret.t"
			}
			all = append(all, pairOf(policyv1.Effect_READ, object))
		}
		return all
	}
	for _, n := range []int{63, 64, 65, 128, 200} {
		for _, bad := range []int{-1, 0, 1, n - 1, n / 2} {
			d := p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: op("SELECT", pairs(n, bad)...)})
			if (d.Verdict == Allow) != (bad < 0) || bad >= 0 && d.Message != "no rule allows READ secret.t" {
				t.Errorf("%d pairs, not the one at %d: %s, %s", n, bad, d.Verdict, d.Message)
			}
		}
	}
}

func TestWhatNeedsNoRule(t *testing.T) {
	p := mustCompile(t)
	for name, c := range map[string]struct {
		op   []Operation
		want Verdict
	}{
		"no more to listen":         {op("UNLISTEN", pairOf(policyv1.Effect_NOTIFY, "c")), Allow},
		"to listen":                 {op("LISTEN", pairOf(policyv1.Effect_NOTIFY, "c")), Deny},
		"to notify":                 {op("NOTIFY", pairOf(policyv1.Effect_NOTIFY, "c")), Deny},
		"all settings as they were": {op("RESET", pairOf(policyv1.Effect_SESSION, "all")), Allow},
		"a setting of that name":    {op("SET", pairOf(policyv1.Effect_SESSION, "all")), Deny},
		"a safe setting":            {op("SET", pairOf(policyv1.Effect_SESSION, "TimeZone")), Allow},
		"one as it was":             {op("RESET", pairOf(policyv1.Effect_SESSION, "timezone")), Allow},
		"a path as it was":          {op("RESET", pairOf(policyv1.Effect_SESSION, "search_path")), Deny},
	} {
		if d := p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: c.op}); d.Verdict != c.want {
			t.Errorf("%s: %s (%s)", name, d.Verdict, d.Message)
		}
	}
}

func TestWhetherItMattersWhatANameMeans(t *testing.T) {
	p := mustCompile(t)
	for name, c := range map[string]struct {
		who    []string
		target string
		want   bool
	}{
		"a rule that asks names a relation": {[]string{"agents"}, "orders", true},
		"a condition may":                   {[]string{"night"}, "orders", true},
		"an allow rule does not count":      {[]string{"files"}, "orders", false},
		"commands are no names":             {[]string{"agents"}, "billing", false},
		"an unknown target":                 {[]string{"agents"}, "nope", false},
	} {
		if got := p.NamesRelations(member(c.who...), c.target); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhetherMethodsTellRequestsApart(t *testing.T) {
	for rule, want := range map[string]bool{
		`http: {methods: [GET]}}, deny: {}`:                                           true,
		`http: {hosts: [a.example]}}, deny: {}`:                                       false,
		`http: {hosts: [a.example]}}, when: "request.http.method == 'GET'", deny: {}`: true,
		`http: {hosts: [a.example]}}, when: "request.http.path == '/x'", deny: {}`:    false,
	} {
		p := compileText(t, httpTargets+"rules:\n- {name: r, on: {targets: [api], "+rule+"}\n")
		if got := p.ByMethod("api"); got != want {
			t.Errorf("%s: %v", rule, got)
		}
		if p.ByMethod("orders") || p.ByMethod("nope") {
			t.Error("a rule of another target counts")
		}
	}
}

func TestAStarStandsForNamesBelow(t *testing.T) {
	for host, want := range map[string]bool{
		"a.example.com": true, "a.b.example.com": true, "example.com": false, ".example.com": false, "aexample.com": false, "other.test": true, "x.other.test": false,
	} {
		if got := matchHost([]string{"*.example.com", "other.test"}, host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
