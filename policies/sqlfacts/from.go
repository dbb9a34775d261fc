package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

func (w *walker) fromList(list []*pg.Node, c ctx) {
	for _, n := range list {
		w.from(n, c)
	}
}

// from walks one member of FROM and returns whether the columns of all that it holds are known.
func (w *walker) from(n *pg.Node, c ctx) bool {
	if !w.enter() {
		return false
	}
	defer w.leave()
	inner := c
	inner.group, inner.output = groupAll, false
	switch x := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		return w.fromRelation(x.RangeVar, c)
	case *pg.Node_JoinExpr:
		return w.join(x.JoinExpr, c)
	case *pg.Node_RangeSubselect:
		w.alias(x.RangeSubselect.GetAlias())
		inner.where = "a subquery"
		w.query(x.RangeSubselect.GetSubquery(), inner, source(inner.where))
	case *pg.Node_RangeFunction:
		w.derived.any = true
		w.alias(x.RangeFunction.GetAlias())
		inner.where = "a function in FROM"
		w.nodes(x.RangeFunction.GetFunctions(), inner)
		w.nodes(x.RangeFunction.GetColdeflist(), inner)
	case *pg.Node_RangeTableFunc:
		w.derived.any = true
		w.alias(x.RangeTableFunc.GetAlias())
		inner.where = "XMLTABLE"
		w.generic(x.RangeTableFunc.ProtoReflect(), inner)
	case *pg.Node_JsonTable:
		w.derived.any = true
		w.alias(x.JsonTable.GetAlias())
		inner.where = "JSON_TABLE"
		w.generic(x.JsonTable.ProtoReflect(), inner)
	case *pg.Node_RangeTableSample:
		inner.where = "TABLESAMPLE"
		w.sampleMethod(x.RangeTableSample.GetMethod())
		known := w.from(x.RangeTableSample.GetRelation(), c)
		w.nodes(x.RangeTableSample.GetArgs(), inner)
		w.node(x.RangeTableSample.GetRepeatable(), inner)
		return known
	default:
		w.unknownNode(n)
	}
	return false
}

func (w *walker) alias(a *pg.Alias) {
	w.derived.listed(a)
	if a != nil {
		w.aliases = append(w.aliases, a.GetAliasname())
	}
}

func (w *walker) fromRelation(rv *pg.RangeVar, c ctx) bool {
	if rv.GetSchemaname() == "" && c.scope.has(rv.GetRelname()) {
		w.alias(rv.GetAlias())
		return false
	}
	w.derived.listed(rv.GetAlias())
	i := w.read(rv, c)
	return w.err == nil && w.items[i].rel != nil && len(rv.GetAlias().GetColnames()) == 0
}

func (w *walker) join(j *pg.JoinExpr, c ctx) bool {
	start := len(w.items)
	left := w.from(j.GetLarg(), c)
	middle := len(w.items)
	right := w.from(j.GetRarg(), c)
	end := len(w.items)
	if w.err != nil {
		return false
	}
	if j.GetIsNatural() {
		w.ops = append(w.ops, "=")
		w.natural(start, middle, end, c.level, left && right)
	}
	if using := name(j.GetUsingClause()); len(using) > 0 {
		w.ops = append(w.ops, "=")
		for i := start; i < end; i++ {
			for _, column := range using {
				if rel := w.items[i].rel; rel != nil && w.items[i].level == c.level && rel.Column(column) != nil {
					w.use(i, column, "JOIN … USING")
				}
			}
		}
	}
	w.condition(j.GetQuals(), c, "JOIN")
	for _, a := range []*pg.Alias{j.GetAlias(), j.GetJoinUsingAlias()} {
		if a == nil {
			continue
		}
		w.derived.listed(a)
		w.joins = append(w.joins, joinAlias{a.GetAliasname(), start, end})
		if len(a.GetColnames()) > 0 {
			w.useRange(start, end, "a list of column aliases")
		}
	}
	return left && right && j.GetAlias() == nil
}

// natural finds the columns that NATURAL JOIN compares: those of the same name on both sides.
func (w *walker) natural(start, middle, end int, level int32, known bool) {
	for i := start; i < end; i++ {
		rel := w.items[i].rel
		if rel == nil || w.items[i].level != level {
			continue
		}
		if !known {
			w.use(i, "*", "NATURAL JOIN")
			continue
		}
		from, to := middle, end
		if i >= middle {
			from, to = start, middle
		}
		w.spend(len(rel.Columns))
		for k := range rel.Columns {
			at := itemColumn{i, k}
			if _, known := w.natures[at]; known || !w.hasColumn(from, to, level, rel.Columns[k].Name) {
				continue
			}
			if w.err != nil {
				return
			}
			if w.natures == nil {
				w.natures = map[itemColumn]struct{}{}
			}
			w.natures[at] = struct{}{}
			w.use(i, rel.Columns[k].Name, "NATURAL JOIN")
		}
	}
}

// itemColumn is a column, by its place, of an item of FROM: a chain of joins compares it again and again.
type itemColumn struct{ item, column int }

// hasColumn reports whether one of the items from and to has a column of that name.
func (w *walker) hasColumn(from, to int, level int32, name string) bool {
	for j := from; j < to; j++ {
		if other := w.items[j].rel; other != nil && w.items[j].level == level {
			w.spend(len(other.Columns))
			if other.Column(name) != nil {
				return true
			}
		}
	}
	return false
}

// locking walks FOR UPDATE and kin: LOCK on the relations named, or else on all that the query reads, subqueries
// included.
func (w *walker) locking(list []*pg.Node, c ctx, from int) {
	for _, n := range list {
		names := n.GetLockingClause().GetLockedRels()
		sure := len(names) > 0
		for _, l := range names {
			found := false
			for i := from; i < len(w.items); i++ {
				if w.items[i].level == c.level && w.items[i].alias == l.GetRangeVar().GetRelname() {
					w.pair(policyv1.Effect_LOCK, w.items[i].object)
					found = true
				}
			}
			sure = sure && found
		}
		if sure {
			continue
		}
		for i := from; i < len(w.items); i++ {
			w.pair(policyv1.Effect_LOCK, w.items[i].object)
		}
	}
}
