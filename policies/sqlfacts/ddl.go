package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// ddl walks what defines relations and the plainest of other objects. Whatever brings code along (functions,
// operators, extensions, servers) is left out: unknown.
func (w *walker) ddl(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		w.createTable(x.CreateStmt)
	case *pg.Node_CreateTableAsStmt:
		w.createTableAs(x.CreateTableAsStmt)
	case *pg.Node_ViewStmt:
		w.created(x.ViewStmt.GetView())
		w.query(x.ViewStmt.GetQuery(), ctx{group: groupAll}, below("a view"))
	case *pg.Node_AlterTableStmt:
		w.alterTable(x.AlterTableStmt)
	case *pg.Node_IndexStmt:
		w.index(x.IndexStmt)
	case *pg.Node_CreateStatsStmt:
		w.statistics(x.CreateStatsStmt)
	case *pg.Node_CreateTrigStmt:
		w.trigger(x.CreateTrigStmt)
	case *pg.Node_TruncateStmt:
		w.truncate(x.TruncateStmt)
	case *pg.Node_DropStmt:
		w.drop(x.DropStmt)
	case *pg.Node_RenameStmt:
		w.rename(x.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		w.st.MovesNames, w.st.Frees = true, true
		w.aboutObject(x.AlterObjectSchemaStmt.GetRelation(), x.AlterObjectSchemaStmt.GetObject(),
			x.AlterObjectSchemaStmt.GetObjectType(), "SET SCHEMA")
	case *pg.Node_CommentStmt:
		w.object(policyv1.Effect_DDL, x.CommentStmt.GetObjtype(), x.CommentStmt.GetObject())
	default:
		return w.smallDDL(n)
	}
	return true
}

// smallDDL walks definitions that hold little.
func (w *walker) smallDDL(n *pg.Node) bool {
	c := ctx{where: "a definition"}
	switch x := n.GetNode().(type) {
	case *pg.Node_CreateSeqStmt:
		w.created(x.CreateSeqStmt.GetSequence())
	case *pg.Node_AlterSeqStmt:
		w.definition(x.AlterSeqStmt.GetSequence(), c, policyv1.Effect_DDL)
	case *pg.Node_CreateSchemaStmt:
		if len(x.CreateSchemaStmt.GetSchemaElts()) > 0 {
			w.unknown("CREATE SCHEMA with elements is not understood")
		}
		w.schema = true
		w.named(x.CreateSchemaStmt.GetSchemaname())
	case *pg.Node_CompositeTypeStmt:
		tv := x.CompositeTypeStmt.GetTypevar()
		w.named(tv.GetSchemaname(), tv.GetRelname())
	case *pg.Node_CreateEnumStmt:
		w.named(name(x.CreateEnumStmt.GetTypeName())...)
	case *pg.Node_AlterEnumStmt:
		w.named(name(x.AlterEnumStmt.GetTypeName())...)
	case *pg.Node_CreateDomainStmt:
		w.named(name(x.CreateDomainStmt.GetDomainname())...)
		w.constraints(x.CreateDomainStmt.GetConstraints(), c)
	case *pg.Node_AlterDomainStmt:
		w.named(name(x.AlterDomainStmt.GetTypeName())...)
		w.definitionNode(x.AlterDomainStmt.GetDef(), c)
		w.domainColumns(x.AlterDomainStmt)
	case *pg.Node_CreatedbStmt:
		w.named(x.CreatedbStmt.GetDbname())
	case *pg.Node_DropdbStmt:
		w.named(x.DropdbStmt.GetDbname())
	case *pg.Node_DropTableSpaceStmt:
		w.named(x.DropTableSpaceStmt.GetTablespacename())
	case *pg.Node_DropUserMappingStmt:
		w.named(x.DropUserMappingStmt.GetServername())
	case *pg.Node_AlterStatsStmt:
		w.named(name(x.AlterStatsStmt.GetDefnames())...)
	default:
		return false
	}
	return true
}

// created is a new relation, or one that is replaced.
func (w *walker) created(rv *pg.RangeVar) {
	if rv.GetRelpersistence() == "t" || isTemp(rv.GetSchemaname()) {
		w.unknown(publicTemp)
		w.pair(policyv1.Effect_DDL, objectName(nil, tempSchema, rv.GetRelname()))
		return
	}
	rel := w.lookup(rv.GetSchemaname(), rv.GetRelname())
	w.pair(policyv1.Effect_DDL, objectName(rel, rv.GetSchemaname(), rv.GetRelname()))
}

