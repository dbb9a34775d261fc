package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// commandTag is PostgreSQL's command tag of a parsed statement (utility.c, CreateCommandTag; PostgreSQL, "Event
// Trigger Firing Matrix").
func commandTag(n *pg.Node) string {
	switch x := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return "SELECT"
	case *pg.Node_InsertStmt:
		return "INSERT"
	case *pg.Node_UpdateStmt:
		return "UPDATE"
	case *pg.Node_DeleteStmt:
		return "DELETE"
	case *pg.Node_MergeStmt:
		return "MERGE"
	case *pg.Node_TransactionStmt:
		return transactionTag(x.TransactionStmt.GetKind())
	case *pg.Node_VariableSetStmt:
		switch x.VariableSetStmt.GetKind() {
		case pg.VariableSetKind_VAR_RESET, pg.VariableSetKind_VAR_RESET_ALL:
			return "RESET"
		default:
			return "SET"
		}
	case *pg.Node_VariableShowStmt:
		return "SHOW"
	case *pg.Node_DeclareCursorStmt:
		return "DECLARE CURSOR"
	case *pg.Node_ClosePortalStmt:
		return either(x.ClosePortalStmt.GetPortalname() == "", "CLOSE CURSOR ALL", "CLOSE CURSOR")
	case *pg.Node_FetchStmt:
		return either(x.FetchStmt.GetIsmove(), "MOVE", "FETCH")
	case *pg.Node_PrepareStmt:
		return "PREPARE"
	case *pg.Node_ExecuteStmt:
		return "EXECUTE"
	case *pg.Node_DeallocateStmt:
		return either(x.DeallocateStmt.GetName() == "", "DEALLOCATE ALL", "DEALLOCATE")
	case *pg.Node_DiscardStmt:
		return discardTag(x.DiscardStmt.GetTarget())
	case *pg.Node_CreateTableAsStmt:
		switch {
		case x.CreateTableAsStmt.GetObjtype() == pg.ObjectType_OBJECT_MATVIEW:
			return "CREATE MATERIALIZED VIEW"
		case x.CreateTableAsStmt.GetIsSelectInto():
			return "SELECT INTO"
		}
		return "CREATE TABLE AS"
	case *pg.Node_DropStmt:
		return "DROP " + objectTag(x.DropStmt.GetRemoveType())
	case *pg.Node_DefineStmt:
		return "CREATE " + objectTag(x.DefineStmt.GetKind())
	case *pg.Node_AlterTableStmt:
		return "ALTER " + objectTag(x.AlterTableStmt.GetObjtype())
	case *pg.Node_RenameStmt:
		// A column's tag is that of what has it.
		if x.RenameStmt.GetRenameType() == pg.ObjectType_OBJECT_COLUMN {
			return "ALTER " + objectTag(x.RenameStmt.GetRelationType())
		}
		return "ALTER " + objectTag(x.RenameStmt.GetRenameType())
	case *pg.Node_AlterObjectSchemaStmt:
		return "ALTER " + objectTag(x.AlterObjectSchemaStmt.GetObjectType())
	case *pg.Node_AlterOwnerStmt:
		return "ALTER " + objectTag(x.AlterOwnerStmt.GetObjectType())
	case *pg.Node_AlterObjectDependsStmt:
		return "ALTER " + objectTag(x.AlterObjectDependsStmt.GetObjectType())
	case *pg.Node_AlterTableMoveAllStmt:
		return "ALTER " + objectTag(x.AlterTableMoveAllStmt.GetObjtype())
	case *pg.Node_AlterFunctionStmt:
		return "ALTER " + objectTag(x.AlterFunctionStmt.GetObjtype())
	case *pg.Node_CreateFunctionStmt:
		return either(x.CreateFunctionStmt.GetIsProcedure(), "CREATE PROCEDURE", "CREATE FUNCTION")
	case *pg.Node_GrantStmt:
		return either(x.GrantStmt.GetIsGrant(), "GRANT", "REVOKE")
	case *pg.Node_GrantRoleStmt:
		return either(x.GrantRoleStmt.GetIsGrant(), "GRANT ROLE", "REVOKE ROLE")
	case *pg.Node_VacuumStmt:
		return either(x.VacuumStmt.GetIsVacuumcmd(), "VACUUM", "ANALYZE")
	}
	return simpleTag(n)
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func transactionTag(k pg.TransactionStmtKind) string {
	switch k {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN:
		return "BEGIN"
	case pg.TransactionStmtKind_TRANS_STMT_START:
		return "START TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return "COMMIT"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK, pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return "SAVEPOINT"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		return "RELEASE"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		return "PREPARE TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		return "COMMIT PREPARED"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		return "ROLLBACK PREPARED"
	default:
		return unknownTag
	}
}

