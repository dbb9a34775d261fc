package examples_test

import (
	"os"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
)

func load(t *testing.T, dir string) *policies.Policy {
	t.Helper()
	_, p, err := source.Load(t.Context(), dir)
	if err != nil {
		t.Fatalf("%s:\n%v", dir, err)
	}
	return p
}

func principal(issuer, subject string, groups ...string) *identityv1.Principal {
	return &identityv1.Principal{Issuer: issuer, Subject: subject, Groups: groups, ExpiresAt: &timestamppb.Timestamp{Seconds: 1}}
}

func does(command string, effect policyv1.Effect, object string) policies.Operation {
	return policies.Operation{Command: command, Pairs: []policies.Pair{{Effect: effect, Object: object}}}
}

func TestEveryExampleLoads(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, e := range entries {
		if e.IsDir() {
			load(t, e.Name())
			loaded++
		}
	}
	if loaded < 2 {
		t.Errorf("loaded %d examples", loaded)
	}
}

func TestExamplesDecideWhatTheirCommentsSay(t *testing.T) {
	demo, teams := load(t, "demo"), load(t, "teams")
	agent, alice := principal("demo", "agent", "agents"), principal("demo", "alice", "dba")
	mallory := principal("demo", "mallory")
	ci := principal("ci", "repo:shop/backend", "deploy")
	for name, tc := range map[string]struct {
		policy *policies.Policy
		who    *identityv1.Principal
		target string
		op     policies.Operation
		want   policies.Verdict
	}{
		"an agent reads":                      {demo, agent, "orders", does("SELECT", policyv1.Effect_READ, "public.orders"), policies.Allow},
		"a table made later":                  {demo, agent, "orders", does("SELECT", policyv1.Effect_READ, "public.made_later"), policies.Allow},
		"another schema":                      {demo, agent, "orders", does("SELECT", policyv1.Effect_READ, "private.orders"), policies.Deny},
		"an agent deletes":                    {demo, agent, "orders", does("DELETE", policyv1.Effect_DELETE, "public.orders"), policies.Hold},
		"an agent drops":                      {demo, agent, "orders", does("DROP TABLE", policyv1.Effect_DDL, "public.orders"), policies.Deny},
		"an agent truncates":                  {demo, agent, "orders", does("TRUNCATE TABLE", policyv1.Effect_TRUNCATE, "public.orders"), policies.Deny},
		"an agent alters":                     {demo, agent, "orders", does("ALTER TABLE", policyv1.Effect_DDL, "public.orders"), policies.Deny},
		"a dba reads":                         {demo, alice, "orders", does("SELECT", policyv1.Effect_READ, "public.customers"), policies.Allow},
		"a dba drops":                         {demo, alice, "orders", does("DROP TABLE", policyv1.Effect_DDL, "public.orders"), policies.Deny},
		"mallory reads":                       {demo, mallory, "orders", does("SELECT", policyv1.Effect_READ, "public.orders"), policies.Deny},
		"a job migrates its own database":     {teams, ci, "shop", does("CREATE TABLE", policyv1.Effect_DDL, "public"), policies.Allow},
		"a job drops":                         {teams, ci, "shop", does("DROP TABLE", policyv1.Effect_DDL, "public.t"), policies.Hold},
		"a job in another team's database":    {teams, ci, "billing", does("SELECT", policyv1.Effect_READ, "public.invoices"), policies.Deny},
		"the same group of the other issuer":  {teams, principal("ci", "x", "finance"), "billing", does("SELECT", policyv1.Effect_READ, "public.invoices"), policies.Deny},
		"finance reads":                       {teams, principal("corp", "x", "finance"), "billing", does("SELECT", policyv1.Effect_READ, "public.invoices"), policies.Allow},
		"finance corrects with three in all":  {teams, principal("corp", "x", "finance"), "billing", does("UPDATE", policyv1.Effect_UPDATE, "public.invoices"), policies.Hold},
		"finance cannot correct other tables": {teams, principal("corp", "x", "finance"), "billing", does("UPDATE", policyv1.Effect_UPDATE, "public.accounts"), policies.Deny},
	} {
		t.Run(name, func(t *testing.T) {
			d := tc.policy.Decide(&policies.Request{Principal: tc.who, Target: tc.target, Operations: []policies.Operation{tc.op}})
			if d.Verdict != tc.want {
				t.Errorf("got %v by %v: %s", d.Verdict, d.Rules, d.Message)
			}
		})
	}
}

func TestTheDemoMasksForAllButDBAs(t *testing.T) {
	demo := load(t, "demo")
	hidden := [][3]string{{"public", "customers", "password"}, {"public", "customers", "api_key"}, {"public", "payments", "card_number"}, {"public", "customers", "email"}}
	agent, dba := demo.Masks(principal("demo", "agent", "agents"), "orders"), demo.Masks(principal("demo", "alice", "dba"), "orders")
	for _, c := range hidden {
		if agent.Column(c[0], c[1], c[2]) == nil {
			t.Errorf("%v is shown to an agent", c)
		}
		if dba.Column(c[0], c[1], c[2]) != nil {
			t.Errorf("%v is hidden from a dba", c)
		}
	}
	if !agent.Column("public", "customers", "email").KeepDomain || agent.Column("public", "customers", "name") != nil {
		t.Error("e-mail keeps its domain, names are shown")
	}
}

func TestTheDemoGivesAccessToAuditors(t *testing.T) {
	demo := load(t, "demo")
	carol, agent := principal("demo", "carol", "auditors"), principal("demo", "agent", "agents")
	if !demo.May(carol, policyv1.Permission_audit_read) || demo.May(agent, policyv1.Permission_audit_read) || demo.May(carol, policyv1.Permission_policy_push) {
		t.Error("auditors read recordings, and nobody pushes policy")
	}
}
