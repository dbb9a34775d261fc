package jsonpath

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// written is a path in brackets and quotes.
func written(p Path) string {
	b := []byte("$")
	for _, s := range p.steps {
		if s.deep {
			b = append(b, ".."...)
		}
		switch s.kind {
		case wildcard:
			b = append(b, "[*]"...)
		case element:
			b = fmt.Appendf(b, "[%d]", s.index)
		case member:
			b = append(b, '[', '\'')
			for _, r := range s.name {
				switch {
				case r == '\'' || r == '\\':
					b = append(b, '\\', byte(r))
				case r < ' ':
					b = fmt.Appendf(b, `\u%04X`, r)
				default:
					b = append(b, string(r)...)
				}
			}
			b = append(b, '\'', ']')
		}
	}
	return string(b)
}

func compile(t testing.TB, sources ...string) []Path {
	t.Helper()
	out := make([]Path, len(sources))
	for i, s := range sources {
		var err error
		if out[i], err = Compile(s); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// naive evaluates a path as RFC 9535 describes it, and adds the places that it selects.
func naive(steps []step, fold bool, value any, place string, add func(place string)) {
	if len(steps) == 0 {
		add(place)
		return
	}
	first := steps[0]
	for child := range children(value) {
		taken := false
		switch first.kind {
		case wildcard:
			taken = true
		case member:
			taken = child.name != nil && (*child.name == first.name || fold && strings.EqualFold(*child.name, first.name))
		case element:
			taken = child.name == nil && child.index == first.index
		}
		if taken {
			naive(steps[1:], fold, child.value, place+child.place(), add)
		}
		if first.deep {
			naive(steps, fold, child.value, place+child.place(), add)
		}
	}
}

type child struct {
	name  *string
	index int
	value any
}

func (c child) place() string {
	if c.name != nil {
		return fmt.Sprintf("/%q", *c.name)
	}
	return fmt.Sprintf("/%d", c.index)
}

func children(value any) func(yield func(child) bool) {
	return func(yield func(child) bool) {
		switch v := value.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if !yield(child{name: &k, value: v[k]}) {
					return
				}
			}
		case []any:
			for i, e := range v {
				if !yield(child{index: i, value: e}) {
					return
				}
			}
		}
	}
}

// walk adds what the automaton selects, and fails if a state is dead above a match.
func walk(t *rapid.T, s *Set, st State, value any, place string, dead bool, add func(place string, path int)) {
	dead = dead || s.Dead(st)
	for c := range children(value) {
		next := s.Index(st, c.index)
		if c.name != nil {
			next = s.Name(st, []byte(*c.name))
		}
		at := place + c.place()
		if m := s.Match(next); m >= 0 {
			if dead {
				t.Fatalf("%s matches below a dead state", at)
			}
			add(at, m)
		}
		walk(t, s, next, c.value, at, dead, add)
	}
}

var (
	anyName = rapid.SampledFrom([]string{"a", "b", "ab", "password", "Password", "pa\u017fsword", "", "ä", "Ä", "0", "*", "A", strings.Repeat("n", 70), strings.Repeat("N", 70)})

	anyPath = rapid.Custom(func(t *rapid.T) Path {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			s := step{kind: kind(rapid.IntRange(0, 2).Draw(t, "kind")), deep: rapid.IntRange(0, 3).Draw(t, "deep") == 0}
			switch s.kind {
			case member:
				s.name = anyName.Draw(t, "name")
			case element:
				s.index = rapid.IntRange(0, 2).Draw(t, "index")
			}
			return s
		}), 1, 5).Draw(t, "steps")
		return Path{steps: steps}
	})
)

func anyValue(t *rapid.T, depth int) any {
	switch k := rapid.IntRange(0, 2).Draw(t, "value"); {
	case depth == 0 || k == 0:
		return nil
	case k == 1:
		out := make([]any, rapid.IntRange(0, 4).Draw(t, "len"))
		for i := range out {
			out[i] = anyValue(t, depth-1)
		}
		return out
	default:
		out := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "len") {
			out[anyName.Draw(t, "name")] = anyValue(t, depth-1)
		}
		return out
	}
}

