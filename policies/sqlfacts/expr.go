package sqlfacts

import (
	"fmt"
	"sort"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func (w *walker) nodes(list []*pg.Node, c ctx) {
	for _, n := range list {
		w.node(n, c)
	}
}

// node walks an expression, or a piece of a statement that holds expressions. A node that is not known makes the
// statement's effect unknown.
func (w *walker) node(n *pg.Node, c ctx) {
	if n.GetNode() == nil || !w.enter() {
		return
	}
	defer w.leave()
	w.evaluates = true
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		w.columnRef(x.ColumnRef, c, false)
	case *pg.Node_AConst:
		w.constant(x.AConst, c.group)
	case *pg.Node_ParamRef:
		w.parameter(x.ParamRef, c.group)
	case *pg.Node_AExpr:
		w.operator(x.AExpr)
		w.node(x.AExpr.GetLexpr(), c)
		w.node(x.AExpr.GetRexpr(), c)
	case *pg.Node_BoolExpr:
		w.nodes(x.BoolExpr.GetArgs(), c)
	case *pg.Node_FuncCall:
		w.funcCall(x.FuncCall, c)
	case *pg.Node_TypeCast:
		w.typeName(x.TypeCast.GetTypeName(), c)
		w.node(x.TypeCast.GetArg(), c)
	case *pg.Node_SubLink:
		w.subLink(x.SubLink, c)
	case *pg.Node_List:
		w.nodes(x.List.GetItems(), c)
	case *pg.Node_NullTest:
		w.node(x.NullTest.GetArg(), c)
	case *pg.Node_BooleanTest:
		w.node(x.BooleanTest.GetArg(), c)
	case *pg.Node_CaseExpr:
		if x.CaseExpr.GetArg().GetNode() != nil {
			w.ops = append(w.ops, "=")
		}
		w.node(x.CaseExpr.GetArg(), c)
		w.nodes(x.CaseExpr.GetArgs(), c)
		w.node(x.CaseExpr.GetDefresult(), c)
	case *pg.Node_CaseWhen:
		w.node(x.CaseWhen.GetExpr(), c)
		w.node(x.CaseWhen.GetResult(), c)
	case *pg.Node_SortBy:
		if op := x.SortBy.GetUseOp(); len(op) > 0 {
			w.operatorName(op)
		}
		w.node(x.SortBy.GetNode(), c)
	case *pg.Node_SelectStmt:
		w.selectStmt(x.SelectStmt, c, below("a subquery"))
	case *pg.Node_AIndirection:
		w.indirection(x.AIndirection, c)
	case *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean, *pg.Node_BitString, *pg.Node_AStar,
		*pg.Node_SqlvalueFunction, *pg.Node_SetToDefault, *pg.Node_CurrentOfExpr, *pg.Node_MergeSupportFunc,
		*pg.Node_RoleSpec:
		// They hold nothing.
	default:
		w.rare(n, c)
	}
}

// rare walks nodes by their fields. All of them evaluate what they hold, and nothing else.
func (w *walker) rare(n *pg.Node, c ctx) {
	switch x := n.GetNode().(type) {
	case *pg.Node_JsonFuncExpr, *pg.Node_JsonIsPredicate, *pg.Node_JsonParseExpr, *pg.Node_JsonScalarExpr,
		*pg.Node_JsonSerializeExpr, *pg.Node_JsonObjectConstructor, *pg.Node_JsonArrayConstructor,
		*pg.Node_JsonArrayQueryConstructor, *pg.Node_JsonObjectAgg, *pg.Node_JsonArrayAgg, *pg.Node_JsonArgument,
		*pg.Node_JsonKeyValue, *pg.Node_JsonValueExpr, *pg.Node_JsonTableColumn, *pg.Node_JsonTablePathSpec,
		*pg.Node_JsonOutput, *pg.Node_JsonBehavior:
		w.generic(n.ProtoReflect(), c)
	case *pg.Node_RangeTableFuncCol:
		w.generic(x.RangeTableFuncCol.ProtoReflect(), c)
	case *pg.Node_CoalesceExpr, *pg.Node_MinMaxExpr, *pg.Node_RowExpr, *pg.Node_AArrayExpr, *pg.Node_XmlExpr,
		*pg.Node_XmlSerialize, *pg.Node_GroupingFunc, *pg.Node_GroupingSet, *pg.Node_NamedArgExpr,
		*pg.Node_CollateClause, *pg.Node_AIndices, *pg.Node_WindowDef, *pg.Node_ResTarget, *pg.Node_ColumnDef,
		*pg.Node_TypeName, *pg.Node_DefElem, *pg.Node_PartitionSpec, *pg.Node_PartitionElem,
		*pg.Node_PartitionBoundSpec, *pg.Node_PartitionRangeDatum:
		w.generic(n.ProtoReflect(), c)
	default:
		w.unknownNode(n)
	}
}

