package detect

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

func set(t testing.TB, names ...string) *Set {
	t.Helper()
	s, err := New(names)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEachDetectorFindsItsSecretsAndNothingElse(t *testing.T) {
	samples := allSamples()
	if got, want := slices.Sorted(maps.Keys(samples)), Names(); !slices.Equal(got, want) {
		t.Fatalf("samples are of %v, detectors are %v", got, want)
	}
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			s := set(t, name)
			for _, marked := range sample.found {
				text, want := unmark(t, name, marked)
				if len(want) == 0 {
					t.Fatalf("%q says of no secret where it is", marked)
				}
				if got := s.Find(nil, []byte(text)); !slices.Equal(got, want) {
					t.Errorf("in %q\nfound %s\nwant  %s", text, show(text, got), show(text, want))
				}
			}
			for _, text := range sample.not {
				if got := s.Find(nil, []byte(text)); len(got) > 0 {
					t.Errorf("in %q found %s, want nothing", text, show(text, got))
				}
			}
		})
	}
}

func show(text string, spans []Span) string {
	var out []string
	for _, s := range spans {
		out = append(out, s.Name+":"+text[s.Start:s.End])
	}
	return strings.Join(out, " | ")
}

// All detectors together find what each finds alone: none hides another's find.
func TestAllDetectorsTogetherLeaveNothingOut(t *testing.T) {
	all := set(t, "*")
	for name, sample := range allSamples() {
		for _, marked := range sample.found {
			text, want := unmark(t, name, marked)
			got := all.Find(nil, []byte(text))
			for _, w := range want {
				if !slices.ContainsFunc(got, func(g Span) bool { return g.Start <= w.Start && g.End >= w.End }) {
					t.Errorf("in %q found %s, want also %s", text, show(text, got), show(text, []Span{w}))
				}
			}
		}
	}
}

func TestSecretsWithinSecrets(t *testing.T) {
	all := set(t, "*")
	jwt := token(`{"alg":"HS256"}`)
	for _, test := range []struct{ name, text, want string }{
		{"of a token in a header the token is told", "Authorization: Bearer " + jwt, "jwt:" + jwt},
		{"of a token as a password the token is told", "https://u:" + "npm_" + body(36) + "@h", "npm-token:npm_" + body(36)},
		{"a password around a token is longer", "https://u:a-" + "npm_" + body(36) + "@h", "connection-string:a-npm_" + body(36)},
		{
			"a key around a token is longer", "-----BEGIN " + "PRIVATE KEY-----\n" + jwt + "\n",
			"pem:-----BEGIN " + "PRIVATE KEY-----\n" + jwt + "\n",
		},
		{"two in a row", "ghp_" + body(36) + " 4111111111111111", "github-token:ghp_" + body(36) + " | card-number:4111111111111111"},
		{"finds of digits and of marks are put in order", "4111111111111111 ghp_" + body(36), "card-number:4111111111111111 | github-token:ghp_" + body(36)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := show(test.text, all.Find(nil, []byte(test.text))); got != test.want {
				t.Errorf("found %s\nwant  %s", got, test.want)
			}
		})
	}
}

func TestOverlappingFindsAreJoined(t *testing.T) {
	for _, test := range []struct {
		name     string
		in, want []Span
	}{
		{"apart", []Span{{5, 9, "a"}, {0, 5, "b"}}, []Span{{0, 5, "b"}, {5, 9, "a"}}},
		{"within", []Span{{2, 4, "a"}, {0, 9, "b"}, {5, 9, "c"}}, []Span{{0, 9, "b"}}},
		{"in part: the longer names what both cover", []Span{{0, 4, "a"}, {3, 9, "b"}}, []Span{{0, 9, "b"}}},
		{"a chain", []Span{{0, 6, "a"}, {5, 8, "b"}, {7, 9, "c"}}, []Span{{0, 9, "a"}}},
		{"equal: the name that says more", []Span{{0, 4, "authorization"}, {0, 4, "jwt"}}, []Span{{0, 4, "jwt"}}},
		{"equal: the first by name", []Span{{0, 4, "b"}, {0, 4, "a"}}, []Span{{0, 4, "a"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.in[:tidy(test.in)]; !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNamesAreSortedAndUnknownOnesAreRefused(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(names) != 19+len(tabled()) {
		t.Errorf("Names() = %v", names)
	}
	_, err := New([]string{"jwt", "no-such", "*", "nor this"})
	if err == nil {
		t.Fatal("unknown names were taken")
	}
	for _, want := range append(names, `"no-such"`, `"nor this"`, `"*"`) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "detector jwt") {
		t.Errorf("%q calls a known one unknown", err)
	}
}

func TestNoDetectorsFindNothing(t *testing.T) {
	text := []byte("ghp_" + body(36) + " 4111111111111111")
	before := []Span{{1, 2, "kept"}}
	for name, s := range map[string]*Set{"nil": nil, "zero": {}, "no names": set(t)} {
		if !s.Empty() {
			t.Errorf("%s: not empty", name)
		}
		if got := s.Find(before, text); !slices.Equal(got, before) {
			t.Errorf("%s: found %v", name, got)
		}
	}
	for _, name := range append(Names(), "*") {
		if set(t, name).Empty() {
			t.Errorf("%s: empty", name)
		}
	}
}

func TestOnlyTheNamedDetectorsFind(t *testing.T) {
	text := "ghp_" + body(36) + " 4111111111111111 npm_" + body(36)
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"github-token"}, "github-token:ghp_" + body(36)},
		{[]string{"card-number"}, "card-number:4111111111111111"},
		{[]string{"npm-token", "card-number", "npm-token"}, "card-number:4111111111111111 | npm-token:npm_" + body(36)},
		{[]string{"jwt"}, ""},
	} {
		if got := show(text, set(t, test.names...).Find(nil, []byte(text))); got != test.want {
			t.Errorf("%v: found %s, want %s", test.names, got, test.want)
		}
	}
}

func TestFindAppendsBehindWhatIsThere(t *testing.T) {
	text := []byte("4111111111111111 ghp_" + body(36))
	before := []Span{{40, 50, "kept"}, {0, 60, "kept"}}
	got := set(t, "*").Find(slices.Clone(before), text)
	want := append(before, Span{0, 16, "card-number"}, Span{17, 57, "github-token"})
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	s := set(t, "*")
	dst := make([]Span, 0, 256)
	texts := [][]byte{ordinaryJSON(1 << 14)}
	for _, name := range Names() {
		for _, text := range append(allSamples()[name].found, allSamples()[name].not...) {
			texts = append(texts, []byte(text))
		}
	}
	for _, text := range texts {
		if n := testing.AllocsPerRun(5, func() { dst = s.Find(dst[:0], text) }); n > 0 {
			t.Errorf("%v allocations in %.80q", n, text)
		}
	}
}

func TestOrdinaryTextHasNoFinds(t *testing.T) {
	text := ordinaryJSON(1 << 20)
	if got := set(t, "*").Find(nil, text); len(got) > 0 {
		t.Errorf("found %s", show(string(text), got))
	}
}

func TestASetIsUsedByManyAtOnce(t *testing.T) {
	s := set(t, "*")
	text := []byte("a ghp_" + body(36) + " postgres://u:s3cret@h 4111111111111111")
	want := s.Find(nil, text)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 200 {
				if got := s.Find(nil, text); !slices.Equal(got, want) {
					t.Errorf("found %v, want %v", got, want)
					return
				}
			}
		})
	}
	wait.Wait()
}
