package identity_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGoodTokensOfEachDefaultAlgorithmAreAccepted(t *testing.T) {
	for _, s := range []signer{rsaSigner(t, "a"), ecSigner(t, "b"), edSigner(t, "c"), rsaSigner(t, "")} {
		p := startIDP(t, s)
		r := newRegistry(t, p.options(), p.issuer())
		id, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), nil)))
		if err != nil {
			t.Fatalf("%s, kid %q: %v", s.alg, s.kid, err)
		}
		got := id.Principal
		if got.GetIssuer() != "corp" || got.GetIssuerUrl() != p.url || got.GetSubject() != "agent" || !slices.Equal(got.GetGroups(), []string{"agents"}) {
			t.Errorf("%s: %v", s.alg, got)
		}
		if got.GetKind() != identityv1.Principal_MACHINE {
			t.Errorf("%s: a token that does not say human is a machine, not %v", s.alg, got.GetKind())
		}
	}
}

func TestBadTokensAreRefusedWithTheirKind(t *testing.T) {
	good := rsaSigner(t, "good")
	other := rsaSigner(t, "good") // same kid, other key
	p := startIDP(t, good)
	r := newRegistry(t, p.options(), p.issuer())
	now := time.Now()
	mutate := func(c map[string]any) string { return good.sign(t, p.claimsOf(now, c)) }
	valid := mutate(nil)
	parts := strings.Split(valid, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	pub, err := x509.MarshalPKIXPublicKey(good.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	pubPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
	long := strings.Repeat("g", 257)
	many := make([]string, 1001)
	for i := range many {
		many[i] = "g"
	}

	tests := []struct {
		name string
		raw  string
		want identity.Kind
	}{
		{"none at all", "", identity.Missing},
		{"a password", "hunter2", identity.Malformed},
		{"two parts", parts[0] + "." + parts[1], identity.Malformed},
		{"four parts", valid + ".x", identity.Malformed},
		{"empty parts", "..", identity.Malformed},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], identity.Malformed},
		{"line end", parts[0] + "." + parts[1] + "\n." + parts[2], identity.Malformed},
		{"space in front", " " + valid, identity.Malformed},
		{"JSON serialisation", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, identity.Malformed},
		{"claims are an array", parts[0] + "." + b64([]byte("[]")) + "." + parts[2], identity.Malformed},
		{"duplicate claims", parts[0] + "." + b64([]byte(`{"iss":"a","iss":"b"}`)) + "." + parts[2], identity.Malformed},
		{"over 64 KiB", mutate(map[string]any{"pad": strings.Repeat("x", identity.MaxTokenBytes)}), identity.TooLong},
		{"no issuer", mutate(map[string]any{"iss": nil}), identity.UnknownIssuer},
		{"another issuer", mutate(map[string]any{"iss": "https://evil.example"}), identity.UnknownIssuer},
		{"issuer with a slash more", mutate(map[string]any{"iss": p.url + "/"}), identity.UnknownIssuer},
		{"unsigned", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", identity.BadAlgorithm},
		{"HMAC with the public key as secret", sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: pubPEM, KeyID: "good"}}, p.claimsOf(now, nil)), identity.BadAlgorithm},
		{"an algorithm that is not on the list", signer{good.key, "good", jose.RS512}.sign(t, p.claimsOf(now, nil)), identity.BadAlgorithm},
		{"another key under a known kid", other.sign(t, p.claimsOf(now, nil)), identity.BadSignature},
		{"an unknown kid", signer{other.key, "other", jose.RS256}.sign(t, p.claimsOf(now, nil)), identity.BadSignature},
		{"another key without kid", signer{other.key, "", jose.RS256}.sign(t, p.claimsOf(now, nil)), identity.BadSignature},
		{"claims changed after signing", parts[0] + "." + b64(mustJSON(t, p.claimsOf(now, map[string]any{"sub": "root"}))) + "." + parts[2], identity.BadSignature},
		{"signature empty", parts[0] + "." + parts[1] + ".", identity.BadSignature},
		{"another audience", mutate(map[string]any{"aud": []string{"web", "mail"}}), identity.WrongAudience},
		{"no audience", mutate(map[string]any{"aud": nil}), identity.WrongAudience},
		{"audience of a wrong type", mutate(map[string]any{"aud": 7}), identity.BadClaims},
		{"expired past the leeway", mutate(map[string]any{"exp": now.Add(-31 * time.Second).Unix(), "iat": nil, "nbf": nil}), identity.Expired},
		{"no exp", mutate(map[string]any{"exp": nil}), identity.BadClaims},
		{"exp as text", mutate(map[string]any{"exp": "tomorrow"}), identity.BadClaims},
		{"exp out of range", mutate(map[string]any{"exp": 1e30}), identity.BadClaims},
		{"not yet valid", mutate(map[string]any{"nbf": now.Add(time.Minute).Unix()}), identity.NotYetValid},
		{"issued in the future", mutate(map[string]any{"iat": now.Add(time.Minute).Unix()}), identity.NotYetValid},
		{"issued after its end", mutate(map[string]any{"exp": now.Unix() - 5, "iat": now.Unix() + 5, "nbf": nil}), identity.BadClaims},
		{"no subject", mutate(map[string]any{"sub": nil}), identity.BadClaims},
		{"empty subject", mutate(map[string]any{"sub": ""}), identity.BadClaims},
		{"subject with a line end", mutate(map[string]any{"sub": "a\nb"}), identity.BadClaims},
		{"subject is a number", mutate(map[string]any{"sub": 7}), identity.BadClaims},
		{"groups are an object", mutate(map[string]any{"groups": map[string]string{"a": "b"}}), identity.BadClaims},
		{"a group is a number", mutate(map[string]any{"groups": []any{"a", 7}}), identity.BadClaims},
		{"a group too long", mutate(map[string]any{"groups": []string{long}}), identity.BadClaims},
		{"too many groups", mutate(map[string]any{"groups": many}), identity.BadClaims},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := r.Verify(t.Context(), tt.raw)
			if got := kindOf(t, err); got != tt.want {
				t.Fatalf("got %v (%v), want %v", got, err, tt.want)
			}
			if id != nil {
				t.Error("an identity beside an error")
			}
			for _, secret := range []string{"agent", "hunter2", tt.raw} {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("%q tells %q", err.Error(), secret)
				}
			}
		})
	}
	if _, err := r.Verify(t.Context(), valid); err != nil {
		t.Errorf("the good token, after all these: %v", err)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLeewayIsThirtySecondsBothWays(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	now := time.Now()
	for name, c := range map[string]map[string]any{
		"just expired":   {"exp": now.Add(-25 * time.Second).Unix(), "iat": nil, "nbf": nil},
		"almost valid":   {"nbf": now.Add(25 * time.Second).Unix()},
		"clock of issue": {"iat": now.Add(25 * time.Second).Unix()},
	} {
		if _, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(now, c))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClaimsAreMapped(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	iss := p.issuer()
	iss.SessionMax = durationpb.New(8 * time.Hour)
	iss.Claims = &policyv1.ClaimMapping{
		Subject:       "user.email",
		Groups:        "https://corp.example/roles.list",
		DisplayName:   "user.full",
		Human:         &policyv1.ClaimMatch{Claim: "user.mfa", Values: []string{"true"}},
		SubjectGroups: []*policyv1.SubjectGroups{{Subject: "alice@corp.example", Groups: []string{"dba", "oncall"}}},
	}
	r := newRegistry(t, p.options(), iss)
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	id, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), map[string]any{
		"aud":                             []string{"web", "sluice-staging"},
		"exp":                             exp.Unix(),
		"user":                            map[string]any{"email": "alice@corp.example", "full": "Alice", "mfa": true},
		"https://corp.example/roles.list": "dba",
	})))
	if err != nil {
		t.Fatal(err)
	}
	got := id.Principal
	if got.GetSubject() != "alice@corp.example" || got.GetDisplayName() != "Alice" || got.GetKind() != identityv1.Principal_HUMAN {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(got.GetGroups(), []string{"dba", "oncall"}) {
		t.Errorf("groups %v", got.GetGroups())
	}
	if !got.GetExpiresAt().AsTime().Equal(exp) {
		t.Errorf("expires at %v, want exp %v", got.GetExpiresAt().AsTime(), exp)
	}
	start := exp.Add(-30 * time.Minute)
	if end := id.SessionEnd(start); !end.Equal(start.Add(8 * time.Hour)) {
		t.Errorf("session_max should let the session go on to %v, not %v", start.Add(8*time.Hour), end)
	}
	id.SessionMax = 0
	if end := id.SessionEnd(start); !end.Equal(exp) {
		t.Errorf("without session_max the session should end with the token at %v, not %v", exp, end)
	}
}

