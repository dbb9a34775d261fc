package httploose

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is a parameter's or member's name as some service would read it: PHP and Rails drop brackets ("all[]", "[]all",
// "all[0]"), PHP reads blanks and dots as underscores and cuts off blanks in front, C cuts at NUL, many fold case. Decoders
// take off the mark of an encoding, readers of queries the question mark in front of one; ASP decodes %u0041, and CherryPy
// drops a percent sign that begins no encoding.
func Name(s string) string {
	s = strings.ReplaceAll(UnescapeUnits(s), "%", "")
	s = strings.TrimLeftFunc(s, func(c rune) bool { return Blank(c) || strings.ContainsRune("[]?", c) })
	if i := strings.IndexAny(s, "\x00[]"); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimRightFunc(s, Blank)
	return Fold(strings.Map(func(c rune) rune {
		switch {
		case c == '.' || c == ' ':
			return '_'
		case unicode.IsControl(c):
			return -1
		}
		return c
	}, s))
}

// Names are a name in each way in which services read it: as Name does, without the zeros that decoders of UTF-16 take for
// halves of letters, and with the underscore that PHP puts for a bracket which nothing closes.
func Names(s string) []string {
	s = UnescapeUnits(s)
	out := []string{Name(s)}
	if plain := strings.ReplaceAll(s, "\x00", ""); plain != s {
		out = append(out, Name(plain))
	}
	if open := strings.ReplaceAll(s, "[", "_"); open != s {
		out = append(out, Name(open))
	}
	return slices.Compact(out)
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

// unitLength is that of a unit of UTF-16 as ASP writes it, "%u0041".
const unitLength = len("%u0041")

// UnescapeUnits decodes units of UTF-16, those too of which another's decoding makes some: decoders run one after another.
func UnescapeUnits(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var out []byte
	for i := range len(s) {
		out = append(out, s[i])
		// What a unit decodes to may be the last digit of another.
		for decoded := true; decoded; {
			out, decoded = unescapeUnit(out)
		}
	}
	return string(out)
}

// unescapeUnit decodes the unit of UTF-16 that ends a text, if one does.
func unescapeUnit(text []byte) ([]byte, bool) {
	at := len(text) - unitLength
	if at < 0 || text[at] != '%' || text[at+1]|0x20 != 'u' {
		return text, false
	}
	unit, err := strconv.ParseUint(string(text[at+2:]), 16, 16)
	if err != nil {
		return text, false
	}
	return utf8.AppendRune(text[:at], rune(unit)), true
}
