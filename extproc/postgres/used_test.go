package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// TestWhatPeopleReleasedMustBeExecutedWithinHalfAMinute: a portal that nobody executes would wait for a better day.
func TestWhatPeopleReleasedMustBeExecutedWithinHalfAMinute(t *testing.T) {
	policy := &inForce{}
	policy.Store(compileBundle(t, vaultBundle, "v1"))
	now := time.Now()
	g := guard.New(policy, &vouching{}, nil, nil, nil, func() time.Time { return now })
	a, err := g.Connect(&identity.Identity{Principal: &identityv1.Principal{
		Issuer: "corp", Subject: "agent", Groups: []string{"agents"}, ExpiresAt: timestamppb.New(now.Add(time.Hour)),
	}}, "vault")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		granted granted
		resumed bool
		late    time.Duration
		refused bool
	}{
		"at once":                       {granted{approvalID: "A"}, false, 0, false},
		"half a minute later":           {granted{approvalID: "A"}, false, releaseValid, false},
		"a moment after that":           {granted{approvalID: "A"}, false, releaseValid + time.Millisecond, true},
		"hours later":                   {granted{approvalID: "A"}, false, 50 * time.Minute, true},
		"begun in time, and read on":    {granted{approvalID: "A"}, true, 50 * time.Minute, false},
		"nobody had to be asked":        {granted{}, false, 50 * time.Minute, false},
		"asked, begun late and read on": {granted{approvalID: "A"}, true, releaseValid + time.Second, false},
	} {
		c.granted.policy, c.granted.released = policy.Load(), now.Add(-c.late)
		j := &judge{o: &Options{Guard: g, Now: func() time.Time { return now }}, admission: a}
		_, refusal, err := j.again(&engine.Question{Stage: engine.AtExecute, Resumed: c.resumed, Run: &engine.Run{Grant: engine.Grant{Context: &c.granted}}})
		if err != nil || (refusal != nil) != c.refused {
			t.Errorf("%s: %+v, %v", name, refusal, err)
		}
		if refusal != nil && (refusal.Code != codeForbidden || !strings.Contains(refusal.Hint, "held again")) {
			t.Errorf("%s: %+v", name, refusal)
		}
	}
}

// Another token would fare no better.
func TestWithoutTheIssuersKeysTheHintIsNotAboutTheToken(t *testing.T) {
	f := unidentified(&identity.Error{Kind: identity.Unavailable, Issuer: "https://idp.example"})
	if f.refusal.Code != codeNotReady || strings.Contains(f.refusal.Hint, "must be a current token") || !strings.Contains(f.refusal.Hint, "issuer's keys cannot be read") || f.reason != "unavailable" {
		t.Errorf("%+v", f)
	}
	for _, kind := range []identity.Kind{identity.Expired, identity.BadSignature, identity.WrongAudience} {
		if f := unidentified(&identity.Error{Kind: kind}); f.refusal.Code != codeNoIdentity || !strings.Contains(f.refusal.Hint, "must be a current token") || f.reason != kind.String() {
			t.Errorf("%s: %+v", kind, f)
		}
	}
	if f := unidentified(errors.New("x")); f.refusal.Code != codeNoIdentity || f.refusal.Message != "the token was refused" {
		t.Errorf("%+v", f)
	}
}
