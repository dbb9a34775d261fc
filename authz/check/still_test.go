package check

import (
	"strings"
	"testing"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

func TestAResponseUnderWayIsWeighedAnew(t *testing.T) {
	const masks = "masks:\n- {name: keys, on: {targets: [api]}, paths: [\"$..key\"], redact: {}}\n"
	for name, c := range map[string]struct {
		change func(f *fixture)
		policy string // instead of the one that let it through
		why    string // empty: it goes on
	}{
		"nothing changed":                  {},
		"the same policy, another version": {policy: bundle + masks},
		"a rule for others":                {policy: bundle + "- {name: theirs, who: {groups: [others]}, on: {targets: [api]}, deny: {message: Not you.}}\n" + masks},
		"the token ended":                  {change: func(f *fixture) { f.ahead.Add(int64(2 * time.Hour)) }, why: "ended with the token"},
		"somebody ended the session":       {change: func(f *fixture) { f.EndSession("p1-1", "enough") }, why: "enough"},
		"a mask was added":                 {policy: bundle + masks + "- {name: more, on: {targets: [api]}, paths: [$.more], redact: {}}\n", why: "masks"},
		"a mask became another":            {policy: bundle + strings.Replace(masks, "$..key", "$..keys", 1), why: "masks"},
		"a mask of another target":         {policy: bundle + masks + "- {name: more, on: {targets: [keyed]}, paths: [$.more], redact: {}}\n"},
		"its rule left":                    {policy: strings.Replace(bundle, "{name: read, who: {groups: [agents]}", "{name: read, who: {groups: [others]}", 1) + masks, why: "no rule allows"},
		"a rule denies it":                 {policy: strings.Replace(bundle, "/admin/**", "/stream", 1) + masks, why: "Not here."},
		"a rule asks for approval":         {policy: strings.Replace(bundle, "methods: [DELETE, POST], paths: [\"/customers/{id}\"]", "paths: [/stream]", 1) + masks, why: "asks for an approval"},
		"its target left":                  {policy: strings.NewReplacer("name: api\n", "name: other\n", "[api]", "[other]").Replace(bundle + masks), why: "masks"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			f.policies.policy.Store(compiled(t, bundle+masks, "v1"))
			e, ok := f.Take(ticketOf(f.check(t, ask("api", "GET", "/stream", good))), "r-1")
			if !ok {
				t.Fatal("no exchange")
			}
			if err := e.Still(); err != nil {
				t.Fatal(err)
			}
			if c.policy != "" {
				f.policies.policy.Store(compiled(t, c.policy, "v2"))
			}
			if c.change != nil {
				c.change(f)
			}
			for range 2 {
				err := e.Still()
				if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestAnApprovedResponseGoesOnUnderTheRuleThatAsked(t *testing.T) {
	f := open(t)
	done := make(chan string, 1)
	go func() { done <- ticketOf(f.check(t, ask("api", "DELETE", "/customers/7", good))) }()
	f.vote(t, f.held(t).GetId(), approvalv1.Vote_APPROVE)
	e, ok := f.Take(<-done, "r-1")
	if !ok {
		t.Fatal("no exchange")
	}
	f.policies.policy.Store(compiled(t, bundle, "v2"))
	if err := e.Still(); err != nil {
		t.Error(err)
	}
}
