package policies

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// What conditions may read (newWhenEnv).
var (
	requestNames = []string{"principal", "target", "time", "command", "effects", "objects", "attributes", "http"}
	httpNames    = []string{"method", "scheme", "host", "path", "params", "headers", "query", "body"}
)

// misnamed refuses what can never be there: an allow rule would never match, and "X-A" in request.http.headers would keep a
// deny rule from ever matching, without a word.
func misnamed(a *cel.Ast) error {
	var fault error
	celast.PostOrderVisit(a.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if fault == nil {
			fault = misnamedIn(e)
		}
	}))
	return fault
}

func misnamedIn(e celast.Expr) error {
	switch e.Kind() {
	case celast.SelectKind:
		of, name := e.AsSelect().Operand(), e.AsSelect().FieldName()
		switch {
		case isPath(of, "request") && !slices.Contains(requestNames, name):
			return fmt.Errorf("request has no %q, only %s", name, strings.Join(requestNames, ", "))
		case isPath(of, "request", "http") && !slices.Contains(httpNames, name):
			return fmt.Errorf("request.http has no %q, only %s", name, strings.Join(httpNames, ", "))
		case isPath(of, "request", "http", "headers"):
			return capital(name)
		}
	case celast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Index:
			return misnamedHeader(args[0], args[1])
		case operators.In:
			return misnamedHeader(args[1], args[0])
		}
	}
	return nil
}

func misnamedHeader(of, name celast.Expr) error {
	if name.Kind() != celast.LiteralKind || !isPath(of, "request", "http", "headers") {
		return nil
	}
	text, ok := name.AsLiteral().(types.String)
	if !ok {
		return nil
	}
	return capital(string(text))
}

func capital(header string) error {
	if lower := strings.ToLower(header); lower != header {
		return fmt.Errorf("names in request.http.headers are in lower case: %q, not %q", lower, header)
	}
	return nil
}

// isPath reports whether an expression is these names with dots between.
func isPath(e celast.Expr, names ...string) bool {
	last := len(names) - 1
	if last == 0 {
		return e.Kind() == celast.IdentKind && e.AsIdent() == names[0]
	}
	return e.Kind() == celast.SelectKind && e.AsSelect().FieldName() == names[last] && isPath(e.AsSelect().Operand(), names[:last]...)
}
