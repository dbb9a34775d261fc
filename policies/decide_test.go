package policies

import (
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	"github.com/google/go-cmp/cmp"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

const testBundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
- name: billing
  listener: {address: 127.0.0.1, port: 15433}
  postgres: {endpoints: [{host: db.internal, port: 5432}], database: billing}
  credential: {static: {username: app, password: {env: PW}}}
rules:
- {name: read, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ], relations: ["public.*"]}}, allow: {}}
- name: writes
  who: {groups: [agents]}
  on: {targets: [orders], sql: {effects: [INSERT, UPDATE, DELETE]}}
  approve: {by: [{groups: [dba]}]}
- name: payments
  who: {groups: ["corp:agents"]}
  on: {targets: [orders], sql: {effects: [DELETE], relations: [public.payments]}}
  approve: {by: [{groups: [finance], count: 2}], within: 60s}
- {name: drop, on: {targets: ["*"], sql: {commands: [DROP, TRUNCATE]}}, deny: {message: No dropping.}}
- {name: night, who: {groups: [night]}, on: {targets: [orders]}, when: "request.attributes.hour < 6", allow: {}}
- {name: no-night-write, who: {groups: [night]}, on: {targets: [orders], sql: {effects: [DELETE]}}, when: "request.attributes.hour < 3", deny: {}}
- {name: files, who: {groups: [ops]}, on: {targets: [orders], sql: {relations: ["*.*"]}}, allow: {}}
- {name: named, who: {groups: [named]}, on: {targets: [orders], sql: {relations: ["pg_catalog.pg_read_file"]}}, allow: {}}
masks:
- {name: secrets, on: {targets: [orders]}, columns: ["public.customers.password", "*.*.api_key"], redact: {}}
- {name: mail, on: {targets: ["*"]}, columns: ["public.customers.email"], partial: {keep_domain: true}, except: {groups: [dba]}}
access:
- {who: {groups: [auditors]}, may: [audit_read]}
`

func mustBundle(t *testing.T, text string) *policyv1.Bundle {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	b.Version = "v1"
	return b
}

func mustCompile(t *testing.T) *Policy {
	t.Helper()
	return compileText(t, testBundle)
}

func member(groups ...string) *identityv1.Principal {
	return &identityv1.Principal{Issuer: "corp", Subject: "x", Groups: groups}
}

func op(command string, pairs ...Pair) []Operation {
	return []Operation{{Command: command, Pairs: pairs}}
}

func TestDecide(t *testing.T) {
	p := mustCompile(t)
	read := Pair{Effect: policyv1.Effect_READ, Object: "public.orders"}
	del := Pair{Effect: policyv1.Effect_DELETE, Object: "public.orders"}
	pay := Pair{Effect: policyv1.Effect_DELETE, Object: "public.payments"}
	file := Pair{Effect: policyv1.Effect_EXECUTE, Object: "pg_catalog.pg_read_file"}
	for _, c := range []struct {
		name  string
		who   *identityv1.Principal
		ops   []Operation
		attrs map[string]any
		want  Verdict
		rules string
	}{
		{"a read that a rule covers is allowed", member("agents"), op("SELECT", read), nil, Allow, "read"},
		{"a statement without effects is allowed to whoever has any allow", member("agents"), op("SELECT"), nil, Allow, ""},
		{"a statement without effects is denied to a stranger", member("nobody"), op("SELECT"), nil, Deny, ""},
		{"a read of another schema is denied", member("agents"), op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "secret.t"}), nil, Deny, ""},
		{"one uncovered pair denies the statement", member("agents"), op("SELECT", read, Pair{Effect: policyv1.Effect_EXECUTE, Object: "public.f"}), nil, Deny, ""},
		{"a harmless catalog needs no rule", member("agents"), op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "pg_catalog.pg_class"}), nil, Allow, ""},
		{"a catalog that shows data is denied", member("agents"), op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "pg_catalog.pg_statistic"}), nil, Deny, ""},
		{"a safe setting needs no rule", member("agents"), op("SET", Pair{Effect: policyv1.Effect_SESSION, Object: "TimeZone"}), nil, Allow, ""},
		{"another setting is denied", member("agents"), op("SET", Pair{Effect: policyv1.Effect_SESSION, Object: "role"}), nil, Deny, ""},
		{"transaction control needs no rule", member("agents"), op("BEGIN", Pair{Effect: policyv1.Effect_TRANSACTION, Object: ""}), nil, Allow, ""},
		{"a write is held", member("agents"), op("DELETE", del, read), nil, Hold, "read writes"},
		{"requirements of two rules add up", member("agents"), op("DELETE", pay), nil, Hold, "writes payments"},
		{"a deny wins over an allow", member("ops"), op("DROP TABLE", Pair{Effect: policyv1.Effect_DDL, Object: "public.orders"}), nil, Deny, "drop"},
		{"a rule by first word matches the whole tag", member("ops"), op("TRUNCATE TABLE", Pair{Effect: policyv1.Effect_TRUNCATE, Object: "public.orders"}), nil, Deny, "drop"},
		{"an unknown effect may be what a rule denies", member("ops"), op("DO", Pair{Effect: policyv1.Effect_UNKNOWN, Object: ""}), nil, Deny, "drop"},
		{"a wildcard does not name a function that reads files", member("ops"), op("SELECT", file), nil, Deny, ""},
		{"an exact name does", member("named"), op("SELECT", file), nil, Allow, "named"},
		{"a condition that holds allows", member("night"), op("SELECT", read), map[string]any{"hour": 4}, Allow, "night"},
		{"a condition that does not hold does not", member("night"), op("SELECT", read), map[string]any{"hour": 9}, Deny, ""},
		{"an allow whose condition fails does not match", member("night"), op("SELECT", read), nil, Deny, ""},
		{"a deny whose condition fails matches", member("night", "ops"), op("DELETE", del), nil, Deny, "no-night-write"},
		{"the worst of several statements decides", member("agents"), append(op("SELECT", read), op("DELETE", del)...), nil, Hold, "read writes"},
		{"groups of another issuer are other groups", &identityv1.Principal{Issuer: "evil", Groups: []string{"agents"}}, op("SELECT", read), nil, Deny, ""},
		{"no principal is denied", nil, op("SELECT", read), nil, Deny, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Decide(&Request{Principal: c.who, Target: "orders", Operations: c.ops, Attributes: c.attrs})
			if d.Verdict != c.want || strings.Join(d.Rules, " ") != c.rules {
				t.Errorf("got %s by %q (%s), want %s by %q", d.Verdict, d.Rules, d.Message, c.want, c.rules)
			}
			if d.Verdict == Deny && (d.Message == "" || d.Detail == "" || d.Hint == "") {
				t.Errorf("a denial without explanation: %+v", d)
			}
		})
	}
}

func TestHoldTellsWhoMustApproveAndUntilWhen(t *testing.T) {
	p := mustCompile(t)
	pay := Pair{Effect: policyv1.Effect_DELETE, Object: "public.payments"}
	d := p.Decide(&Request{Principal: member("agents"), Target: "orders", Operations: append(op("DELETE", pay), op("DELETE", pay)...)})
	want := []Requirement{{"writes", []string{"corp:dba"}, 1}, {"payments", []string{"corp:finance"}, 2}}
	if diff := cmp.Diff(want, d.Requirements); diff != "" {
		t.Error(diff)
	}
	if d.Within != time.Minute {
		t.Errorf("within %s, want the shortest", d.Within)
	}
}

func TestConnect(t *testing.T) {
	p := mustCompile(t)
	for _, c := range []struct {
		name, target string
		who          *identityv1.Principal
		want         Verdict
	}{
		{"any allow or approve lets in", "orders", member("agents"), Allow},
		{"no rule keeps out", "orders", member(), Deny},
		{"a rule of another target does not count", "billing", member("agents"), Deny},
		{"an unknown target is denied", "nope", member("agents"), Deny},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := p.Decide(&Request{Principal: c.who, Target: c.target}); d.Verdict != c.want {
				t.Errorf("got %s (%s)", d.Verdict, d.Message)
			}
		})
	}
}

func TestMasks(t *testing.T) {
	p := mustCompile(t)
	agent, dba := p.Masks(member("agents"), "orders"), p.Masks(member("dba"), "orders")
	for _, c := range []struct {
		name string
		set  MaskSet
		path string
		mask string
	}{
		{"a named column", agent, "public.customers.password", "secrets"},
		{"a column of any table", agent, "x.y.api_key", "secrets"},
		{"another column", agent, "public.customers.name", ""},
		{"an exception sees it", dba, "public.customers.email", ""},
		{"an exception of one mask is none of another", dba, "public.customers.password", "secrets"},
		{"records are masked for all", p.Masks(nil, "orders"), "public.customers.email", "mail"},
		{"a mask of another target", p.Masks(nil, "billing"), "public.customers.password", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := strings.Split(c.path, ".")
			got := ""
			if m := c.set.Column(parts[0], parts[1], parts[2]); m != nil {
				got = m.Name
			}
			if got != c.mask {
				t.Errorf("%s: got %q, want %q", c.path, got, c.mask)
			}
		})
	}
}

func TestADecisionNamesTheMasksThatApply(t *testing.T) {
	p := mustCompile(t)
	for _, c := range []struct {
		name string
		who  *identityv1.Principal
		op   []Operation
		want []string
	}{
		{"all", member("agents"), op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "public.orders"}), []string{"secrets", "mail"}},
		{"not those that except", member("agents", "dba"), op("SELECT", Pair{Effect: policyv1.Effect_READ, Object: "public.orders"}), []string{"secrets"}},
		{"of what is held", member("agents"), op("DELETE", Pair{Effect: policyv1.Effect_DELETE, Object: "public.orders"}), []string{"secrets", "mail"}},
		{"of a session's opening", member("agents"), nil, []string{"secrets", "mail"}},
		{"none of what is denied", member("agents"), op("DROP TABLE", Pair{Effect: policyv1.Effect_DDL, Object: "public.orders"}), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Decide(&Request{Principal: c.who, Target: "orders", Operations: c.op})
			if !slices.Equal(d.Masks, c.want) {
				t.Errorf("%s: masks %q, want %q", d.Verdict, d.Masks, c.want)
			}
		})
	}
}

func TestMay(t *testing.T) {
	p := mustCompile(t)
	if !p.May(member("auditors"), policyv1.Permission_audit_read) {
		t.Error("auditors may read")
	}
	if p.May(member("auditors"), policyv1.Permission_session_end) || p.May(member("agents"), policyv1.Permission_audit_read) || p.May(nil, policyv1.Permission_audit_read) {
		t.Error("nobody else may")
	}
}

func TestCompileNamesEachFault(t *testing.T) {
	bad := strings.NewReplacer(
		`name: billing`, `name: orders`,
		`port: 15433`, `port: 15432`,
		`"request.attributes.hour < 6"`, `"request.nope("`,
		`"*.*.api_key"`, `"api_key.x"`,
		`[{groups: [dba]}]`, `[]`,
	).Replace(testBundle)
	_, err := Compile(mustBundle(t, bad))
	if err == nil || !strings.Contains(err.Error(), "rules[1].approve.by") {
		t.Fatalf("schema faults come first: %v", err)
	}
	bad = strings.Replace(bad, `approve: {by: []}`, `approve: {by: [{groups: [dba]}]}`, 1)
	_, err = Compile(mustBundle(t, bad))
	for _, want := range []string{
		`targets[1].name: "orders" is the name of targets[0] already`,
		`targets[1].listener: 127.0.0.1:15432 is the listener of targets[0] already`,
		`rules[4].when: `,
		`masks[0].columns[1]: "api_key.x" has 2 parts`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestTwoIssuersNeedAliases(t *testing.T) {
	two := strings.Replace(testBundle, "targets:\n- name", "- {name: other, url: \"https://other.example\", audiences: [sluice]}\ntargets:\n- name", 1)
	_, err := Compile(mustBundle(t, two))
	if err == nil || !strings.Contains(err.Error(), `rules[0].who.groups[0]: "agents" needs the alias of its issuer`) {
		t.Errorf("got %v", err)
	}
}

func TestPlaintextToTheDatabaseNeedsLoopback(t *testing.T) {
	bad := strings.Replace(testBundle, "database: billing", "database: billing, tls: {mode: DISABLE}", 1)
	_, err := Compile(mustBundle(t, bad))
	if err == nil || !strings.Contains(err.Error(), "targets[1].postgres.endpoints[0].host") {
		t.Errorf("got %v", err)
	}
}
