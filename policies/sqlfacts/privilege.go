package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// privilege walks statements about who may do what.
func (w *walker) privilege(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_GrantStmt:
		w.grant(x.GrantStmt)
	case *pg.Node_CreatePolicyStmt:
		w.policy(x.CreatePolicyStmt.GetTable(), x.CreatePolicyStmt.GetQual(), x.CreatePolicyStmt.GetWithCheck())
	case *pg.Node_AlterPolicyStmt:
		w.policy(x.AlterPolicyStmt.GetTable(), x.AlterPolicyStmt.GetQual(), x.AlterPolicyStmt.GetWithCheck())
	case *pg.Node_AlterOwnerStmt:
		w.owner(x.AlterOwnerStmt)
	case *pg.Node_AlterDefaultPrivilegesStmt:
		w.pair(policyv1.Effect_PRIVILEGE, "*")
		w.roles(x.AlterDefaultPrivilegesStmt.GetAction().GetGrantees())
	default:
		w.st.MovesSchemas = w.aboutRoles(n)
		return w.st.MovesSchemas
	}
	return true
}

// aboutRoles walks statements about roles, and about all that they own.
func (w *walker) aboutRoles(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_GrantRoleStmt:
		for _, r := range x.GrantRoleStmt.GetGrantedRoles() {
			w.pair(policyv1.Effect_PRIVILEGE, r.GetAccessPriv().GetPrivName())
		}
		w.roles(x.GrantRoleStmt.GetGranteeRoles())
	case *pg.Node_CreateRoleStmt:
		w.secret = true
		w.pair(policyv1.Effect_PRIVILEGE, x.CreateRoleStmt.GetRole())
	case *pg.Node_AlterRoleStmt:
		w.secret = true
		w.role(x.AlterRoleStmt.GetRole())
	case *pg.Node_AlterRoleSetStmt:
		w.secret = true
		w.role(x.AlterRoleSetStmt.GetRole())
	case *pg.Node_DropRoleStmt:
		w.roles(x.DropRoleStmt.GetRoles())
	case *pg.Node_DropOwnedStmt:
		w.st.Frees = true
		w.pair(policyv1.Effect_PRIVILEGE, "*")
		w.pair(policyv1.Effect_DDL, "*")
		w.roles(x.DropOwnedStmt.GetRoles())
	case *pg.Node_ReassignOwnedStmt:
		w.pair(policyv1.Effect_PRIVILEGE, "*")
		w.roles(x.ReassignOwnedStmt.GetRoles())
	default:
		return false
	}
	return true
}

func (w *walker) roles(list []*pg.Node) {
	for _, n := range list {
		w.role(n.GetRoleSpec())
	}
}

// role adds a pair for a role; ALL is "*".
func (w *walker) role(r *pg.RoleSpec) {
	switch r.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_CSTRING:
		w.pair(policyv1.Effect_PRIVILEGE, r.GetRolename())
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		w.pair(policyv1.Effect_PRIVILEGE, "public")
	case pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		w.pair(policyv1.Effect_PRIVILEGE, "current_role")
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER:
		w.pair(policyv1.Effect_PRIVILEGE, "current_user")
	case pg.RoleSpecType_ROLESPEC_SESSION_USER:
		w.pair(policyv1.Effect_PRIVILEGE, "session_user")
	default:
		w.pair(policyv1.Effect_PRIVILEGE, "*")
	}
}

func (w *walker) grant(s *pg.GrantStmt) {
	w.st.MovesSchemas = s.GetObjtype() == pg.ObjectType_OBJECT_SCHEMA
	if len(s.GetObjects()) == 0 {
		w.pair(policyv1.Effect_PRIVILEGE, "*")
	}
	for _, n := range s.GetObjects() {
		if s.GetTargtype() == pg.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA {
			w.pair(policyv1.Effect_PRIVILEGE, n.GetString_().GetSval()+".*")
			continue
		}
		if rv := n.GetRangeVar(); rv != nil {
			if i := w.relation(rv, ctx{}, 0); w.err == nil {
				w.pair(policyv1.Effect_PRIVILEGE, w.items[i].object)
			}
			continue
		}
		w.object(policyv1.Effect_PRIVILEGE, s.GetObjtype(), n)
	}
}

func (w *walker) owner(s *pg.AlterOwnerStmt) {
	if rv := s.GetRelation(); rv != nil {
		w.definition(rv, ctx{}, policyv1.Effect_PRIVILEGE)
		return
	}
	// Whose a database is, is in pg_database_owner.
	w.st.MovesSchemas = s.GetObjectType() == pg.ObjectType_OBJECT_SCHEMA || s.GetObjectType() == pg.ObjectType_OBJECT_DATABASE
	w.object(policyv1.Effect_PRIVILEGE, s.GetObjectType(), s.GetObject())
}

// policy walks a row security policy, which from then on runs with every use of the table.
func (w *walker) policy(table *pg.RangeVar, qual, check *pg.Node) {
	c := ctx{level: w.newLevel()}
	i := w.definition(table, c, policyv1.Effect_DDL)
	if w.err != nil {
		return
	}
	w.pair(policyv1.Effect_PRIVILEGE, w.items[i].object)
	w.condition(qual, c, "a policy")
	w.condition(check, c, "a policy")
}
