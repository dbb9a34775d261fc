package identity_test

import (
	"testing"
	"time"

	"github.com/sluicegate/sluice/authz/identity"
)

// proven verifies one token again and again: what was found good once must not stay so.
func proven(t *testing.T, do func(t *testing.T, p *idp, verify func() identity.Kind)) {
	one := edSigner(t, "one")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one)
		raw := one.sign(t, p.claimsOf(time.Now(), map[string]any{"exp": time.Now().Add(2 * time.Hour).Unix()}))
		var first *identity.Identity
		verify := func() identity.Kind {
			id, err := r.Verify(t.Context(), raw)
			if first == nil {
				first = id
			}
			if err == nil && id.Principal.GetSubject() != "agent" || err != nil && id != nil {
				t.Fatalf("%v, %v", id, err)
			}
			return kindOf(t, err)
		}
		for range 2 {
			if k := verify(); k != 0 {
				t.Fatal(k)
			}
		}
		if again, err := r.Verify(t.Context(), raw); err != nil || again != first {
			t.Fatalf("checked again though nothing can have changed: %v", err)
		}
		do(t, p, verify)
	})
}

func TestAProvenTokenEnds(t *testing.T) {
	proven(t, func(t *testing.T, _ *idp, verify func() identity.Kind) {
		time.Sleep(2*time.Hour + identity.Leeway - time.Second)
		if k := verify(); k != 0 {
			t.Errorf("within the leeway: %v", k)
		}
		time.Sleep(time.Second)
		if k := verify(); k != identity.Expired {
			t.Errorf("past its end: %v", k)
		}
	})
}

func TestAProvenTokenEndsWithItsKey(t *testing.T) {
	proven(t, func(t *testing.T, p *idp, verify func() identity.Kind) {
		p.publish(edSigner(t, "two"))
		time.Sleep(identity.RefreshEvery + time.Second)
		if k := verify(); k != identity.BadSignature {
			t.Errorf("its key was withdrawn: %v", k)
		}
	})
}

func TestAProvenTokenEndsWithKeysThatAreTooOld(t *testing.T) {
	proven(t, func(t *testing.T, p *idp, verify func() identity.Kind) {
		p.setBroken(true)
		time.Sleep(identity.MaxStaleness + time.Second)
		if k := verify(); k != identity.Unavailable {
			t.Errorf("its issuer is away: %v", k)
		}
	})
}

func TestATokenThatDiffersInOneByteIsNotProven(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	raw := s.sign(t, p.claimsOf(time.Now(), nil))
	if _, err := r.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := []byte(raw)
		changed[i] ^= 1
		if _, err := r.Verify(t.Context(), string(changed)); err == nil {
			t.Fatalf("byte %d", i)
		}
	}
}
