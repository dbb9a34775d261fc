package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// derived says by which names columns of subqueries, functions and common table expressions go that are not called like
// what they come from. A constant that meets such a name meets what is behind it: all that the statement uses, as it is not
// known what that is.
type derived struct {
	// any name may be one: of functions, of set operations, of lists of column aliases, or made up.
	any   bool
	names map[string]struct{}
}

// add takes the outputs of a query that others may name.
func (d *derived) add(list []*pg.Node) {
	for _, n := range list {
		rt := n.GetResTarget()
		switch named := columnName(rt.GetVal()); {
		case rt.GetName() != "" && rt.GetName() != named:
			if d.names == nil {
				d.names = make(map[string]struct{}, 4)
			}
			d.names[rt.GetName()] = struct{}{}
		case named == "":
			d.any = true
		}
	}
}

// columnName is what an output is called by the column that it is; empty if it is none. A star has the names of what it
// stands for.
func columnName(n *pg.Node) string {
	if cast := n.GetTypeCast(); cast != nil {
		return columnName(cast.GetArg())
	}
	f := n.GetColumnRef().GetFields()
	switch {
	case len(f) == 0:
		return ""
	case f[len(f)-1].GetAStar() != nil:
		return "*"
	}
	return f[len(f)-1].GetString_().GetSval()
}

// listed notes a list of column aliases.
func (d *derived) listed(a *pg.Alias) { d.any = d.any || len(a.GetColnames()) > 0 }

// flows reports whether a reference may mean a column of something derived that goes by a name of its own, or a row of it.
func (r *resolver) flows(ref *reference) bool {
	d := &r.w.derived
	if !d.any && len(r.w.aliases) == 0 {
		return false
	}
	_, named := d.names[ref.name]
	switch {
	case ref.star && ref.qualifier == "", d.any:
		return true
	case ref.star:
		return r.isDerived(ref.qualifier)
	}
	return named || ref.qualifier == "" && r.isDerived(ref.name)
}

// isDerived reports whether a name is that of a subquery, a function or a common table expression.
func (r *resolver) isDerived(name string) bool {
	if r.derived == nil {
		r.derived = make(map[string]struct{}, len(r.w.aliases))
		for _, a := range r.w.aliases {
			r.derived[a] = struct{}{}
		}
	}
	_, ok := r.derived[name]
	return ok
}

// flow makes constants of a group, and of those around it, meet all that the statement uses.
func (w *walker) flow(g int32) {
	for ; g > groupNone && !w.groups[g].flows; g = w.groups[g].parent {
		w.spend(1)
		w.groups[g].all, w.groups[g].flows = true, true
	}
}
