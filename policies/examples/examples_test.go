package examples_test

import (
	"os"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httppath"
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

func TestTheHTTPExampleDecidesWhatItsCommentsSay(t *testing.T) {
	p := load(t, "http")
	agent, other := principal("corp", "bot", "agents"), principal("corp", "x")
	for name, c := range map[string]struct {
		who          *identityv1.Principal
		target       string
		method, path string
		body         map[string]any
		want         policies.Verdict
	}{
		"agents read":                    {agent, "payments", "GET", "/v1/charges", nil, policies.Allow},
		"on both":                        {agent, "search", "GET", "/q", nil, policies.Allow},
		"others do not":                  {other, "payments", "GET", "/v1/charges", nil, policies.Deny},
		"a small refund":                 {agent, "payments", "POST", "/v1/charges/7/refunds", map[string]any{"amount": 20.0}, policies.Allow},
		"a large one":                    {agent, "payments", "POST", "/v1/charges/7/refunds", map[string]any{"amount": 500.0}, policies.Hold},
		"one without an amount":          {agent, "payments", "POST", "/v1/charges/7/refunds", map[string]any{}, policies.Hold},
		"a key":                          {agent, "payments", "GET", "/v1/keys/1", nil, policies.Deny},
		"a key, as some servers read it": {agent, "payments", "GET", "/V1/Keys/1/", nil, policies.Deny},
		"a path that no rule is about":   {agent, "payments", "DELETE", "/v1/charges/7", nil, policies.Deny},
	} {
		path, err := httppath.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		call := &policies.Call{Host: "payments.gateway.example", Path: path, Values: func() map[string]any { return map[string]any{"body": c.body} }}
		d := p.Decide(&policies.Request{Principal: c.who, Target: c.target, Operations: []policies.Operation{policies.CallOf(c.method, call)}})
		if d.Verdict != c.want {
			t.Errorf("%s: %v %s %s, want %v", name, d.Verdict, d.Message, d.Detail, c.want)
		}
	}
}
