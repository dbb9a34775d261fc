package policies

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

var (
	modelEffects = []policyv1.Effect{
		policyv1.Effect_READ, policyv1.Effect_INSERT, policyv1.Effect_DELETE, policyv1.Effect_TRUNCATE, policyv1.Effect_EXECUTE,
		policyv1.Effect_SESSION, policyv1.Effect_TRANSACTION, policyv1.Effect_UNKNOWN,
	}
	modelObjects = []string{
		"public.a", "public.b", "secret.a", "a", "*", "", "pg_catalog.pg_class", "pg_catalog.pg_authid", "pg_catalog.pg_read_file",
		"public.dblink", "work_mem", "role", "public.with.dots",
	}
	modelPatterns = []string{"*", "*.*", "public.*", "public.a", "secret.*", "pg_catalog.*", "pg_catalog.pg_authid", "pg_catalog.pg_read_file", "*.a", "work_mem"}
	modelCommands = []string{"SELECT", "DELETE", "DROP", "DROP TABLE", "TRUNCATE TABLE"}
)

// anyRule draws a rule of the target orders.
func anyRule(t *rapid.T, i int) *policyv1.Rule {
	r := &policyv1.Rule{Name: fmt.Sprintf("r%d", i), On: &policyv1.On{Targets: []string{"orders"}}}
	if rapid.IntRange(0, 3).Draw(t, "who") > 0 {
		r.Who = &policyv1.Who{Groups: []string{rapid.SampledFrom([]string{"agents", "others"}).Draw(t, "group")}}
	}
	if rapid.IntRange(0, 5).Draw(t, "sql") > 0 {
		r.On.Sql = &policyv1.Sql{
			Effects:   rapid.SliceOfNDistinct(rapid.SampledFrom(modelEffects), 0, 3, rapid.ID[policyv1.Effect]).Draw(t, "effects"),
			Relations: rapid.SliceOfN(rapid.SampledFrom(modelPatterns), 0, 2).Draw(t, "relations"),
		}
		if rapid.IntRange(0, 3).Draw(t, "commands") == 0 {
			r.On.Sql.Commands = rapid.SliceOfN(rapid.SampledFrom(modelCommands[:4]), 1, 2).Draw(t, "command")
		}
	}
	switch rapid.IntRange(0, 6).Draw(t, "action") {
	case 0:
		r.Action = &policyv1.Rule_Deny{Deny: &policyv1.Deny{}}
	case 1, 2:
		r.Action = &policyv1.Rule_Approve{Approve: &policyv1.Approve{
			By: []*policyv1.Approvers{{Groups: []string{"dba"}, Count: rapid.Uint32Range(0, 3).Draw(t, "count")}}, Within: durationpb.New(time.Duration(i+1) * time.Minute),
		}}
	default:
		r.Action = &policyv1.Rule_Allow{Allow: &policyv1.Allow{}}
	}
	return r
}

func anyRules(t *rapid.T) []*policyv1.Rule {
	rules := make([]*policyv1.Rule, rapid.IntRange(0, 6).Draw(t, "rules"))
	for i := range rules {
		rules[i] = anyRule(t, i)
	}
	return rules
}

// anyOperations draws commands with up to 100 pairs: more than one word of a bit set.
func anyOperations(t *rapid.T) []Operation {
	ops := make([]Operation, rapid.IntRange(1, 3).Draw(t, "operations"))
	for i := range ops {
		ops[i].Command = rapid.SampledFrom(modelCommands).Draw(t, "command")
		n := rapid.SampledFrom([]int{0, 1, 1, 2, 3, 64, 65, 100}).Draw(t, "pairs")
		common := Pair{Effect: rapid.SampledFrom(modelEffects).Draw(t, "effect"), Object: rapid.SampledFrom(modelObjects).Draw(t, "object")}
		for j := range n {
			p := common
			if n <= 3 || j >= n-2 {
				p = Pair{Effect: rapid.SampledFrom(modelEffects).Draw(t, "effect"), Object: rapid.SampledFrom(modelObjects).Draw(t, "object")}
			}
			ops[i].Pairs = append(ops[i].Pairs, p)
		}
		for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "reached") {
			ops[i].Reached = append(ops[i].Reached, Pair{
				Effect: rapid.SampledFrom(modelEffects).Draw(t, "effect"), Object: rapid.SampledFrom(modelObjects).Draw(t, "object"),
			})
		}
	}
	return ops
}