func TestTheAutomatonSelectsWhatTheRFCSelects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Many paths need more than the two words that a State has in itself.
		most := rapid.SampledFrom([]int{1, 3, 20, 90}).Draw(t, "most")
		paths := rapid.SliceOfN(anyPath, most/2, most).Draw(t, "paths")
		for i, p := range paths {
			again, err := Compile(written(p))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "fold") {
				again = again.IgnoringCase()
			}
			paths[i] = again
		}
		doc := anyValue(t, 5)
		want := map[string]int{}
		for i, p := range paths {
			naive(p.steps, p.fold, doc, "", func(place string) {
				if _, is := want[place]; !is {
					want[place] = i
				}
			})
		}
		s := NewSet(paths)
		got := map[string]int{}
		walk(t, s, s.Start(), doc, "", false, func(place string, path int) { got[place] = path })
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%v (-want +got):\n%s", paths, d)
		}
	})
}

func TestTheZeroStateAndTheEmptySetMatchNothing(t *testing.T) {
	for _, s := range []*Set{NewSet(nil), NewSet([]Path{{}}), NewSet(compile(t, "$..*", "$.a"))} {
		var st State
		for _, next := range []State{st, s.Name(st, []byte("a")), s.Index(st, 0)} {
			if next != st || !s.Dead(next) || s.Match(next) != -1 {
				t.Errorf("%+v leads to %+v", st, next)
			}
		}
	}
	if s := NewSet(nil); s.Start() != (State{}) {
		t.Error("the empty set has a state")
	}
}

func TestPathsMatchWhereverInTheSetTheyStand(t *testing.T) {
	for n := range 200 {
		paths := compile(t, "$.q")
		for range n {
			paths = append(paths, compile(t, "$.z")...)
		}
		if n%2 == 0 {
			paths = append(paths, compile(t, "$.y.y")...) // three positions, so that the next begins at an odd one
		}
		first := len(paths)
		s := NewSet(append(paths, compile(t, "$.a.b.c", "$..d[1].*", "$.a.b.c")...))
		a := s.Name(s.Start(), []byte("a"))
		ab := s.Name(a, []byte("b"))
		d := s.Name(ab, []byte("d"))
		for _, c := range []struct {
			st   State
			want int
			dead bool
		}{
			{s.Name(ab, []byte("c")), first, false},
			{s.Name(a, []byte("c")), -1, false},
			{s.Name(s.Index(d, 1), []byte("x")), first + 1, false},
			{s.Index(s.Index(d, 1), 7), first + 1, false},
			{s.Index(s.Index(d, 0), 7), -1, false},
		} {
			if got := s.Match(c.st); got != c.want || s.Dead(c.st) != c.dead {
				t.Fatalf("behind %d paths: %d, want %d", first, got, c.want)
			}
		}
		plain := NewSet(append(paths, compile(t, "$.a.b.c")...))
		ab = plain.Name(plain.Name(plain.Start(), []byte("a")), []byte("b"))
		abc := plain.Name(ab, []byte("c"))
		if plain.Dead(ab) || plain.Match(abc) != first || !plain.Dead(abc) || plain.Name(ab, []byte("x")) != (State{}) {
			t.Fatalf("behind %d paths: %+v, %+v", first, ab, abc)
		}
	}
}

