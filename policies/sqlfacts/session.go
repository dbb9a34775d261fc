package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// session walks statements about the session itself: transactions, settings, prepared statements, cursors, channels.
func (w *walker) session(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_TransactionStmt:
		w.transaction(x.TransactionStmt)
	case *pg.Node_ConstraintsSetStmt:
		w.pair(policyv1.Effect_TRANSACTION, "")
	case *pg.Node_VariableSetStmt:
		w.variableSet(x.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		w.st.Kind = Show
		w.st.Name = strings.ToLower(x.VariableShowStmt.GetName())
		w.showSetting(w.st.Name)
	case *pg.Node_DiscardStmt:
		w.st.Kind = Discard
	case *pg.Node_PrepareStmt:
		w.st.Kind, w.st.Name = Prepare, x.PrepareStmt.GetName()
		for _, t := range x.PrepareStmt.GetArgtypes() {
			w.typeName(t.GetTypeName(), ctx{})
		}
		w.inner(x.PrepareStmt.GetQuery())
	case *pg.Node_ExecuteStmt:
		w.st.Kind, w.st.Name = Execute, x.ExecuteStmt.GetName()
		w.nodes(x.ExecuteStmt.GetParams(), ctx{where: "a parameter of EXECUTE"})
		w.unknown("EXECUTE runs a statement that is not seen here")
	case *pg.Node_DeallocateStmt:
		w.st.Kind, w.st.Name = Deallocate, x.DeallocateStmt.GetName()
	case *pg.Node_DeclareCursorStmt:
		w.st.Kind, w.st.Name = DeclareCursor, x.DeclareCursorStmt.GetPortalname()
		w.inner(x.DeclareCursorStmt.GetQuery())
	case *pg.Node_FetchStmt:
		w.st.Kind, w.st.Name = Fetch, x.FetchStmt.GetPortalname()
		w.unknown("FETCH reads from a cursor that is not seen here")
	case *pg.Node_ClosePortalStmt:
		w.st.Kind, w.st.Name = CloseCursor, x.ClosePortalStmt.GetPortalname()
	case *pg.Node_NotifyStmt:
		w.pair(policyv1.Effect_NOTIFY, x.NotifyStmt.GetConditionname())
	case *pg.Node_ListenStmt:
		w.pair(policyv1.Effect_NOTIFY, x.ListenStmt.GetConditionname())
	case *pg.Node_UnlistenStmt:
		w.pair(policyv1.Effect_NOTIFY, orAll(x.UnlistenStmt.GetConditionname()))
	default:
		return false
	}
	return true
}

// inner walks the statement that PREPARE or DECLARE is about. Its outputs go to the client later, with their origins.
func (w *walker) inner(n *pg.Node) {
	w.query(n, ctx{group: groupNone}, outputs{})
	w.st.Also = append(w.st.Also, policies.Operation{Command: commandTag(n), Pairs: sortPairs(w.pairs)})
}

// orAll is the object of a command that names none because it means all.
func orAll(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

func (w *walker) transaction(s *pg.TransactionStmt) {
	switch s.GetKind() {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		w.st.Kind = Begin
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		w.st.Kind = Commit
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		w.st.Kind = Rollback
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		w.st.Kind = Savepoint
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		w.st.Kind = ReleaseSavepoint
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		w.st.Kind = RollbackToSavepoint
	default:
		if s.GetKind() == pg.TransactionStmtKind_TRANS_STMT_PREPARE {
			w.st.Kind = PrepareTransaction
		}
		w.unknown("two-phase commit is not supported")
		return
	}
	w.pair(policyv1.Effect_TRANSACTION, "")
}

func (w *walker) variableSet(s *pg.VariableSetStmt) {
	w.st.Kind = Set
	name := strings.ToLower(s.GetName())
	w.st.Name = name
	switch s.GetKind() {
	case pg.VariableSetKind_VAR_RESET_ALL:
		w.st.Name = "all"
		w.pair(policyv1.Effect_SESSION, "all")
	case pg.VariableSetKind_VAR_SET_MULTI:
		w.setMulti(name, s.GetArgs())
	case pg.VariableSetKind_VAR_SET_VALUE, pg.VariableSetKind_VAR_SET_CURRENT:
		w.st.Given = s.GetKind() == pg.VariableSetKind_VAR_SET_VALUE && !strings.Contains(name, ".")
		w.setting(name, false)
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		w.setting(name, true)
	default:
		w.unknown("this form of SET is not understood")
	}
}

// setMulti walks SET TRANSACTION and SET SESSION CHARACTERISTICS, which are short for several settings.
func (w *walker) setMulti(name string, args []*pg.Node) {
	switch name {
	case "transaction", "transaction snapshot":
		w.pair(policyv1.Effect_TRANSACTION, "")
	case "session characteristics":
		for _, n := range args {
			w.pair(policyv1.Effect_SESSION, "default_"+n.GetDefElem().GetDefname())
		}
		if len(args) == 0 {
			w.unknown("this form of SET is not understood")
		}
	default:
		w.unknown("this form of SET is not understood")
	}
}

// ReasonSearchPath is the Reason of statements that change search_path.
const ReasonSearchPath = "changing search_path is not supported yet"

// setting is a change of one setting; back says that it goes back to what the session began with.
func (w *walker) setting(name string, back bool) {
	if strings.Contains(name, ".") {
		w.secret = true // of an extension or an application: its value may be one
	}
	if name == "search_path" && !back {
		w.unknown(ReasonSearchPath)
		return
	}
	w.pair(policyv1.Effect_SESSION, name)
}

// movesPath says whether names may mean something else behind the statement though the catalog is the same.
func (w *walker) movesPath() bool {
	if len(w.st.Calls) > 0 || w.schema || w.st.Kind == Discard {
		return true
	}
	for _, p := range w.st.Operation.Pairs {
		switch p.Effect {
		case policyv1.Effect_UNKNOWN, policyv1.Effect_PRIVILEGE:
			return true
		case policyv1.Effect_SESSION:
			if p.Shows {
				continue
			}
			switch p.Object {
			case "role", "session_authorization", "search_path", "all", "*":
				return true
			}
		}
	}
	return false
}