// unknownNode is what the walk has no rule for.
func (w *walker) unknownNode(n *pg.Node) {
	if n.GetNode() == nil {
		return
	}
	w.unknown(fmt.Sprintf("%T is not understood here", n.GetNode()))
}

func (w *walker) subLink(s *pg.SubLink, c ctx) {
	if op := s.GetOperName(); len(op) > 0 {
		w.operatorName(op)
	} else if s.GetTestexpr().GetNode() != nil {
		w.ops = append(w.ops, "=")
	}
	w.node(s.GetTestexpr(), c)
	c.output = false
	c.where = "a subquery"
	w.query(s.GetSubselect(), c, below(c.where))
}

// indirection walks (expression).field: field may be a function of the row.
func (w *walker) indirection(a *pg.A_Indirection, c ctx) {
	w.node(a.GetArg(), c)
	for _, n := range a.GetIndirection() {
		if s := n.GetString_(); s != nil {
			w.notation(s.GetSval())
			continue
		}
		w.node(n, c)
	}
}

// operator records which operators an expression names, or stands for (PostgreSQL, parse_expr.c).
func (w *walker) operator(e *pg.A_Expr) {
	switch e.GetKind() {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM,
		pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		w.ops = append(w.ops, "<", "<=", ">", ">=")
	default:
		w.operatorName(e.GetName())
	}
}

func (w *walker) operatorName(list []*pg.Node) {
	schema, op := qualified(list)
	switch schema {
	case "":
		w.ops = append(w.ops, op)
	case catalogSchema:
	default:
		w.call("operator "+schema+"."+op, "", false)
	}
}

// constant places a constant of the text in the group where it stands.
func (w *walker) constant(a *pg.A_Const, g int32) {
	if a.GetVal() == nil || a.GetBoolval() != nil || a.GetLocation() < 0 {
		return
	}
	at := int(a.GetLocation())
	i := sort.Search(len(w.consts), func(i int) bool { return int(w.consts[i].start) >= at })
	if i == len(w.consts) || w.placed[i] != unplaced {
		return
	}
	// A negative number's place is that of its sign; words (EXTRACT's field) are constants too, but none of the text's.
	if place := at - w.offset; int(w.consts[i].start) == at || (place >= 0 && w.st.Text[place] == '-') {
		w.placed[i] = g
	}
}

// position counts characters from 1, for a place in bytes within the text; 0 if statements stand before this one.
func (w *walker) position(at int) int {
	if at -= w.st.Offset; w.st.Offset > 0 || at < 0 || at > len(w.st.Text) {
		return 0
	}
	return utf8.RuneCountInString(w.st.Text[:at]) + 1
}

func (w *walker) parameter(p *pg.ParamRef, g int32) {
	n := int(p.GetNumber())
	switch {
	case n < 0: // PostgreSQL 18 says so; before, it counts on from the other end
		w.fail(&Error{Code: "42601", Message: "parameter number too large", Position: w.position(int(p.GetLocation()))})
		return
	case n < 1:
		w.fail(&Error{Code: "42P02", Message: fmt.Sprintf("there is no parameter $%d", n), Position: w.position(int(p.GetLocation()))})
		return
	case n > maxParameter:
		w.fail(&Error{Code: "54000", Message: fmt.Sprintf("parameters up to $%d are read, and there is a $%d", maxParameter, n)})
		return
	}
	for len(w.params) < n {
		w.params = append(w.params, nil)
	}
	w.params[n-1] = append(w.params[n-1], g)
}
