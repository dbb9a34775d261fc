package policies

import (
	"fmt"
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
	view := Pair{Effect: policyv1.Effect_READ, Object: "public.v"}
	update := Pair{Effect: policyv1.Effect_UPDATE, Object: "public.part"}
	for _, c := range []struct {
		name    string
		group   string
		named   Pair
		reached []Pair
		want    Verdict
		rule    string
	}{
		{"nothing is reached", "agents", view, nil, Allow, "all"},
		{"what nobody speaks of is reached", "agents", view, []Pair{{Effect: policyv1.Effect_READ, Object: "public.base"}}, Allow, "all"},
		{"what is reached needs no rule", "readers", view, []Pair{{Effect: policyv1.Effect_READ, Object: "public.base"}}, Allow, "named"},
		{"what is denied is reached", "agents", view, []Pair{{Effect: policyv1.Effect_READ, Object: "public.vault"}}, Deny, "vault"},
		{"what is held is reached", "agents", update, []Pair{{Effect: policyv1.Effect_UPDATE, Object: "public.ledger"}}, Hold, "ledger"},
		{"it is reached by another effect", "agents", update, []Pair{{Effect: policyv1.Effect_READ, Object: "public.ledger"}}, Allow, "all"},
		{"a condition of a deny rule sees it", "agents", view, []Pair{{Effect: policyv1.Effect_READ, Object: "public.secret"}}, Deny, "secret"},
		{"a condition of an allow rule does not", "strict", view, []Pair{{Effect: policyv1.Effect_READ, Object: "public.base"}}, Allow, "only"},
		{"an allow rule covers nothing by what is reached", "readers", Pair{Effect: policyv1.Effect_READ, Object: "public.base"}, []Pair{view}, Deny, ""},
		{"anything may be reached", "agents", view, []Pair{{Effect: policyv1.Effect_READ, Object: "*"}}, Deny, "vault"},
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

func TestAValueOfASettingMustBeNamedWhereMasksApply(t *testing.T) {
	const all = "- {name: all, who: {groups: [agents]}, on: {targets: [orders]}, allow: {}}\n"
	const named = "- {name: named, who: {groups: [agents]}, on: {targets: [orders], sql: {relations: [app.secret]}}, allow: {}}\n"
	const star = "- {name: star, who: {groups: [agents]}, on: {targets: [orders], sql: {relations: ['app.*']}}, allow: {}}\n"
	const denied = "- {name: denied, on: {targets: [orders], sql: {effects: [SESSION], relations: ['app.*']}}, deny: {}}\n"
	const masks = "masks:\n- {name: m, on: {targets: [orders]}, columns: [public.c.p], redact: {}, except: {groups: [dba]}}\n"
	head := reachedBundle[:strings.Index(reachedBundle, "rules:")] + "rules:\n"
	shown := Pair{Effect: policyv1.Effect_SESSION, Object: "app.secret", Shows: true}
	changed := Pair{Effect: policyv1.Effect_SESSION, Object: "app.secret"}
	for _, c := range []struct {
		name, rules string
		pair        Pair
		groups      []string
		want        Verdict
	}{
		{"without masks", all, shown, []string{"agents"}, Allow},
		{"with masks", all + masks, shown, []string{"agents"}, Deny},
		{"whom the masks except", all + masks, shown, []string{"agents", "dba"}, Allow},
		{"a pattern is no name", all + star + masks, shown, []string{"agents"}, Deny},
		{"named", all + named + masks, shown, []string{"agents"}, Allow},
		{"denied by a rule without masks", all + denied, shown, []string{"agents"}, Deny},
		{"changing it is another matter", all + masks, changed, []string{"agents"}, Allow},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compileText(t, head+c.rules).Decide(&Request{Principal: member(c.groups...), Target: "orders", Operations: op("SELECT", c.pair)})
			if d.Verdict != c.want {
				t.Errorf("%v (%s), want %v", d.Verdict, d.Message, c.want)
			}
		})
	}
}

func TestOfThousandsOfPartitionsAFewAreShown(t *testing.T) {
	o := Operation{}
	for i := range 5000 {
		o.Reached = append(o.Reached, Pair{Effect: policyv1.Effect_READ, Object: fmt.Sprintf("public.p%d", i)})
	}
	shown := o.ReachedShown()
	if len(shown) != mostShown+1 || shown[mostShown].Object != "… and 4936 more" {
		t.Errorf("%d are shown, the last is %v", len(shown), shown[len(shown)-1])
	}
	if few := (&Operation{Reached: o.Reached[:3]}).ReachedShown(); len(few) != 3 {
		t.Errorf("of 3, %d are shown", len(few))
	}
	// All of them count.
	p := compileText(t, strings.Replace(reachedBundle, "public.vault", "public.p4999", 1))
	o.Command, o.Pairs = "SELECT", []Pair{{Effect: policyv1.Effect_READ, Object: "public.p"}}
	if d := p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: []Operation{o}}); d.Verdict != Deny {
		t.Errorf("the last one is not denied: %v", d)
	}
}

