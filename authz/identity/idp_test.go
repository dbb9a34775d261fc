package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
)

// idp is an issuer under the test's control.
type idp struct {
	url string
	ca  []byte

	mu        sync.Mutex
	published []jose.JSONWebKey
	named     string // the issuer that discovery names
	broken    bool
	fetches   atomic.Int64
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.broken:
		http.Error(w, "broken", http.StatusInternalServerError)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.named, "jwks_uri": p.url + "/keys"})
	case r.URL.Path == "/keys":
		p.fetches.Add(1)
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.published})
	default:
		http.NotFound(w, r)
	}
}

func (p *idp) publish(keys ...signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = nil
	for _, k := range keys {
		p.published = append(p.published, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.kid, Use: "sig", Algorithm: string(k.alg)})
	}
}

func (p *idp) setBroken(b bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = b
}

// startIDP serves an issuer over TLS.
func startIDP(t *testing.T, keys ...signer) *idp {
	t.Helper()
	p := &idp{}
	srv := httptest.NewTLSServer(p)
	t.Cleanup(srv.Close)
	p.url, p.named = srv.URL, srv.URL
	p.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	p.publish(keys...)
	return p
}

// issuer is the policy that trusts the idp.
func (p *idp) issuer() *policyv1.Issuer {
	return &policyv1.Issuer{
		Name:      "corp",
		Url:       p.url,
		Audiences: []string{"sluice", "sluice-staging"},
		Ca:        &policyv1.DataSource{Source: &policyv1.DataSource_Env{Env: "CA"}},
		Claims: &policyv1.ClaimMapping{
			Human:         &policyv1.ClaimMatch{Claim: "kind", Values: []string{"human"}},
			SubjectGroups: []*policyv1.SubjectGroups{{Subject: "robot", Groups: []string{"robots"}}},
		},
	}
}

func (p *idp) options() identity.Options {
	return identity.Options{Sources: identity.Sources{LookupEnv: func(string) (string, bool) { return string(p.ca), true }}}
}

// signer signs tokens.
type signer struct {
	key crypto.Signer
	kid string
	alg jose.SignatureAlgorithm
}

func rsaSigner(t testing.TB, kid string) signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, kid, jose.RS256}
}

func ecSigner(t testing.TB, kid string) signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, kid, jose.ES256}
}

func edSigner(t testing.TB, kid string) signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, kid, jose.EdDSA}
}

// sign makes a token with the claims as they are.
func (s signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	var key any = s.key
	if s.kid != "" {
		key = jose.JSONWebKey{Key: s.key, KeyID: s.kid}
	}
	return sign(t, jose.SigningKey{Algorithm: s.alg, Key: key}, claims)
}

func sign(t testing.TB, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// claimsOf are good claims of the idp, with changes; a nil value takes the claim away.
func (p *idp) claimsOf(now time.Time, changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": p.url, "sub": "agent", "aud": "sluice", "groups": []string{"agents"},
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
	}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func newRegistry(t testing.TB, opts identity.Options, issuers ...*policyv1.Issuer) *identity.Registry {
	t.Helper()
	r, err := identity.New(issuers, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func kindOf(t testing.TB, err error) identity.Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *identity.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an *identity.Error", err)
	}
	return e.Kind
}
