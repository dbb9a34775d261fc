package detect

import (
	"slices"
	"strings"
	"testing"
)

func TestAFieldsNameTellsWhatItsValueIs(t *testing.T) {
	all := set(t, "*")
	bearer := func(n int) string { return "Bearer " + body(n-len("Bearer ")) }
	for _, test := range []struct{ about, field, value, want string }{
		{"a maker's name before a key without a form", "MISTRAL_API_KEY", body(32), "mistral-key:" + body(32)},
		{"a name of a secret of AWS", "aws_secret_access_key", secret40, "aws-access-key:" + secret40},
		{"the name of a header", "authorization", "Bearer " + body(20), "authorization:" + body(20)},
		{"the name of a header before Basic", "authorization", "basic " + encoded("some user:pass"), "authorization:" + encoded("some user:pass")},
		{"another name", "MINSTREL_API_KEY", body(32), ""},
		{"no name", "", body(32), ""},
		{"a secret with a form of its own", "MISTRAL_API_KEY", "ghp_" + body(36), "github-token:ghp_" + body(36)},
		{"two secrets", "authorization", "Bearer " + body(20) + " ghp_" + body(36), "authorization:" + body(20) + " | github-token:ghp_" + body(36)},
		{"a secret in the name is none of the value", "ghp_" + body(36), body(32), ""},
		{"a secret whose padding would be the sign behind the name", "whsec_" + body(32), body(32), ""},
		{"a secret that begins in the name", "-----BEGIN " + "PRIVATE KEY-----", body(64), "pem:" + body(64)},
		{"the end of a long name", strings.Repeat("x-", 100) + "MISTRAL_API_KEY", body(32), "mistral-key:" + body(32)},
		{"a word further from a long name's end than is read", "AUTHORIZATION" + strings.Repeat(" ", nameMost), bearer(40), ""},
		{"the shortest value", "authorization", bearer(valueLeast), "authorization:" + body(valueLeast-7)},
		{"a shorter value", "authorization", bearer(valueLeast - 1), ""},
		{"the longest value", "authorization", bearer(valueMost), "authorization:" + body(valueMost-7)},
		{"a longer value", "authorization", bearer(valueMost + 1), ""},
		{"prose", "authorization", "the word Bearer " + body(20), ""},
	} {
		t.Run(test.about, func(t *testing.T) {
			if got := show(test.value, all.FindNamed(nil, []byte(test.field), []byte(test.value))); got != test.want {
				t.Errorf("%s: %s\nfound %s\nwant  %s", test.field, test.value, got, test.want)
			}
		})
	}
}

func TestFindNamedAppendsBehindWhatIsThere(t *testing.T) {
	before := []Span{{40, 50, "kept"}, {0, 60, "kept"}}
	for value, want := range map[string][]Span{
		body(32):           {{0, 32, "mistral-key"}},
		"4111111111111111": {{0, 16, cardNumberName}},
		"of no interest":   nil,
	} {
		got := set(t, "*").FindNamed(slices.Clone(before), []byte("mistral"), []byte(value))
		if !slices.Equal(got, append(slices.Clone(before), want...)) {
			t.Errorf("%q: got %v, want %v behind", value, got, want)
		}
	}
	if got := set(t, cardNumberName).FindNamed(nil, []byte("mistral"), []byte(body(32))); len(got) > 0 {
		t.Errorf("cards alone: found %v", got)
	}
	var none *Set
	if got := none.FindNamed(before, []byte("mistral"), []byte(body(32))); !slices.Equal(got, before) {
		t.Errorf("nil: found %v", got)
	}
}

func TestFindNamedAllocatesNothing(t *testing.T) {
	s := set(t, "*")
	dst := make([]Span, 0, 16)
	name, value := []byte(strings.Repeat("authorization ", 9)), []byte("Bearer "+body(valueMost-7))
	if n := testing.AllocsPerRun(5, func() { dst = s.FindNamed(dst[:0], name, value) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
