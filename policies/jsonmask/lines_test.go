package jsonmask

import (
	"errors"
	"strings"
	"testing"
)

func TestLinesAreADocumentEachAndTheirBreaksStay(t *testing.T) {
	view := NewView(fields(t, "$..password"), secrets, nil)
	for _, c := range []struct{ name, in, want string }{
		{"some", "{\"password\":\"a\"}\n{\"password\":1}\n", "{\"password\":\"[masked]\"}\n{\"password\":null}\n"},
		{"no break at the end", "{\"password\":\"a\"}\n\"tok_1\"", "{\"password\":\"[masked]\"}\n\"[masked]\""},
		{"CR LF", "{\"password\":\"a\"}\r\n[1]\r\n", "{\"password\":\"[masked]\"}\r\n[1]\r\n"},
		{"empty lines", "\n\n1\n \t\n\r\n2\n\n", ""},
		{"none", "", ""},
		{"nothing but breaks", "\n\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			if got, err := everySplit(t, Lines, c.in, view); err != nil || got != c.want {
				t.Errorf("%q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestLinesRefuseWhatIsNotADocumentALine(t *testing.T) {
	for _, view := range []*View{NewView(fields(t, "$..password"), secrets, nil), NewView(fields(t, "$.x.password"), nil, nil)} {
		for in, reason := range map[string]string{
			"{\"password\":\n\"s3cret\"}\n":          "within its value",
			"{\"a\":{\"b\":1\n,\"c\":\"s3cret\"}}\n": "within its value",
			"[1\n]":                                  "within its value",
			"{} \"s3cret\"\n":                        "on one line",
			"1\n2 3\n":                               "on one line",
			"{}{}\n":                                 "on one line",
			"{\"a\":1}\nlog: s3cret\n":               "invalid character",
			"{\"a\":1}\n{\"a\":\"s3cret":             "ends within",
		} {
			got, err := everySplit(t, Lines, in, view)
			if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Reason, reason) || strings.Contains(got, "s3cret") {
				t.Errorf("%q: %q, %v; want %q", in, got, err, reason)
			}
		}
	}
}

func TestALineGoesOutWhenItEnds(t *testing.T) {
	flows(t, Lines, NewView(fields(t, "$..password"), nil, nil),
		"{\"password\":\"a\"}\n", "{\"password\":\"[masked]\"}\n",
		"{\"a\":1}", "{\"password\":\"[masked]\"}\n{\"a\":1}",
		"\n", "{\"password\":\"[masked]\"}\n{\"a\":1}\n",
	)
}
