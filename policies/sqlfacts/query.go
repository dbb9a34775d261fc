package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// outputs says what becomes of a query's output columns.
type outputs struct {
	kind outputKind
	// named: other parts of the statement may name them.
	named bool
	// where names the place for people, if outputs are uses.
	where string
	// columns and rel are the target of INSERT … SELECT, by position.
	columns []string
	rel     *Relation
}

type outputKind uint8

const (
	outTop    outputKind = iota // they go to the client, with their origin
	outSub                      // they flow on within the statement
	outInsert                   // they become columns of a target
)

// below are the outputs of a query inside another.
func below(where string) outputs { return outputs{where: where, kind: outSub} }

// source are the outputs of a query that other parts of the statement read by name.
func source(where string) outputs { return outputs{where: where, kind: outSub, named: true} }

// arm are the outputs of one side of a set operation.
func (o outputs) arm() outputs {
	if o.kind == outTop {
		return below("a set operation")
	}
	return o
}

func (w *walker) selectStmt(s *pg.SelectStmt, c ctx, out outputs) {
	if s == nil || !w.enter() {
		return
	}
	defer w.leave()
	w.evaluates = true
	if s.GetIntoClause() != nil && s.GetIntoClause() != w.into {
		w.unknown("SELECT INTO inside another statement is not understood")
	}
	c.scope = w.with(s.GetWithClause(), c)
	c.level, c.output = w.newLevel(), false
	from := len(w.items)
	switch {
	case s.GetOp() != pg.SetOperation_SETOP_NONE && s.GetOp() != pg.SetOperation_SET_OPERATION_UNDEFINED:
		w.derived.any = w.derived.any || out.named // columns go by the names of the first
		w.selectStmt(s.GetLarg(), c, out.arm())
		w.selectStmt(s.GetRarg(), c, out.arm())
	case len(s.GetValuesLists()) > 0:
		w.values(s.GetValuesLists(), c, out)
	default:
		w.fromList(s.GetFromClause(), c)
		w.targetList(s, c, out)
		w.condition(s.GetWhereClause(), c, "WHERE")
		w.expressions(s.GetGroupClause(), c, "GROUP BY")
		w.condition(s.GetHavingClause(), c, "HAVING")
		w.expressions(s.GetWindowClause(), c, "a window")
		if !isPlainDistinct(s.GetDistinctClause()) {
			w.expressions(s.GetDistinctClause(), c, "DISTINCT ON")
		}
	}
	w.expressions(s.GetSortClause(), c, "ORDER BY")
	limit := c
	limit.group, limit.where = groupNone, "LIMIT"
	w.node(s.GetLimitOffset(), limit)
	w.node(s.GetLimitCount(), limit)
	w.locking(s.GetLockingClause(), c, from)
}

// isPlainDistinct tells DISTINCT, a list of one empty node, from DISTINCT ON.
func isPlainDistinct(list []*pg.Node) bool { return len(list) == 1 && list[0].GetNode() == nil }

// expressions walks a list whose members stand for themselves: each is a place where columns and constants meet.
func (w *walker) expressions(list []*pg.Node, c ctx, where string) {
	for _, n := range list {
		e := c
		e.where = where
		e.group = w.newGroup(c.group, false)
		w.node(n, e)
	}
}

// condition walks a predicate, each conjunct for itself.
func (w *walker) condition(n *pg.Node, c ctx, where string) {
	if n.GetNode() == nil {
		return
	}
	c.where = where
	w.conjunct(n, c)
}

func (w *walker) conjunct(n *pg.Node, c ctx) {
	if !w.enter() {
		return
	}
	defer w.leave()
	if b := n.GetBoolExpr(); b != nil {
		for _, arg := range b.GetArgs() {
			w.conjunct(arg, c)
		}
		return
	}
	c.group = w.newGroup(c.group, false)
	w.node(n, c)
}

// targetList walks output columns.
func (w *walker) targetList(s *pg.SelectStmt, c ctx, out outputs) {
	list := s.GetTargetList()
	var used usedOutputs
	if out.kind == outTop {
		used = usedBy(s)
	}
	w.outputList(list, c, out, used)
}