func compiledModel(t interface{ Fatal(...any) }, rules []*policyv1.Rule) *Policy {
	p, err := Compile(&policyv1.Bundle{
		Version: "m", Issuers: []*policyv1.Issuer{{Name: "corp", Url: "https://idp.example", Audiences: []string{"sluice"}}},
		Targets: []*policyv1.Target{{
			Name: "orders", Listener: &policyv1.Listener{Address: "127.0.0.1", Port: 1},
			Protocol: &policyv1.Target_Postgres{Postgres: &policyv1.Postgres{Endpoints: []*policyv1.Endpoint{{Host: "h", Port: 1}}, Database: "d"}},
			Credential: &policyv1.Credential{Kind: &policyv1.Credential_Static{Static: &policyv1.StaticCredential{
				Username: "u", Password: &policyv1.DataSource{Source: &policyv1.DataSource_Env{Env: "PW"}},
			}}},
		}},
		Rules: rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decideModel(p *Policy, ops []Operation) Decision {
	return p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: ops})
}

// model is what the policy's schema says of rules, read as plainly as can be.
type model struct{ rules []*policyv1.Rule }

func patternMatches(pattern, name string) bool {
	segments := strings.Split(pattern, ".")
	parts := strings.SplitN(name, ".", len(segments))
	if len(parts) != len(segments) {
		return false
	}
	for i := range segments {
		if ok, err := path.Match(segments[i], parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func (m model) mine(r *policyv1.Rule) bool {
	return r.GetWho() == nil || slices.Contains(r.GetWho().GetGroups(), "agents")
}

// describes: command and effect fit, and the object by one of the patterns that may count.
func (m model) describes(r *policyv1.Rule, command string, p Pair, mayCount func(pattern string) bool) bool {
	s := r.GetOn().GetSql()
	first, _, _ := strings.Cut(command, " ")
	if len(s.GetCommands()) > 0 && !slices.Contains(s.GetCommands(), command) && !slices.Contains(s.GetCommands(), first) {
		return false
	}
	if len(s.GetEffects()) > 0 && !slices.Contains(s.GetEffects(), p.Effect) {
		return false
	}
	patterns := s.GetRelations()
	if len(patterns) == 0 {
		return mayCount("")
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool { return mayCount(pattern) && patternMatches(pattern, p.Object) })
}

func anyPattern(string) bool { return true }

// covers: what must be named is covered by its name only.
func (m model) covers(r *policyv1.Rule, command string, p Pair) bool {
	return m.describes(r, command, p, func(pattern string) bool {
		return !mustBeNamed(p) || pattern != "" && !strings.Contains(pattern, "*")
	})
}

// maybe: an object without a schema may be any of that name, and "*" may be any at all.
func (m model) maybe(r *policyv1.Rule, command string, p Pair) bool {
	if m.describes(r, command, p, anyPattern) {
		return true
	}
	switch p.Effect {
	case policyv1.Effect_SESSION, policyv1.Effect_TRANSACTION, policyv1.Effect_UNKNOWN:
		return false
	}
	if strings.Contains(p.Object, ".") || !m.describes(&policyv1.Rule{On: &policyv1.On{Sql: &policyv1.Sql{
		Effects: r.GetOn().GetSql().GetEffects(), Commands: r.GetOn().GetSql().GetCommands(),
	}}}, command, p, anyPattern) {
		return false
	}
	return slices.ContainsFunc(r.GetOn().GetSql().GetRelations(), func(pattern string) bool {
		last := pattern[strings.LastIndex(pattern, ".")+1:]
		ok, err := path.Match(last, p.Object)
		return p.Object == "*" || err == nil && ok
	})
}

func (m model) verdict(ops []Operation) Verdict {
	verdict := Allow
	entitled := slices.ContainsFunc(m.rules, func(r *policyv1.Rule) bool { return m.mine(r) && r.GetDeny() == nil })
	if !entitled {
		return Deny
	}
	for _, op := range ops {
		unknown := slices.ContainsFunc(op.Pairs, func(p Pair) bool { return p.Effect == policyv1.Effect_UNKNOWN })
		for _, r := range m.rules {
			if !m.mine(r) || r.GetAllow() != nil {
				continue
			}
			speaks := slices.ContainsFunc(slices.Concat(op.Pairs, op.Reached), func(p Pair) bool { return m.maybe(r, op.Command, p) })
			s := r.GetOn().GetSql()
			if len(op.Pairs) == 0 && len(s.GetEffects()) == 0 && len(s.GetRelations()) == 0 {
				speaks = m.describes(r, op.Command, Pair{}, anyPattern)
			}
			switch {
			case (speaks || unknown) && r.GetDeny() != nil:
				return Deny
			case speaks || unknown:
				verdict = Hold
			}
		}
		if slices.ContainsFunc(m.rules, func(r *policyv1.Rule) bool { return m.mine(r) && r.GetAllow() != nil && r.GetOn().GetSql() == nil }) {
			continue // everything, since no mask concerns the principal
		}
		for _, p := range op.Pairs {
			covered := builtinAllows(op.Command, p, false) || slices.ContainsFunc(m.rules, func(r *policyv1.Rule) bool {
				return m.mine(r) && r.GetDeny() == nil && m.covers(r, op.Command, p)
			})
			if p.Effect == policyv1.Effect_UNKNOWN { // by a rule for everything, or by name
				covered = slices.ContainsFunc(m.rules, func(r *policyv1.Rule) bool {
					s := r.GetOn().GetSql()
					return m.mine(r) && r.GetDeny() == nil && (s == nil || slices.Contains(s.GetEffects(), p.Effect)) && m.covers(r, op.Command, p)
				})
			}
			if !covered {
				return Deny
			}
		}
	}
	return verdict
}

func TestDecideIsWhatTheDesignSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, ops := anyRules(t), anyOperations(t)
		got, want := decideModel(compiledModel(t, rules), ops), model{rules}.verdict(ops)
		if got.Verdict != want {
			t.Fatalf("got %s (%s), want %s\nrules %v\noperations %v", got.Verdict, got.Message, want, rules, ops)
		}
		if want == Deny && (got.Message == "" || got.Detail == "" || got.Hint == "") {
			t.Fatalf("a denial without explanation: %+v", got)
		}
	})
}

func TestTheOrderOfRulesChangesNoVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, ops := anyRules(t), anyOperations(t)
		one, other := decideModel(compiledModel(t, rules), ops), decideModel(compiledModel(t, rapid.Permutation(rules).Draw(t, "order")), ops)
		if one.Verdict != other.Verdict || one.Within != other.Within || len(one.Requirements) != len(other.Requirements) {
			t.Fatalf("%+v and %+v", one, other)
		}
	})
}

