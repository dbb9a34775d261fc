package policies

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/detect"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// DefaultMaskText is what a redacted text becomes.
const DefaultMaskText = "[masked]"

// mask is a compiled Mask.
type mask struct {
	rule    MaskRule
	spec    *policyv1.Mask
	columns []glob
	paths   []jsonpath.Path
	headers []string
	detect  []string
	finds   *detect.Set
	except  who
}

// hides reports whether the mask is about what a target gives: a pattern over targets may name some of another kind.
func (m *mask) hides(t *policyv1.Target) bool {
	if t.GetHttp() != nil {
		return len(m.paths)+len(m.headers)+len(m.detect) > 0
	}
	return len(m.columns)+len(m.detect) > 0
}

// MaskRule is how a column is hidden.
type MaskRule struct {
	// Name is the mask's, for records and errors.
	Name string
	// Text replaces a redacted text.
	Text string
	// KeepDomain keeps what follows the last @, KeepLast so many characters at the end.
	KeepDomain bool
	KeepLast   uint32
}

func (c *compiler) mask(m *policyv1.Mask, field string) (*mask, error) {
	out := &mask{spec: m, rule: MaskRule{
		Name: m.GetName(), Text: m.GetRedact().GetText(),
		KeepDomain: m.GetPartial().GetKeepDomain(), KeepLast: m.GetPartial().GetKeepLast(),
	}}
	if out.rule.Text == "" {
		out.rule.Text = DefaultMaskText
	}
	var err error
	if out.columns, err = globs(m.GetColumns(), field+".columns"); err != nil {
		return nil, err
	}
	for i, g := range out.columns {
		if len(g.segments) != 3 {
			return nil, &Fault{
				Field:   fmt.Sprintf("%s.columns[%d]", field, i),
				Message: fmt.Sprintf("%q has %d parts, schema.table.column is needed", g.source, strings.Count(g.source, ".")+1),
			}
		}
	}
	for i, source := range m.GetPaths() {
		path, err := jsonpath.Compile(source)
		if err != nil {
			return nil, &Fault{Field: fmt.Sprintf("%s.paths[%d]", field, i), Message: err.Error()}
		}
		if m.IgnoreCase == nil || m.GetIgnoreCase() {
			path = path.IgnoringCase()
		}
		out.paths = append(out.paths, path)
	}
	out.headers, out.detect = m.GetHeaders(), m.GetDetect()
	if out.finds, err = detect.New(out.detect); err != nil {
		return nil, &Fault{Field: field + ".detect", Message: err.Error()}
	}
	if m.GetExcept() != nil {
		out.except, err = compileWho(m.GetExcept(), c.names, field+".except")
	}
	return out, err
}

// MaskSet are the masks of one target that apply to one principal. The zero value masks nothing.
type MaskSet struct {
	masks []*mask
}

// Masks returns those that apply to a principal on a target. A nil principal is someone whom no mask excepts: what
// records are masked for.
func (p *Policy) Masks(principal *identityv1.Principal, target string) MaskSet {
	t := p.targets[target]
	if t == nil {
		return MaskSet{}
	}
	var out MaskSet
	for _, m := range t.masks {
		if !m.spares(principal) {
			out.masks = append(out.masks, m)
		}
	}
	return out
}

// spares reports whether the mask excepts a principal. Nobody is excepted as nil.
func (m *mask) spares(principal *identityv1.Principal) bool {
	return principal != nil && m.except.some && m.except.match(principal)
}

// maskNames are those of the masks that apply to a principal. Nothing is allocated for whom no mask spares.
func (t *target) maskNames(principal *identityv1.Principal) []string {
	spares := func(m *mask) bool { return m.spares(principal) }
	if !slices.ContainsFunc(t.masks, spares) {
		return t.named
	}
	var out []string
	for _, m := range t.masks {
		if !spares(m) {
			out = append(out, m.rule.Name)
		}
	}
	return out
}

// Empty reports whether nothing is masked.
func (s MaskSet) Empty() bool { return len(s.masks) == 0 }

// Equal reports whether both hide the same, as sets of one policy.
func (s MaskSet) Equal(o MaskSet) bool { return slices.Equal(s.masks, o.masks) }