func (w *walker) outputList(list []*pg.Node, c ctx, out outputs, used usedOutputs) {
	if len(list) == 0 {
		return
	}
	if out.named {
		w.derived.add(list)
	}
	all := int32(groupAll)
	if out.kind != outTop {
		all = w.newGroup(c.group, true)
	}
	for i, n := range list {
		rt := n.GetResTarget()
		if rt == nil {
			w.unknownNode(n)
			continue
		}
		e := c
		cr := rt.GetVal().GetColumnRef()
		switch out.kind {
		case outTop:
			e.group = w.newGroup(unplaced, false)
			e.where = "an expression"
			isUsed := used.output(i, rt)
			switch {
			case isUsed:
				e.where = used.where
			case w.explained: // widths are those of the values
				isUsed, e.where = true, "EXPLAIN"
			}
			// Only a call that is the whole column: what stands around one could tell of its result by an error, by
			// NULL, by the number of rows, or by what it changes.
			e.output = !isUsed && rt.GetVal().GetFuncCall() != nil
			if cr != nil {
				w.columnRef(cr, e, !isUsed)
				continue
			}
		case outSub:
			e.group, e.where = all, out.where
		case outInsert:
			e.group, e.where = w.insertGroup(out, i, isStar(list[:i+1])), out.where
		}
		w.node(rt.GetVal(), e)
	}
}

// isStar says whether a list of outputs has one that stands for several.
func isStar(list []*pg.Node) bool {
	for _, n := range list {
		if isStarred(n.GetResTarget().GetVal()) {
			return true
		}
	}
	return false
}

// isStarred says whether an expression may stand for several columns, or for none.
func isStarred(n *pg.Node) bool {
	if n.GetAIndirection() != nil {
		return true
	}
	for _, f := range n.GetColumnRef().GetFields() {
		if f.GetAStar() != nil {
			return true
		}
	}
	return false
}

// insertGroup is where the value of the i-th target column of an INSERT meets that column.
func (w *walker) insertGroup(out outputs, i int, unsure bool) int32 {
	if unsure || i >= len(out.columns) || out.rel == nil {
		return groupAll
	}
	g := w.newGroup(unplaced, false)
	w.assigned(g, out.rel, out.columns[i])
	return g
}

// assigned adds the column that a group's value goes to.
func (w *walker) assigned(g int32, rel *Relation, column string) {
	if rel == nil || rel.Column(column) == nil {
		return
	}
	u := ColumnUse{Relation: rel, Column: column, Where: "an assigned value"}
	w.groups[g].columns = appendUse(w.groups[g].columns, u)
	w.targets = appendUse(w.targets, u)
}

// values walks VALUES; in an INSERT all cells of a column meet that column.
func (w *walker) values(lists []*pg.Node, c ctx, out outputs) {
	c.where = "VALUES"
	w.derived.any = w.derived.any || out.named
	var columns []int32
	for _, row := range lists {
		for i, n := range row.GetList().GetItems() {
			e := c
			switch out.kind {
			case outInsert:
				if i >= len(columns) {
					columns = append(columns, w.insertGroup(out, i, false))
				}
				e.group = columns[i]
			case outTop:
				e.group = w.newGroup(unplaced, false)
			case outSub:
				e.group = w.newGroup(c.group, true)
			}
			w.node(n, e)
		}
	}
}

// with walks common table expressions and returns the scope in which they are seen. Without RECURSIVE each sees only
// those before it (PostgreSQL, "WITH Queries").
func (w *walker) with(wc *pg.WithClause, c ctx) *scope {
	if wc == nil {
		return c.scope
	}
	seen := c.scope
	if wc.GetRecursive() {
		for _, n := range wc.GetCtes() {
			seen = &scope{n.GetCommonTableExpr().GetCtename(), seen}
		}
	}
	for _, n := range wc.GetCtes() {
		cte := n.GetCommonTableExpr()
		if w.ctes++; cte == nil || w.ctes > maxItems {
			w.fail(&Error{Code: "54001", Message: "the statement has too many common table expressions"})
			return seen
		}
		w.aliases = append(w.aliases, cte.GetCtename())
		e := ctx{scope: seen, level: c.level, hidden: c.hidden, where: "a common table expression", group: groupAll}
		w.derived.any = w.derived.any || len(cte.GetAliascolnames()) > 0 || cte.GetSearchClause() != nil || cte.GetCycleClause() != nil
		w.query(cte.GetCtequery(), e, source(e.where))
		w.node(cte.GetCycleClause().GetCycleMarkValue(), e)
		w.node(cte.GetCycleClause().GetCycleMarkDefault(), e)
		if !wc.GetRecursive() {
			seen = &scope{cte.GetCtename(), seen}
		}
	}
	return seen
}

// query walks a statement that may stand inside another.
func (w *walker) query(n *pg.Node, c ctx, out outputs) {
	switch q := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		w.selectStmt(q.SelectStmt, c, out)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		w.change(n, c, out)
	default:
		w.unknownNode(n)
	}
}
