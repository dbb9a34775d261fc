package sqlfacts

import (
	"fmt"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Calls returns what an expression or a query, as PostgreSQL deparses defaults, policies, conditions and view bodies,
// would run besides pure functions: "schema.name", or as Call.Function says. Sequences' nextval and currval are not
// listed. What the relations that it names run in turn is left to whoever knows them. An error means that the text is
// not understood, which the caller must take as running anything.
func Calls(text string, isQuery bool, cat Catalog) ([]string, error) {
	if !isQuery {
		text = "SELECT (" + text + "\n)"
	}
	script, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(script.stmts) != 1 {
		return nil, &Error{Code: "42601", Message: fmt.Sprintf("%d statements where one was expected", len(script.stmts))}
	}
	var st Statement
	w := script.walker(script.stmts[0], cat, &st)
	w.direct = true
	w.statement(script.stmts[0].GetStmt())
	w.finish()
	if w.err != nil {
		return nil, w.err
	}
	for _, p := range st.Operation.Pairs {
		if p.Effect == policyv1.Effect_UNKNOWN {
			return nil, &Error{Code: "0A000", Message: st.Reason}
		}
	}
	var list []string
	for _, c := range st.Calls {
		list = append(list, c.Function)
	}
	return list, nil
}
