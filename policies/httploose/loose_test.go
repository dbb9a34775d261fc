package httploose

import (
	"slices"
	"testing"
)

func TestNamesAreReadAsTheMostLenientServiceWould(t *testing.T) {
	for _, s := range []string{"all", "All", "ALL", "all[]", "all[0]", "all[x][y]", " all", "+all", "all ", "all\x00", "all\x00x", "\x00all", "[all]", "\tall\n", "?all", "\ufeffall", "\vall\f", "\u3000all\u00a0", "\x1call\u0085", "]all", "[]all", "][all]", "a\x01l\x1fl", "%u0061ll", "%U0061l%u006C", "%u0025u0061ll", "%all", "a%ll"} {
		if got := Name(s); got != "all" {
			t.Errorf("%q is read as %q", s, got)
		}
	}
	for a, b := range map[string]string{"dry.run": "dry_run", "dry run": "dry_run", "ſtrict": "strict", "ÄRGER": "ärger"} {
		if Name(a) != Name(b) {
			t.Errorf("%q and %q are told apart", a, b)
		}
	}
	for _, s := range []string{"", "[]", "\x00", "al", "alls", "x-all"} {
		if Name(s) == "all" {
			t.Errorf("%q is taken for another", s)
		}
	}
}

func TestANameIsReadInEachWayThatServicesHave(t *testing.T) {
	for in, want := range map[string][]string{
		"all":                      {"all"},
		"all\x00x":                 {"all", "allx"},
		"\x00a\x00l\x00l":          {"a", "all"},
		"a\x00l\x00l\x00":          {"a", "all"},
		"_[all":                    {"_", "__all"},
		"dry[run":                  {"dry", "dry_run"},
		"dry[run]":                 {"dry", "dry_run"},
		"%u0000%u0061%u0000%u006c": {"a", "al"},
		"":                         {""},
	} {
		got := Names(in)
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%q is read as %q, and not as %q", in, got, name)
			}
		}
		if got[0] != Name(in) {
			t.Errorf("%q is first read as %q", in, got[0])
		}
	}
}

func TestPathsAreReadDecodedAndFolded(t *testing.T) {
	for in, want := range map[string]string{"/users/%40me": "/users/@me", "/Admin./X": "/admin/x", "/a%20/b": "/a/b", "/": "/", "/%zz": "/%zz"} {
		if got := Path(in); got != want {
			t.Errorf("%q is read as %q", in, got)
		}
	}
}

func TestAStemIsWhatStandsBeforeTheFirstDot(t *testing.T) {
	for in, want := range map[string]string{"report.json": "report", "a.tar.gz": "a", "report": "report", "report.": "report", ".hidden": ".hidden", "": ""} {
		if got := Stem(in); got != want {
			t.Errorf("%q has the stem %q", in, got)
		}
	}
}

func TestPairsArePartedAndDecoded(t *testing.T) {
	got := Pairs("a=1&b=2;c=3&;d=x+y%3D%2b%&e+f")
	want := []Pair{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "x y=+%"}, {"e f", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := Unescape("a+b%2", false); got != "a+b%2" {
		t.Errorf("a plus in a path is %q", got)
	}
}

func FuzzNameAndPairs(f *testing.F) {
	for _, s := range []string{"a=b&c;d=%41+", "%", "%4", "a[]=1&a=2", "=", "&&", "%25u0041=1", "%u0025u0041=1", "%25%25u0041[%00=1", "%25u000%25u0041=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range Pairs(s) {
			if n := Name(p.Name); Name(n) != n || Names(p.Name)[0] != n {
				t.Errorf("%q becomes %q, and that %q", p.Name, n, Name(n))
			}
			if v := Value(p.Value); Fold(v) != v {
				t.Errorf("%q becomes %q", p.Value, v)
			}
		}
	})
}
