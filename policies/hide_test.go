package policies

import "testing"

func TestWhatAMaskLeavesOfAText(t *testing.T) {
	for name, c := range map[string]struct {
		rule     MaskRule
		in, want string
	}{
		"redacted":                         {MaskRule{Text: "[masked]"}, "secret", "[masked]"},
		"the domain of an address":         {MaskRule{KeepDomain: true}, "ann@example.com", "***@example.com"},
		"the last domain":                  {MaskRule{KeepDomain: true}, "ann@home@example.com", "***@example.com"},
		"an address of one letter":         {MaskRule{KeepDomain: true}, "a@b", "***@b"},
		"what has no domain":               {MaskRule{KeepDomain: true}, "secret", "***"},
		"what is all domain":               {MaskRule{KeepDomain: true}, "@secret", "***"},
		"an empty one":                     {MaskRule{KeepDomain: true}, "", "***"},
		"the end":                          {MaskRule{KeepLast: 2}, "12345", "***45"},
		"the end of characters":            {MaskRule{KeepLast: 2}, "αβγδε", "***δε"},
		"nothing where it would be half":   {MaskRule{KeepLast: 2}, "1234", "***"},
		"nothing where it would be all":    {MaskRule{KeepLast: 4}, "1234", "***"},
		"nothing of characters, not bytes": {MaskRule{KeepLast: 2}, "αβγδ", "***"},
		"one character of three":           {MaskRule{KeepLast: 1}, "123", "***3"},
		"a domain comes before an end":     {MaskRule{KeepDomain: true, KeepLast: 2}, "secret", "***"},
		"a text comes after an end":        {MaskRule{Text: "x", KeepLast: 1}, "123", "***3"},
		"redacted, whatever it was before": {MaskRule{Text: ""}, "secret", ""},
	} {
		if got := string(c.rule.Append([]byte("before "), []byte(c.in))); got != "before "+c.want {
			t.Errorf("%s: %q becomes %q", name, c.in, got)
		}
	}
}
