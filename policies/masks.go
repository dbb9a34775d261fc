package policies

import (
	"fmt"
	"slices"
	"strings"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// DefaultMaskText is what a redacted text becomes.
const DefaultMaskText = "[masked]"

// mask is a compiled Mask.
type mask struct {
	rule    MaskRule
	columns []glob
	except  who
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
	out := &mask{rule: MaskRule{
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
		if principal != nil && m.except.some && m.except.match(principal) {
			continue
		}
		out.masks = append(out.masks, m)
	}
	return out
}

// Empty reports whether nothing is masked.
func (s MaskSet) Empty() bool { return len(s.masks) == 0 }

// Equal reports whether both hide the same.
func (s MaskSet) Equal(o MaskSet) bool { return slices.Equal(s.masks, o.masks) }

// Column finds the mask of a column: the first in the bundle's order. nil means in clear.
func (s MaskSet) Column(schema, table, column string) *MaskRule {
	for _, m := range s.masks {
		for _, g := range m.columns {
			if matchSegment(g.segments[0], schema) && matchSegment(g.segments[1], table) && matchSegment(g.segments[2], column) {
				return &m.rule
			}
		}
	}
	return nil
}
