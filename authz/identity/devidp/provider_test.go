package devidp_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/identity/devidp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a provider on a real port.
func serve(t *testing.T, opts devidp.Options) (*devidp.Provider, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Issuer = "http://" + l.Addr().String()
	p, err := devidp.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return p, opts.Issuer
}

func registry(t *testing.T, issuer string) *identity.Registry {
	t.Helper()
	r, err := identity.New([]*policyv1.Issuer{{
		Name: "dev", Url: issuer, Audiences: []string{"sluice"},
		Claims: &policyv1.ClaimMapping{Human: &policyv1.ClaimMatch{Claim: "kind", Values: []string{"human"}}},
	}}, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// httpClient keeps no connections.
func httpClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
}

func TestEveryPersonOfTheDemoGetsATokenThatVerifies(t *testing.T) {
	dir := t.TempDir()
	_, issuer := serve(t, devidp.Options{Dir: dir})
	r := registry(t, issuer)
	for _, person := range devidp.Default() {
		secret, err := devidp.Secret(dir, person.Subject)
		if err != nil {
			t.Fatal(err)
		}
		token, err := devidp.Fetch(t.Context(), httpClient(), issuer, person.Subject, secret)
		if err != nil {
			t.Fatal(err)
		}
		id, err := r.Verify(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", person.Subject, err)
		}
		p := id.Principal
		if p.GetSubject() != person.Subject || p.GetDisplayName() != person.Name || !slices.Equal(p.GetGroups(), person.Groups) {
			t.Errorf("%s: %v", person.Subject, p)
		}
		if human := p.GetKind() == identityv1.Principal_HUMAN; human != person.Human {
			t.Errorf("%s: human %v", person.Subject, human)
		}
		if left := time.Until(p.GetExpiresAt().AsTime()); left < 59*time.Minute || left > time.Hour {
			t.Errorf("%s: valid for %v", person.Subject, left)
		}
	}
}

func TestWrongSecretsAndUnknownClientsAreRefused(t *testing.T) {
	dir := t.TempDir()
	_, issuer := serve(t, devidp.Options{Dir: dir})
	secret, err := devidp.Secret(dir, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"alice", secret + "x"}, {"alice", ""}, {"bob", secret}, {"nobody", secret}, {"nobody", ""}} {
		token, err := devidp.Fetch(t.Context(), httpClient(), issuer, c[0], c[1])
		if err == nil || token != "" || !strings.Contains(err.Error(), "40") {
			t.Errorf("%s with %q: %q, %v", c[0], c[1], token, err)
		}
	}
}

func TestOtherGrantsAreRefused(t *testing.T) {
	dir := t.TempDir()
	_, issuer := serve(t, devidp.Options{Dir: dir})
	secret, err := devidp.Secret(dir, "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, grant := range []string{"password", "refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange", ""} {
		form := url.Values{"grant_type": {grant}, "client_id": {"alice"}, "client_secret": {secret}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/oauth/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := httpClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%q: %d", grant, resp.StatusCode)
		}
	}
}

func TestAnotherAudienceIsNotAccepted(t *testing.T) {
	p, issuer := serve(t, devidp.Options{})
	r := registry(t, issuer)
	token, err := p.Token(t.Context(), "alice", "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), token); err == nil || !strings.Contains(err.Error(), "audience") {
		t.Errorf("got %v", err)
	}
}

func TestRotationKeepsOldTokensGoodUntilTheOldKeyIsWithdrawn(t *testing.T) {
	p, issuer := serve(t, devidp.Options{Overlap: 300 * time.Millisecond})
	old, err := p.Token(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh, err := p.Token(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	// A new registry each time: it has no memory of keys.
	verify := func(token string) error {
		_, err := registry(t, issuer).Verify(t.Context(), token)
		return err
	}
	if err := verify(old); err != nil {
		t.Errorf("old token, key published: %v", err)
	}
	time.Sleep(350 * time.Millisecond)
	if err := verify(old); err == nil {
		t.Error("old token, key withdrawn: accepted")
	}
	if err := verify(fresh); err != nil {
		t.Errorf("new token: %v", err)
	}
}

func TestARestartKeepsTokensAndSecretsGood(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "idp")
	opts := devidp.Options{Issuer: "http://127.0.0.1:1", Dir: dir}
	first, err := devidp.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	token, err := first.Token(t.Context(), "bob", "")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := devidp.Secret(dir, "bob")
	if err != nil {
		t.Fatal(err)
	}
	second, err := devidp.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := second.Token(t.Context(), "bob", "")
	if err != nil {
		t.Fatal(err)
	}
	if kid(token) != kid(again) {
		t.Error("another signing key after the restart")
	}
	if s, err := devidp.Secret(dir, "bob"); err != nil || s != secret {
		t.Errorf("another secret after the restart: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, devidp.SecretsFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := devidp.New(opts); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("secrets that others may read: %v", err)
	}
}

// kid is the header of a token.
func kid(token string) string { return strings.Split(token, ".")[0] }

func TestFetchSendsNoSecretToAnIssuerOfAnotherName(t *testing.T) {
	dir := t.TempDir()
	_, issuer := serve(t, devidp.Options{Dir: dir})
	named := strings.Replace(issuer, "127.0.0.1", "localhost", 1)
	if _, err := devidp.Fetch(context.WithoutCancel(t.Context()), httpClient(), named, "alice", "x"); err == nil || !strings.Contains(err.Error(), "says that it is") {
		t.Errorf("got %v", err)
	}
}

func TestBadPeopleAreRefused(t *testing.T) {
	for name, people := range map[string][]devidp.Person{
		"twice":    {{Subject: "a"}, {Subject: "a"}},
		"no name":  {{}},
		"a colon":  {{Subject: "a:b"}},
		"nobody":   {},
		"line end": {{Subject: "a\n"}},
	} {
		if _, err := devidp.New(devidp.Options{Issuer: "http://127.0.0.1:1", People: people}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOnlyLoopbackAddressesAreAccepted(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:5556": true, "localhost:5556": true, "[::1]:5556": true, "127.9.9.9:0": true,
		":5556": false, "0.0.0.0:5556": false, "[::]:5556": false, "10.0.0.1:5556": false, "idp.example:5556": false, "127.0.0.1": false,
	} {
		if err := devidp.CheckAddress(addr); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
