package policies

import (
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"public.*", "public.orders", true},
		{"public.*", "public2.orders", false},
		{"public.*", "public", false},
		{"public.*", "public.a.b", true},
		{"*", "anything.at.all", true},
		{"*.*", "one", false},
		{"*.api_*", "x.api_key", true},
		{"Public.*", "public.x", false},
		{"*key", "a.key", true},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "aXbY", false},
	} {
		g, err := compileGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.match(c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
	for _, bad := range []string{"", "a..b", ".a", "a.", "a[b]", `a"b`, "a?"} {
		if _, err := compileGlob(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSegmentMatchesAsShellPatternsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[abc]{0,10}`).Draw(t, "name")
		want, err := path.Match(pattern, name)
		if err != nil || strings.Contains(name, "/") {
			t.Skip()
		}
		if got := matchSegment(pattern, name); got != want {
			t.Fatalf("matchSegment(%q, %q) = %v", pattern, name, got)
		}
	})
}
