package policies

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/sluicegate/sluice/policies/jsonpath"
)

func TestMasksOfDifferentPoliciesAreAlikeIfTheyHideTheSame(t *testing.T) {
	of := func(masks string) MaskSet {
		return compileText(t, httpTargets+"masks:\n"+masks).Masks(nil, "orders")
	}
	first := `- {name: m, on: {targets: [orders]}, columns: ["public.customers.password"], redact: {text: X}}`
	for name, c := range map[string]struct {
		masks string
		alike bool
	}{
		"the same":               {first, true},
		"for other targets, too": {`- {name: m, on: {targets: ["*"]}, columns: ["public.customers.password"], redact: {text: X}}`, true},
		"with an exception":      {`- {name: m, on: {targets: [orders]}, columns: ["public.customers.password"], redact: {text: X}, except: {groups: [dba]}}`, true},
		"of another column":      {`- {name: m, on: {targets: [orders]}, columns: ["public.customers.email"], redact: {text: X}}`, false},
		"with another text":      {`- {name: m, on: {targets: [orders]}, columns: ["public.customers.password"], redact: {text: Y}}`, false},
		"and one more":           {first + "\n" + `- {name: n, on: {targets: [orders]}, columns: ["public.customers.email"], redact: {}}`, false},
	} {
		a, b := of(first), of(c.masks)
		if a.Alike(b) != c.alike || b.Alike(a) != c.alike || bytes.Equal(a.Digest(), b.Digest()) != c.alike {
			t.Errorf("%s: alike %v, digests %x and %x", name, a.Alike(b), a.Digest(), b.Digest())
		}
		if !a.Alike(a) || a.Equal(b) {
			t.Errorf("%s: equal to another's, or not like itself", name)
		}
	}
}

func TestWhatASetOfMasksHides(t *testing.T) {
	for name, c := range map[string]struct {
		mask            string
		columns, bodies bool
		searches        int
	}{
		"columns":               {`columns: ["a.b.c"]`, true, false, 0},
		"finds in columns":      {`columns: ["a.b.c"], detect: [jwt]`, false, true, 1},
		"finds":                 {`detect: [jwt]`, false, true, 1},
		"members":               {`paths: ["$.a"], columns: ["a.b.c"]`, true, true, 0},
		"headers, and a column": {`headers: [x-secret], columns: ["a.b.c"]`, true, false, 0},
	} {
		p := compileText(t, httpTargets+"masks:\n- {name: m, on: {targets: [\"*\"]}, redact: {}, "+c.mask+"}\n")
		s := p.Masks(nil, "orders")
		if s.HidesColumns() != c.columns || s.HidesBodies() != c.bodies || len(s.Searches()) != c.searches {
			t.Errorf("%s: columns %v, bodies %v, %d searches", name, s.HidesColumns(), s.HidesBodies(), len(s.Searches()))
		}
	}
	p := compileText(t, httpTargets+"masks:\n- {name: m, on: {targets: [api]}, redact: {}, headers: [x-secret]}\n")
	if s := p.Masks(nil, "api"); s.HidesColumns() || s.HidesBodies() || s.Header("x-secret") == nil || s.Header("x-other") != nil {
		t.Error("a mask of a header hides something else")
	}
}

func TestNamesOfMembersAreReadWithoutCaseUnlessTheMaskSaysSo(t *testing.T) {
	p := compileText(t, httpTargets+`
masks:
- {name: a, on: {targets: [api]}, paths: ["$.a"], redact: {}}
- {name: b, on: {targets: [api]}, paths: ["$.b"], ignore_case: true, redact: {}}
- {name: c, on: {targets: [api]}, paths: ["$.c"], ignore_case: false, redact: {}}
`)
	for i, path := range p.Masks(nil, "api").Paths() {
		want, err := jsonpath.Compile([]string{"$.a", "$.b", "$.c"}[i])
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			want = want.IgnoringCase()
		}
		if !reflect.DeepEqual(path.Path, want) || path.Rule.Name != []string{"a", "b", "c"}[i] {
			t.Errorf("got %+v of %s", path.Path, path.Rule.Name)
		}
	}
}

// A find does not say whose it is, so what masks leave differently is left to nobody.
func TestFindsAreHiddenAsAllMasksSay(t *testing.T) {
	for name, c := range map[string]struct{ first, second, want string }{
		"alike":                 {"redact: {text: X}", "redact: {text: X}", "X"},
		"by the first":          {"redact: {text: X}", "redact: {text: Y}", "X"},
		"the domain of both":    {"partial: {keep_domain: true}", "partial: {keep_domain: true}", "***@b"},
		"the domain of one":     {"partial: {keep_domain: true}", "redact: {}", DefaultMaskText},
		"the end of both":       {"partial: {keep_last: 1}", "partial: {keep_last: 1}", "***b"},
		"ends of other lengths": {"partial: {keep_last: 1}", "partial: {keep_last: 2}", DefaultMaskText},
	} {
		p := compileText(t, httpTargets+"masks:\n- {name: a, on: {targets: [api]}, detect: [jwt], "+c.first+"}\n- {name: b, on: {targets: [api]}, detect: [jwt, github-token], "+c.second+"}\n")
		names, rule := p.Masks(nil, "api").Detectors()
		if got := string(rule.Append(nil, []byte("aaaa@b"))); got != c.want || len(names) != 2 {
			t.Errorf("%s: %q by %q", name, got, names)
		}
	}
}
