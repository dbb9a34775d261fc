package masking

import (
	"math"
	"sync"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// unproven hides what has no single origin: computed columns of statements that call what is not known to be pure,
// and columns of relations that the catalog does not know.
var unproven = policies.MaskRule{Name: "unproven", Text: policies.DefaultMaskText}

// View is how one principal sees one database. It is safe for concurrent use and lives as long as its policy and
// catalog snapshot.
type View struct {
	masks   policies.MaskSet
	catalog sqlfacts.Catalog
	search  searches
	// hidesColumns: a mask hides columns in whole.
	hidesColumns bool

	mu      sync.RWMutex
	rules   map[uint32]*relationRules
	finders map[searchSet]*finder
}

// relationRules are the masks of one relation's columns.
type relationRules struct {
	byNumber map[int16]*policies.MaskRule
	// whole hides every column: a view over something masked.
	whole *policies.MaskRule
	// searched are the narrow searches of a column; searchedAny those of any.
	searched    map[int16]searchSet
	searchedAny searchSet
}

// any is the mask of the whole, or of the first column that has one, nil if there is none.
func (r *relationRules) any() *policies.MaskRule {
	if r.whole != nil {
		return r.whole
	}
	var found *policies.MaskRule
	first := int16(math.MaxInt16)
	for number, m := range r.byNumber {
		if number <= first {
			first, found = number, m
		}
	}
	return found
}

// NewView lays masks over a catalog.
func NewView(masks policies.MaskSet, catalog sqlfacts.Catalog) *View {
	return &View{
		masks: masks, catalog: catalog, search: newSearches(masks), hidesColumns: masks.HidesColumns(),
		rules: map[uint32]*relationRules{}, finders: map[searchSet]*finder{},
	}
}

// Empty reports whether the view hides no column in whole: nothing is refused or withheld for its sake. It may search
// texts all the same.
func (v *View) Empty() bool { return !v.hidesColumns }

// Passes reports whether the view hides nothing and searches nothing.
func (v *View) Passes() bool { return v.masks.Empty() }

// Catalog is the snapshot that the view was laid over.
func (v *View) Catalog() sqlfacts.Catalog { return v.catalog }

// Column returns the mask of a column, nil if it is in clear. "*" means any column of the relation.
func (v *View) Column(rel *sqlfacts.Relation, column string) *policies.MaskRule {
	rules := v.relation(rel)
	if column == "*" {
		return rules.any()
	}
	if rules.whole != nil {
		return rules.whole
	}
	c := rel.Column(column)
	if c == nil {
		return v.named(rel, column) // it may be newer than the catalog
	}
	return rules.byNumber[c.Number]
}

// relation works out the masks of a relation's columns: its own, those of the relations that it shares rows with by
// inheritance, and, for a view, whether anything that it reads is masked.
func (v *View) relation(rel *sqlfacts.Relation) *relationRules {
	v.mu.RLock()
	rules := v.rules[rel.OID]
	v.mu.RUnlock()
	if rules != nil {
		return rules
	}
	rules = &relationRules{byNumber: map[int16]*policies.MaskRule{}}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if m := v.columnRule(rel, c); m != nil {
			rules.byNumber[c.Number] = m
		} else if showsOptions(rel, c.Name) {
			rules.byNumber[c.Number] = &unproven
		}
	}
	rules.whole = v.reads(rel)
	if showsStatistics(rel) {
		rules.whole = &unproven
	}
	v.searchRelation(rel, rules)
	v.mu.Lock()
	v.rules[rel.OID] = rules
	v.mu.Unlock()
	return rules
}

// showsStatistics reports whether a relation shows values of any column, as the planner's statistics do (PostgreSQL,
// pg_statistic). A rule may name it; where anything is masked, it is masked in whole.
func showsStatistics(rel *sqlfacts.Relation) bool {
	if rel.Schema != "pg_catalog" {
		return false
	}
	switch rel.Name {
	case "pg_statistic", "pg_statistic_ext_data", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs":
		return true
	}
	return false
}

// showsOptions reports whether a column of a catalog shows what somebody wrote into options or settings, passwords among
// it. Where anything is masked, it is masked.
func showsOptions(rel *sqlfacts.Relation, column string) bool {
	if rel.Schema != "pg_catalog" {
		return false
	}
	switch column {
	case "rolconfig", "useconfig", "setconfig", "rolpassword", "passwd", "attfdwoptions", "ftoptions",
		"srvoptions", "fdwoptions", "umoptions", "subconninfo":
		return true
	}
	return false
}

// columnRule finds the mask of a column, by its names, or by what it is worked out from: then nothing of it is kept, as
// what is harmless of one value may not be of another.
func (v *View) columnRule(rel *sqlfacts.Relation, c *sqlfacts.Column) *policies.MaskRule {
	if m := v.named(rel, c.Name); m != nil {
		return m
	}
	for _, name := range c.Former {
		if m := v.named(rel, name); m != nil {
			return m
		}
	}
	for _, number := range c.From {
		if base := rel.ColumnByNumber(number); base != nil && number != c.Number {
			if m := v.columnRule(rel, base); m != nil {
				return &policies.MaskRule{Name: m.Name, Text: policies.DefaultMaskText}
			}
		}
	}
	for _, name := range c.FromFormer {
		if m := v.named(rel, name); m != nil {
			return &policies.MaskRule{Name: m.Name, Text: policies.DefaultMaskText}
		}
	}
	return nil
}

// named finds the mask of a column by a name in the relation, its parents and its children, whatever they are or were
// called: a row of a child shows through its parents, and a parent's column is the child's too.
func (v *View) named(rel *sqlfacts.Relation, column string) *policies.MaskRule {
	if m := v.called(rel, column); m != nil {
		return m
	}
	for _, name := range rel.FormerKin {
		if m := v.masks.Column(name.Schema, name.Name, column); m != nil {
			return m
		}
	}
	for _, kin := range [][]uint32{rel.Parents, rel.Children} {
		for _, oid := range kin {
			other, err := v.catalog.RelationByOID(oid)
			if err != nil || other == nil {
				return &unproven
			}
			c := other.Column(column)
			if c == nil {
				continue
			}
			for _, name := range append([]string{column}, c.Former...) {
				if m := v.called(other, name); m != nil {
					return m
				}
			}
		}
	}
	return nil
}

// called finds the mask of a column by a name in the relation alone, by any name that this has or had.
func (v *View) called(rel *sqlfacts.Relation, column string) *policies.MaskRule {
	if m := v.masks.Column(rel.Schema, rel.Name, column); m != nil {
		return m
	}
	for _, name := range rel.Former {
		if m := v.masks.Column(name.Schema, name.Name, column); m != nil {
			return m
		}
	}
	return nil
}

// reads reports the mask of a column that a view's body depends on. Such a view is masked in whole, and nothing of any
// column is kept: which of them shows the masked one is not known, and a part that is harmless of one may not be of it.
func (v *View) reads(rel *sqlfacts.Relation) *policies.MaskRule {
	for _, id := range rel.Reads {
		base, err := v.catalog.RelationByOID(id.Relation)
		if err != nil || base == nil {
			return &unproven
		}
		for i := range base.Columns {
			c := &base.Columns[i]
			if id.Number != 0 && c.Number != id.Number {
				continue
			}
			if m := v.columnRule(base, c); m != nil {
				return &policies.MaskRule{Name: m.Name, Text: policies.DefaultMaskText}
			}
		}
	}
	return nil
}
