package httppath

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxLength is the longest path that is read, in bytes, the query included.
const MaxLength = 16 << 10

// Path is a path that can be decided on.
type Path struct {
	// Segments are the parts between slashes, percent-decoded. "/" has none; a slash at the end is not one of them.
	Segments []string
	// Slash: it ends in a slash, and is not "/" alone.
	Slash bool
	// Raw is the path as it came, Query what follows the first question mark, both encoded.
	Raw, Query string
	// Others are those for which some services take it.
	Others []Path
}

// Error says why a path is refused.
type Error struct{ Reason string }

// Error implements error.
func (e *Error) Error() string { return "the path is refused: " + e.Reason }

// Parse reads the target of a request in origin form (RFC 9112, 3.2.1), as Envoy has normalised it. Servers differ in
// how they read what is refused here: encoded slashes and dots, path parameters, empty segments, encodings of encodings.
// The error is an *Error.
func Parse(target string) (Path, error) {
	if len(target) > MaxLength {
		return Path{}, &Error{fmt.Sprintf("it has %d bytes, %d are allowed", len(target), MaxLength)}
	}
	raw, query, _ := strings.Cut(target, "?")
	p := Path{Raw: raw, Query: query}
	if raw == "" || raw[0] != '/' {
		return Path{}, &Error{"it does not begin with a slash"}
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return Path{}, &Error{fmt.Sprintf("byte %#02x must be percent-encoded", c)}
		}
	}
	if raw == "/" {
		return p, nil
	}
	parts := strings.Split(raw[1:], "/")
	if last := len(parts) - 1; parts[last] == "" {
		p.Slash = true
		parts = parts[:last]
	}
	p.Segments = make([]string, len(parts))
	for i, part := range parts {
		segment, err := decode(part)
		if err != nil {
			return Path{}, err
		}
		p.Segments[i] = segment
	}
	p.Others = p.others()
	return p, nil
}

// decode reads one segment.
func decode(part string) (string, error) {
	if part == "" {
		return "", &Error{"it has an empty segment (//)"}
	}
	if strings.ContainsAny(part, `;\`) {
		return "", &Error{"it has a semicolon or a backslash"}
	}
	out := part
	if strings.Contains(part, "%") {
		var b strings.Builder
		for i := 0; i < len(part); i++ {
			c := part[i]
			if c == '%' {
				if i+2 >= len(part) || !isHex(part[i+1]) || !isHex(part[i+2]) {
					return "", &Error{"a percent sign without two hexadecimal digits"}
				}
				c = unhex(part[i+1])<<4 | unhex(part[i+2])
				i += 2
				if why := refused(c); why != "" {
					return "", &Error{why}
				}
			}
			b.WriteByte(c)
		}
		out = b.String()
	}
	if !utf8.ValidString(out) {
		return "", &Error{"it is no UTF-8: some servers read other characters in it"}
	}
	if out == "." || out == ".." {
		return "", &Error{"it has a dot segment"}
	}
	if holdsEscape(out) {
		return "", &Error{"it is percent-encoded twice"}
	}
	return out, nil
}

// holdsEscape reports whether any percent sign stands before two hexadecimal digits: a server that is lenient passes over
// one that does not, and decodes the next.
func holdsEscape(s string) bool {
	for {
		_, behind, found := strings.Cut(s, "%")
		if !found {
			return false
		}
		if len(behind) >= 2 && isHex(behind[0]) && isHex(behind[1]) {
			return true
		}
		s = behind
	}
}

// refused says why a byte must not stand encoded.
func refused(c byte) string {
	switch {
	case c == '/' || c == '\\':
		return "it has an encoded slash or backslash"
	case c == ';':
		return "it has an encoded semicolon"
	case c == '?' || c == '#':
		return "it has an encoded question mark or number sign, which some servers take for the path's end"
	case c < ' ' || c == 0x7f:
		return "it has an encoded control character"
	}
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}
