package httpmask

import (
	"fmt"
	"testing"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

func TestACacheIsOfTheNewestPolicy(t *testing.T) {
	var c Cache
	of := func(text string) *View {
		p, err := compile(t, text)
		if err != nil {
			t.Fatal(err)
		}
		view, err := c.OfRecord(p, "api")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.OfRecord(p, "api"); err != nil || again != view {
			t.Errorf("asked twice, it is made twice: %v", err)
		}
		return view
	}
	old := of(bundle)
	if of(bundle) == old {
		t.Error("a view of another policy is given")
	}
	if len(c.views) != 1 {
		t.Errorf("%d views are kept, of policies that nobody asks for", len(c.views))
	}
}

func TestACacheIsBounded(t *testing.T) {
	const masks = 10 // each excepts a group, so there are 1024 sets
	text := bundle
	for i := range masks {
		text += fmt.Sprintf("- {name: m%d, on: {targets: [api]}, headers: [x-%d], redact: {}, except: {groups: [g%d]}}\n", i, i, i)
	}
	p, err := compile(t, text)
	if err != nil {
		t.Fatal(err)
	}
	var c Cache
	most := 0
	for set := range 1 << masks {
		principal := &identityv1.Principal{Issuer: "corp", Subject: "x"}
		for i := range masks {
			if set>>i&1 > 0 {
				principal.Groups = append(principal.Groups, fmt.Sprintf("g%d", i))
			}
		}
		agent, _, err := c.Of(p, principal, "api")
		if err != nil {
			t.Fatal(err)
		}
		for i := range masks {
			if _, hidden := agent.Header(fmt.Sprintf("x-%d", i), "s"); hidden == (set>>i&1 > 0) {
				t.Fatalf("header %d is hidden from set %b: %v", i, set, hidden)
			}
		}
		most = max(most, len(c.views))
	}
	if most != maxViews {
		t.Errorf("up to %d views are kept, want %d", most, maxViews)
	}
}
