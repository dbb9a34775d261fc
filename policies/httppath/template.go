package httppath

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/httploose"
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

// MayMatch reports whether a server could take a path for one of this form: many do not tell letters by case, pass over a
// slash at the end, over dots and blanks at the ends of names as file systems do, take what follows a dot at the end for
// a format, or the path for one of its others.
func (t Template) MayMatch(p Path) bool {
	_, ok := t.reading(p)
	return ok
}

// reading is the path as a server reads it that takes it for one of this form; false if none does.
func (t Template) reading(p Path) (Path, bool) {
	if read, ok := t.formatless(p); ok {
		return read, true
	}
	for _, other := range p.Others {
		if read, ok := t.formatless(other); ok {
			return read, true
		}
	}
	return p, false
}

// formatless is the path, or that without a format, if it is of this form.
func (t Template) formatless(p Path) (Path, bool) {
	if t.match(p, mayBe) {
		return p, true
	}
	bare, ok := p.withoutFormat()
	return bare, ok && t.match(bare, mayBe)
}

// mayBe reports whether a server could take a segment for a literal one.
func mayBe(literal, segment string) bool {
	return literal == segment || httploose.Value(literal) == httploose.Value(segment)
}

// withoutFormat is the path without what follows the first dot of its last segment; false if there is none.
func (p Path) withoutFormat() (Path, bool) {
	last := len(p.Segments) - 1
	if last < 0 {
		return p, false
	}
	stem := httploose.Stem(p.Segments[last])
	if stem == p.Segments[last] {
		return p, false
	}
	p.Segments = append(slices.Clone(p.Segments[:last]), stem)
	return p, true
}

// MayBegin reports whether a server could take a path for one below a prefix, which has slashes before its segments.
func (p Path) MayBegin(prefix string) bool {
	t := Template{rest: true}
	for part := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if part != "" {
			t.segments = append(t.segments, segment{literal: part})
		}
	}
	return t.MayMatch(p)
}

// Begins reports whether a path is below a prefix, by its exact segments.
func (p Path) Begins(prefix string) bool {
	prefix = "/" + strings.Trim(prefix, "/")
	return prefix == "/" || p.Raw == prefix || strings.HasPrefix(p.Raw, prefix+"/")
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

// Params are the values of the variables in a path that matches, or may, nil if there are none.
func (t Template) Params(p Path) map[string]string {
	var out map[string]string
	p, _ = t.reading(p)
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
