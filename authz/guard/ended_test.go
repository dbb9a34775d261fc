package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
)

func removed(who *identity.Identity) (*identity.Identity, error) {
	return nil, &identity.Error{Kind: identity.UnknownIssuer, Issuer: who.Principal.GetIssuerUrl()}
}

func ungrouped(who *identity.Identity) (*identity.Identity, error) {
	next := agent(time.Hour)
	next.Principal.Groups, next.Key = []string{"others"}, who.Key
	return next, nil
}

func TestAHoldEndsAtOnceWithItsIssuer(t *testing.T) {
	t.Parallel()
	d := open(t)
	p := d.hold(t)
	time.AfterFunc(100*time.Millisecond, func() { d.issuers(removed) })
	began := time.Now()
	_, err := p.Wait(patient(t))
	wantDenied(t, err, guard.SessionEnded, "is not accepted here")
	if took := time.Since(began); took > 5*guard.WatchEvery {
		t.Errorf("after %v", took)
	}
	if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_WITHDRAWN {
		t.Errorf("people see it as %v", got)
	}
	if err := d.release(t, p); err == nil {
		t.Error("released")
	}
}

func TestAHoldEndsAtOnceWithItsRuleOrGroup(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *door){
		"the rule left": func(d *door) {
			d.policies.policy.Store(compile(t, strings.Replace(bundle, "name: writes", "name: others", 1), "v2"))
		},
		"the rule changed": func(d *door) {
			d.policies.policy.Store(compile(t, strings.Replace(bundle, "count: 2", "count: 1", 1), "v2"))
		},
		"the group left": func(d *door) {
			d.issuers(ungrouped)
			d.policies.policy.Store(compile(t, bundle, "v2"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			p := d.hold(t)
			time.AfterFunc(50*time.Millisecond, func() { change(d) })
			_, err := p.Wait(patient(t))
			wantDenied(t, err, guard.Changed, "has changed")
			if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_WITHDRAWN {
				t.Errorf("people see it as %v", got)
			}
		})
	}
	d := open(t)
	p := d.hold(t)
	d.policies.policy.Store(compile(t, bundle, "v2")) // the same rules
	d.approve(t, p)
	if err := d.release(t, p); err != nil {
		t.Errorf("nothing of it has changed: %v", err)
	}
}

// A hold may wait for minutes, and policies change for others meanwhile.
func TestAHoldOutlivesAChangeThatHasNothingToDoWithIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	p := d.hold(t)
	d.policies.policy.Store(compile(t, strings.Replace(bundle, "No dropping.", "Never.", 1), "v2"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*guard.WatchEvery)
	defer cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_PENDING {
		t.Errorf("people see it as %v", got)
	}
}

// What a hold was asked under is what counts, not what was so when the session began.
func TestAHoldOfWhoeverHasOtherGroupsByNowGoesOn(t *testing.T) {
	d := open(t)
	a := d.admit(t)
	d.issuers(func(who *identity.Identity) (*identity.Identity, error) {
		more := *who
		more.Principal = proto.CloneOf(who.Principal)
		more.Principal.Groups = append(more.Principal.Groups, "more")
		d.issuers(func(who *identity.Identity) (*identity.Identity, error) { return who, nil })
		return &more, nil
	})
	p, err := d.Hold(t.Context(), d.asked(t, a))
	if err != nil {
		t.Fatal(err)
	}
	d.policies.policy.Store(compile(t, bundle, "v2")) // the same rules
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Whoever a policy made of a token is whom the next policy is asked about.
func TestEachPolicyIsAskedAboutWhomTheLastOneFound(t *testing.T) {
	d := open(t)
	a := d.admit(t)
	var asked []*identity.Identity
	var found []*identity.Identity
	d.issuers(func(who *identity.Identity) (*identity.Identity, error) {
		asked = append(asked, who)
		if len(found) == 2 {
			return who, nil
		}
		next := agent(time.Hour)
		next.Key = who.Key
		found = append(found, next)
		return next, nil
	})
	for range 4 {
		if _, err := d.Principal(a); err != nil {
			t.Fatal(err)
		}
	}
	if asked[1] != found[0] || asked[2] != found[1] || asked[3] != found[1] {
		t.Error("a policy is asked about somebody else")
	}
}

func TestAnApprovedActionIsNotReleasedToWhomThePolicyDropped(t *testing.T) {
	for name, again := range map[string]func(*identity.Identity) (*identity.Identity, error){"the issuer left": removed, "the group left": ungrouped} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			p := d.hold(t)
			d.approve(t, p)
			d.issuers(again)
			if err := d.release(t, p); err == nil {
				t.Error("released")
			}
		})
	}
}

func TestAnOpenSessionOfARemovedIssuerDecidesNothing(t *testing.T) {
	d := open(t)
	a := d.admit(t)
	if _, err := d.Decide(a, reading(), nil); err != nil {
		t.Fatal(err)
	}
	d.issuers(removed)
	_, err := d.Decide(a, reading(), nil)
	wantDenied(t, err, guard.SessionEnded, "is not accepted here")
	wantDenied(t, d.Ended(a), guard.SessionEnded, "is not accepted here")
}

func TestAnEndedTokenOpensNothing(t *testing.T) {
	d := open(t)
	who := agent(time.Hour)
	who.Key = identity.Key{1}
	a, err := d.Connect(who, "orders")
	if err != nil {
		t.Fatal(err)
	}
	d.EndToken(a, "it was stolen")
	_, err = d.Connect(who, "orders")
	wantDenied(t, err, guard.SessionEnded, "it was stolen")
	again := agent(time.Hour) // the same token, spelled in another way
	again.Key = identity.Key{1}
	_, err = d.Connect(again, "orders")
	wantDenied(t, err, guard.SessionEnded, "it was stolen")
	other := agent(time.Hour)
	other.Key = identity.Key{2}
	if _, err := d.Connect(other, "orders"); err != nil {
		t.Errorf("another token: %v", err)
	}
	d.ahead.Store(int64(2 * time.Hour))
	if _, err := d.Connect(who, "orders"); err == nil {
		t.Error("it has expired")
	}
}
