package check

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

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
		"POST /pay":                              {recordv1.Decision_DENY, "its condition fails: no such key: body"},
		"POST /x":                                {recordv1.Decision_DENY, "POST on /pay where its condition holds"},
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
	below := proto.CloneOf(p.Target("api"))
	below.GetHttp().PathPrefix = "/customers"
	for path, known := range map[string]bool{"/customers": true, "/customers/7": true, "/customersx": false, "/": false} {
		if _, err := Explain(p, who, below, "GET "+path, time.Now()); (err == nil) != known || err != nil && !strings.Contains(err.Error(), "below /customers") {
			t.Errorf("%s below /customers: %v", path, err)
		}
	}
}
