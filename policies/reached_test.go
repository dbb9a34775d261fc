package policies

import (
	"strings"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

const reachedBundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
rules:
- {name: all, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ, UPDATE, DELETE]}}, allow: {}}
- {name: named, who: {groups: [readers]}, on: {targets: [orders], sql: {relations: [public.v]}}, allow: {}}
- {name: vault, on: {targets: [orders], sql: {relations: [public.vault]}}, deny: {}}
- {name: ledger, on: {targets: [orders], sql: {effects: [UPDATE], relations: [public.ledger]}}, approve: {by: [{groups: [dba]}]}}
- {name: secret, on: {targets: [orders]}, when: "'public.secret' in request.objects", deny: {}}
- {name: only, who: {groups: [strict]}, on: {targets: [orders]}, when: "request.objects.all(o, o == 'public.v')", allow: {}}
`

func TestDenyAndApproveRulesMatchWhatIsReachedAndAllowRulesNeedNotCoverIt(t *testing.T) {
	p := compileText(t, reachedBundle)
	view := Pair{policyv1.Effect_READ, "public.v"}
	update := Pair{policyv1.Effect_UPDATE, "public.part"}
	for _, c := range []struct {
		name    string
		group   string
		named   Pair
		reached []Pair
		want    Verdict
		rule    string
	}{
		{"nothing is reached", "agents", view, nil, Allow, "all"},
		{"what nobody speaks of is reached", "agents", view, []Pair{{policyv1.Effect_READ, "public.base"}}, Allow, "all"},
		{"what is reached needs no rule", "readers", view, []Pair{{policyv1.Effect_READ, "public.base"}}, Allow, "named"},
		{"what is denied is reached", "agents", view, []Pair{{policyv1.Effect_READ, "public.vault"}}, Deny, "vault"},
		{"what is held is reached", "agents", update, []Pair{{policyv1.Effect_UPDATE, "public.ledger"}}, Hold, "ledger"},
		{"it is reached by another effect", "agents", update, []Pair{{policyv1.Effect_READ, "public.ledger"}}, Allow, "all"},
		{"a condition of a deny rule sees it", "agents", view, []Pair{{policyv1.Effect_READ, "public.secret"}}, Deny, "secret"},
		{"a condition of an allow rule does not", "strict", view, []Pair{{policyv1.Effect_READ, "public.base"}}, Allow, "only"},
		{"an allow rule covers nothing by what is reached", "readers", Pair{policyv1.Effect_READ, "public.base"}, []Pair{view}, Deny, ""},
		{"anything may be reached", "agents", view, []Pair{{policyv1.Effect_READ, "*"}}, Deny, "vault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, traces := p.Explain(&Request{Principal: member(c.group), Target: "orders", Operations: []Operation{
				{Command: "SELECT", Pairs: []Pair{c.named}, Reached: c.reached},
			}})
			if d.Verdict != c.want || c.rule != "" && (len(d.Rules) == 0 || !strings.Contains(strings.Join(d.Rules, " "), c.rule)) {
				t.Errorf("%v by %v (%s), want %v by %s; %v", d.Verdict, d.Rules, d.Message, c.want, c.rule, traces)
			}
			if c.rule == "vault" && !strings.Contains(d.Detail, "what it reaches") {
				t.Errorf("the detail does not say why: %q", d.Detail)
			}
		})
	}
}