func TestADisplayNameThatCannotBeShownIsTheSubject(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	for _, name := range []any{"a\x1b[2J", strings.Repeat("n", 257), 7, ""} {
		id, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), map[string]any{"name": name})))
		if err != nil || id.Principal.GetDisplayName() != "agent" {
			t.Errorf("%v: %v, %v", name, id, err)
		}
	}
}

func TestDiscoveryThatNamesAnotherIssuerIsNotBelieved(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	p.named = "https://evil.example"
	r := newRegistry(t, p.options(), p.issuer())
	_, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), nil)))
	if kindOf(t, err) != identity.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestATLSCertificateOfAnotherCAIsNotBelieved(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	iss := p.issuer()
	iss.Ca = nil // the system's roots
	r := newRegistry(t, p.options(), iss)
	_, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), nil)))
	if kindOf(t, err) != identity.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestBadIssuersAreRefusedTogetherAndTheOldOnesStay(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	bad := func(f func(*policyv1.Issuer)) *policyv1.Issuer {
		iss := p.issuer()
		iss.Name, iss.Url = "bad", "https://bad.example"
		f(iss)
		return iss
	}
	err := r.Update([]*policyv1.Issuer{
		p.issuer(),
		bad(func(i *policyv1.Issuer) { i.Url = "http://plain.example" }),
		bad(func(i *policyv1.Issuer) { i.Name, i.Algorithms = "hmac", []string{"HS256"} }),
		bad(func(i *policyv1.Issuer) { i.Name, i.Url = "twin", p.url }),
		bad(func(i *policyv1.Issuer) {
			i.Name, i.Url = "file", "https://file.example"
			i.Ca = &policyv1.DataSource{Source: &policyv1.DataSource_File{File: "absent.pem"}}
		}),
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"bad"`, "https", `"hmac"`, "HS256", `"twin"`, "taken", `"file"`, "absent.pem"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if _, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), nil))); err != nil {
		t.Errorf("the old issuer is gone: %v", err)
	}
}

func TestUpdateKeepsTheKeysOfAnUnchangedIssuer(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	raw := s.sign(t, p.claimsOf(time.Now(), map[string]any{"kind": "human"}))
	if _, err := r.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	p.setBroken(true)
	iss := p.issuer()
	iss.Claims.Human = nil
	if err := r.Update([]*policyv1.Issuer{iss}); err != nil {
		t.Fatal(err)
	}
	id, err := r.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("keys were not kept: %v", err)
	}
	if id.Principal.GetKind() != identityv1.Principal_MACHINE {
		t.Error("the new mapping is not in force")
	}
	if err := r.Update(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), raw); kindOf(t, err) != identity.UnknownIssuer {
		t.Errorf("a removed issuer: %v", err)
	}
}

func TestConcurrentFirstTokensFetchKeysOnce(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	raw := s.sign(t, p.claimsOf(time.Now(), nil))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := r.Verify(t.Context(), raw); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestAnExpiredTokenCostsNoFetch(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	_, err := r.Verify(t.Context(), s.sign(t, p.claimsOf(time.Now(), map[string]any{"exp": 1000, "iat": nil, "nbf": nil})))
	if kindOf(t, err) != identity.Expired || !strings.Contains(err.Error(), "1970-01-01T00:16:40Z") {
		t.Errorf("got %v", err)
	}
	if n := p.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestAClosedRegistryRefuses(t *testing.T) {
	s := edSigner(t, "k")
	p := startIDP(t, s)
	r := newRegistry(t, p.options(), p.issuer())
	raw := s.sign(t, p.claimsOf(time.Now(), nil))
	if _, err := r.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Verify(t.Context(), raw); err == nil {
		t.Error("accepted")
	}
	if err := r.Update([]*policyv1.Issuer{p.issuer()}); err == nil {
		t.Error("updated")
	}
}
