package policies

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// An allow rule without a selection is everything, to whom no mask of the target applies; and what is not understood is
// whatever a rule denies or asks about.
func TestEverythingIsEverythingToWhomNothingIsHidden(t *testing.T) {
	orders := func() *policyv1.On { return &policyv1.On{Targets: []string{"orders"}} }
	all := &policyv1.Rule{Name: "all", On: orders(), Action: &policyv1.Rule_Allow{Allow: &policyv1.Allow{}}}
	some := func(name string, sql *policyv1.Sql, action *policyv1.Rule) *policyv1.Rule {
		action.Name, action.On = name, &policyv1.On{Targets: []string{"orders"}, Sql: sql}
		return action
	}
	deny := func(sql *policyv1.Sql) *policyv1.Rule {
		return some("no", sql, &policyv1.Rule{Action: &policyv1.Rule_Deny{Deny: &policyv1.Deny{}}})
	}
	ask := some("ask", &policyv1.Sql{Commands: []string{"DROP"}}, &policyv1.Rule{Action: &policyv1.Rule_Approve{Approve: &policyv1.Approve{
		By: []*policyv1.Approvers{{Groups: []string{"dba"}, Count: 1}}, Within: durationpb.New(time.Minute),
	}}})
	others := deny(&policyv1.Sql{Commands: []string{"DROP"}})
	others.Who = &policyv1.Who{Groups: []string{"others"}}
	unknown := Operation{Command: "DO", Pairs: []Pair{{Effect: policyv1.Effect_UNKNOWN}}}
	file := Operation{Command: "SELECT", Pairs: []Pair{{Effect: policyv1.Effect_EXECUTE, Object: "pg_catalog.pg_sleep"}}}
	for name, c := range map[string]struct {
		rules []*policyv1.Rule
		op    Operation
		want  Verdict
	}{
		"what is not understood":            {[]*policyv1.Rule{all}, unknown, Allow},
		"a function that acts":              {[]*policyv1.Rule{all}, file, Allow},
		"a deny of commands":                {[]*policyv1.Rule{all, deny(&policyv1.Sql{Commands: []string{"DROP"}})}, unknown, Deny},
		"a deny of a relation":              {[]*policyv1.Rule{all, deny(&policyv1.Sql{Relations: []string{"audit.*"}})}, unknown, Deny},
		"a deny of an effect":               {[]*policyv1.Rule{all, deny(&policyv1.Sql{Effects: []policyv1.Effect{policyv1.Effect_DELETE}})}, unknown, Deny},
		"a rule that asks":                  {[]*policyv1.Rule{all, ask}, unknown, Hold},
		"a deny for others":                 {[]*policyv1.Rule{all, others}, unknown, Allow},
		"a rule that asks, and none allows": {[]*policyv1.Rule{ask}, unknown, Deny},
		"a selection is not everything":     {[]*policyv1.Rule{some("reads", &policyv1.Sql{Effects: []policyv1.Effect{policyv1.Effect_READ}}, &policyv1.Rule{Action: &policyv1.Rule_Allow{Allow: &policyv1.Allow{}}})}, unknown, Deny},
	} {
		t.Run(name, func(t *testing.T) {
			if d := decideModel(compiledModel(t, c.rules), []Operation{c.op}); d.Verdict != c.want {
				t.Errorf("got %s (%s), want %s", d.Verdict, d.Message, c.want)
			}
		})
	}
}

// Whom a mask concerns is told what everything leaves out.
func TestAHintNeverContradictsItsError(t *testing.T) {
	p := mustCompile(t)
	d := p.Decide(&Request{Principal: member("night"), Target: "orders", Attributes: map[string]any{"hour": 4}, Operations: []Operation{
		{Command: "SELECT", Pairs: []Pair{{Effect: policyv1.Effect_EXECUTE, Object: "pg_catalog.pg_sleep"}}},
	}})
	if d.Verdict != Deny || !strings.Contains(d.Hint, "only where a rule names them") {
		t.Errorf("got %s, hint %q", d.Verdict, d.Hint)
	}
}

func TestWhatStatementsMeanDecidesNothingToWhomNothingIsBounded(t *testing.T) {
	all := "- {name: all, who: {groups: [dba]}, on: {targets: [orders]}, allow: {}}\n"
	for name, c := range map[string]struct {
		rules string
		want  bool
	}{
		"everything is allowed":         {all, true},
		"if a condition holds":          {"- {name: all, who: {groups: [dba]}, on: {targets: [orders]}, when: \"request.target == 'orders'\", allow: {}}\n", false},
		"something is selected":         {"- {name: some, who: {groups: [dba]}, on: {targets: [orders], sql: {effects: [READ]}}, allow: {}}\n", false},
		"something is denied":           {all + "- {name: no, on: {targets: [orders], sql: {commands: [DROP]}}, deny: {}}\n", false},
		"something is held":             {all + "- {name: ask, on: {targets: [orders], sql: {commands: [DROP]}}, approve: {by: [{groups: [x]}]}}\n", false},
		"something is denied to others": {all + "- {name: no, who: {groups: [x]}, on: {targets: [orders]}, deny: {}}\n", true},
		"something is masked":           {all + "masks:\n- {name: m, on: {targets: [orders]}, columns: [public.c.p], redact: {}, except: {groups: [dba]}}\n", false},
		"for others":                    {"- {name: all, who: {groups: [x]}, on: {targets: [orders]}, allow: {}}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := compileText(t, onlyRules(c.rules)).Unbounded(member("dba"), "orders"); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// A rule's own words are about what it denies, and not about what nobody knows.
func TestWhatIsNotUnderstoodIsNotDeniedInAnothersWords(t *testing.T) {
	deny := func(name string, effect policyv1.Effect) *policyv1.Rule {
		return &policyv1.Rule{
			Name: name, On: &policyv1.On{Targets: []string{"orders"}, Sql: &policyv1.Sql{Effects: []policyv1.Effect{effect}}},
			Action: &policyv1.Rule_Deny{Deny: &policyv1.Deny{Message: "Words of " + name + "."}},
		}
	}
	p := compiledModel(t, []*policyv1.Rule{
		{Name: "all", On: &policyv1.On{Targets: []string{"orders"}}, Action: &policyv1.Rule_Allow{Allow: &policyv1.Allow{}}},
		deny("first", policyv1.Effect_DELETE), deny("second", policyv1.Effect_DDL),
	})
	unknown, ddl := Pair{Effect: policyv1.Effect_UNKNOWN}, Pair{Effect: policyv1.Effect_DDL, Object: "public.x"}
	for name, c := range map[string]struct {
		pairs []Pair
		words string
		rule  string
	}{
		"nobody knows":               {[]Pair{unknown}, `the effect of DO is not known, and rule "first" could deny it: Words of first.`, "first"},
		"one is surely about it":     {[]Pair{unknown, ddl}, "Words of second.", "second"},
		"all of it is known":         {[]Pair{ddl}, "Words of second.", "second"},
		"the first surely is, as is": {[]Pair{ddl, {Effect: policyv1.Effect_DELETE, Object: "public.x"}}, "Words of first.", "first"},
	} {
		d := decideModel(p, []Operation{{Command: "DO", Pairs: c.pairs}})
		if d.Verdict != Deny || d.Message != c.words || len(d.Rules) != 1 || d.Rules[0] != c.rule {
			t.Errorf("%s: %s %q by %q", name, d.Verdict, d.Message, d.Rules)
		}
	}
}
