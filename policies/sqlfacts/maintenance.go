package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// maintenance walks statements that change no data: vacuum and kin, and LOCK.
func (w *walker) maintenance(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_VacuumStmt:
		if len(x.VacuumStmt.GetRels()) == 0 {
			w.maintainsAll()
		}
		for _, r := range x.VacuumStmt.GetRels() {
			w.maintained(r.GetVacuumRelation().GetRelation())
		}
	case *pg.Node_ClusterStmt:
		w.st.ReadsValues = true
		if i := w.maintained(x.ClusterStmt.GetRelation()); i >= 0 {
			w.use(i, "*", "CLUSTER") // rows lie in the order of the index from then on
		}
	case *pg.Node_ReindexStmt:
		w.st.ReadsValues = true
		w.reindex(x.ReindexStmt)
	case *pg.Node_CheckPointStmt:
		w.pair(policyv1.Effect_MAINTENANCE, "*")
	case *pg.Node_RefreshMatViewStmt:
		w.refresh(x.RefreshMatViewStmt)
	case *pg.Node_LockStmt:
		for _, r := range x.LockStmt.GetRelations() {
			if i := w.relation(r.GetRangeVar(), ctx{}, 0); w.err == nil {
				w.pair(policyv1.Effect_LOCK, w.items[i].object)
			}
		}
	default:
		return false
	}
	return true
}

// maintained is a relation on which maintenance runs, with the functions of its expressions; nil means all. It returns
// the relation's index, -1 for all.
func (w *walker) maintained(rv *pg.RangeVar) int {
	if rv == nil {
		w.maintainsAll()
		return -1
	}
	i := w.definition(rv, ctx{}, policyv1.Effect_MAINTENANCE)
	if w.err != nil {
		return -1
	}
	return i
}

// maintainsAll is maintenance of whatever there is: it runs what any index or statistics run.
func (w *walker) maintainsAll() {
	w.pair(policyv1.Effect_MAINTENANCE, "*")
	w.call("what any index and statistics run", "maintenance of all relations", false)
}

// reindex rebuilds the indexes of a table, a schema or a database, or one index, whose table is not known here.
func (w *walker) reindex(s *pg.ReindexStmt) {
	switch {
	case s.GetRelation() == nil:
		w.maintainsAll()
		if name := s.GetName(); name != "" {
			w.pair(policyv1.Effect_MAINTENANCE, name)
		}
	case s.GetKind() == pg.ReindexObjectType_REINDEX_OBJECT_INDEX:
		i := w.maintained(s.GetRelation())
		w.call("what the index runs", "REINDEX", false)
		if i >= 0 {
			w.items[i].touch = 0
		}
	default:
		w.maintained(s.GetRelation())
	}
}

// refresh reads what the view's definition reads.
func (w *walker) refresh(s *pg.RefreshMatViewStmt) {
	w.st.ReadsValues = true
	i := w.definition(s.GetRelation(), ctx{}, policyv1.Effect_MAINTENANCE)
	if w.err != nil || w.items[i].rel == nil {
		return
	}
	for _, id := range w.items[i].rel.Reads {
		rel, err := w.cat.RelationByOID(id.Relation)
		if err != nil {
			w.catalogFailed(err)
			return
		}
		if rel != nil {
			w.pair(policyv1.Effect_READ, rel.String())
		}
	}
}