func TestWhatIsNotUnderstoodIsAllowedToWhomEverythingIs(t *testing.T) {
	const all = "- {name: all, who: {groups: [dba]}, on: {targets: [orders]}, allow: {}}\n"
	head := reachedBundle[:strings.Index(reachedBundle, "rules:")] + "rules:\n"
	const masks = "masks:\n- {name: m, on: {targets: [orders]}, columns: [public.c.p], redact: {}, except: {groups: [seer]}}\n"
	for _, c := range []struct {
		name, rules string
		groups      []string
		want        Verdict
	}{
		{"everything is allowed", all, []string{"dba"}, Allow},
		{"to somebody else", all, []string{"agents"}, Deny},
		{"a mask concerns them", all + masks, []string{"dba"}, Deny},
		{"no mask concerns them", all + masks, []string{"dba", "seer"}, Allow},
		{"by name", "- {name: u, who: {groups: [dba]}, on: {targets: [orders], sql: {effects: [UNKNOWN]}}, allow: {}}\n", []string{"dba"}, Allow},
		{"every effect, but not by name", "- {name: u, who: {groups: [dba]}, on: {targets: [orders], sql: {relations: ['*']}}, allow: {}}\n", []string{"dba"}, Deny},
		{"a command is no effect", "- {name: u, who: {groups: [dba]}, on: {targets: [orders], sql: {commands: [DO]}}, allow: {}}\n", []string{"dba"}, Deny},
		{"it may do what is denied", all + "- {name: d, on: {targets: [orders], sql: {commands: [DROP]}}, deny: {}}\n", []string{"dba"}, Deny},
		{"what is denied to others", all + "- {name: d, who: {groups: [agents]}, on: {targets: [orders], sql: {commands: [DROP]}}, deny: {}}\n", []string{"dba"}, Allow},
		{"it may do what is held", all + "- {name: h, on: {targets: [orders], sql: {effects: [UPDATE], relations: [public.ledger]}}, approve: {by: [{groups: [x]}]}}\n", []string{"dba"}, Hold},
		{"a condition about something else", all + "- {name: d, on: {targets: [orders]}, when: \"request.target == 'other'\", deny: {}}\n", []string{"dba"}, Allow},
		{"a condition about what it does", all + "- {name: d, on: {targets: [orders]}, when: \"'public.x' in request.objects\", deny: {}}\n", []string{"dba"}, Deny},
		{"everything is held", "- {name: h, who: {groups: [dba]}, on: {targets: [orders]}, approve: {by: [{groups: [x]}]}}\n", []string{"dba"}, Hold},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compileText(t, head+c.rules).Decide(&Request{Principal: member(c.groups...), Target: "orders", Operations: op("DO", Pair{Effect: policyv1.Effect_UNKNOWN})})
			if d.Verdict != c.want {
				t.Errorf("%v (%s), want %v", d.Verdict, d.Message, c.want)
			}
			if c.name == "a mask concerns them" && strings.Contains(d.Hint, "everything") {
				t.Errorf("the hint contradicts: %s", d.Hint)
			}
		})
	}
}

func TestAHintNamesWhatMustBeNamed(t *testing.T) {
	const all = "- {name: all, who: {groups: [dba]}, on: {targets: [orders]}, allow: {}}\n"
	head := reachedBundle[:strings.Index(reachedBundle, "rules:")] + "rules:\n"
	const masks = "masks:\n- {name: m, on: {targets: [orders]}, columns: [public.c.p], redact: {}}\n" // to whom nothing is hidden, it is allowed
	d := compileText(t, head+all+masks).Decide(&Request{Principal: member("dba"), Target: "orders", Operations: op("SELECT", Pair{Effect: policyv1.Effect_EXECUTE, Object: "pg_catalog.pg_sleep"})})
	if d.Verdict != Deny || !strings.Contains(d.Hint, "relations: [pg_catalog.pg_sleep]") {
		t.Errorf("%v: %s", d.Verdict, d.Hint)
	}
}
