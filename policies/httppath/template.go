package httppath

import (
	"fmt"
	"strings"
)

// Template is a compiled pattern over paths: literal segments, {name} for any one, and at the end ** for any number.
type Template struct {
	source   string
	segments []segment
	// rest: any number of segments may follow.
	rest bool
}

type segment struct {
	literal string
	// name of a variable; empty for a literal.
	name string
}

// Compile reads a template.
func Compile(source string) (Template, error) {
	t := Template{source: source}
	if source == "" || source[0] != '/' {
		return t, fmt.Errorf("%q: a path begins with a slash", source)
	}
	if source == "/" {
		return t, nil
	}
	parts := strings.Split(source[1:], "/")
	names := map[string]bool{}
	for i, part := range parts {
		switch {
		case part == "**" && i == len(parts)-1:
			t.rest = true
			return t, nil
		case part == "":
			return t, fmt.Errorf("%q: an empty segment", source)
		case strings.Contains(part, "*"):
			return t, fmt.Errorf("%q: only {name}, and ** at the end, stand for what is not known", source)
		case part[0] == '{':
			name := strings.TrimSuffix(part[1:], "}")
			if !isName(name) || len(name) != len(part)-2 || names[name] {
				return t, fmt.Errorf("%q: %s must be a name of its own in braces", source, part)
			}
			names[name] = true
			t.segments = append(t.segments, segment{name: name})
		case strings.ContainsAny(part, "{}?#"):
			return t, fmt.Errorf("%q: %s has a character that no segment has", source, part)
		default:
			literal, err := decode(part)
			if err != nil {
				return t, fmt.Errorf("%q: %w", source, err)
			}
			t.segments = append(t.segments, segment{literal: literal})
		}
	}
	return t, nil
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// String is the template as it was written.
func (t Template) String() string { return t.source }

// Match reports whether a path is exactly of this form: letters by case, no slash at the end.
func (t Template) Match(p Path) bool {
	return !p.Slash && t.match(p, func(a, b string) bool { return a == b })
}

// MayMatch reports whether a server could take a path for one of this form: many do not tell letters by case, or pass
// over a slash at the end, or over dots and blanks at the ends of names as file systems do.
func (t Template) MayMatch(p Path) bool {
	return t.match(p, func(a, b string) bool { return strings.EqualFold(a, strings.Trim(b, " .")) })
}

func (t Template) match(p Path, same func(a, b string) bool) bool {
	if len(p.Segments) < len(t.segments) || len(p.Segments) > len(t.segments) && !t.rest {
		return false
	}
	for i, s := range t.segments {
		if s.name == "" && !same(s.literal, p.Segments[i]) {
			return false
		}
	}
	return true
}

// Params are the values of the variables in a path that matches, nil if there are none.
func (t Template) Params(p Path) map[string]string {
	var out map[string]string
	for i, s := range t.segments {
		if s.name != "" && i < len(p.Segments) {
			if out == nil {
				out = map[string]string{}
			}
			out[s.name] = p.Segments[i]
		}
	}
	return out
}
