package jsonpath

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompileReadsWhatAStreamCanMatch(t *testing.T) {
	name := func(n string) step { return step{kind: member, name: n} }
	deep := func(s step) step { s.deep = true; return s }
	for source, want := range map[string][]step{
		"$.a":                     {name("a")},
		"$.data[*].token":         {name("data"), {}, name("token")},
		"$..api_key":              {deep(name("api_key"))},
		"$.*":                     {{}},
		"$..*":                    {deep(step{})},
		"$..[*]":                  {deep(step{})},
		"$[0]":                    {{kind: element}},
		"$[ 12 ]['a']":            {{kind: element, index: 12}, name("a")},
		"$..[3].x":                {deep(step{kind: element, index: 3}), name("x")},
		"$[9007199254740991]":     {{kind: element, index: maxIndex}},
		"$..['x']..y":             {deep(name("x")), deep(name("y"))},
		"$ .a\n[\t*\r] ..b":       {name("a"), {}, deep(name("b"))},
		`$['']`:                   {name("")},
		`$["it's"]['say "x"']`:    {name("it's"), name(`say "x"`)},
		`$['\'']["\""]`:           {name("'"), name(`"`)},
		`$['\b\f\n\r\t\/\\']`:     {name("\b\f\n\r\t/\\")},
		`$['pass\u0077ord']`:      {name("password")},
		`$["\uD83D\ude00\u0000"]`: {name("😀\x00")},
		"$.größe_1.Ω":             {name("größe_1"), name("Ω")},
		"$['.[*]..$']":            {name(".[*]..$")},
	} {
		p, err := Compile(source)
		if err != nil {
			t.Error(err)
			continue
		}
		if d := cmp.Diff(want, p.steps, cmp.AllowUnexported(step{})); d != "" || p.String() != source {
			t.Errorf("%s (-want +got):\n%s", source, d)
		}
	}
}

func TestCompileNamesThePlaceAndWhatIsSupported(t *testing.T) {
	for _, c := range []struct {
		source string
		offset int
		words  string
	}{
		{"", 0, "begins with $"},
		{"a", 0, "begins with $"},
		{"@.a", 0, "begins with $"},
		{" $.a", 0, "begins with $"},
		{"$", 0, "write $.*"},
		{"$.a ", 3, "white space"},
		{"$a", 1, "begins with . or ["},
		{"$.", 2, "is missing"},
		{"$..", 3, "is missing"},
		{"$. a", 2, "is missing"},
		{"$.a.", 4, "is missing"},
		{"$...a", 3, "is missing"},
		{"$.a-b", 3, "begins with . or ["},
		{"$.1a", 2, "in brackets"},
		{"$.-1", 2, "in brackets"},
		{"$.[0]", 2, "one dot"},
		{"$[", 2, "is missing"},
		{"$[]", 2, "is missing"},
		{"$[a]", 2, "is missing"},
		{"$[0", 3, "] is missing"},
		{"$['a'", 5, "] is missing"},
		{"$['a", 2, "not closed"},
		{`$['a\'`, 2, "not closed"},
		{`$['a\`, 4, "escape is unknown"},
		{`$['\x']`, 3, "escape is unknown"},
		{`$['\"']`, 3, "escape is unknown"},
		{`$["\'"]`, 3, "escape is unknown"},
		{`$['\u12']`, 3, "four hexadecimal"},
		{`$['\u12`, 3, "four hexadecimal"},
		{`$['\u+123']`, 3, "four hexadecimal"},
		{`$['\ud800']`, 3, "surrogate"},
		{`$['\ud800\u0041']`, 3, "surrogate"},
		{`$['\ude00\ud83d']`, 3, "surrogate"},
		{"$['a\nb']", 4, "control character"},
		{"$[01]", 2, "leading zero"},
		{"$[-1]", 2, "negative indexes are not supported; supported are .name"},
		{"$[-0]", 2, "negative"},
		{"$[9007199254740992]", 2, "too great"},
		{"$[99999999999999999999]", 2, "too great"},
		{"$[1:2]", 3, "slices are not supported; supported are"},
		{"$[:2]", 2, "slices"},
		{"$[0,1]", 3, "unions are not supported"},
		{"$['a','b']", 5, "unions"},
		{"$[?@.x]", 2, "filters are not supported; supported are"},
		{"$..[?@.x]", 4, "filters"},
		{"$.length()", 8, "functions are not supported"},
		{"$.a\x00", 3, "begins with . or ["},
		{"$.a\xff", 3, "UTF-8"},
		{"$['\xed\xa0\x80']", 3, "UTF-8"},
		{"$." + strings.Repeat("a", MaxLength), MaxLength, "at most"},
	} {
		_, err := Compile(c.source)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Offset != c.offset || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%.40q: %v, want %q at %d", c.source, err, c.words, c.offset)
		}
	}
}

// FuzzCompile: whatever is accepted means the same when its steps are written down again.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"$.a", "$..a[*]['b'][0]", "$..*", "$", `$['\ud83d\ude00\'']`, "$[?@.a==1]", "$[1:2:3]", "$.ä\n[ 7 ]", "$[-1]", "$['a", "$..[",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Compile(source)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(source) || e.Reason == "" {
				t.Fatalf("%q: %v", source, err)
			}
			return
		}
		again, err := Compile(written(p))
		if err != nil {
			t.Fatalf("%q is written as %q: %v", source, written(p), err)
		}
		if d := cmp.Diff(p.steps, again.steps, cmp.AllowUnexported(step{})); d != "" {
			t.Fatalf("%q is written as %q: %s", source, written(p), d)
		}
		s := NewSet([]Path{p})
		if s.Match(s.Start()) >= 0 || s.Dead(s.Start()) {
			t.Fatalf("%q matches the document itself, or nothing", source)
		}
	})
}
