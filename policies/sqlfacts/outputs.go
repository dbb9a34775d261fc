package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// usedOutputs says which output columns of a query are used by it as well: by DISTINCT, or by name or number in
// GROUP BY, ORDER BY and DISTINCT ON.
type usedOutputs struct {
	all     bool
	numbers map[int]bool
	names   map[string]bool
	where   string
}

func usedBy(s *pg.SelectStmt) usedOutputs {
	var u usedOutputs
	if len(s.GetDistinctClause()) > 0 {
		u.where = "DISTINCT"
		if isPlainDistinct(s.GetDistinctClause()) {
			u.all = true
			return u
		}
		u.add(s.GetDistinctClause())
	}
	if len(s.GetGroupClause()) > 0 {
		u.where = "GROUP BY"
		u.add(s.GetGroupClause())
	}
	if len(s.GetSortClause()) > 0 {
		u.where = "ORDER BY"
		u.add(s.GetSortClause())
	}
	// Numbers count columns after stars are expanded, which is not known here.
	if len(u.numbers) > 0 && isStar(s.GetTargetList()) {
		u.all = true
	}
	return u
}

func (u *usedOutputs) add(list []*pg.Node) {
	for _, n := range list {
		switch x := n.GetNode().(type) {
		case *pg.Node_SortBy:
			u.add([]*pg.Node{x.SortBy.GetNode()})
		case *pg.Node_GroupingSet:
			u.add(x.GroupingSet.GetContent())
		case *pg.Node_RowExpr:
			u.add(x.RowExpr.GetArgs())
		case *pg.Node_List:
			u.add(x.List.GetItems())
		case *pg.Node_AConst:
			if i := x.AConst.GetIval(); i != nil {
				if u.numbers == nil {
					u.numbers = make(map[int]bool, 4)
				}
				u.numbers[int(i.GetIval())] = true
			}
		case *pg.Node_ColumnRef:
			if f := x.ColumnRef.GetFields(); len(f) == 1 {
				if u.names == nil {
					u.names = make(map[string]bool, 4)
				}
				u.names[f[0].GetString_().GetSval()] = true
			}
		}
	}
}

// output says whether the i-th output column, counted from 0, is used. One whose name PostgreSQL makes up counts as
// used if any name is.
func (u *usedOutputs) output(i int, rt *pg.ResTarget) bool {
	switch {
	case u.all || u.numbers[i+1]:
		return true
	case len(u.names) == 0:
		return false
	case rt.GetName() != "":
		return u.names[rt.GetName()]
	case rt.GetVal().GetColumnRef() == nil:
		return true
	}
	f := rt.GetVal().GetColumnRef().GetFields()
	return u.names[f[len(f)-1].GetString_().GetSval()]
}