// HidesBodies reports whether bodies of HTTP are read for something to hide.
func (s MaskSet) HidesBodies() bool {
	return slices.ContainsFunc(s.masks, func(m *mask) bool { return len(m.paths)+len(m.detect) > 0 })
}

// Digest is over what the set hides, and how: the same for sets that are alike.
func (s MaskSet) Digest() []byte {
	h := sha256.New()
	for _, m := range s.masks {
		spec := proto.CloneOf(m.spec)
		spec.On, spec.Except = nil, nil
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
		if err != nil { // it was read from the wire
			data = []byte(err.Error())
		}
		_, _ = fmt.Fprintf(h, "%d\n", len(data)) // a hash never fails
		_, _ = h.Write(data)
	}
	return h.Sum(nil)
}

// Alike reports whether both hide the same in the same way, as sets of different policies: whom a mask excepts, and which
// targets it is for besides, are nothing of what it hides.
func (s MaskSet) Alike(o MaskSet) bool {
	return slices.EqualFunc(s.masks, o.masks, func(a, b *mask) bool {
		if a == b {
			return true
		}
		x, y := proto.CloneOf(a.spec), proto.CloneOf(b.spec)
		x.On, y.On, x.Except, y.Except = nil, nil, nil, nil
		return proto.Equal(x, y)
	})
}

// HidesColumns reports whether any mask hides columns in whole.
func (s MaskSet) HidesColumns() bool {
	return slices.ContainsFunc(s.masks, func(m *mask) bool { return len(m.columns) > 0 && len(m.detect) == 0 })
}

// Column finds the mask that hides a column in whole: the first in the bundle's order. nil means in clear, but for what
// Searches find.
func (s MaskSet) Column(schema, table, column string) *MaskRule {
	for _, m := range s.masks {
		if len(m.detect) == 0 && m.names(schema, table, column) {
			return &m.rule
		}
	}
	return nil
}

// names reports whether a column is one of the mask's.
func (m *mask) names(schema, table, column string) bool {
	return slices.ContainsFunc(m.columns, func(g glob) bool {
		return matchSegment(g.segments[0], schema) && matchSegment(g.segments[1], table) && matchSegment(g.segments[2], column)
	})
}

// Search is a mask that hides what its detectors find in the texts of columns, and nothing else of them.
type Search struct {
	// Finds are the detectors.
	Finds *detect.Set
	// Rule is how a find is hidden.
	Rule *MaskRule
	mask *mask
}

// Everywhere reports whether the mask names no columns: it looks into the texts of all.
func (s Search) Everywhere() bool { return len(s.mask.columns) == 0 }

// Column reports whether the mask names a column.
func (s Search) Column(schema, table, column string) bool { return s.mask.names(schema, table, column) }

// Searches are the masks with detectors, in the bundle's order.
func (s MaskSet) Searches() []Search {
	var out []Search
	for _, m := range s.masks {
		if len(m.detect) > 0 {
			out = append(out, Search{Finds: m.finds, Rule: &m.rule, mask: m})
		}
	}
	return out
}

// MaskedPath is a path of JSON documents with its mask.
type MaskedPath struct {
	Path jsonpath.Path
	Rule *MaskRule
}

// Paths are those of all masks, in the bundle's order.
func (s MaskSet) Paths() []MaskedPath {
	var out []MaskedPath
	for _, m := range s.masks {
		for _, p := range m.paths {
			out = append(out, MaskedPath{p, &m.rule})
		}
	}
	return out
}

// Header finds the mask of a header by its name in lower case: the first in the bundle's order. nil means in clear.
func (s MaskSet) Header(name string) *MaskRule {
	for _, m := range s.masks {
		if slices.Contains(m.headers, name) {
			return &m.rule
		}
	}
	return nil
}

// Detectors are the names of all that look for secrets, and how their finds are hidden; nil if there are none. Where masks
// differ in what they leave, nothing is left: a find does not say whose it is.
func (s MaskSet) Detectors() (names []string, rule *MaskRule) {
	for _, m := range s.masks {
		if len(m.detect) == 0 {
			continue
		}
		switch {
		case rule == nil:
			rule = &m.rule
		case rule.KeepDomain != m.rule.KeepDomain || rule.KeepLast != m.rule.KeepLast:
			rule = &MaskRule{Name: rule.Name, Text: DefaultMaskText}
		}
		for _, name := range m.detect {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, rule
}
