package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/authz/identity/devidp"
	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// signingKey is the key that the stage's identity provider signs with, so that a token can be wrong in one thing only.
func signingKey(t *testing.T, s *stage.Stage) jose.JSONWebKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "idp", "signing-keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []struct {
		JWK jose.JSONWebKey `json:"jwk"`
	}
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) == 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	return keys[len(keys)-1].JWK
}

// claimsOf are those of a good token of alice's that ends when the caller says.
func claimsOf(s *stage.Stage, ends time.Time) map[string]any {
	return map[string]any{
		"iss": s.IDP, "sub": "alice", "aud": []string{"sluice"}, "groups": []string{"dba"}, "kind": "human",
		"iat": time.Now().Add(-time.Hour).Unix(), "exp": ends.Unix(),
	}
}

func signed(t *testing.T, key any, id string, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tryToken connects with a token and returns the connection, or why there is none.
func tryToken(t *testing.T, s *stage.Stage, token string, change ...func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	t.Helper()
	cfg, err := pgx.ParseConfig(s.PG)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = token
	for _, f := range change {
		f(cfg)
	}
	c, err := pgx.ConnectConfig(patient(t), cfg)
	if err == nil {
		t.Cleanup(func() { _ = c.Close(patient(t)) })
	}
	return c, err
}

// filesWith are the files of the stage that hold the words.
func filesWith(t *testing.T, s *stage.Stage, words string) (found []string) {
	t.Helper()
	for _, dir := range []string{"log", "state", "valkey"} {
		err := filepath.WalkDir(filepath.Join(s.Dir, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // what has gone in the meantime holds nothing
			}
			text, err := os.ReadFile(path)
			if err == nil && bytes.Contains(text, []byte(words)) {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestATokenThatIsNotGoodOpensNothingAndIsNotRepeated(t *testing.T) {
	s := sharedStage(t)
	key := signingKey(t, s)
	private, ok := key.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", key.Key)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		c := claimsOf(s, time.Now().Add(time.Hour))
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	good := with("jti", "x")
	if _, err := tryToken(t, s, signed(t, key.Key, key.KeyID, jose.RS256, good)); err != nil {
		t.Fatalf("the good token: %v", err) // else all that follows proves nothing
	}
	payload, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	parts := strings.Split(signed(t, key.Key, key.KeyID, jose.RS256, good), ".")
	changed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(bytes.Replace(payload, []byte("alice"), []byte("bobby"), 1)) + "." + parts[2]
	mallory, err := s.Token(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token, code string
		words             []string
	}{
		{"expired", signed(t, key.Key, key.KeyID, jose.RS256, claimsOf(s, time.Now().Add(-time.Minute))), "28000", []string{"expired"}},
		{"not valid yet", signed(t, key.Key, key.KeyID, jose.RS256, with("nbf", time.Now().Add(time.Hour).Unix())), "28000", []string{"valid"}},
		{"without an end", signed(t, key.Key, key.KeyID, jose.RS256, with("exp", nil)), "28000", nil},
		{"of another issuer", signed(t, key.Key, key.KeyID, jose.RS256, with("iss", "http://127.0.0.1:1/")), "28000", []string{"issuer"}},
		{"for another audience", signed(t, key.Key, key.KeyID, jose.RS256, with("aud", "billing")), "28000", []string{"audience"}},
		{"without a subject", signed(t, key.Key, key.KeyID, jose.RS256, with("sub", nil)), "28000", nil},
		{"not signed", unsigned, "28000", nil},
		{"signed with the public key as a secret", signed(t, public, key.KeyID, jose.HS256, good), "28000", nil},
		{"signed with the public key's PEM as a secret", signed(t, pemOf(public), key.KeyID, jose.HS256, good), "28000", nil},
		{"signed by another key of the same name", signed(t, other, key.KeyID, jose.RS256, good), "28000", []string{"signature"}},
		{"signed by a key that nobody has published", signed(t, other, "nobody", jose.RS256, good), "28000", nil},
		{"changed after it was signed", changed, "28000", []string{"signature"}},
		{"of two dots only", "..", "28000", nil},
		{"a password", "the-real-database-password", "28000", nil},
		{"of 20 KB", strings.Repeat("e30.", 5<<10), "28000", nil},
		{"empty", "", "28000", nil},
		{"good, but of somebody without a rule", mallory, "42501", []string{"no rule"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tryToken(t, s, c.token)
			e := answered(t, err, c.code, c.words...)
			if e.Severity != "FATAL" || e.Hint == "" {
				t.Errorf("severity %s, hint %q", e.Severity, e.Hint)
			}
			if len(c.token) < 20 {
				return
			}
			middle := c.token[len(c.token)/2-10 : len(c.token)/2+10]
			if text := e.Message + e.Detail + e.Hint; strings.Contains(text, middle) {
				t.Errorf("the token is in the answer: %s", text)
			}
			if found := filesWith(t, s, middle); len(found) > 0 {
				t.Errorf("the token is in %v", found)
			}
		})
	}
}

func pemOf(public []byte) []byte {
	return []byte("-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(public) + "\n-----END PUBLIC KEY-----\n")
}

func TestATokenThatEndsEndsItsSessionAtTheNextStatement(t *testing.T) {
	s := sharedStage(t)
	key := signingKey(t, s)
	ends := time.Now().Add(3 * time.Second)
	token := signed(t, key.Key, key.KeyID, jose.RS256, claimsOf(s, ends))
	idle, err := tryToken(t, s, token)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := tryToken(t, s, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepared.Prepare(t.Context(), "p", "select 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Exec(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(ends.Truncate(time.Second).Add(1100 * time.Millisecond)))
	for name, c := range map[string]*pgx.Conn{"select 1": idle, "p": prepared} {
		_, err := c.Exec(patient(t), name)
		if e := answered(t, err, "57P01", "ended", "new token"); e.Severity != "FATAL" {
			t.Errorf("severity %s", e.Severity)
		}
	}
	// Within the leeway for clocks a token proves who somebody is, and opens nothing all the same.
	_, err = tryToken(t, s, token)
	wantCode(t, err, "57P01", "ended")
}

func TestWithTheIdentityProviderDownKnownKeysGoOn(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	people := []devidp.Person{{Subject: "agent", Groups: []string{"agents"}, Secret: "s"}}
	provider, err := devidp.New(devidp.Options{Issuer: url, People: people})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: provider.Handler(), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	issuers := "issuers:\n- {name: demo, url: \"" + url + "\", audiences: [sluice]}\n"
	if err := os.WriteFile(filepath.Join(s.PolicyDir, "10-issuers.yaml"), []byte(issuers), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := devidp.Fetch(t.Context(), http.DefaultClient, url, "agent", "s")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the new issuer is not known", func() bool {
		_, err := tryToken(t, s, token)
		return err == nil
	})
	if err := provider.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	later, err := devidp.Fetch(t.Context(), http.DefaultClient, url, "agent", "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tryToken(t, s, token); err != nil {
		t.Errorf("a key that is known: %v", err)
	}
	_, err = tryToken(t, s, later)
	if e := answered(t, err, "57P03", "cannot be"); e.Hint == "" {
		t.Errorf("got %+v", e)
	}
}
