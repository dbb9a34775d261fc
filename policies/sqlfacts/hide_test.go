package sqlfacts_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

func TestHideQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"selec now":                          "selec now",
		"selec 'abc'":                        "selec '‹hidden, 3 bytes›'",
		"selec 'ab''c', 'd'":                 "selec '‹hidden, 5 bytes›', '‹hidden, 1 bytes›'",
		`selec "a b"`:                        `selec "‹hidden, 3 bytes›"`,
		"selec E'a\\'b'":                     "selec E'‹hidden, 4 bytes›'",
		"selec $$it's$$":                     "selec $$‹hidden, 4 bytes›$$",
		"selec $t$it's$t$":                   "selec $t$‹hidden, 4 bytes›$t$",
		"selec 12345 + x1 - $1":              "selec ‹hidden, 5 bytes› + x1 - $1",
		"alter usr x password 'abc":          "alter usr x password ‹hidden, 4 bytes›",
		"updat c set p = 'abc' where x = 'd": "updat c set p = ‹hidden, 18 bytes›",
		"set p = 'it's secret' where":        "set p = ‹hidden, 19 bytes›",
		"set p = 'a'5":                       "set p = ‹hidden, 4 bytes›",
		"selec 'a' /* not closed":            "selec ‹hidden, 17 bytes›",
		"selec $$abc":                        "selec ‹hidden, 5 bytes›",
		"selec /* not closed 'abc'":          "selec ‹hidden, 19 bytes›",
		"selec -- 'abc'\n 'x'":               "selec -- 'abc'\n '‹hidden, 1 bytes›'",
		"alter usr x PASSWORD hunter2":       "alter usr x PASSWORD ‹hidden, 7 bytes›",
		"'":                                  "‹hidden, 1 bytes›",
		"selec 'a' -- c\n 'b', 'd'":          "selec '‹hidden, 11 bytes›', '‹hidden, 1 bytes›'",
		"selec 'a'--c\n--d\n'b'":             "selec '‹hidden, 12 bytes›'",
		"selec 'a' --c":                      "selec '‹hidden, 1 bytes›' --c",
		"selec 'a' -":                        "selec '‹hidden, 1 bytes›' -",
		"selec 'a'\n-'b'":                    "selec '‹hidden, 1 bytes›'\n-'‹hidden, 1 bytes›'",
		"selec 'a'\n-\n'b'":                  "selec '‹hidden, 1 bytes›'\n-\n'‹hidden, 1 bytes›'",
		"selec $ 'a' $b":                     "selec $ '‹hidden, 1 bytes›' $b",
		"alter usr x PASSWORD\thunter2":      "alter usr x PASSWORD\t‹hidden, 7 bytes›",
		"alter usr x PASSWORD\rhunter2":      "alter usr x PASSWORD\r‹hidden, 7 bytes›",
		"selec $a":                           "selec $a",
		"selec $":                            "selec $",
		"selec 0xg, 0x, 0o9":                 "selec ‹hidden, 1 bytes›xg, ‹hidden, 1 bytes›x, ‹hidden, 3 bytes›",
		"selec 1e, 1e+, 1e5, 1..2":           "selec ‹hidden, 1 bytes›e, ‹hidden, 1 bytes›e+, ‹hidden, 3 bytes›, ‹hidden, 1 bytes›.‹hidden, 2 bytes›",
		"'a'b c":                             "‹hidden, 6 bytes›",
		"'a' 'b'c":                           "‹hidden, 8 bytes›",
		"selec 12 'a'b":                      "selec ‹hidden, 2 bytes› ‹hidden, 4 bytes›",
	} {
		if got := sqlfacts.HideQuoted(text); got != want {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	star := func(s string) string { return strings.Repeat("*", len(s)) }
	for _, c := range []struct {
		text  string
		spans []sqlfacts.Span
		want  string
	}{
		{"abcdef", nil, "abcdef"},
		{"abcdef", []sqlfacts.Span{{1, 3}, {4, 6}}, "a**d**"},
		{"abcdef", []sqlfacts.Span{{1, 3}, {3, 4}}, "a***ef"},
		{"abcdef", []sqlfacts.Span{{1, 3}, {2, 4}}, "a*****"},
		{"abcdef", []sqlfacts.Span{{3, 9}}, "******"},
		{"abcdef", []sqlfacts.Span{{3, 2}}, "******"},
		{"abcdef", []sqlfacts.Span{{2, 2}, {5, 6}}, "abcde*"},
	} {
		if got := sqlfacts.Redact(c.text, c.spans, star); got != c.want {
			t.Errorf("%q %v: got %q, want %q", c.text, c.spans, got, c.want)
		}
	}
}

// FuzzHideQuoted: hiding never fails, and shows nothing that stood between closed quotes.
func FuzzHideQuoted(f *testing.F) {
	for _, text := range []string{"a 'b' c", "$$x$$", "'", "$a$ $b$ $a$", "E'\\", "U&\"x\"", "x'ab'", "/*", "'a'\n'b'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := sqlfacts.HideQuoted(text)
		if utf8.ValidString(text) && !utf8.ValidString(shown) {
			t.Fatalf("%q became %q", text, shown)
		}
		const secret = "hunter"
		if strings.Contains(sqlfacts.HideQuoted("selec x = '"+secret+"'"+text), secret) {
			t.Fatalf("%q shows what is quoted", text)
		}
	})
}
