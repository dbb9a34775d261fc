package sqlfacts

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// change walks INSERT, UPDATE, DELETE and MERGE.
func (w *walker) change(n *pg.Node, c ctx, out outputs) {
	if !w.enter() {
		return
	}
	defer w.leave()
	w.evaluates = true
	first := len(w.pairs)
	outer := c
	c.level, c.output, c.group = w.newLevel(), false, groupNone
	var command string
	switch x := n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		command = "INSERT"
		w.insert(x.InsertStmt, c, out)
	case *pg.Node_UpdateStmt:
		command = "UPDATE"
		w.update(x.UpdateStmt, c, out)
	case *pg.Node_DeleteStmt:
		command = "DELETE"
		w.remove(x.DeleteStmt, c, out)
	case *pg.Node_MergeStmt:
		command = "MERGE"
		w.merge(x.MergeStmt, c, out)
	}
	if out.kind == outTop && outer.level == 0 {
		return
	}
	w.st.Also = append(w.st.Also, policies.Operation{Command: command, Pairs: changes(w.pairs[first:])})
}

// changes are the pairs that are no reading.
func changes(pairs []policies.Pair) []policies.Pair {
	var list []policies.Pair
	for _, p := range pairs {
		if p.Effect != policyv1.Effect_READ {
			list = append(list, p)
		}
	}
	return sortPairs(list)
}

// begin registers the target and walks WITH, which does not see it.
func (w *walker) begin(rv *pg.RangeVar, wc *pg.WithClause, c *ctx, touch Touch, effect policyv1.Effect) int {
	t := w.target(rv, *c, touch)
	if w.err != nil {
		return t
	}
	if effect != policyv1.Effect_EFFECT_UNSPECIFIED {
		w.pair(effect, w.items[t].object)
	}
	unseen := *c
	unseen.hidden = hide(t)
	c.scope = w.with(wc, unseen)
	return t
}

func hide(i int) int32 { return int32(i + 1) } //nolint:gosec // at most maxItems

func (w *walker) insert(s *pg.InsertStmt, c ctx, out outputs) {
	t := w.begin(s.GetRelation(), s.GetWithClause(), &c, TouchInsert, policyv1.Effect_INSERT)
	if w.err != nil {
		return
	}
	rel := w.items[t].rel
	source := outputs{kind: outInsert, where: "INSERT … SELECT", rel: rel}
	for _, n := range s.GetCols() {
		source.columns = append(source.columns, n.GetResTarget().GetName())
		w.subscripts(n.GetResTarget().GetIndirection(), c)
	}
	if len(s.GetCols()) == 0 && rel != nil {
		for i := range rel.Columns {
			source.columns = append(source.columns, rel.Columns[i].Name)
		}
	}
	for _, column := range source.columns {
		w.assigned(groupAll, rel, column)
	}
	if n := s.GetSelectStmt(); n.GetNode() != nil {
		unseen := c
		unseen.hidden = hide(t)
		w.query(n, unseen, source)
	}
	w.onConflict(s.GetOnConflictClause(), c, t)
	w.returning(s.GetReturningList(), c, out)
}

func (w *walker) onConflict(oc *pg.OnConflictClause, c ctx, t int) {
	if oc == nil {
		return
	}
	c.where = "ON CONFLICT"
	for _, n := range oc.GetInfer().GetIndexElems() {
		w.indexElem(n.GetIndexElem(), c)
	}
	w.condition(oc.GetInfer().GetWhereClause(), c, c.where)
	if oc.GetAction() != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	w.items[t].touch |= TouchUpdate
	w.pair(policyv1.Effect_UPDATE, w.items[t].object)
	w.assignments(oc.GetTargetList(), c, w.items[t].rel)
	w.condition(oc.GetWhereClause(), c, c.where)
}

func (w *walker) update(s *pg.UpdateStmt, c ctx, out outputs) {
	t := w.begin(s.GetRelation(), s.GetWithClause(), &c, TouchUpdate|TouchRead, policyv1.Effect_UPDATE)
	if w.err != nil {
		return
	}
	w.protectSettings(t)
	w.fromList(s.GetFromClause(), c)
	w.assignments(s.GetTargetList(), c, w.items[t].rel)
	w.condition(s.GetWhereClause(), c, "WHERE")
	w.returning(s.GetReturningList(), c, out)
}

func (w *walker) remove(s *pg.DeleteStmt, c ctx, out outputs) {
	w.begin(s.GetRelation(), s.GetWithClause(), &c, TouchDelete|TouchRead, policyv1.Effect_DELETE)
	w.fromList(s.GetUsingClause(), c)
	w.condition(s.GetWhereClause(), c, "WHERE")
	w.returning(s.GetReturningList(), c, out)
}

