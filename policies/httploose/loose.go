package httploose

import (
	"encoding/hex"
	"strings"
	"unicode"
)

// Name is a parameter's or member's name as some service would read it: PHP and Rails drop brackets ("all[]", "all[0]"),
// PHP reads blanks and dots as underscores and cuts off blanks in front, C cuts at NUL, many fold case. Decoders take off the
// mark of an encoding, readers of queries the question mark in front of one.
func Name(s string) string {
	s = strings.TrimLeftFunc(s, func(c rune) bool { return Blank(c) || c == '[' || c == '?' })
	if i := strings.IndexAny(s, "\x00[]"); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimRightFunc(s, Blank)
	return Fold(strings.Map(func(c rune) rune {
		if c == '.' || c == ' ' {
			return '_'
		}
		return c
	}, s))
}

// Blank is what some service takes off a name's ends: blanks of any script, control characters, the mark of an encoding.
func Blank(c rune) bool {
	return c == '+' || c == '\ufeff' || unicode.IsSpace(c) || unicode.IsControl(c)
}

// Value is a value as some service would read it: cut at NUL, without blanks and dots at its ends, without case.
func Value(s string) string {
	s = strings.TrimLeft(s, "\x00")
	s, _, _ = strings.Cut(s, "\x00")
	return Fold(strings.Trim(s, " \t\r\n."))
}

// Fold tells no letters by case, whatever their script.
func Fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// Stem is a path's last segment, or a value that may be one, without what frameworks take for a format: "report.json".
func Stem(s string) string {
	if i := strings.IndexByte(s, '.'); i > 0 {
		return s[:i]
	}
	return s
}

// Path is a path as some service would read it: decoded, each segment as a value.
func Path(s string) string {
	segments := strings.Split(Unescape(s, false), "/")
	for i, segment := range segments {
		segments[i] = Value(segment)
	}
	return strings.Join(segments, "/")
}

// Pair is a name and a value of a query or form.
type Pair struct{ Name, Value string }

// Pairs reads a query or form (WHATWG URL, 5.1) as leniently as any: semicolons part, too, and what is no encoding stands
// for itself.
func Pairs(s string) []Pair {
	var out []Pair
	for part := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		out = append(out, Pair{Unescape(name, true), Unescape(value, true)})
	}
	return out
}

// Unescape decodes what is percent-encoded (RFC 3986, 2.1), and leaves what is not as it is. plus: it stands for a blank.
func Unescape(s string, plus bool) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' && plus {
			c = ' '
		}
		if c == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				c = b[0]
				i += 2
			}
		}
		out = append(out, c)
	}
	return string(out)
}
