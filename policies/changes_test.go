package policies_test

import (
	"fmt"
	"slices"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

func TestChangesOfAPolicyAreNamed(t *testing.T) {
	rule := func(name, when string) *policyv1.Rule { return &policyv1.Rule{Name: name, When: when} }
	mask := func(name string, columns ...string) *policyv1.Mask {
		return &policyv1.Mask{Name: name, Columns: columns}
	}
	access := &policyv1.Access{May: []policyv1.Permission{policyv1.Permission_audit_read}}
	before := &policyv1.Bundle{
		Version: "1", Issuers: []*policyv1.Issuer{{Name: "corp", Url: "https://a"}}, Targets: []*policyv1.Target{{Name: "orders"}},
		Rules: []*policyv1.Rule{rule("reads", ""), rule("writes", "")}, Masks: []*policyv1.Mask{mask("mail", "*.*.mail")},
	}
	for name, c := range map[string]struct {
		before, after *policyv1.Bundle
		want          []string
	}{
		"the first":    {nil, &policyv1.Bundle{Rules: before.GetRules()}, []string{"rule reads added", "rule writes added"}},
		"nothing":      {before, &policyv1.Bundle{Version: "2", Issuers: before.GetIssuers(), Targets: before.GetTargets(), Rules: before.GetRules(), Masks: before.GetMasks()}, nil},
		"a rule less":  {&policyv1.Bundle{Rules: before.GetRules()}, &policyv1.Bundle{Rules: before.GetRules()[1:]}, []string{"rule reads removed"}},
		"their order":  {&policyv1.Bundle{Rules: before.GetRules()}, &policyv1.Bundle{Rules: []*policyv1.Rule{rule("writes", ""), rule("reads", "")}}, []string{"order of rules"}},
		"a condition":  {&policyv1.Bundle{Rules: before.GetRules()}, &policyv1.Bundle{Rules: []*policyv1.Rule{rule("reads", "true"), rule("writes", "")}}, []string{"rule reads changed"}},
		"who may":      {nil, &policyv1.Bundle{Access: []*policyv1.Access{access}}, []string{"access"}},
		"another mask": {before, &policyv1.Bundle{Issuers: before.GetIssuers(), Targets: before.GetTargets(), Rules: before.GetRules(), Masks: []*policyv1.Mask{mask("mail", "*.*.email")}}, []string{"mask mail changed"}},
		"everything":   {before, nil, []string{"issuer corp removed", "mask mail removed", "rule reads removed", "rule writes removed", "target orders removed"}},
	} {
		if got := policies.Changes(c.before, c.after); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestChangesAreBounded(t *testing.T) {
	b := &policyv1.Bundle{}
	for i := range 1000 {
		b.Rules = append(b.Rules, &policyv1.Rule{Name: fmt.Sprintf("r%d", i)})
	}
	if got := policies.Changes(nil, b); len(got) != 33 || got[32] != "and 968 more" {
		t.Errorf("%d: %q", len(got), got[len(got)-1])
	}
}
