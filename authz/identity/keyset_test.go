package identity_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
)

// inMemory answers requests without a network, so that synctest's clock can run.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// bubble runs f with an issuer and a registry on a false clock.
func bubble(t *testing.T, f func(t *testing.T, p *idp, r *identity.Registry)) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{url: "https://idp.example", named: "https://idp.example"}
		iss := p.issuer()
		iss.Ca = nil
		r, err := identity.New([]*policyv1.Issuer{iss}, identity.Options{
			Transport: func(*policyv1.Issuer, []byte) (http.RoundTripper, error) { return inMemory{p}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f(t, p, r)
	})
}

// tokenKind verifies a token that is made now.
func tokenKind(t *testing.T, p *idp, r *identity.Registry, s signer) identity.Kind {
	t.Helper()
	_, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), nil)))
	return kindOf(t, err)
}

func TestARotatedKeyIsFoundAtOnce(t *testing.T) {
	one, two := edSigner(t, "one"), edSigner(t, "two")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Fatal(k)
		}
		p.publish(one, two)
		if k := tokenKind(t, p, r, two); k != 0 {
			t.Errorf("new key: %v", k)
		}
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Errorf("old key, still published: %v", k)
		}
	})
}

func TestAWithdrawnKeyIsDroppedWithinFiveMinutes(t *testing.T) {
	one, two := edSigner(t, "one"), edSigner(t, "two")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one, two)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Fatal(k)
		}
		p.publish(two)
		time.Sleep(identity.RefreshEvery - time.Second)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Errorf("before the refresh: %v", k)
		}
		time.Sleep(2 * time.Second)
		if k := tokenKind(t, p, r, one); k != identity.BadSignature {
			t.Errorf("after the refresh: %v", k)
		}
	})
}

func TestUnknownKidsFetchAtMostOnceInTenSeconds(t *testing.T) {
	one, two, three := edSigner(t, "one"), edSigner(t, "two"), edSigner(t, "three")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Fatal(k)
		}
		before := p.fetches.Load()
		for range 50 {
			if k := tokenKind(t, p, r, two); k != identity.BadSignature {
				t.Fatal(k)
			}
		}
		if n := p.fetches.Load() - before; n != 1 {
			t.Errorf("%d fetches for 50 unknown kids", n)
		}
		p.publish(one, three)
		if k := tokenKind(t, p, r, three); k != identity.BadSignature {
			t.Errorf("within the ten seconds: %v", k)
		}
		time.Sleep(identity.UnknownKeyEvery)
		if k := tokenKind(t, p, r, three); k != 0 {
			t.Errorf("after the ten seconds: %v", k)
		}
	})
}

func TestKeysOfAnUnreachableIssuerServeForAnHourAndNoLonger(t *testing.T) {
	one, two := edSigner(t, "one"), edSigner(t, "two")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Fatal(k)
		}
		p.setBroken(true)
		time.Sleep(identity.MaxStaleness - time.Second)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Errorf("within the hour: %v", k)
		}
		if k := tokenKind(t, p, r, two); k != identity.Unavailable {
			t.Errorf("an unknown kid while the issuer is away: %v", k)
		}
		time.Sleep(2 * time.Second)
		if k := tokenKind(t, p, r, one); k != identity.Unavailable {
			t.Errorf("past the hour: %v", k)
		}
		p.setBroken(false)
		time.Sleep(time.Second)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Errorf("after its return: %v", k)
		}
	})
}

func TestAnIssuerThatIsDownAtFirstIsTriedAgain(t *testing.T) {
	one := edSigner(t, "one")
	bubble(t, func(t *testing.T, p *idp, r *identity.Registry) {
		p.publish(one)
		p.setBroken(true)
		for range 10 {
			if k := tokenKind(t, p, r, one); k != identity.Unavailable {
				t.Fatal(k)
			}
		}
		p.setBroken(false)
		time.Sleep(time.Second)
		if k := tokenKind(t, p, r, one); k != 0 {
			t.Error(k)
		}
	})
}
