package check

import (
	"strings"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

func TestExplainSaysWhatARequestWouldGet(t *testing.T) {
	f := open(t)
	p, err := f.policies.Current()
	if err != nil {
		t.Fatal(err)
	}
	who := &identityv1.Principal{Issuer: "corp", Subject: "agent", Groups: []string{"agents"}}
	for text, want := range map[string]struct {
		verdict recordv1.Decision_Verdict
		words   string
	}{
		"GET /customers":                         {recordv1.Decision_ALLOW, "read"},
		"DELETE /customers/7":                    {recordv1.Decision_HOLD, "writes"},
		"DELETE https://api.example/customers/7": {recordv1.Decision_HOLD, "writes"},
		"GET /admin/x":                           {recordv1.Decision_DENY, "admin"},
		"PUT /x":                                 {recordv1.Decision_DENY, "no rule allows PUT /x"},
	} {
		got, err := Explain(p, who, p.Target("api"), text, time.Now())
		if err != nil || got.GetDecision().GetVerdict() != want.verdict || !strings.Contains(got.String(), want.words) || len(got.GetTrace()) == 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, words := range map[string]string{"": "METHOD PATH", "GET": "METHOD PATH", "get /x": "METHOD PATH", "GET x": "slash", "GET /a%2fb": "encoded slash"} {
		if _, err := Explain(p, who, p.Target("api"), text, time.Now()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
