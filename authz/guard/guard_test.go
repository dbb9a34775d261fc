package guard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/policies"
)

func TestConnectLetsInWhoMayDoSomething(t *testing.T) {
	d := open(t)
	stranger := agent(time.Hour)
	stranger.Principal.Groups = nil
	late := agent(-time.Second)
	extended := agent(-time.Second)
	extended.SessionMax = time.Hour
	for _, c := range []struct {
		name   string
		who    *identity.Identity
		target string
		kind   guard.Kind // 0: let in
		words  string
	}{
		{"a member", agent(time.Hour), "orders", 0, ""},
		{"nobody's rule", stranger, "orders", guard.Forbidden, "no rule lets you use target"},
		{"a rule that denies", agent(time.Hour, "banned"), "orders", guard.Forbidden, "Go away."},
		{"a target that may be on its way", agent(time.Hour), "newer", guard.NotReady, `"newer" is not known`},
		{"a token within its leeway", late, "orders", guard.SessionEnded, "has ended"},
		{"one whose issuer extends sessions", extended, "orders", 0, ""},
		{"nobody", &identity.Identity{}, "orders", guard.Forbidden, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := d.Connect(c.who, c.target)
			if c.kind == 0 {
				if err != nil || a.Version != "v1" || a.Target.GetName() != c.target || !a.Ends.After(time.Now()) {
					t.Errorf("got %+v, %v", a, err)
				}
				return
			}
			if a != nil {
				t.Error("let in")
			}
			wantDenied(t, err, c.kind, c.words)
		})
	}
}

func TestATokenIsProvenByTheIdentities(t *testing.T) {
	d := open(t)
	if who, err := d.Identify(t.Context(), "good"); err != nil || who.Principal.GetSubject() != "agent" {
		t.Errorf("got %v, %v", who, err)
	}
	if who, err := d.Identify(t.Context(), "bad"); err == nil || who != nil {
		t.Errorf("got %v, %v", who, err)
	}
}

func TestDecisionsAreOfTheMoment(t *testing.T) {
	d := open(t)
	a := d.admit(t)
	if v, err := d.Decide(a, reading(), nil); err != nil || v.Verdict != policies.Allow || v.Policy == nil {
		t.Fatalf("got %v, %v", v.Verdict, err)
	}
	d.policies.policy.Store(compile(t, bundle[:len(bundle)-1]+"\n- {name: closed, on: {targets: [orders]}, deny: {}}\n", "v2"))
	if v, err := d.Decide(a, reading(), nil); err != nil || v.Verdict != policies.Deny || v.Version != "v2" {
		t.Errorf("a new policy: got %v, %v", v.Verdict, err)
	}
	d.policies.fail(errors.New("the policy is too old"))
	_, err := d.Decide(a, reading(), nil)
	wantDenied(t, err, guard.NotReady, "the policy is too old")
	_, err = d.Connect(agent(time.Hour), "orders")
	wantDenied(t, err, guard.NotReady, "the policy is too old")
	_, err = d.Current()
	wantDenied(t, err, guard.NotReady, "the policy is too old")
}

func TestNothingIsDecidedPastTheEndOfTheToken(t *testing.T) {
	d := open(t)
	a := d.admit(t)
	if err := d.Ended(a); err != nil {
		t.Error(err)
	}
	d.ahead.Store(int64(time.Until(a.Ends)))
	_, err := d.Decide(a, reading(), nil)
	wantDenied(t, err, guard.SessionEnded, "has ended")
	wantDenied(t, d.Ended(a), guard.SessionEnded, "has ended")
}

func TestADenialNamesTheFirstOfItsRules(t *testing.T) {
	for want, rules := range map[string][]string{"": nil, "a": {"a"}, "b": {"b", "a"}} {
		d := &guard.Denied{}
		if d.Rules = rules; d.Rule() != want {
			t.Errorf("%q: %q", rules, d.Rule())
		}
	}
}
