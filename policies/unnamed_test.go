package policies

import (
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

func TestWhatIsNotNamedMayBeWhatADenyNames(t *testing.T) {
	const all = "- {name: all, on: {targets: [orders]}, allow: {}}\n"
	deny := func(sql string) string {
		return all + "- {name: r, on: {targets: [orders], sql: {" + sql + "}}, deny: {}}\n"
	}
	ask := func(sql string) string {
		return all + "- {name: r, on: {targets: [orders], sql: {" + sql + "}}, approve: {by: [{groups: [dba]}]}}\n"
	}
	pair := func(e policyv1.Effect, object string) []Operation { return op("X", Pair{Effect: e, Object: object}) }
	truncate := op("TRUNCATE TABLE", Pair{Effect: policyv1.Effect_TRUNCATE, Object: "public.a"}, Pair{Effect: policyv1.Effect_TRUNCATE, Object: "*"})
	for _, c := range []struct {
		name, rules string
		ops         []Operation
		want        Verdict
	}{
		{"CASCADE may reach it", deny("effects: [TRUNCATE], relations: [public.payments]"), truncate, Deny},
		{"CASCADE may reach what must be approved", ask("effects: [TRUNCATE], relations: [public.payments]"), truncate, Hold},
		{"of another effect it does not", deny("effects: [DELETE], relations: [public.payments]"), truncate, Allow},
		{"without CASCADE it does not", deny("effects: [TRUNCATE], relations: [public.payments]"), op("TRUNCATE TABLE", Pair{Effect: policyv1.Effect_TRUNCATE, Object: "public.a"}), Allow},
		{"all of a database", deny("relations: ['secret.*']"), pair(policyv1.Effect_MAINTENANCE, "*"), Deny},
		{"all grants", deny("relations: ['secret.*']"), pair(policyv1.Effect_PRIVILEGE, "*"), Deny},
		{"what DROP … CASCADE takes along", deny("relations: ['secret.*']"), pair(policyv1.Effect_DDL, "*"), Deny},
		{"UNLISTEN * is of no relation", deny("relations: ['secret.*']"), op("UNLISTEN", Pair{Effect: policyv1.Effect_NOTIFY, Object: "*"}), Allow},
		{"a setting is of no relation", deny("relations: ['*.role']"), pair(policyv1.Effect_SESSION, "role"), Allow},
		{"a name that is not known, by its last part", deny("relations: ['secret.*']"), pair(policyv1.Effect_READ, "t"), Deny},
		{"another name that is not known", deny("relations: [secret.a]"), pair(policyv1.Effect_READ, "b"), Allow},
		{"a function that is not known", deny("effects: [EXECUTE], relations: [public.f]"), pair(policyv1.Effect_EXECUTE, "f"), Deny},
		{"a new name is no old one", deny("relations: ['secret.*']"), pair(policyv1.Effect_DDL, "t"), Allow},
		{"a name that is known", deny("relations: ['secret.*']"), pair(policyv1.Effect_READ, "public.t"), Allow},
		{"an allow rule does not cover what may be its", "- {name: a, on: {targets: [orders], sql: {relations: [public.a]}}, allow: {}}\n", truncate, Deny},
		{"an approve rule does not cover it either", "- {name: a, on: {targets: [orders], sql: {relations: [public.a]}}, approve: {by: [{groups: [dba]}]}}\n", truncate, Deny},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compileText(t, onlyRules(c.rules)).Decide(&Request{Principal: member("agents"), Target: "orders", Operations: c.ops})
			if d.Verdict != c.want {
				t.Errorf("got %s (%s), want %s", d.Verdict, d.Message, c.want)
			}
		})
	}
}

func TestAnApproveRuleIsHeardThoughItCannotCover(t *testing.T) {
	const named = "- {name: file, on: {targets: [orders], sql: {relations: [pg_catalog.pg_read_file]}}, allow: {}}\n"
	const ask = "- {name: ask, on: {targets: [orders], sql: {effects: [EXECUTE]}}, approve: {by: [{groups: [dba]}]}}\n"
	file := op("SELECT", Pair{Effect: policyv1.Effect_EXECUTE, Object: "pg_catalog.pg_read_file"})
	dblink := op("SELECT", Pair{Effect: policyv1.Effect_EXECUTE, Object: "dblink_exec"}) // not known to the catalog
	for _, c := range []struct {
		name, rules string
		ops         []Operation
		want        Verdict
	}{
		{"with a rule that names it", named + ask, file, Hold},
		{"without one", ask, file, Deny},
		{"by a name that is not known", ask, dblink, Deny},
		{"everything", "- {name: all, on: {targets: [orders]}, allow: {}}\n", dblink, Allow},
		{"a wildcard", "- {name: all, on: {targets: [orders], sql: {relations: ['*']}}, allow: {}}\n", dblink, Deny},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compileText(t, onlyRules(c.rules)).Decide(&Request{Principal: member("agents"), Target: "orders", Operations: c.ops})
			if d.Verdict != c.want {
				t.Errorf("got %s (%s), want %s", d.Verdict, d.Message, c.want)
			}
		})
	}
}
