package policies

import (
	"fmt"
	"strings"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// onlyRules is a bundle of one target with these rules.
func onlyRules(rules string) string {
	head, _, _ := strings.Cut(testBundle, "- name: billing")
	return head + "rules:\n" + rules
}

func compileText(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Compile(mustBundle(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhenThatFailsNeverGivesAndAlwaysTakes(t *testing.T) {
	heavy := "request.objects.all(a, request.objects.all(b, request.objects.all(c, a + b + c != \"x\")))"
	var many []Pair
	for i := range 200 {
		many = append(many, Pair{Effect: policyv1.Effect_READ, Object: fmt.Sprintf("public.t%d", i)})
	}
	one := many[:1]
	for _, c := range []struct {
		name, when string
		pairs      []Pair
		attributes map[string]any
		// Whether an allow rule, and whether a deny or approve rule, matches.
		gives, takes bool
	}{
		{"it holds", "request.command == 'SELECT' && request.effects == ['READ']", one, nil, true, true},
		{"it does not", "request.command == 'DELETE'", one, nil, false, false},
		{"what it reads is missing", "request.attributes.hour < 6", one, nil, false, true},
		{"what it reads has another type", "request.attributes.hour < 6", one, map[string]any{"hour": "x"}, false, true},
		{"what it reads has no type of CEL's", "request.attributes.hour < 6", one, map[string]any{"hour": make(chan int)}, false, true},
		{"it divides by zero", "1 / request.attributes.zero == 1", one, map[string]any{"zero": 0}, false, true},
		{"it gives no bool", "request.target", one, nil, false, true},
		{"an index past the end", "request.objects[7] == 'x'", one, nil, false, true},
		{"it costs too much", heavy, many, nil, false, true},
		{"the same at a small cost", heavy, one, nil, true, true},
		{"a bad pattern", "request.objects[0].matches(request.attributes.pattern)", one, map[string]any{"pattern": "("}, false, true},
		{"an error beside what decides anyway", "request.attributes.hour < 6 || true", one, nil, true, true},
		{"its time", "request.attributes.time.getFullYear() == 2026", one, map[string]any{"time": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, true, true},
		{"who asks", "'agents' in request.principal.groups && request.principal.kind == 'MACHINE' && request.principal.issuer == 'corp' && request.principal.subject == 'x'", one, nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			when := fmt.Sprintf("when: %q", c.when)
			base := "- {name: base, on: {targets: [orders]}, allow: {}}\n"
			for _, r := range []struct {
				rules   string
				matched Verdict
				not     Verdict
				takes   bool
			}{
				{"- {name: r, on: {targets: [orders]}, " + when + ", allow: {}}\n", Allow, Deny, false},
				{base + "- {name: r, on: {targets: [orders]}, " + when + ", deny: {}}\n", Deny, Allow, true},
				{base + "- {name: r, on: {targets: [orders]}, " + when + ", approve: {by: [{groups: [dba]}]}}\n", Hold, Allow, true},
			} {
				who := member("agents")
				who.Kind = identityv1.Principal_MACHINE
				d := compileText(t, onlyRules(r.rules)).Decide(&Request{
					Principal: who, Target: "orders", Operations: op("SELECT", c.pairs...), Attributes: c.attributes,
				})
				matches := c.gives
				if r.takes {
					matches = c.takes
				}
				want := r.not
				if matches {
					want = r.matched
				}
				if d.Verdict != want {
					t.Errorf("%s: got %s (%s), want %s", strings.TrimSpace(strings.TrimPrefix(r.rules, base)), d.Verdict, d.Message, want)
				}
			}
		})
	}
}

func TestWhenIsBoundedInTime(t *testing.T) {
	p := compileText(t, onlyRules("- {name: r, on: {targets: [orders]}, when: \"request.objects.all(a, request.objects.all(b, request.objects.all(c, a != b + c)))\", deny: {}}\n"))
	var pairs []Pair
	for i := range 5000 {
		pairs = append(pairs, Pair{Effect: policyv1.Effect_READ, Object: fmt.Sprintf("public.t%d", i)})
	}
	began := time.Now()
	p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: op("SELECT", pairs...)})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestWhenThatCannotBeTrueOrFalseDoesNotCompile(t *testing.T) {
	for _, when := range []string{"1", "'x'", "request.nope(", "request.target.matches('(')", "nope", "request == 1", "[true]"} {
		_, err := Compile(mustBundle(t, onlyRules(fmt.Sprintf("- {name: r, on: {targets: [orders]}, when: %q, allow: {}}\n", when))))
		if err == nil || !strings.Contains(err.Error(), "rules[0].when: ") {
			t.Errorf("%s: %v", when, err)
		}
	}
}

func TestGroupsAndSubjectsBelongToTheirIssuer(t *testing.T) {
	two := func(rules string) string {
		return strings.Replace(onlyRules(rules), "targets:\n- name", "- {name: team, url: \"https://team.example\", audiences: [sluice]}\ntargets:\n- name", 1)
	}
	who := func(issuer, subject string, groups ...string) *identityv1.Principal {
		return &identityv1.Principal{Issuer: issuer, Subject: subject, Groups: groups}
	}
	rule := func(selector string) string {
		return "- {name: r, who: {" + selector + "}, on: {targets: [orders]}, allow: {}}\n"
	}
	for _, c := range []struct {
		name, bundle string
		who          *identityv1.Principal
		want         bool
	}{
		{"a bare group is the only issuer's", onlyRules(rule("groups: [a]")), who("corp", "x", "a"), true},
		{"a qualified one is the same", onlyRules(rule("groups: ['corp:a']")), who("corp", "x", "a"), true},
		{"a group that is called like a qualified one", onlyRules(rule("groups: ['corp:a']")), who("corp", "x", "corp:a"), false},
		{"a group whose name has a colon", onlyRules(rule("groups: ['dept:a']")), who("corp", "x", "dept:a"), true},
		{"qualified, with a colon", onlyRules(rule("groups: ['corp:dept:a']")), who("corp", "x", "dept:a"), true},
		{"a part of a name with a colon", onlyRules(rule("groups: ['dept:a']")), who("corp", "x", "a"), false},
		{"of another issuer", two(rule("groups: ['corp:a']")), who("team", "x", "a"), false},
		{"of that issuer", two(rule("groups: ['team:a']")), who("team", "x", "a"), true},
		{"a colon that could be an alias is one", two(rule("groups: ['team:a']")), who("corp", "x", "team:a"), false},
		{"qualified twice", two(rule("groups: ['corp:team:a']")), who("corp", "x", "team:a"), true},
		{"a subject", onlyRules(rule("subjects: ['system:serviceaccount:ci:deploy']")), who("corp", "system:serviceaccount:ci:deploy"), true},
		{"another's subject", two(rule("subjects: ['corp:x']")), who("team", "x"), false},
		{"group and subject must both match", onlyRules(rule("groups: [a], subjects: [y]")), who("corp", "x", "a"), false},
		{"both do", onlyRules(rule("groups: [b, a], subjects: [y, x]")), who("corp", "x", "a"), true},
		{"a subject is no group", onlyRules(rule("groups: [x]")), who("corp", "x"), false},
		{"nobody", onlyRules(rule("groups: [a]")), nil, false},
		{"a rule for all is not for nobody", onlyRules("- {name: r, on: {targets: [orders]}, allow: {}}\n"), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compileText(t, c.bundle).Decide(&Request{Principal: c.who, Target: "orders", Operations: op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "public.t"})})
			if (d.Verdict == Allow) != c.want {
				t.Errorf("got %s: %s", d.Verdict, d.Message)
			}
		})
	}
}

// What is never there is a slip of the pen: a condition on it would never hold, or never fail.
func TestWhenReadsOnlyWhatThereIs(t *testing.T) {
	for when, words := range map[string]string{
		`request.htp.path == "/x"`:                                       `request has no "htp"`,
		`has(request.http.qery.a)`:                                       `request.http has no "qery"`,
		`request.http.headers["X-A"] == "b"`:                             `"x-a", not "X-A"`,
		`"X-Debug" in request.http.headers`:                              `"x-debug", not "X-Debug"`,
		`has(request.http.headers.Cookie2)`:                              `"cookie2"`,
		`[1].all(i, request.http.pth == "")`:                             `request.http has no "pth"`,
		`"x-a" in request.http.headers && request.http.headers.b == "C"`: "",
		`request.http.body.Amount < 1 && request.attributes.X == 1`:      "",
		`request.http.query["A"][0] == "B" && request.http.params.Id == "1" && [{"htp": 1}].all(r, r.htp == 1)`: "",
	} {
		_, err := Compile(mustBundle(t, onlyRules("- {name: r, on: {targets: [orders]}, when: '"+when+"', allow: {}}\n")))
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), "rules[0].when") || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: %v", when, err)
		}
	}
}
