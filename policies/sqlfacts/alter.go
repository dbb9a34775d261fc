package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// alterTable walks ALTER TABLE and kin. Expressions in it read columns of the table.
func (w *walker) alterTable(s *pg.AlterTableStmt) {
	c := ctx{level: w.newLevel(), where: "ALTER TABLE"}
	t := w.definition(s.GetRelation(), c, policyv1.Effect_DDL)
	for _, n := range s.GetCmds() {
		if w.err != nil {
			return
		}
		w.alterCommand(n.GetAlterTableCmd(), c, t)
		w.alteredColumn(n.GetAlterTableCmd(), s.GetRelation().GetInh(), t)
	}
}

// alteredColumn records what a command reads of rows that are there, or frees of what a mask hides, though no
// expression says so.
func (w *walker) alteredColumn(cmd *pg.AlterTableCmd, inherits bool, t int) {
	switch cmd.GetSubtype() {
	case pg.AlterTableType_AT_AlterColumnType:
		w.readsValues(t, cmd.GetName(), "ALTER COLUMN … TYPE")
	case pg.AlterTableType_AT_SetNotNull:
		w.readsValues(t, cmd.GetName(), "SET NOT NULL")
	case pg.AlterTableType_AT_SetExpression, pg.AlterTableType_AT_DropExpression:
		w.readsValues(t, cmd.GetName(), "the expression of a generated column")
	case pg.AlterTableType_AT_ValidateConstraint:
		w.readsValues(t, "*", "VALIDATE CONSTRAINT")
	case pg.AlterTableType_AT_ClusterOn:
		w.use(t, "*", "CLUSTER")
	case pg.AlterTableType_AT_AddOf, pg.AlterTableType_AT_DropOf:
		w.use(t, "*", "a typed table")
	case pg.AlterTableType_AT_AddConstraint:
		w.st.ReadsValues = true
		if cmd.GetDef().GetConstraint().GetIndexname() != "" {
			w.use(t, "*", "a constraint")
		}
	case pg.AlterTableType_AT_AttachPartition, pg.AlterTableType_AT_AddInherit:
		w.st.ReadsValues = true
	case pg.AlterTableType_AT_AddColumn: // one without anything to work out is null everywhere
		d := cmd.GetDef().GetColumnDef()
		w.st.ReadsValues = w.st.ReadsValues || len(d.GetConstraints()) > 0 || d.GetRawDefault().GetNode() != nil
	case pg.AlterTableType_AT_DropColumn:
		// Children that have the column of their own, or by another parent, keep it.
		if rel := w.items[t].rel; !inherits || rel == nil || len(rel.Children) > 0 {
			w.use(t, cmd.GetName(), "DROP COLUMN")
		}
	default:
	}
}

// readsValues records that a definition looks at the values of a column, "*" for those of any.
func (w *walker) readsValues(i int, column, where string) {
	w.st.ReadsValues = true
	w.use(i, column, where)
}

func (w *walker) alterCommand(cmd *pg.AlterTableCmd, c ctx, t int) {
	switch cmd.GetSubtype() {
	case pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_EnableRowSecurity,
		pg.AlterTableType_AT_DisableRowSecurity, pg.AlterTableType_AT_ForceRowSecurity,
		pg.AlterTableType_AT_NoForceRowSecurity:
		w.pair(policyv1.Effect_PRIVILEGE, w.items[t].object)
	case pg.AlterTableType_AT_AddInherit, pg.AlterTableType_AT_DropInherit, pg.AlterTableType_AT_AttachPartition,
		pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DetachPartitionFinalize:
		// Rows are seen through another relation from then on.
		w.use(t, "*", "inheritance")
		w.st.MovesNames = true
	case pg.AlterTableType_AT_GenericOptions, pg.AlterTableType_AT_AlterColumnGenericOptions:
		w.secret = true
		w.unknown("options of foreign tables are not understood")
		return
	case pg.AlterTableType_AT_EnableRule, pg.AlterTableType_AT_EnableAlwaysRule,
		pg.AlterTableType_AT_EnableReplicaRule, pg.AlterTableType_AT_DisableRule:
		w.unknown("rules are not understood")
	default:
	}
	if cmd.GetDef().GetNode() != nil {
		w.definitionNode(cmd.GetDef(), c)
	}
	if cmd.GetBehavior() == pg.DropBehavior_DROP_CASCADE {
		w.st.Frees = true // views may go with a column
		w.pair(policyv1.Effect_DDL, "*")
	}
}

// isPart reports whether things of a kind have their names within something else's.
func isPart(kind pg.ObjectType) bool {
	switch kind {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_DOMCONSTRAINT,
		pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_RULE:
		return true
	}
	return false
}

// definitionNode walks what a command of ALTER defines.
func (w *walker) definitionNode(n *pg.Node, c ctx) {
	switch x := n.GetNode().(type) {
	case nil:
	case *pg.Node_ColumnDef:
		w.columnDef(x.ColumnDef, c, true)
	case *pg.Node_Constraint:
		w.constraint(x.Constraint, c)
	case *pg.Node_RangeVar:
		if i := w.definition(x.RangeVar, c, policyv1.Effect_DDL); w.err == nil {
			w.use(i, "*", "inheritance")
		}
	case *pg.Node_PartitionCmd:
		if i := w.definition(x.PartitionCmd.GetName(), c, policyv1.Effect_DDL); w.err == nil {
			w.use(i, "*", "inheritance")
		}
		if b := x.PartitionCmd.GetBound(); b != nil {
			w.generic(b.ProtoReflect(), c)
		}
	case *pg.Node_ReplicaIdentityStmt:
	case *pg.Node_List:
		for _, item := range x.List.GetItems() {
			w.definitionNode(item, c)
		}
	default:
		w.node(n, c)
	}
}

