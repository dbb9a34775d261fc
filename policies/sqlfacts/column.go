package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// reference is a column's name where it stands, not yet resolved.
type reference struct {
	qualifier, name string
	star            bool
	// direct: a plain output column of the top level, which is no use.
	direct bool
	level  int32
	group  int32
	hidden int32
	where  string
}

func (w *walker) columnRef(cr *pg.ColumnRef, c ctx, direct bool) {
	fields := cr.GetFields()
	r := reference{level: c.level, group: c.group, hidden: c.hidden, where: c.where, direct: direct}
	for i, f := range fields {
		switch {
		case f.GetAStar() != nil:
			r.star = true
		case i < len(fields)-1:
			r.qualifier = f.GetString_().GetSval()
		default:
			r.name = f.GetString_().GetSval()
		}
	}
	w.refs = append(w.refs, r)
}

// bareName records names that stand as strings: index columns, constraints' keys.
func (w *walker) bareName(name string, c ctx) {
	if name != "" {
		w.refs = append(w.refs, reference{name: name, level: c.level, group: c.group, hidden: c.hidden, where: c.where})
	}
}

// match is what a reference may mean. An empty column is one that only counts as reading the relation.
type match struct {
	rel    *Relation
	column string
}

type resolver struct {
	w        *walker
	distinct []distinct
	memo     map[memoKey][]match
	uses     map[match]struct{}
	derived  map[string]struct{} // names of what is derived, once they are needed
	// marked are the calls of markRead, if there are many.
	marked map[marked]struct{}
}

type marked struct {
	rel    *Relation
	hidden int
}

// distinct is a relation with where it is first named, and whether it is named at other places, too.
type distinct struct {
	rel   *Relation
	first int
	again bool
}

type memoKey struct {
	qualifier, name string
	star            bool
	level, hidden   int32
}

// columns resolves all references: uses, what targets read, what groups hold.
func (w *walker) columns() {
	r := resolver{w: w}
	for i := range w.items {
		if rel := w.items[i].rel; rel != nil {
			r.add(rel, i)
		}
	}
	for _, f := range w.fixed {
		if rel := w.items[f.item].rel; rel != nil {
			r.used(match{rel, f.column}, f.where, f.group)
			r.markRead(rel, -1)
		}
	}
	for _, u := range w.further {
		r.used(match{u.Relation, u.Column}, u.Where, groupNone)
	}
	if len(w.refs) > 32 {
		r.memo = make(map[memoKey][]match)
		r.marked = make(map[marked]struct{})
	}
	for i := range w.refs {
		ref := &w.refs[i]
		if w.err != nil {
			return
		}
		if r.flows(ref) {
			w.flow(ref.group)
		}
		for _, m := range r.resolve(ref) {
			r.markRead(m.rel, int(ref.hidden)-1)
			// A plain output column is no use, but a whole row in its place is: PostgreSQL gives that no origin.
			if m.column == "" || (ref.direct && (ref.star || m.column != "*")) {
				continue
			}
			r.used(m, ref.where, ref.group)
		}
	}
}

func (r *resolver) add(rel *Relation, i int) {
	for j := range r.distinct {
		if r.distinct[j].rel == rel {
			r.distinct[j].again = true
			return
		}
	}
	r.distinct = append(r.distinct, distinct{rel: rel, first: i})
}

// markRead marks the targets that are this relation as read, but for the hidden one.
func (r *resolver) markRead(rel *Relation, hidden int) {
	if key := (marked{rel, hidden}); r.marked != nil {
		if _, ok := r.marked[key]; ok {
			return
		}
		r.marked[key] = struct{}{}
	}
	r.w.spend(len(r.w.items))
	for i := range r.w.items {
		if it := &r.w.items[i]; it.target && !it.read && it.rel == rel && i != hidden {
			it.read = true
		}
	}
}

func (r *resolver) used(m match, where string, g int32) {
	u := ColumnUse{Relation: m.rel, Column: m.column, Where: where}
	for ; g > groupNone; g = r.w.groups[g].parent {
		r.w.spend(1 + len(r.w.groups[g].columns))
		r.w.groups[g].columns = appendUse(r.w.groups[g].columns, u)
	}
	if r.uses == nil {
		r.uses = make(map[match]struct{}, 8)
	}
	if _, ok := r.uses[m]; !ok {
		r.uses[m] = struct{}{}
		r.w.st.Uses = append(r.w.st.Uses, u)
	}
}

func appendUse(list []ColumnUse, u ColumnUse) []ColumnUse {
	for i := range list {
		if list[i].Relation == u.Relation && list[i].Column == u.Column {
			return list
		}
	}
	return append(list, u)
}

