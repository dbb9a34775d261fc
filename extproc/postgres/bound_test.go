package postgres

import (
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// numbered is a catalog of which nothing but its version is asked.
type numbered struct {
	sqlfacts.Catalog
	version uint64
}

func (n numbered) Version() uint64 { return n.version }

// naming are facts of a statement that reads a relation.
func naming(command, object string, calls ...sqlfacts.Call) *sqlfacts.Facts {
	return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{
		Operation: policies.Operation{Command: command, Pairs: []policies.Pair{{Effect: policyv1.Effect_READ, Object: object}}},
		Calls:     calls,
	}}}
}

func TestAPreparedNameIsRefusedOnceItMeansSomethingElse(t *testing.T) {
	w := naming("SELECT", "public.w")
	insert := policies.Operation{Command: "INSERT", Pairs: []policies.Pair{{Effect: policyv1.Effect_INSERT, Object: "public.w"}}}
	inside := naming("SELECT", "public.w")
	inside.Statements[0].Also = []policies.Operation{insert}
	reached := naming("SELECT", "public.w")
	reached.Statements[0].Operation.Reached = []policies.Pair{{Effect: policyv1.Effect_READ, Object: "public.part_1"}}
	prepared := func(version uint64) any { return &granted{catalog: version} }
	for name, c := range map[string]struct {
		q       engine.Question
		now     *sqlfacts.Facts
		free    bool
		refused bool
	}{
		"the same reading":                {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, w, false, false},
		"another that names the same":     {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, naming("SELECT", "public.w"), false, false},
		"another relation":                {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, naming("SELECT", "own.w"), false, true},
		"another function":                {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, naming("SELECT", "public.w", sqlfacts.Call{Function: "own.lower"}), false, true},
		"a trigger that is new":           {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, naming("SELECT", "public.w", sqlfacts.Call{Function: "own.f", Via: "trigger on public.w"}), false, false},
		"a partition that is new":         {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, reached, false, false},
		"another command inside":          {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, inside, false, true},
		"fewer statements":                {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, &sqlfacts.Facts{}, false, true},
		"what it means decides nothing":   {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, naming("SELECT", "own.w"), true, false},
		"it was prepared to be executed":  {engine.Question{Stage: engine.AtExecute, Facts: w, Prepared: prepared(1)}, naming("SELECT", "own.w"), false, false},
		"nothing was found at Parse":      {engine.Question{Stage: engine.AtBind, Prepared: prepared(1)}, naming("SELECT", "own.w"), false, false},
		"described by the same catalog":   {engine.Question{Stage: engine.AtBind, Facts: w, Looked: true, Prepared: prepared(2)}, w, false, false},
		"described by who knows which":    {engine.Question{Stage: engine.AtBind, Facts: w, Looked: true, Prepared: prepared(1)}, w, false, true},
		"not described since the catalog": {engine.Question{Stage: engine.AtBind, Facts: w, Prepared: prepared(1)}, w, false, false},
	} {
		r := rebound(&subject{q: &c.q, facts: c.now, unbounded: c.free, catalog: numbered{version: 2}})
		if (r != nil) != c.refused || r != nil && (r.Code != "26000" || r.Rule != "catalog") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestNamesOfAllButQueriesAreLookedUpWhenTheyAreExecuted(t *testing.T) {
	for _, command := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES"} {
		if looksUpLate(naming(command, "public.w")) {
			t.Errorf("%s", command)
		}
	}
	for _, command := range []string{"COPY", "DROP TABLE", "TRUNCATE", "EXPLAIN", "CREATE TABLE AS", "CREATE VIEW", "LOCK TABLE", "CALL"} {
		if !looksUpLate(naming(command, "public.w")) {
			t.Errorf("%s", command)
		}
	}
	for _, effect := range []policyv1.Effect{policyv1.Effect_PRIVILEGE, policyv1.Effect_MAINTENANCE, policyv1.Effect_LOCK, policyv1.Effect_DDL} {
		st := sqlfacts.Statement{Operation: policies.Operation{Command: "ANALYZE", Pairs: []policies.Pair{{Effect: effect, Object: "public.w"}}}}
		if !looksUpLate(&sqlfacts.Facts{Statements: []sqlfacts.Statement{st}}) {
			t.Errorf("%s", effect)
		}
	}
	begin := &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Operation: policies.Operation{Command: "BEGIN", Pairs: []policies.Pair{{Effect: policyv1.Effect_TRANSACTION}}}}}}
	if looksUpLate(begin) || looksUpLate(nil) {
		t.Error("what names nothing")
	}
}