// rename walks ALTER … RENAME. Masks go by name, so what is renamed counts as used.
func (w *walker) rename(s *pg.RenameStmt) {
	w.st.MovesNames = true
	w.st.Frees = !isPart(s.GetRenameType())
	switch s.GetRenameType() {
	case pg.ObjectType_OBJECT_ROLE:
		w.st.MovesSchemas = true // one of them may be "$user"
		w.pair(policyv1.Effect_PRIVILEGE, s.GetSubname())
		return
	case pg.ObjectType_OBJECT_SCHEMA:
		w.named(s.GetSubname())
		w.unknown("renaming a schema is not understood")
		return
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE:
		if rv := s.GetRelation(); rv != nil {
			i := w.definition(rv, ctx{}, policyv1.Effect_DDL)
			if w.err == nil {
				w.use(i, s.GetSubname(), "RENAME")
			}
			return
		}
	case pg.ObjectType_OBJECT_RULE:
		w.unknown("rules are not understood")
	default:
	}
	if s.GetRelation() == nil && s.GetObject().GetNode() == nil {
		w.named(s.GetSubname())
		return
	}
	w.aboutObject(s.GetRelation(), s.GetObject(), s.GetRenameType(), "RENAME")
}

// aboutObject is DDL on a relation, or on another object. The relation counts as used: masks go by name.
func (w *walker) aboutObject(rv *pg.RangeVar, object *pg.Node, kind pg.ObjectType, where string) {
	if rv == nil {
		w.object(policyv1.Effect_DDL, kind, object)
		return
	}
	i := w.definition(rv, ctx{}, policyv1.Effect_DDL)
	if w.err != nil {
		return
	}
	switch kind {
	case pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_POLICY:
	case pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_SEQUENCE:
		// ALTER INDEX takes a table just as well (PostgreSQL, ALTER INDEX); the catalog here has no indexes.
		if rel := w.items[i].rel; rel != nil && rel.Kind != 'S' {
			w.use(i, "*", where)
		}
	default:
		w.use(i, "*", where)
	}
}

// drop walks DROP of anything; what belongs to a table counts as that table.
func (w *walker) drop(s *pg.DropStmt) {
	w.schema = w.schema || s.GetRemoveType() == pg.ObjectType_OBJECT_SCHEMA
	w.st.Frees = !isPart(s.GetRemoveType()) || s.GetBehavior() == pg.DropBehavior_DROP_CASCADE
	for _, n := range s.GetObjects() {
		w.object(policyv1.Effect_DDL, s.GetRemoveType(), n)
	}
	if s.GetBehavior() == pg.DropBehavior_DROP_CASCADE {
		w.pair(policyv1.Effect_DDL, "*")
	}
}

// object adds a pair for an object as the grammar gives it.
func (w *walker) object(effect policyv1.Effect, kind pg.ObjectType, n *pg.Node) {
	var parts []string
	switch x := n.GetNode().(type) {
	case *pg.Node_List:
		parts = name(x.List.GetItems())
		if t := firstTypeName(x.List.GetItems()); t != nil {
			parts = name(t.GetNames()) // a constraint of a domain
		}
	case *pg.Node_TypeName:
		parts = name(x.TypeName.GetNames())
	case *pg.Node_ObjectWithArgs:
		parts = name(x.ObjectWithArgs.GetObjname())
	case *pg.Node_String_:
		parts = []string{x.String_.GetSval()}
	case *pg.Node_Integer, *pg.Node_Float:
		w.pair(effect, "*") // a large object
		return
	default:
		w.unknownNode(n)
		return
	}
	switch kind {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_TRIGGER,
		pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_RULE:
		parts = parts[:max(len(parts)-1, 0)]
		w.relationObject(effect, parts)
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW,
		pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_INDEX:
		w.relationObject(effect, parts)
	default:
		if len(parts) > 0 && isTemp(parts[0]) {
			w.unknown(publicTemp)
		}
		w.pair(effect, strings.Join(parts, "."))
	}
}

func firstTypeName(list []*pg.Node) *pg.TypeName {
	if len(list) == 0 {
		return nil
	}
	return list[0].GetTypeName()
}

// relationObject adds a pair for a relation given by the parts of its name, and counts it among those touched.
func (w *walker) relationObject(effect policyv1.Effect, parts []string) {
	rv := &pg.RangeVar{}
	switch n := len(parts); n {
	case 0:
		w.pair(effect, "")
		return
	case 1:
		rv.Relname = parts[0]
	default:
		rv.Schemaname, rv.Relname = parts[n-2], parts[n-1]
	}
	if i := w.relation(rv, ctx{}, 0); w.err == nil {
		w.pair(effect, w.items[i].object)
	}
}