func (r *resolver) resolve(ref *reference) []match {
	if r.memo == nil {
		return r.find(ref)
	}
	key := memoKey{ref.qualifier, ref.name, ref.star, 0, ref.hidden}
	if ref.star && ref.qualifier == "" {
		key.level = ref.level
	}
	matches, ok := r.memo[key]
	if !ok {
		matches = r.find(ref)
		r.memo[key] = matches
	}
	return matches
}

func (r *resolver) find(ref *reference) []match {
	r.w.spend(len(r.w.items) + len(r.w.joins))
	switch {
	case ref.star && ref.qualifier == "":
		var matches []match
		for i := range r.w.items {
			if it := &r.w.items[i]; it.level == ref.level && it.rel != nil {
				matches = appendMatch(matches, match{it.rel, "*"})
			}
		}
		return matches
	case ref.qualifier == "":
		return r.bare(ref)
	default:
		return r.qualified(ref)
	}
}

// appendMatch is bounded by the relations of a statement.
func appendMatch(list []match, m match) []match {
	for _, known := range list {
		if known == m {
			return list
		}
	}
	return append(list, m)
}

// byName finds every relation that has a column of that name.
func (r *resolver) byName(name string, hidden int32) []match {
	var matches []match
	for _, d := range r.distinct {
		if !d.again && d.first == int(hidden)-1 {
			continue
		}
		if d.rel.Column(name) != nil {
			matches = append(matches, match{d.rel, name})
		} else if isSystemColumn(name) {
			matches = append(matches, match{d.rel, ""})
		}
	}
	return matches
}

// bare resolves a lone name: a column, or else a row by its relation's alias.
func (r *resolver) bare(ref *reference) []match {
	matches := r.byName(ref.name, ref.hidden)
	for i := range r.w.items {
		it := &r.w.items[i]
		if it.rel == nil || i == int(ref.hidden)-1 {
			continue
		}
		row := it.alias == ref.name || (it.target && isPseudoRow(ref.name))
		if row && it.rel.Column(ref.name) == nil {
			matches = appendMatch(matches, match{it.rel, "*"})
		}
	}
	for _, j := range r.w.joins {
		if j.alias == ref.name {
			matches = r.rows(matches, j)
		}
	}
	return matches
}

// qualified resolves alias.name and alias.*. Where alias has no such column, PostgreSQL reads name(alias).
func (r *resolver) qualified(ref *reference) []match {
	var (
		matches, rows    []match
		found, isColumn  bool
		name, pseudoRows = ref.name, isPseudoRow(ref.qualifier)
	)
	for i := range r.w.items {
		it := &r.w.items[i]
		if i == int(ref.hidden)-1 || (it.alias != ref.qualifier && (!it.target || !pseudoRows)) {
			continue
		}
		found = true
		switch {
		case it.rel == nil:
		case ref.star:
			matches = appendMatch(matches, match{it.rel, "*"})
		case it.rel.Column(name) != nil:
			isColumn = true
			matches = appendMatch(matches, match{it.rel, name})
		case isSystemColumn(name):
			isColumn = true
			matches = appendMatch(matches, match{it.rel, ""})
		default:
			rows = appendMatch(rows, match{it.rel, "*"})
		}
	}
	for _, j := range r.w.joins {
		if j.alias != ref.qualifier {
			continue
		}
		found = true
		if ref.star {
			matches = r.rows(matches, j)
			continue
		}
		columns := r.byName(name, ref.hidden)
		for _, m := range columns {
			matches = appendMatch(matches, m)
		}
		if len(columns) == 0 {
			rows = r.rows(rows, j)
		}
	}
	if !found {
		matches = r.elsewhere(ref)
	}
	if ref.star || (isColumn && len(rows) == 0) {
		return matches
	}
	if r.w.notation(name) || !isColumn {
		for _, m := range rows {
			matches = appendMatch(matches, m)
		}
	}
	return matches
}

// elsewhere resolves what is qualified by no relation's alias: subqueries and the like, whose outputs are uses
// already.
func (r *resolver) elsewhere(ref *reference) []match {
	if !ref.star {
		return r.byName(ref.name, ref.hidden)
	}
	for _, a := range r.w.aliases {
		if a == ref.qualifier {
			return nil
		}
	}
	var matches []match
	for _, d := range r.distinct {
		matches = appendMatch(matches, match{d.rel, "*"})
	}
	return matches
}

func (r *resolver) rows(matches []match, j joinAlias) []match {
	for i := j.from; i < j.to; i++ {
		if rel := r.w.items[i].rel; rel != nil {
			matches = appendMatch(matches, match{rel, "*"})
		}
	}
	return matches
}

// isPseudoRow names the rows of RETURNING and ON CONFLICT (PostgreSQL, INSERT).
func isPseudoRow(name string) bool { return name == "old" || name == "new" || name == "excluded" }

// isSystemColumn names what every table has (PostgreSQL, "System Columns"); none holds what a column holds.
func isSystemColumn(name string) bool {
	switch name {
	case "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid":
		return true
	}
	return false
}
