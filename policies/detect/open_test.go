package detect

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestWhatCouldGoOnIsOpen(t *testing.T) {
	s := set(t, "*")
	for text, want := range map[string]string{
		"":                          "",
		"some words":                "",
		"a config ":                 "",
		"the token ghp_":            "ghp_",
		"the token g":               "g",
		"big":                       "",
		"see ghp_" + body(20):       "ghp_" + body(20),
		"see ghp_" + body(20) + " ": "",
		"card 4111 11":              "4111 11",
		"step 10 of 17":             "",
		"secret access key: ":       "secret access key: ",
		"-----BEGIN RSA PRI":        "-----BEGIN RSA PRI",
		"go to https://u":           "https://u",
		"go to https://u:p@h now":   "",
		"Authorization: Bearer a1":  "Authorization: Bearer a1",
		"MISTRAL_API_KEY=":          "MISTRAL_API_KEY=",
		"/x?token=":                 "token=",
	} {
		if got := text[s.Open([]byte(text)):]; got != want {
			t.Errorf("%q: %q is open, want %q", text, got, want)
		}
	}
	var none *Set
	if none.Open([]byte("ghp_")) != 4 {
		t.Error("a set of no detectors holds something back")
	}
}

// Whatever a secret is cut into, its find begins where the text was open, or behind.
func TestAFindNeverBeginsBeforeWhatWasOpen(t *testing.T) {
	s := set(t, "*")
	secrets := whole()
	names := Names()
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom(names).Draw(r, "name")
		if secrets[name] == nil || name == "twilio-key" {
			return
		}
		text, want := unmark(t, name, strings.Repeat("word ", 3)+secrets[name].Draw(r, "secret"))
		cut := rapid.IntRange(want[0].Start+1, want[0].End-1).Draw(r, "cut")
		if want[0].End-want[0].Start > openMostBehind || !utf8.RuneStart(text[cut]) {
			return
		}
		open := s.Open([]byte(text[:cut]))
		if found := s.Find(nil, []byte(text[:cut])); len(found) > 0 && found[len(found)-1].End == cut {
			open = min(open, found[len(found)-1].Start) // it is hidden, and goes on
		}
		if open > want[0].Start {
			r.Fatalf("%q of %q: open from %d, the find begins at %d", text[:cut], text, open, want[0].Start)
		}
	})
}
