package transcript

import "testing"

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, text, line string }{
		{"plain ä 漢", "plain ä 漢", "plain ä 漢"},
		{"a\nb\tc", "a\nb\tc", `a\nb\tc`},
		{"a\r\x00\x1b[31m\x7f", `a\r\x00\x1b[31m\x7f`, `a\r\x00\x1b[31m\x7f`},
		{"\u202eabc\u2066\u200b\ufeff\u2028", `\u202eabc\u2066\u200b\ufeff\u2028`, `\u202eabc\u2066\u200b\ufeff\u2028`},
		{"\u009b31m", `\u009b31m`, `\u009b31m`},
		{"\U000e0041", `\U000e0041`, `\U000e0041`},
		{"a\xffb", `a\xffb`, `a\xffb`},
		{"\ufffd", "\ufffd", "\ufffd"},
	} {
		if got := Escape(c.in); got != c.text {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.text)
		}
		if got := Line(c.in); got != c.line {
			t.Errorf("Line(%q) = %q, want %q", c.in, got, c.line)
		}
	}
}
