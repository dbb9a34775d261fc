package httptag

import (
	"strings"
	"testing"
)

func scope(t testing.TB, parts ...string) Scope {
	t.Helper()
	k, err := New([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, p := range parts {
		all = append(all, []byte(p))
	}
	return k.Scope(all...)
}

func TestASealedTagOpensWhereItWasSealed(t *testing.T) {
	s := scope(t, "alice", "masks", "/x")
	for _, tag := range []string{`"v1"`, `W/"v1"`, `""`, `"a,b"`, `"` + strings.Repeat("x", 1000) + `"`} {
		sealed, ok := s.Seal(tag)
		if !ok || !strings.HasPrefix(sealed, `W/"`) || strings.Contains(sealed, "v1") {
			t.Fatalf("%s is sealed as %s", tag, sealed)
		}
		if again, _ := s.Seal(tag); again != sealed {
			t.Errorf("%s is sealed in two ways", tag)
		}
		for _, condition := range []string{sealed, strings.TrimPrefix(sealed, "W/"), `"other", ` + sealed, sealed + ` , W/"other"`} {
			if got := s.Open(condition); got != tag {
				t.Errorf("%s opens to %s", condition, got)
			}
		}
		for _, other := range []Scope{scope(t, "bob", "masks", "/x"), scope(t, "alice", "mask", "s/x"), scope(t, "alice", "masks", "/y"), scope(t)} {
			if got := other.Open(sealed); got != unknown {
				t.Errorf("elsewhere it opens to %s", got)
			}
		}
	}
	one, _ := s.Seal(`"1"`)
	two, _ := s.Seal(`"2"`)
	if got := s.Open(one + "," + two); got != `"1", "2"` {
		t.Errorf("a list opens to %s", got)
	}
}

func TestWhatIsGuessedMatchesNothing(t *testing.T) {
	s := scope(t, "alice")
	sealed, _ := s.Seal(`"v1"`)
	flipped := sealed[:10] + string(sealed[10]^1) + sealed[11:]
	for _, condition := range []string{`"v1"`, `W/"v1"`, `"v1", "v2"`, flipped, sealed[:len(sealed)-3] + `"`, `W/"s1."`, `W/"s1.AAAA"`, "v1", `"v1`, `"a" "b"`, `"v1", *`, "", sealed + "x"} {
		if got := s.Open(condition); got != unknown {
			t.Errorf("%s opens to %s", condition, got)
		}
	}
	if got := s.Open(" * "); got != "*" {
		t.Errorf("the star is %s", got)
	}
	for _, tag := range []string{"v1", "*", `"a", "b"`, "", `"` + strings.Repeat("x", MaxTag) + `"`} {
		if sealed, ok := s.Seal(tag); ok {
			t.Errorf("%s is sealed as %s", tag, sealed)
		}
	}
}

func TestATagHasALongestLength(t *testing.T) {
	s := scope(t, "alice")
	longest := `"` + strings.Repeat("x", MaxTag-2) + `"`
	if sealed, ok := s.Seal(longest); !ok || s.Open(sealed) != longest {
		t.Error("the longest tag is not sealed")
	}
	if _, ok := s.Seal(`"x` + longest[1:]); ok {
		t.Error("a longer tag is sealed")
	}
}

func TestAShortSecretIsNoKey(t *testing.T) {
	if _, err := New(make([]byte, 15)); err == nil {
		t.Error("15 bytes are taken")
	}
	if _, err := New(make([]byte, 16)); err != nil {
		t.Errorf("16 bytes: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := scope(f, "alice")
	sealed, _ := s.Seal(`"v1"`)
	for _, seed := range []string{sealed, `"v1"`, "*", `W/"a","b"`, `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		if got := s.Open(condition); got != unknown && got != "*" && got != `"v1"` && !strings.HasPrefix(got, `"v1", `) {
			t.Errorf("%q opens to %q", condition, got)
		}
	})
}