// named is DDL on an object that is no relation, with its name as written.
func (w *walker) named(parts ...string) {
	if len(parts) > 0 && isTemp(parts[0]) {
		w.unknown(publicTemp)
	}
	w.pair(policyv1.Effect_DDL, strings.TrimPrefix(strings.Join(parts, "."), "."))
}

func (w *walker) createTable(s *pg.CreateStmt) {
	c := ctx{level: w.newLevel(), where: "a definition"}
	w.created(s.GetRelation())
	for _, n := range s.GetInhRelations() {
		i := w.definition(n.GetRangeVar(), c, policyv1.Effect_DDL)
		switch {
		case w.err != nil:
		case s.GetPartbound() == nil:
			w.use(i, "*", "INHERITS")
		default:
			// The rows of a default partition are looked through for those that belong into the new one.
			w.keyed(i, w.partitionKey(i), "a partition's bounds")
		}
	}
	for _, n := range s.GetTableElts() {
		switch x := n.GetNode().(type) {
		case *pg.Node_ColumnDef:
			w.columnDef(x.ColumnDef, c, false)
		case *pg.Node_Constraint:
			w.constraint(x.Constraint, c)
		case *pg.Node_TableLikeClause:
			w.read(x.TableLikeClause.GetRelation(), c)
		default:
			w.unknownNode(n)
		}
	}
	w.constraints(s.GetConstraints(), c)
	if b := s.GetPartbound(); b != nil {
		w.generic(b.ProtoReflect(), c)
	}
	if p := s.GetPartspec(); p != nil {
		w.generic(p.ProtoReflect(), c)
	}
}

// columnDef walks a column; checked says that rows exist, which its type will check.
func (w *walker) columnDef(d *pg.ColumnDef, c ctx, checked bool) {
	if checked {
		w.typeName(d.GetTypeName(), c)
	}
	w.node(d.GetRawDefault(), c)
	w.constraints(d.GetConstraints(), c)
}

func (w *walker) constraints(list []*pg.Node, c ctx) {
	for _, n := range list {
		if x := n.GetConstraint(); x != nil {
			w.constraint(x, c)
			continue
		}
		if n.GetCollateClause() == nil {
			w.unknownNode(n)
		}
	}
}

// constraint walks a constraint. Its columns are compared, and shown in errors.
func (w *walker) constraint(x *pg.Constraint, c ctx) {
	c.where = "a constraint"
	w.node(x.GetRawExpr(), c)
	w.node(x.GetWhereClause(), c)
	for _, list := range [][]*pg.Node{x.GetKeys(), x.GetFkAttrs(), x.GetPkAttrs(), x.GetIncluding()} {
		for _, key := range name(list) {
			w.bareName(key, c)
		}
	}
	for _, n := range x.GetExclusions() {
		items := n.GetList().GetItems()
		if len(items) != 2 {
			w.unknownNode(n)
			continue
		}
		w.indexElem(items[0].GetIndexElem(), c)
		w.operatorName(items[1].GetList().GetItems())
	}
	if rv := x.GetPktable(); rv != nil {
		i := w.read(rv, c)
		if rel := w.items[i].rel; w.err == nil && rel != nil && len(x.GetPkAttrs()) == 0 {
			w.keyed(i, rel.PrimaryKey, "a foreign key")
		}
	}
}

func (w *walker) partitionKey(i int) []int16 {
	if rel := w.items[i].rel; rel != nil {
		return rel.PartitionKey
	}
	return nil
}

// keyed records that values of a key are read; of one that is not known, or has expressions, any.
func (w *walker) keyed(i int, key []int16, where string) {
	if len(key) == 0 {
		w.readsValues(i, "*", where)
	}
	for _, number := range key {
		column := "*"
		if rel := w.items[i].rel; rel != nil {
			if c := rel.ColumnByNumber(number); c != nil {
				column = c.Name
			}
		}
		w.readsValues(i, column, where)
	}
}

