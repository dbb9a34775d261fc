package policies

import (
	"fmt"
	"strings"
)

// glob matches dotted names segment by segment. Within a segment * stands for any run of characters; case matters,
// since PostgreSQL folds names before we see them. The last segment takes the rest of the name, dots included.
type glob struct {
	source   string
	segments []string
}

func compileGlob(source string) (glob, error) {
	if source == "" || strings.ContainsAny(source, "?[]{}\\\"") {
		return glob{}, fmt.Errorf("%q: only names, dots and * are known in a pattern", source)
	}
	segments := strings.Split(source, ".")
	for _, s := range segments {
		if s == "" {
			return glob{}, fmt.Errorf("%q: an empty segment", source)
		}
	}
	return glob{source: source, segments: segments}, nil
}

// match reports whether the whole name matches.
func (g glob) match(name string) bool {
	last := len(g.segments) - 1
	for _, segment := range g.segments[:last] {
		head, rest, found := strings.Cut(name, ".")
		if !found || !matchSegment(segment, head) {
			return false
		}
		name = rest
	}
	return matchSegment(g.segments[last], name)
}

// literal reports whether the pattern names one thing.
func (g glob) literal() bool { return !strings.Contains(g.source, "*") }

// matchSegment matches without recursion: on a mismatch it goes back to the last star only, which is enough.
func matchSegment(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
