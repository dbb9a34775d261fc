package masking

import (
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// searchSet is some of a view's searches: bit i for the one of index i.
type searchSet uint64

// lastSearch is the bit of all searches from there on: with more of them, each looks where any of them does.
const lastSearch = 63

// searches are the masks that look for secrets.
type searches struct {
	list []policies.Search
	// everywhere look into all columns, narrow into those that they name and what may be computed of them.
	everywhere, narrow searchSet
}

func newSearches(masks policies.MaskSet) searches {
	s := searches{list: masks.Searches()}
	for i, one := range s.list {
		if one.Everywhere() {
			s.everywhere |= bitOf(i)
		} else {
			s.narrow |= bitOf(i)
		}
	}
	return s
}

func bitOf(i int) searchSet { return 1 << min(i, lastSearch) }

// all are those that look into what has no known origin.
func (s *searches) all() searchSet { return s.everywhere | s.narrow }

// searchRelation works out which narrow searches look into a relation's columns, as relation does for masks.
func (v *View) searchRelation(rel *sqlfacts.Relation, rules *relationRules) {
	if v.search.narrow == 0 {
		return
	}
	rules.searchedAny = v.searchedBehind(rel)
	rules.searched = make(map[int16]searchSet, len(rel.Columns))
	behind := rules.searchedAny
	for i := range rel.Columns {
		c := &rel.Columns[i]
		set := behind | v.searchedKnown(rel, c)
		rules.searched[c.Number] = set
		rules.searchedAny |= set
	}
}

// searchedKnown finds the narrow searches of a column by its names, and of what it is worked out from.
func (v *View) searchedKnown(rel *sqlfacts.Relation, c *sqlfacts.Column) searchSet {
	set := v.searchedName(rel, c.Name)
	for _, names := range [][]string{c.Former, c.FromFormer} {
		for _, name := range names {
			set |= v.searchedName(rel, name)
		}
	}
	for _, number := range c.From {
		if base := rel.ColumnByNumber(number); base != nil && number != c.Number {
			set |= v.searchedName(rel, base.Name)
		}
	}
	return set
}

// searchedName finds the narrow searches of a column by its name in the relation, its parents and its children.
func (v *View) searchedName(rel *sqlfacts.Relation, column string) searchSet {
	set := v.searchedBy(rel, column)
	for _, kin := range [][]uint32{rel.Parents, rel.Children} {
		for _, oid := range kin {
			other, err := v.catalog.RelationByOID(oid)
			if err != nil || other == nil {
				return v.search.narrow
			}
			if other.Column(column) != nil {
				set |= v.searchedBy(other, column)
			}
		}
	}
	return set
}

func (v *View) searchedBy(rel *sqlfacts.Relation, column string) (set searchSet) {
	for i, s := range v.search.list {
		if s.Column(rel.Schema, rel.Name, column) {
			set |= bitOf(i)
			continue
		}
		for _, names := range [][]sqlfacts.Name{rel.Former, rel.FormerKin} {
			for _, name := range names {
				if s.Column(name.Schema, name.Name, column) {
					set |= bitOf(i)
				}
			}
		}
	}
	return set
}

// searchedBehind are the narrow searches of what a view's body depends on: any of its columns may show it.
func (v *View) searchedBehind(rel *sqlfacts.Relation) (set searchSet) {
	for _, id := range rel.Reads {
		base, err := v.catalog.RelationByOID(id.Relation)
		if err != nil || base == nil {
			return v.search.narrow
		}
		for i := range base.Columns {
			if c := &base.Columns[i]; id.Number == 0 || c.Number == id.Number {
				set |= v.searchedKnown(base, c)
			}
		}
	}
	return set
}

// searchedColumn are the searches that look into a column. "*" means any column of the relation.
func (v *View) searchedColumn(rel *sqlfacts.Relation, column string) searchSet {
	if v.search.narrow == 0 {
		return v.search.everywhere
	}
	rules := v.relation(rel)
	if column == "*" {
		return v.search.everywhere | rules.searchedAny
	}
	c := rel.Column(column)
	if c == nil {
		return v.search.all() // it may be newer than the catalog
	}
	return v.search.everywhere | rules.searched[c.Number]
}

// searchedIn are the searches that look into what statements compute: those of the columns that they use, and all
// where it is not known what is behind it.
func (v *View) searchedIn(statements []sqlfacts.Statement, unprovable bool) searchSet {
	if unprovable {
		return v.search.all()
	}
	set := v.search.everywhere
	if v.search.narrow == 0 {
		return set
	}
	for i := range statements {
		for _, u := range statements[i].Uses {
			if u.Relation != nil {
				set |= v.searchedColumn(u.Relation, u.Column)
			}
		}
	}
	return set
}

// searchedField are the searches that look into an output column; computed are those for what has no origin.
func (v *View) searchedField(f Field, computed searchSet) searchSet {
	if f.Relation == 0 {
		return computed
	}
	if v.search.narrow == 0 {
		return v.search.everywhere
	}
	rel, err := v.catalog.RelationByOID(f.Relation)
	if err != nil || rel == nil {
		return v.search.all()
	}
	if f.Number == 0 { // the whole row
		return v.searchedColumn(rel, "*")
	}
	c := rel.ColumnByNumber(f.Number)
	if c == nil {
		return v.search.all()
	}
	return v.searchedColumn(rel, c.Name)
}

// searches reports whether rows of a statement could have to be searched. COPY is planned apart from rows.
func (v *View) searches(s *sqlfacts.Statement) bool {
	if len(v.search.list) == 0 || !givesRows(s.Kind) {
		return false
	}
	if v.search.everywhere != 0 || len(s.Calls) > 0 || v.unknown(s) != "" {
		return true
	}
	for _, r := range s.Relations {
		if v.searchedColumn(r, "*") != 0 {
			return true
		}
	}
	return false
}

// givesRows reports whether a statement of a kind can answer with rows.
func givesRows(k sqlfacts.Kind) bool {
	switch k {
	case sqlfacts.Begin, sqlfacts.Commit, sqlfacts.Rollback, sqlfacts.Savepoint, sqlfacts.ReleaseSavepoint,
		sqlfacts.RollbackToSavepoint, sqlfacts.PrepareTransaction, sqlfacts.Prepare, sqlfacts.Deallocate,
		sqlfacts.DeclareCursor, sqlfacts.CloseCursor, sqlfacts.Discard, sqlfacts.Set, sqlfacts.CopyIn, sqlfacts.CopyOut:
		return false
	}
	return true
}