func (w *walker) createTableAs(s *pg.CreateTableAsStmt) {
	w.st.ReadsValues = true
	w.created(s.GetInto().GetRel())
	if s.GetQuery().GetExecuteStmt() != nil {
		w.st.Inside = Execute
		w.unknown("EXECUTE runs a statement that is not seen here")
		return
	}
	w.query(s.GetQuery(), ctx{group: groupAll}, below(commandTag(&pg.Node{Node: &pg.Node_CreateTableAsStmt{CreateTableAsStmt: s}})))
}

// indexElem walks a column or expression of an index; an operator class is code.
func (w *walker) indexElem(e *pg.IndexElem, c ctx) {
	w.bareName(e.GetName(), c)
	w.node(e.GetExpr(), c)
	if len(e.GetOpclass()) > 0 {
		if schema, class := qualified(e.GetOpclass()); schema != catalogSchema {
			w.call("operator class "+strings.TrimPrefix(schema+"."+class, "."), "", false)
		}
	}
}

// domainColumns records that what is added to a domain is checked against every value of it.
func (w *walker) domainColumns(s *pg.AlterDomainStmt) {
	switch s.GetSubtype() {
	case "C", "V", "O": // ADD CONSTRAINT, VALIDATE CONSTRAINT, SET NOT NULL
	default:
		return
	}
	w.st.ReadsValues = true
	schema, name := qualified(s.GetTypeName())
	found, err := w.cat.Type(schema, name)
	if err != nil {
		w.catalogFailed(err)
		return
	}
	if found == nil {
		return // it does not exist
	}
	for _, id := range found.Columns {
		rel, err := w.cat.RelationByOID(id.Relation)
		if err != nil {
			w.catalogFailed(err)
			return
		}
		if rel == nil {
			continue
		}
		if c := rel.ColumnByNumber(id.Number); c != nil {
			w.further = append(w.further, ColumnUse{Relation: rel, Column: c.Name, Where: "ALTER DOMAIN"})
		}
	}
}

func (w *walker) index(s *pg.IndexStmt) {
	w.st.ReadsValues = true
	c := ctx{level: w.newLevel(), where: "an index"}
	w.definition(s.GetRelation(), c, policyv1.Effect_DDL)
	switch s.GetAccessMethod() {
	case "", "btree", "hash", "gist", "gin", "spgist", "brin":
	default:
		w.call("access method "+s.GetAccessMethod(), "", false)
	}
	for _, list := range [][]*pg.Node{s.GetIndexParams(), s.GetIndexIncludingParams()} {
		for _, n := range list {
			w.indexElem(n.GetIndexElem(), c)
		}
	}
	w.condition(s.GetWhereClause(), c, c.where)
}

func (w *walker) statistics(s *pg.CreateStatsStmt) {
	c := ctx{level: w.newLevel(), where: "extended statistics"}
	for _, n := range s.GetRelations() {
		rv := n.GetRangeVar()
		if rv == nil {
			w.unknownNode(n)
			continue
		}
		w.definition(rv, c, policyv1.Effect_DDL)
	}
	for _, n := range s.GetExprs() {
		w.bareName(n.GetStatsElem().GetName(), c)
		w.node(n.GetStatsElem().GetExpr(), c)
	}
}

// trigger walks CREATE TRIGGER: whoever may create it runs its function from then on.
func (w *walker) trigger(s *pg.CreateTrigStmt) {
	c := ctx{level: w.newLevel(), where: "a trigger"}
	w.definition(s.GetRelation(), c, policyv1.Effect_DDL)
	schema, fn := qualified(s.GetFuncname())
	list := w.functions(schema, fn)
	for i := range list {
		w.execute(list[i].Schema+"."+fn, ctx{})
	}
	if len(list) == 0 {
		w.execute(strings.TrimPrefix(schema+"."+fn, "."), ctx{})
	}
	if rv := s.GetConstrrel(); rv != nil {
		w.read(rv, c)
	}
	w.condition(s.GetWhenClause(), c, c.where)
}

func (w *walker) truncate(s *pg.TruncateStmt) {
	for _, n := range s.GetRelations() {
		i := w.relation(n.GetRangeVar(), ctx{}, TouchTruncate)
		if w.err != nil {
			return
		}
		w.pair(policyv1.Effect_TRUNCATE, w.items[i].object)
	}
	if s.GetBehavior() == pg.DropBehavior_DROP_CASCADE {
		w.pair(policyv1.Effect_TRUNCATE, "*")
	}
}
