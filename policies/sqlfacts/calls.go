package sqlfacts

import (
	"context"
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// Body says what an expression or a query would do, as PostgreSQL deparses defaults, policies, conditions and views.
type Body struct {
	// Calls is what it runs besides pure functions: "schema.name", or as Call.Function says. Types outside pg_catalog
	// stand there as "type schema.name", whatever they run. Sequences' nextval and currval are not listed. What the
	// relations that it names run in turn is left to whoever knows them.
	Calls []string
	// Constant: some call takes no column, so that it may run before any row is looked at.
	Constant bool
	// Columns are the names that it reads, of any relation; Whole means that it reads what has no name here.
	Columns []string
	Whole   bool
}

// ReadBody reads a body. An error means that the text is not understood, which the caller must take as running, and
// reading, anything.
func ReadBody(text string, isQuery bool, cat Catalog) (Body, error) {
	if !isQuery {
		text = "SELECT (" + text + "\n)"
	}
	script, err := Parse(text)
	if err != nil {
		return Body{}, err
	}
	if len(script.stmts) != 1 {
		return Body{}, &Error{Code: "42601", Message: fmt.Sprintf("%d statements where one was expected", len(script.stmts))}
	}
	var st Statement
	w := script.walker(script.stmts[0], cat, &st, &budget{ctx: context.Background()})
	w.direct = true
	w.statement(script.stmts[0].GetStmt())
	w.finish()
	if w.err != nil {
		return Body{}, w.err
	}
	for _, p := range st.Operation.Pairs {
		if p.Effect == policyv1.Effect_UNKNOWN {
			return Body{}, &Error{Code: "0A000", Message: st.Reason}
		}
	}
	var b Body
	for _, c := range st.Calls {
		b.Calls = append(b.Calls, c.Function)
	}
	b.Constant = w.constantCall
	for i := range w.refs {
		if w.refs[i].star || w.refs[i].name == "" {
			b.Whole = true
		}
		b.Columns = append(b.Columns, w.refs[i].name)
	}
	return b, nil
}

// RulePairs are the pairs of the actions of a rule, as PostgreSQL deparses CREATE RULE.
func RulePairs(text string, cat Catalog) ([]policies.Pair, error) {
	script, err := Parse(text)
	if err != nil {
		return nil, err
	}
	var pairs []policies.Pair
	for _, raw := range script.stmts {
		rule := raw.GetStmt().GetRuleStmt()
		if rule == nil {
			return nil, &Error{Code: "42601", Message: "not a rule"}
		}
		for _, action := range rule.GetActions() {
			var st Statement
			w := script.walker(&pg.RawStmt{Stmt: action, StmtLocation: raw.GetStmtLocation(), StmtLen: raw.GetStmtLen()}, cat, &st, &budget{ctx: context.Background()})
			w.direct = true
			w.statement(action)
			w.finish()
			if w.err != nil {
				return nil, w.err
			}
			pairs = append(pairs, st.Operation.Pairs...)
		}
	}
	return sortPairs(pairs), nil
}
