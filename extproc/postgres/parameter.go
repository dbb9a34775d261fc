package postgres

import (
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/masking"
)

// firstUserOID is where the OIDs begin of what is not PostgreSQL's own (PostgreSQL, "System Catalog Initial Data",
// FirstNormalObjectId).
const firstUserOID = 16384

// foreignParameter refuses parameters whose types the client names by OIDs that are not PostgreSQL's own: such types
// bring checks and operators along that the text does not show. What the server works out by itself, it works out from
// the text.
func foreignParameter(q *engine.Question, view *masking.View) *engine.Refusal {
	if q.Bind == nil || view.Empty() {
		return nil
	}
	for _, oid := range q.Bind.ParameterTypes {
		if oid >= firstUserOID && !plainType(view, oid) {
			return &engine.Refusal{
				Code: codeUnsupported, Message: "a parameter has a type that is not one of PostgreSQL's own",
				Detail: "Masks apply to you here, and such a type can run code that the statement does not show.",
				Hint:   "Leave the parameter's type open, or send text and cast it.", Rule: "parameter",
			}
		}
	}
	return nil
}

// plainType reports whether a type outside pg_catalog runs nothing of its own, and nobody's operators take it.
func plainType(view *masking.View, oid uint32) bool {
	t, err := view.Catalog().TypeByOID(oid)
	return err == nil && t != nil && len(t.Runs) == 0 && !t.Operators
}
