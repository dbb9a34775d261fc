package detect

import (
	"strings"
	"testing"
	"time"
)

// quadratic is far more than a text of 1 MiB takes with the race detector on a busy machine, and far less than what reads
// the same bytes at each sign takes anywhere.
const quadratic = 30 * time.Second

// A text that somebody has made to be slow is read about as fast as any other: no reader may go over the same bytes at
// each of many marks or signs.
func TestNoTextIsReadAgainAndAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("a busy machine fails it")
	}
	s, err := New([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	for name, text := range map[string]string{
		"a port without end and many signs behind": "a://x:" + strings.Repeat("1", n/2) + strings.Repeat(",", n/2),
		"a user without end":                       "a://x:" + fill("y?"),
		"the same begin of a password":             fill("pwd="),
		"many passwords with blanks":               fill("host=x   password=  "),
		"a password without end":                   "host=x&password=" + fill("&a"),
		"parts of tokens":                          fill("eyJhbGci."),
		"escapes before tokens":                    fill("%3DeyJhbGci"),
		"prefixes behind prefixes":                 fill("xoxb-%41"),
		"keys without an end":                      "-----BEGIN PRIVATE KEY-----" + fill("-----END "),
		"digits with separators":                   fill("4-"),
		"places in a template within one another":  fill("?token={") + "}",
		"places of passwords within one another":   fill("?password={") + "}",
		"nearly cards":                             fill("4111-1111-1111-1112 "),
	} {
		began := time.Now()
		s.Find(nil, []byte(text))
		if took := time.Since(began); took > quadratic {
			t.Errorf("%s: %s", name, took)
		}
	}
}

// It is a find, and none is looked for within.
func TestALongPlaceInATemplateIsAToken(t *testing.T) {
	s := set(t, urlTokenName)
	for value, finds := range map[string]int{
		"{" + strings.Repeat("x", placeholderMost-2) + "}": 0,
		"{" + strings.Repeat("x", placeholderMost-1) + "}": 1,
		"{" + strings.Repeat("?token={", 50) + "}":         1,
	} {
		text := "/?token=" + value
		got := s.Find(nil, []byte(text))
		if len(got) != finds || finds == 1 && got[0] != (Span{len("/?token="), len(text), urlTokenName}) {
			t.Errorf("%s: %v", text, got)
		}
	}
}