func TestNamesOfAPathThatIgnoresCaseMatchInAnyCase(t *testing.T) {
	paths := compile(t, "$.password", "$..apiKey", "$.é", "$.Token")
	for i := range 3 {
		paths[i] = paths[i].IgnoringCase()
	}
	s := NewSet(paths)
	for name, want := range map[string]int{
		"password": 0, "Password": 0, "PASSWORD": 0, "pa\u017fSword": 0, "pass_word": -1, "passwords": -1,
		"apikey": 1, "APIKEY": 1, "ApiKey": 1, "api\u212Aey": 1, "é": 2, "É": 2, "e\u0301": -1, "Token": 3, "token": -1,
	} {
		if got := s.Match(s.Name(s.Start(), []byte(name))); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	// An exact path and one that ignores case share a name.
	mixed := compile(t, "$.a.x", "$.A.y")
	mixed[1] = mixed[1].IgnoringCase()
	s = NewSet(mixed)
	small, capital := s.Name(s.Start(), []byte("a")), s.Name(s.Start(), []byte("A"))
	if s.Match(s.Name(small, []byte("x"))) != 0 || s.Match(s.Name(small, []byte("Y"))) != 1 ||
		s.Match(s.Name(capital, []byte("x"))) != -1 || s.Match(s.Name(capital, []byte("y"))) != 1 {
		t.Error("an exact path and one that ignores case disturb each other")
	}
}

func TestNamesAreComparedExactly(t *testing.T) {
	s := NewSet(compile(t, `$['pass\u0077ord']`, "$.é"))
	for name, want := range map[string]int{"password": 0, "Password": -1, "passwords": -1, "é": 1, "e\u0301": -1} {
		if got := s.Match(s.Name(s.Start(), []byte(name))); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	if got := s.Match(s.Index(s.Start(), 0)); got != -1 {
		t.Errorf("an element matches a name: %d", got)
	}
}

// rules are n paths of the kinds that people write.
func rules(t testing.TB, n int) *Set {
	var sources []string
	for i := range n {
		sources = append(sources, []string{"$..secret_%d", "$.data[*].token_%d", "$.users[*].keys[0].value_%d", "$.config.*.password_%d"}[i%4])
		sources[i] = fmt.Sprintf(sources[i], i)
	}
	return NewSet(compile(t, sources...))
}

func TestAStepOfTwentyRulesAllocatesNothing(t *testing.T) {
	s := rules(t, 20)
	names := [][]byte{[]byte("data"), []byte("token_1"), []byte("other")}
	if n := testing.AllocsPerRun(100, func() {
		st := s.Start()
		for i, name := range names {
			st = s.Index(s.Name(st, name), i)
			_, _ = s.Match(st), s.Dead(st)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkName(b *testing.B) {
	names := [][]byte{[]byte("data"), []byte("token_1"), []byte("customer_id"), []byte("secret_4"), []byte("created")}
	for _, n := range []int{1, 20, 200} {
		s := rules(b, n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			matches := 0
			for b.Loop() {
				for _, name := range names {
					st := s.Name(s.Start(), name)
					if s.Match(st) >= 0 {
						matches++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(names)), "ns/name")
		})
	}
}

func TestNamesOfASCIIAreToldFromOthers(t *testing.T) {
	for n := range 40 {
		name := []byte(strings.Repeat("a", n))
		if !isASCII(name) {
			t.Errorf("%d bytes are said not to be ASCII", n)
		}
		for i := range name {
			name[i] = 0x80
			if isASCII(name) {
				t.Errorf("byte %d of %d is not seen", i, n)
			}
			name[i] = 'a'
		}
	}
}

// A name that is written with a long s is another than one with a short one, and is found all the same.
func TestAnExactNameThatFoldsToASCIIIsFound(t *testing.T) {
	for _, name := range []string{"paſsword", "\u212aey", "straße", "password"} {
		p, err := Compile("$..['" + name + "']")
		if err != nil {
			t.Fatal(err)
		}
		s := NewSet([]Path{p})
		if s.Match(s.Name(s.Start(), []byte(name))) != 0 {
			t.Errorf("%q is not found", name)
		}
		if other := strings.ToUpper(name); s.Match(s.Name(s.Start(), []byte(other))) == 0 {
			t.Errorf("%q is taken for %q", other, name)
		}
	}
}
