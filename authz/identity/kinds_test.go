package identity_test

import (
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
)

// TestTokensOfOtherKindsAreRefused: what the issuer signs with the same key, for other uses.
func TestTokensOfOtherKindsAreRefused(t *testing.T) {
	key := edSigner(t, "one")
	p := startIDP(t, key)
	r := newRegistry(t, p.options(), p.issuer())
	token := func(headers map[jose.HeaderKey]any, claims map[string]any) string {
		o := &jose.SignerOptions{}
		for name, v := range headers {
			o = o.WithHeader(name, v)
		}
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: jose.JSONWebKey{Key: key.key, KeyID: "one"}}, o)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := s.Sign(mustJSON(t, p.claimsOf(time.Now(), claims)))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	typ := func(v any) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"typ": v} }
	for name, c := range map[string]struct {
		raw  string
		want identity.Kind
	}{
		"no typ":            {token(nil, nil), 0},
		"JWT":               {token(typ("JWT"), nil), 0},
		"an access token":   {token(typ("at+jwt"), nil), 0},
		"the same, in full": {token(typ("application/at+JWT"), nil), 0},
		"a vendor's":        {token(typ("application/okta-internal-at+jwt"), nil), 0},
		"a logout token":    {token(typ("logout+jwt"), nil), identity.Malformed},
		"a security event":  {token(typ("secevent+jwt"), nil), identity.Malformed},
		"a proof of a key":  {token(typ("dpop+jwt"), nil), identity.Malformed},
		"a request object":  {token(typ("oauth-authz-req+jwt"), nil), identity.Malformed},
		"typ is a number":   {token(typ(7), nil), identity.Malformed},
		"crit is empty":     {token(map[jose.HeaderKey]any{"crit": []string{}}, nil), identity.Malformed},
		"crit names b64":    {token(map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": true}, nil), identity.Malformed},
		"bound to a key":    {token(nil, map[string]any{"cnf": map[string]any{"jkt": "x"}}), identity.BadClaims},
		"an old logout token": {token(typ("JWT"), map[string]any{
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}), identity.BadClaims},
	} {
		_, err := r.Verify(t.Context(), c.raw)
		if got := kindOf(t, err); got != c.want {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
}

// other writes an ECDSA signature (r, s) as (r, n-s), which is as good.
func other(t *testing.T, raw string) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(n, s).FillBytes(sig[32:])
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestATokenIsTheSameHoweverItIsSigned(t *testing.T) {
	ec, ed := ecSigner(t, "ec"), edSigner(t, "ed")
	p := startIDP(t, ec, ed)
	r := newRegistry(t, p.options(), p.issuer())
	now := time.Now()
	key := func(raw string) identity.Key {
		t.Helper()
		id, err := r.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return id.Key
	}
	raw := ec.sign(t, p.claimsOf(now, nil))
	if other(t, raw) == raw || key(other(t, raw)) != key(raw) {
		t.Error("the other signature makes another token of it")
	}
	if a, b := ec.sign(t, p.claimsOf(now, nil)), ec.sign(t, p.claimsOf(now, nil)); a == b || key(a) != key(b) {
		t.Error("signing the same claims again makes another token of them")
	}
	withID := map[string]any{"jti": "one"}
	if key(ec.sign(t, p.claimsOf(now, withID))) != key(ed.sign(t, p.claimsOf(now, withID))) {
		t.Error("another key makes another token of one jti")
	}
	if key(ec.sign(t, p.claimsOf(now, withID))) == key(ec.sign(t, p.claimsOf(now, map[string]any{"jti": "two"}))) {
		t.Error("two jti are one token")
	}
	if key(ec.sign(t, p.claimsOf(now, withID))) == key(ec.sign(t, p.claimsOf(now, map[string]any{"jti": "one", "sub": "robot"}))) {
		t.Error("one jti of two subjects is one token")
	}
	if key(raw) == key(ec.sign(t, p.claimsOf(now, map[string]any{"groups": []string{"dba"}}))) {
		t.Error("other claims are the same token")
	}
}

func TestWhoWasProvenIsWhatTheIssuersSettingsMakeOfItNow(t *testing.T) {
	key := edSigner(t, "one")
	p := startIDP(t, key)
	r := newRegistry(t, p.options(), p.issuer())
	robot, err := r.Verify(t.Context(), key.sign(t, p.claimsOf(time.Now(), map[string]any{"sub": "robot"})))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Again(robot); err != nil || again != robot {
		t.Fatalf("nothing has changed: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*policyv1.Issuer)
		want   identity.Kind
		groups int
	}{
		"nothing":                {func(*policyv1.Issuer) {}, 0, 2},
		"a group is taken away":  {func(i *policyv1.Issuer) { i.Claims.SubjectGroups = nil }, 0, 1},
		"groups are elsewhere":   {func(i *policyv1.Issuer) { i.Claims.Groups = "roles" }, 0, 1},
		"another audience":       {func(i *policyv1.Issuer) { i.Audiences = []string{"other"} }, identity.WrongAudience, 0},
		"another algorithm":      {func(i *policyv1.Issuer) { i.Algorithms = []string{"RS256"} }, identity.BadAlgorithm, 0},
		"another issuer instead": {func(i *policyv1.Issuer) { i.Url += "/other" }, identity.UnknownIssuer, 0},
	} {
		iss := p.issuer()
		c.change(iss)
		if err := r.Update([]*policyv1.Issuer{iss}); err != nil {
			t.Fatal(err)
		}
		again, err := r.Again(robot)
		if got := kindOf(t, err); got != c.want || err == nil && len(again.Principal.GetGroups()) != c.groups {
			t.Errorf("%s: %v, %v", name, again, err)
		}
		if err == nil && again.Key != robot.Key {
			t.Errorf("%s: it is another token", name)
		}
	}
	if err := r.Update(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Again(robot); kindOf(t, err) != identity.UnknownIssuer {
		t.Errorf("no issuer is left: %v", err)
	}
}
