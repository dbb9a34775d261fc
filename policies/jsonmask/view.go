package jsonmask

import (
	"slices"
	"sync"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// Span is a part of a text: text[Start:End], in bytes.
type Span struct{ Start, End int }

// Finder finds secrets that no path names. It is called from many goroutines at once.
type Finder interface {
	// Find appends the finds in text to dst. A find that could go on behind the text reaches to its end.
	Find(dst []Span, text []byte) []Span
}

// Namer is a Finder to whom the name of a field tells something about its value.
type Namer interface {
	// FindNamed is Find for a text that is the value of the field of that name.
	FindNamed(dst []Span, name, text []byte) []Span
}

// Field is what a path names, and how that is hidden. A nil Rule puts policies.DefaultMaskText.
type Field struct {
	Path jsonpath.Path
	Rule *policies.MaskRule
}

// View is how one principal sees bodies. Safe for concurrent use.
type View struct {
	set    *jsonpath.Set
	rules  []*policies.MaskRule
	finder Finder
	namer  Namer
	opener Opener
	found  *policies.MaskRule
	// names are those that paths end with; nameless: a path ends without one.
	names    []string
	nameless bool
	// begins has the bytes with which what spells a name may begin.
	begins [256]bool

	// lanes and walkers have buffers that are used again.
	lanes, walkers sync.Pool
}

// NewView makes a view. Of several fields that name the same value, the first counts. found is how finds are hidden;
// without a finder it means nothing, nil puts policies.DefaultMaskText.
func NewView(fields []Field, finder Finder, found *policies.MaskRule) *View {
	v := &View{finder: finder, found: orDefault(found)}
	v.namer, _ = finder.(Namer)
	v.opener, _ = finder.(Opener)
	paths := make([]jsonpath.Path, len(fields))
	for i, f := range fields {
		paths[i] = f.Path
		v.rules = append(v.rules, orDefault(f.Rule))
		if name, ok := f.Path.Last(); ok {
			v.names = append(v.names, name)
		} else {
			v.nameless = true
		}
	}
	v.set = jsonpath.NewSet(paths)
	for b := range v.begins {
		v.begins[b] = slices.ContainsFunc(v.names, func(name string) bool { return mayBegin(b, name) })
	}
	return v
}

func orDefault(r *policies.MaskRule) *policies.MaskRule {
	if r == nil {
		return &policies.MaskRule{Text: policies.DefaultMaskText}
	}
	return r
}

// Empty reports whether nothing is hidden: then bodies pass as they are, and are not read.
func (v *View) Empty() bool { return len(v.rules) == 0 && v.finder == nil }