func (w *walker) merge(s *pg.MergeStmt, c ctx, out outputs) {
	t := w.begin(s.GetRelation(), s.GetWithClause(), &c, TouchRead, policyv1.Effect_READ)
	if w.err != nil {
		return
	}
	w.items[t].read = true
	w.from(s.GetSourceRelation(), c)
	w.condition(s.GetJoinCondition(), c, "MERGE … ON")
	for _, n := range s.GetMergeWhenClauses() {
		if w.err != nil {
			return
		}
		when := n.GetMergeWhenClause()
		w.condition(when.GetCondition(), c, "MERGE … WHEN")
		it := &w.items[t]
		switch when.GetCommandType() {
		case pg.CmdType_CMD_INSERT:
			it.touch |= TouchInsert
			w.pair(policyv1.Effect_INSERT, it.object)
			w.mergeInsert(when, c, it.rel)
		case pg.CmdType_CMD_UPDATE:
			it.touch |= TouchUpdate
			w.pair(policyv1.Effect_UPDATE, it.object)
			w.protectSettings(t)
			w.assignments(when.GetTargetList(), c, it.rel)
		case pg.CmdType_CMD_DELETE:
			it.touch |= TouchDelete
			w.pair(policyv1.Effect_DELETE, it.object)
		case pg.CmdType_CMD_NOTHING:
		default:
			w.unknown("a branch of MERGE is not understood")
		}
	}
	w.returning(s.GetReturningList(), c, out)
}

func (w *walker) mergeInsert(when *pg.MergeWhenClause, c ctx, rel *Relation) {
	out := outputs{kind: outInsert, rel: rel}
	for _, n := range when.GetTargetList() {
		out.columns = append(out.columns, n.GetResTarget().GetName())
		w.subscripts(n.GetResTarget().GetIndirection(), c)
	}
	if len(when.GetTargetList()) == 0 && rel != nil {
		for i := range rel.Columns {
			out.columns = append(out.columns, rel.Columns[i].Name)
		}
	}
	for _, column := range out.columns {
		w.assigned(groupAll, rel, column)
	}
	for i, n := range when.GetValues() {
		e := c
		e.where = "VALUES"
		e.group = w.insertGroup(out, i, false)
		w.node(n, e)
	}
}

// assignments walks SET.
func (w *walker) assignments(list []*pg.Node, c ctx, rel *Relation) {
	for _, n := range list {
		rt := n.GetResTarget()
		e := c
		e.where = "SET"
		e.group = w.newGroup(unplaced, false)
		w.assigned(e.group, rel, rt.GetName())
		w.subscripts(rt.GetIndirection(), e)
		multi := rt.GetVal().GetMultiAssignRef()
		if multi == nil {
			w.node(rt.GetVal(), e)
			continue
		}
		// Every member of SET (a, b) = source carries the whole source.
		if value := memberValue(multi); value != nil {
			w.node(value, e)
			continue
		}
		if multi.GetColno() == 1 {
			e.group = groupAll
			w.node(multi.GetSource(), e)
		}
	}
}

// memberValue is the part of SET (a, b) = ROW (…) that one member gets; nil if that is not known: of a subquery, and of a row
// in which something stands for any number of columns, or for none.
func memberValue(multi *pg.MultiAssignRef) *pg.Node {
	args := multi.GetSource().GetRowExpr().GetArgs()
	i := int(multi.GetColno()) - 1
	if len(args) != int(multi.GetNcolumns()) || i < 0 || i >= len(args) || slices.ContainsFunc(args, isStarred) {
		return nil
	}
	return args[i]
}

func (w *walker) returning(list []*pg.Node, c ctx, out outputs) {
	if out.kind == outInsert {
		out = below(out.where)
	}
	c.where = "RETURNING"
	w.outputList(list, c, out, usedOutputs{})
}

// subscripts walks what stands behind a target column's name.
func (w *walker) subscripts(list []*pg.Node, c ctx) {
	if len(list) > 0 {
		c.where = "a subscript"
		c.group = groupAll
		w.nodes(list, c)
	}
}

// protectSettings refuses UPDATE of pg_settings, which is SET by another name.
func (w *walker) protectSettings(t int) {
	if it := w.items[t]; it.rel != nil && it.rel.Schema == catalogSchema && it.rel.Name == "pg_settings" {
		w.unknown("UPDATE of pg_settings is not understood: use SET")
	}
}
