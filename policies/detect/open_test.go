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
	for text, want := range map[string]string{
		"mistral" + strings.Repeat(" ", contextMost-7):                           "mistral" + strings.Repeat(" ", contextMost-7),
		"mistral" + strings.Repeat(" ", contextMost-6):                           "",
		"ghp_" + strings.Repeat("a", openMostBehind-4):                           "ghp_" + strings.Repeat("a", openMostBehind-4),
		"ghp_" + strings.Repeat("a", openMostBehind-3):                           "",
		"no sk_" + "live_" + body(4) + " 5":                                      "5",
		"host=h password=a " + strings.Repeat("word ", 30):                       "",
		"Server=h;Password=a;" + strings.Repeat("word ", 30):                     "",
		"Server=h;Password=a" + strings.Repeat(" word", 30):                      "Password=a" + strings.Repeat(" word", 30),
		"Server=h;Password='a'" + strings.Repeat(" word", 30):                    "",
		"Server=h;Password='" + strings.Repeat("word ", 30):                      "Password='" + strings.Repeat("word ", 30),
		"Server=h;Password='" + strings.Repeat(" ", pairLongest-1):               "Password='" + strings.Repeat(" ", pairLongest-1),
		"Server=h;Password='" + strings.Repeat(" ", pairLongest):                 "",
		"Authorization: Basic YTo= " + strings.Repeat("word ", 30):               "",
		"Authorization: Digest " + body(contextMost):                             "",
		"password=p " + strings.Repeat("word ", 48):                              "password=p " + strings.Repeat("word ", 48),
		"password=p " + strings.Repeat("word ", 52):                              "",
		"password=p " + strings.Repeat("word ", 30) + "host=x ":                  "",
		"a password=p" + strings.Repeat(" ", pairsNear-2):                        "password=p" + strings.Repeat(" ", pairsNear-2),
		"a password=p" + strings.Repeat(" ", pairsNear-1):                        "",
		strings.Repeat("a b ", 40) + "password=p " + strings.Repeat("word ", 30): "password=p " + strings.Repeat("word ", 30),
		strings.Repeat("a b ", 40) + "secret access key: ":                       "secret access key: ",
		"my_sec":                "",
		"my_secret":             "secret",
		"my_password":           "",
		"amistral":              "",
		"ghp_Ã©":                "",
		"glpat_":                "",
		"://u":                  "://u",
		"card 4111 1111 ":       "4111 1111 ",
		"card 4111\u00a0":       "4111\u00a0",
		"card 0111 ":            "",
		"no 1111 4111":          "4111",
		"no 7111":               "",
		"no 111141":             "",
		"5 4111111111111111111": "4111111111111111111",
	} {
		if got := text[s.Open([]byte(text)):]; got != want {
			t.Errorf("%q: %q is open, want %q", text, got, want)
		}
	}
	if got := set(t, cardNumberName).Open([]byte("ghp_")); got != 4 {
		t.Errorf("a set of cards holds back from %d of ghp_", got)
	}
	if got := set(t, "github-token").Open([]byte("4111")); got != 4 {
		t.Errorf("a set without cards holds back from %d of 4111", got)
	}
	var none *Set
	if none.Open([]byte("ghp_")) != 4 {
		t.Error("a set of no detectors holds something back")
	}
}

// What every sample has is held back from where its find begins, wherever the text is cut.
func TestNoSampleIsCutBeforeItsFind(t *testing.T) {
	s := set(t, "*")
	for name, sample := range allSamples() {
		if name == "twilio-key" { // what tells its keys may stand behind them
			continue
		}
		for _, marked := range sample.found {
			text, finds := unmark(t, name, marked)
			for _, f := range finds {
				for cut := f.Start + 1; cut < min(f.End, f.Start+openMostBehind); cut++ {
					if !utf8.RuneStart(text[cut]) {
						continue
					}
					open := s.Open([]byte(text[:cut]))
					if found := s.Find(nil, []byte(text[:cut])); len(found) > 0 && found[len(found)-1].End == cut {
						open = min(open, found[len(found)-1].Start)
					}
					if open > f.Start {
						t.Errorf("%q of %q is open from %d, the find begins at %d", text[:cut], text, open, f.Start)
						break
					}
				}
			}
		}
	}
}

// Neither is one behind a letter or digit, as far as it is found there.
func TestNoFindWithinAWordIsCutBeforeItsBegin(t *testing.T) {
	s := set(t, "*")
	for name, sample := range allSamples() {
		for _, marked := range sample.found {
			unmarked, _ := unmark(t, name, marked)
			text := "4" + unmarked
			for _, f := range s.Find(nil, []byte(text)) {
				for cut := f.Start + 1; name != "twilio-key" && cut < min(f.End, f.Start+openMostBehind); cut++ {
					found := s.Find(nil, []byte(text[:cut]))
					open := s.Open([]byte(text[:cut]))
					hidden := len(found) > 0 && found[len(found)-1].End == cut && found[len(found)-1].Start <= f.Start
					if utf8.RuneStart(text[cut]) && open > f.Start && !hidden {
						t.Errorf("%q of %q is open from %d, the find begins at %d", text[:cut], text, open, f.Start)
						break
					}
				}
			}
		}
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
