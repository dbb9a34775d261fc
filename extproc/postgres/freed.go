package postgres

import (
	"maps"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// maxFreed is how many names are kept that a transaction has freed; beyond it, it may be any.
const maxFreed = 1000

// afterFreed refuses what names something that was dropped, renamed or moved before, in the same string, or in a transaction that
// only the session itself can see: the name leads to another of its kind then, in a schema further down the search_path, and
// nobody has judged that. What only makes something finds nothing by its name.
func afterFreed(facts *sqlfacts.Facts, freed change) *engine.Refusal {
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if !freed.nothing() && !onlyMakes(st) && freed.meetsOne(st) {
			return &engine.Refusal{
				Code: codeUnsupported, Message: "what the statement names was dropped, renamed or moved in this transaction, so what it means now is not certain",
				Hint: "Send the change alone, COMMIT it, and run the statement then.", Rule: "catalog",
			}
		}
		freed = freed.freedBy(st)
	}
	return nil
}

func onlyMakes(st *sqlfacts.Statement) bool {
	switch st.Operation.Command {
	case "CREATE TABLE", "CREATE SEQUENCE", "CREATE TYPE", "CREATE DOMAIN", "CREATE SCHEMA":
		return len(st.Operation.Pairs) == 1 && st.Operation.Pairs[0].Effect == policyv1.Effect_DDL
	}
	return false
}

// freedBy adds the names that a statement may free. The change that it is called on stays as it is.
func (c change) freedBy(st *sqlfacts.Statement) change {
	c.sequences = c.sequences || st.Operation.Command == "DROP TABLE" || st.Operation.Command == "ALTER TABLE" // those that go with a column
	if !st.Frees || st.Temporary || ofItsSession(st.Kind) {
		return c
	}
	names := maps.Clone(c.names)
	if names == nil {
		names = map[string]struct{}{}
	}
	for _, p := range redefined(st) {
		name := bare(p.Object)
		c.all = c.all || name == "" || name == "*"
		names[name] = struct{}{}
	}
	c.all = c.all || len(names) > maxFreed
	if c.names = names; c.all {
		c.names = nil
	}
	return c
}
