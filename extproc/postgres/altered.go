package postgres

import (
	"context"
	"slices"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// altersCatalog reports whether names may mean something else once the statements have run.
func altersCatalog(facts *sqlfacts.Facts) bool {
	for i := range facts.Statements {
		if alters(&facts.Statements[i]) {
			return true
		}
	}
	return false
}

func alters(st *sqlfacts.Statement) bool {
	if len(st.Calls) > 0 {
		return true
	}
	for _, p := range st.Operation.Pairs {
		switch p.Effect {
		case policyv1.Effect_DDL, policyv1.Effect_PRIVILEGE, policyv1.Effect_MAINTENANCE, policyv1.Effect_UNKNOWN, policyv1.Effect_EXECUTE:
			return true
		}
	}
	return false
}

// afterAlteration refuses statements that would be read by a catalog that is not the session's own: behind a change
// in the same string, or behind one in a transaction that only the session itself can see.
func afterAlteration(facts *sqlfacts.Facts, known bool) *engine.Refusal {
	altered := !known
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if altered && !harmlessAfterAlteration(st) {
			return &engine.Refusal{
				Code: codeUnsupported, Message: "the catalog was changed in this transaction, so what the statement reads is not certain",
				Detail: "Masks apply to you here.", Hint: "Send the change alone, COMMIT it, and run the statement then.", Rule: "catalog",
			}
		}
		altered = altered || alters(st)
	}
	return nil
}

// afterMove refuses statements whose names may mean another relation than the catalog says, where rules go by names:
// behind a RENAME or the like in the same string, or in a transaction that only the session itself can see.
func afterMove(facts *sqlfacts.Facts, moved bool) *engine.Refusal {
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if moved && !harmlessAfterAlteration(st) && !onlyDefines(st) {
			return &engine.Refusal{
				Code: codeUnsupported, Message: "a relation was renamed or moved in this transaction, so what the statement reaches is not certain",
				Detail: "Rules that deny or ask name relations.", Hint: "Send the change alone, COMMIT it, and run the statement then.", Rule: "catalog",
			}
		}
		moved = moved || movesNames(facts.Statements[i:i+1])
	}
	return nil
}

// onlyDefines: whoever may rename a relation is known to the rules about definitions of it.
func onlyDefines(st *sqlfacts.Statement) bool {
	return len(st.Operation.Pairs) > 0 && !slices.ContainsFunc(st.Operation.Pairs, func(p policies.Pair) bool {
		return p.Effect != policyv1.Effect_DDL
	})
}

func movesNames(list []sqlfacts.Statement) bool {
	return slices.ContainsFunc(list, func(st sqlfacts.Statement) bool { return st.MovesNames || givesWays(&st) })
}

// givesWays reports whether a definition may be another way to a relation, or free a name for one. A table, an index or a
// sequence that is new is neither, but for a table that is a child or a partition: its rows are those of others.
func givesWays(st *sqlfacts.Statement) bool {
	defines := 0
	for _, p := range st.Operation.Pairs {
		if p.Effect == policyv1.Effect_DDL {
			defines++
		}
	}
	switch st.Operation.Command {
	case "CREATE TABLE":
		return defines > 1
	case "CREATE TABLE AS", "CREATE INDEX", "CREATE SEQUENCE", "COMMENT":
		return false
	}
	return defines > 0
}

func harmlessAfterAlteration(st *sqlfacts.Statement) bool {
	switch st.Kind {
	case sqlfacts.Begin, sqlfacts.Commit, sqlfacts.Rollback, sqlfacts.Savepoint, sqlfacts.ReleaseSavepoint,
		sqlfacts.RollbackToSavepoint, sqlfacts.Set, sqlfacts.Show:
		return true
	}
	for _, p := range st.Operation.Pairs {
		if p.Effect != policyv1.Effect_DDL {
			return false
		}
	}
	return len(st.Uses) == 0 && len(st.Operation.Pairs) > 0
}

// settleTimeout bounds the wait for the server to have run what may have changed the catalog.
const settleTimeout = 30 * time.Second

// settled makes sure that the catalog is read again if something let through may have changed it. It is false while
// that stands in an open transaction, which nobody else can look into.
func (j *judge) settled(ctx context.Context, out *engine.Output) (bool, error) {
	if !j.altered {
		return true, nil
	}
	if err := j.pipes.answered(ctx, out, time.Now().Add(settleTimeout)); err != nil { // what was let through must run first
		return false, err
	}
	if !j.engine.Idle() {
		return false, nil
	}
	j.catalog.Invalidate()
	j.altered, j.renamed, j.freed = false, false, change{}
	return true, nil
}