func discardTag(m pg.DiscardMode) string {
	switch m {
	case pg.DiscardMode_DISCARD_ALL:
		return "DISCARD ALL"
	case pg.DiscardMode_DISCARD_PLANS:
		return "DISCARD PLANS"
	case pg.DiscardMode_DISCARD_TEMP:
		return "DISCARD TEMP"
	case pg.DiscardMode_DISCARD_SEQUENCES:
		return "DISCARD SEQUENCES"
	default:
		return unknownTag
	}
}

// unknownTag is PostgreSQL's tag for what has none.
const unknownTag = "???"

// objectTag is the kind of an object in the tags of ALTER, CREATE and DROP.
func objectTag(o pg.ObjectType) string {
	switch o {
	case pg.ObjectType_OBJECT_ACCESS_METHOD:
		return "ACCESS METHOD"
	case pg.ObjectType_OBJECT_AGGREGATE:
		return "AGGREGATE"
	case pg.ObjectType_OBJECT_ATTRIBUTE, pg.ObjectType_OBJECT_TYPE:
		return "TYPE"
	case pg.ObjectType_OBJECT_CAST:
		return "CAST"
	case pg.ObjectType_OBJECT_COLLATION:
		return "COLLATION"
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_TABCONSTRAINT:
		return "TABLE"
	case pg.ObjectType_OBJECT_CONVERSION:
		return "CONVERSION"
	case pg.ObjectType_OBJECT_DATABASE:
		return "DATABASE"
	case pg.ObjectType_OBJECT_DOMAIN, pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return "DOMAIN"
	case pg.ObjectType_OBJECT_EVENT_TRIGGER:
		return "EVENT TRIGGER"
	case pg.ObjectType_OBJECT_EXTENSION:
		return "EXTENSION"
	case pg.ObjectType_OBJECT_FDW:
		return "FOREIGN DATA WRAPPER"
	case pg.ObjectType_OBJECT_FOREIGN_SERVER:
		return "SERVER"
	case pg.ObjectType_OBJECT_FOREIGN_TABLE:
		return "FOREIGN TABLE"
	case pg.ObjectType_OBJECT_FUNCTION:
		return "FUNCTION"
	case pg.ObjectType_OBJECT_INDEX:
		return "INDEX"
	case pg.ObjectType_OBJECT_LANGUAGE:
		return "LANGUAGE"
	case pg.ObjectType_OBJECT_LARGEOBJECT:
		return "LARGE OBJECT"
	case pg.ObjectType_OBJECT_MATVIEW:
		return "MATERIALIZED VIEW"
	case pg.ObjectType_OBJECT_OPCLASS:
		return "OPERATOR CLASS"
	case pg.ObjectType_OBJECT_OPERATOR:
		return "OPERATOR"
	case pg.ObjectType_OBJECT_OPFAMILY:
		return "OPERATOR FAMILY"
	case pg.ObjectType_OBJECT_POLICY:
		return "POLICY"
	case pg.ObjectType_OBJECT_PROCEDURE:
		return "PROCEDURE"
	case pg.ObjectType_OBJECT_PUBLICATION:
		return "PUBLICATION"
	case pg.ObjectType_OBJECT_ROLE:
		return "ROLE"
	case pg.ObjectType_OBJECT_ROUTINE:
		return "ROUTINE"
	case pg.ObjectType_OBJECT_RULE:
		return "RULE"
	case pg.ObjectType_OBJECT_SCHEMA:
		return "SCHEMA"
	case pg.ObjectType_OBJECT_SEQUENCE:
		return "SEQUENCE"
	case pg.ObjectType_OBJECT_STATISTIC_EXT:
		return "STATISTICS"
	case pg.ObjectType_OBJECT_SUBSCRIPTION:
		return "SUBSCRIPTION"
	case pg.ObjectType_OBJECT_TABLESPACE:
		return "TABLESPACE"
	case pg.ObjectType_OBJECT_TRANSFORM:
		return "TRANSFORM"
	case pg.ObjectType_OBJECT_TRIGGER:
		return "TRIGGER"
	case pg.ObjectType_OBJECT_TSCONFIGURATION:
		return "TEXT SEARCH CONFIGURATION"
	case pg.ObjectType_OBJECT_TSDICTIONARY:
		return "TEXT SEARCH DICTIONARY"
	case pg.ObjectType_OBJECT_TSPARSER:
		return "TEXT SEARCH PARSER"
	case pg.ObjectType_OBJECT_TSTEMPLATE:
		return "TEXT SEARCH TEMPLATE"
	case pg.ObjectType_OBJECT_VIEW:
		return "VIEW"
	default:
		return unknownTag
	}
}