func TestAnotherAllowRuleNeverTakesAndAnotherDenyNeverGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, ops := anyRules(t), anyOperations(t)
		more := anyRule(t, len(rules))
		before, after := decideModel(compiledModel(t, rules), ops), decideModel(compiledModel(t, append(slices.Clone(rules), more)), ops)
		switch {
		case more.GetAllow() != nil && after.Verdict < before.Verdict:
			t.Fatalf("an allow rule made %s of %s", after.Verdict, before.Verdict)
		case more.GetDeny() != nil && after.Verdict > before.Verdict:
			t.Fatalf("a deny rule made %s of %s", after.Verdict, before.Verdict)
		}
	})
}

func TestRequirementsOfAllRulesAddUpOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := slices.DeleteFunc(anyRules(t), func(r *policyv1.Rule) bool { return r.GetDeny() != nil })
		rules = append(rules, &policyv1.Rule{Name: "all", On: &policyv1.On{Targets: []string{"orders"}}, Action: &policyv1.Rule_Allow{Allow: &policyv1.Allow{}}})
		d := decideModel(compiledModel(t, rules), anyOperations(t))
		if d.Verdict != Hold {
			return // nothing to ask for
		}
		seen, least := map[string]bool{}, time.Duration(0)
		for _, r := range d.Requirements {
			if seen[r.Rule] {
				t.Fatalf("%s asks twice: %+v", r.Rule, d.Requirements)
			}
			seen[r.Rule] = true
		}
		for _, r := range rules {
			asks := r.GetApprove() != nil && slices.Contains(d.Rules, r.GetName())
			if asks != seen[r.GetName()] {
				t.Fatalf("%s: asks %v, rules %v, requirements %+v", r.GetName(), asks, d.Rules, d.Requirements)
			}
			if asks && (least == 0 || r.GetApprove().GetWithin().AsDuration() < least) {
				least = r.GetApprove().GetWithin().AsDuration()
			}
		}
		if d.Within != least {
			t.Fatalf("within %s, want %s", d.Within, least)
		}
	})
}

func TestExplainDecidesAsDecideDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, ops := anyRules(t), anyOperations(t)
		p := compiledModel(t, rules)
		req := &Request{Principal: member("agents"), Target: "orders", Operations: ops}
		d, traces := p.Explain(req)
		if want := p.Decide(req); d.Verdict != want.Verdict || d.Message != want.Message {
			t.Fatalf("%+v and %+v", d, want)
		}
		for _, tr := range traces {
			if tr.Rule == "" || tr.Reason == "" {
				t.Fatalf("%+v", tr)
			}
		}
	})
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"public.*", "public.a.b"}, {"*.*", "a"}, {"a*b*c", "aXbYc"}, {"*", ""}, {"..", "."}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := compileGlob(pattern)
		if err != nil {
			return
		}
		if strings.ContainsAny(name, "/") || strings.Contains(pattern, "/") {
			return // path.Match takes it for a separator
		}
		if got, want := g.match(name), patternMatches(pattern, name); got != want {
			t.Errorf("%q on %q: %v", pattern, name, got)
		}
	})
}
