package jsonmask

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// looked is how many bytes were looked at to find what a text's documents hide, in all of its levels.
func looked(t interface{ Errorf(string, ...any) }, v *View, text string) int {
	l := newLane(v)
	l.inside([]byte(text), v.set.Start(), 0)
	all := l.looked
	for sub := l.sub; sub != nil; sub = sub.lane.sub {
		all += sub.lane.looked
		if sub.walker.escape > sub.walker.given {
			t.Errorf("%.40q: a backslash is looked for at %d of %d", text, sub.walker.escape, sub.walker.given)
		}
	}
	return all
}

// proportionate reports whether what is looked at of a text grows as its length does, and no more than a little each time.
func proportionate(t interface{ Errorf(string, ...any) }, v *View, name string, text func(n int) string) {
	for _, n := range []int{32 << 10, 64 << 10, 128 << 10} {
		if (raced || testing.Short()) && n > 32<<10 {
			return
		}
		text := text(n)
		if got := looked(t, v, text); got > looksMost*len(text) {
			t.Errorf("%s: %d bytes were looked at for %d", name, got, len(text))
			return
		}
	}
}

func repeated(unit string) func(n int) string {
	return func(n int) string { return strings.Repeat(unit, n/len(unit)+1)[:n] }
}

var hostile = []string{
	`"`, `\`, `{`, `[`, `:`, `,`, `}`, `]`, `\"`, `\\\"`, `\\`, `{\"`, `[1`, `"a":`, `"x"`, `\u0022`, `\ud800`, `\x`, ` `, "\n", "t", "x", `"password"`,
}

// A text that somebody has made for it takes no longer than another: what begins at each of its quotes is read once.
func TestNoQuoteOfATextIsReadToItsEndAgain(t *testing.T) {
	view := NewView(fields(t, "$..password"), nil, nil)
	for _, a := range hostile {
		for _, b := range hostile {
			proportionate(t, view, fmt.Sprintf("%q", a+b), repeated(a+b))
			if testing.Short() || raced {
				continue
			}
			for _, c := range hostile {
				unit := a + b + c
				if n := 4 << 10; looked(t, view, repeated(unit)(n)) > looksMost*n {
					t.Errorf("%q: too much is looked at", unit)
				}
			}
		}
	}
	for name, text := range map[string]func(n int) string{
		"quotes before documents":       repeated(`"{\`),
		"and before arrays":             repeated(`"[\`),
		"and a bad escape at the end":   func(n int) string { return repeated(`"{\`)(n) + `"\x"` },
		"small documents":               repeated(`{"a":1} `),
		"small documents behind a long": func(n int) string { return `{"a":"` + repeated(`x`)(n/2) + `"}` + repeated(`{"a":1} `)(n/2) },
		"arrays that break off":         repeated(`[t`),
		"blanks":                        func(n int) string { return `"x"` + repeated(`"{`)(n/2) + strings.Repeat(" ", n/2) },
		"documents in documents": func(n int) string {
			return `{"a":` + quoted(`{"b":`+quoted(`["`+repeated(`"{\`)(n/24)+` x`, 1)+`}`, 1) + `} `
		},
		"documents in quotes": func(n int) string { return quoted(quoted(repeated(`"{\`)(n/24), 1), 1) + " x" },
	} {
		proportionate(t, view, name, text)
	}
}

func TestNoTextIsReadAgainAndAgain(t *testing.T) {
	view := NewView(fields(t, "$..password", "$.a[1]"), nil, nil)
	rapid.Check(t, func(t *rapid.T) {
		unit := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 1, 6).Draw(t, "unit"), "")
		head := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 3).Draw(t, "head"), "")
		tail := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 3).Draw(t, "tail"), "")
		times := rapid.IntRange(0, 2).Draw(t, "quoted")
		proportionate(t, view, unit, func(n int) string {
			const escapes = 6 // of a text that is quoted twice, to each byte
			return quoted(head+repeated(unit)(n/escapes)+tail, times)
		})
	})
}

// What is made to be slow in a way that nobody has thought of is hidden, not read.
func TestATextThatNeedsTooMuchIsHiddenFromThereOn(t *testing.T) {
	view := NewView(fields(t, "$..password"), nil, nil)
	text := []byte(`a {"password":"SECRET"} b {"c":1} "{\"password\":\"SECRET\"}" d`)
	for most, want := range map[int]string{
		-1:             `[masked]`,
		0:              `a {"password":"[masked]"}[masked]`,
		8 << 10:        `a {"password":"[masked]"} b {"c":1} "{\"password\":\"[masked]\"}" d`,
		firstGiven + 1: `a {"password":"[masked]"} b {"c":1}[masked]`,
	} {
		l := newLane(view)
		l.insideWithin(text, view.set.Start(), 0, most)
		if got := string(appendPatched(nil, text, l.cuts, l.texts)); got != want {
			t.Errorf("of %d bytes: %s, want %s", most, got, want)
		}
	}
}
