package identity

import (
	"encoding/base64"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	b64 := base64.RawURLEncoding.EncodeToString
	head := b64([]byte(`{"alg":"RS256","kid":"k"}`))
	body := b64([]byte(`{"iss":"https://idp.example","sub":"a","aud":["x"],"exp":1.5e9,"groups":"g","a":{"b":{"c":true}}}`))
	for _, seed := range []string{
		"", ".", "..", "...", head + "." + body + ".c2ln", head + "." + body + ".", head + "..c2ln",
		head + "=." + body + ".c2ln", head + "." + body + ".c2ln\n", head + "." + b64([]byte("null")) + ".c2ln",
		head + "." + b64([]byte(`{"a":1}{"b":2}`)) + ".c2ln", head + "." + b64([]byte(`{"a":1,"a":2}`)) + ".c2ln",
		b64([]byte(`{"alg":7}`)) + "." + body + ".c2ln", b64([]byte(`{}`)) + "." + body + ".c2ln",
		head + "." + b64([]byte(`{"exp":1e999,"aud":{}}`)) + ".c2ln",
		head + "." + b64([]byte(strings.Repeat("[", 9000))) + ".c2ln", strings.Repeat("a", MaxTokenBytes+1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := parse(raw)
		if (tok == nil) == (err == nil) {
			t.Fatalf("token %v, error %v", tok, err)
		}
		if err != nil {
			if err.Kind != Missing && err.Kind != Malformed && err.Kind != TooLong {
				t.Fatalf("kind %v", err.Kind)
			}
			return
		}
		if len(raw) > MaxTokenBytes || strings.Count(raw, ".") != 2 || tok.algorithm == "" {
			t.Fatalf("accepted %q", raw)
		}
		// Nothing that claims hold may break what reads them.
		_, _ = tok.claims.audience()
		_, _, _ = tok.claims.time("exp")
		_, _ = tok.claims.get("a.b.c")
	})
}
