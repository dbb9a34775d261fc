package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// statement walks one statement of the top level. What has no rule here or in the functions that it asks has an
// unknown effect.
func (w *walker) statement(n *pg.Node) {
	w.st.Operation.Command = commandTag(n)
	top := ctx{group: groupNone}
	switch x := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		w.selectTop(x.SelectStmt, top)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		w.change(n, top, outputs{})
	case *pg.Node_ExplainStmt:
		w.explain(x.ExplainStmt)
	case *pg.Node_CopyStmt:
		w.copyStmt(x.CopyStmt, top)
	case *pg.Node_CallStmt:
		w.callStmt(x.CallStmt, top)
	default:
		w.utility = true
		if !w.session(n) && !w.ddl(n) && !w.privilege(n) && !w.maintenance(n) {
			w.secret = true // nobody knows what its texts are
			w.unknown(w.st.Operation.Command + " is not understood")
		}
	}
}

// selectTop walks a SELECT, which with INTO creates a table.
func (w *walker) selectTop(s *pg.SelectStmt, c ctx) {
	first := s
	for first.GetLarg() != nil {
		first = first.GetLarg()
	}
	into := first.GetIntoClause()
	if into == nil {
		w.selectStmt(s, c, outputs{})
		return
	}
	w.into = into
	w.st.Operation.Command = "SELECT INTO"
	w.created(into.GetRel())
	w.st.ReadsValues = true
	w.selectStmt(s, c, below("SELECT INTO"))
}

// callStmt walks CALL. A procedure is never pure.
func (w *walker) callStmt(s *pg.CallStmt, c ctx) {
	schema, fn := qualified(s.GetFunccall().GetFuncname())
	list := w.functions(schema, fn)
	for i := range list {
		w.execute(list[i].Schema+"."+fn, c)
	}
	if len(list) == 0 {
		w.execute(strings.TrimPrefix(schema+"."+fn, "."), c)
	}
	c.group, c.where = groupAll, "an argument of CALL"
	w.evaluates = true
	w.nodes(s.GetFunccall().GetArgs(), c)
}

// explain walks EXPLAIN. Without ANALYZE nothing changes, but planning reads: the effects are READ of the same
// objects. Either way the inner command is one of its own for rules.
func (w *walker) explain(s *pg.ExplainStmt) {
	w.explained = true
	w.statement(s.GetQuery())
	inner := w.st.Operation.Command
	if w.st.Kind != Plain {
		w.st.Inside = w.st.Kind
	}
	w.st.Operation.Command, w.st.Kind = "EXPLAIN", Explain
	w.st.Name = ""
	if w.err == nil && explainMeasures(s.GetOptions()) {
		w.useRange(0, len(w.items), "what EXPLAIN ANALYZE measures (switch BUFFERS off, leave WAL, SERIALIZE and MEMORY)")
	}
	if !explainRuns(s.GetOptions()) {
		w.pairs = planned(w.pairs)
		for i := range w.st.Also {
			w.st.Also[i].Pairs = sortPairs(planned(w.st.Also[i].Pairs))
		}
	}
	w.st.Also = append(w.st.Also, policies.Operation{Command: inner, Pairs: sortPairs(w.pairs)})
}

// explainRuns says whether EXPLAIN executes: ANALYZE, unless surely switched off.
func explainRuns(options []*pg.Node) bool {
	runs := false
	for _, n := range options {
		o := n.GetDefElem()
		if !strings.EqualFold(o.GetDefname(), "analyze") {
			continue
		}
		switch strings.ToLower(optionText(o)) {
		case "false", "off", "0":
			runs = false
		default:
			return true
		}
	}
	return runs
}

// explainMeasures says whether EXPLAIN tells of volumes, from which the lengths of values can be worked out: of buffers
// (which ANALYZE counts unless it is told not to: PostgreSQL 18), of what it writes, sends or keeps.
func explainMeasures(options []*pg.Node) bool {
	if !explainRuns(options) {
		return false
	}
	buffers, others := true, false
	for _, n := range options {
		o := n.GetDefElem()
		on := true
		switch strings.ToLower(optionText(o)) {
		case "false", "off", "0", "none":
			on = false
		}
		switch strings.ToLower(o.GetDefname()) {
		case "buffers":
			buffers = on
		case "wal", "serialize", "memory":
			others = others || on
		}
	}
	return buffers || others
}

func planned(pairs []policies.Pair) []policies.Pair {
	var list []policies.Pair
	for _, p := range pairs {
		switch p.Effect {
		case policyv1.Effect_INSERT, policyv1.Effect_UPDATE, policyv1.Effect_DELETE:
			p.Effect = policyv1.Effect_READ
		case policyv1.Effect_LOCK, policyv1.Effect_DDL, policyv1.Effect_NOTIFY:
			continue
		default:
		}
		list = append(list, p)
	}
	return list
}

// optionText is the value of an option as text, "" if it has none.
func optionText(o *pg.DefElem) string {
	switch x := o.GetArg().GetNode().(type) {
	case *pg.Node_String_:
		return x.String_.GetSval()
	case *pg.Node_Boolean:
		if x.Boolean.GetBoolval() {
			return "true"
		}
		return "false"
	case *pg.Node_Integer:
		if x.Integer.GetIval() == 0 {
			return "0"
		}
		return "1"
	case *pg.Node_Float:
		return x.Float.GetFval()
	case *pg.Node_TypeName:
		_, name := qualified(x.TypeName.GetNames())
		return name
	}
	return ""
}
