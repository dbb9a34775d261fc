package policies

import (
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/sluicegate/sluice/policies/httploose"
)

// Functions that stand in for operators in loose readings. No policy can name them: @ is no letter of CEL's.
const (
	alikeFunction = "@alike"
	amongFunction = "@among"
	knownFunction = "@known"
)

// looseFunctions declares them.
func looseFunctions() []cel.EnvOption {
	declare := func(name string, f func(a, b ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_dyn_dyn", []*cel.Type{cel.DynType, cel.DynType}, cel.BoolType, cel.BinaryBinding(f)))
	}
	return []cel.EnvOption{
		declare(alikeFunction, func(a, b ref.Val) ref.Val { return types.Bool(alike(a, b)) }),
		declare(amongFunction, func(a, b ref.Val) ref.Val { return among(a, b, alike) }),
		declare(knownFunction, func(a, b ref.Val) ref.Val {
			return among(a, b, func(a, b ref.Val) bool { return a.Equal(b) == types.True })
		}),
	}
}

// rewritten compiles an expression anew, for values whose names are folded, or names and values: then what it compares with
// is folded, too, and compared as services do that read "1" for true.
func rewritten(env *cel.Env, source string, values bool) (cel.Program, *mentions, error) {
	parsed, issues := env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, nil, err
	}
	w := &rewriting{factory: celast.NewExprFactory(), values: values, kept: map[int64]bool{}, mentions: mentionsOf(parsed.NativeRep().Expr())}
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(w.keep))
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(w.rewrite))
	checked, issues := env.Check(parsed)
	if err := issues.Err(); err != nil {
		return nil, nil, err
	}
	program, err := env.Program(checked, cel.CostLimit(whenCost), cel.EvalOptions(cel.OptOptimize))
	return program, w.mentions, err
}

type rewriting struct {
	factory celast.ExprFactory
	values  bool
	// kept are literals that are no values: of times, zones, patterns.
	kept     map[int64]bool
	mentions *mentions
}

// mentions are the names that an expression may read, folded.
type mentions struct {
	names map[string]bool
	// whole: it reads request or request.http as a whole, and so whatever is in it.
	whole bool
}

func (m *mentions) has(name string) bool { return m.whole || m.names[name] }

// mentionsOf finds out whether the expression reads anything as a whole; names come with the rewriting.
func mentionsOf(e celast.Expr) *mentions {
	all, parts := 0, 0
	celast.PostOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		if isPath(e, "request") || isPath(e, "request", "http") {
			all++
		}
		if e.Kind() == celast.SelectKind && (isPath(e.AsSelect().Operand(), "request") || isPath(e.AsSelect().Operand(), "request", "http")) {
			parts++
		}
	}))
	return &mentions{names: map[string]bool{}, whole: all != parts}
}

// keep finds the arguments of functions that read a text as something else than itself.
func (w *rewriting) keep(e celast.Expr) {
	if e.Kind() != celast.CallKind {
		return
	}
	switch e.AsCall().FunctionName() {
	case operators.Equals, operators.NotEquals, operators.In, operators.Index, operators.Add, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, operators.Conditional, overloads.StartsWith, overloads.EndsWith, overloads.Contains:
		return
	}
	for _, a := range e.AsCall().Args() {
		if a.Kind() == celast.LiteralKind {
			w.kept[a.ID()] = true
		}
	}
}

func (w *rewriting) rewrite(e celast.Expr) {
	switch e.Kind() {
	case celast.SelectKind:
		w.selected(e)
	case celast.LiteralKind:
		if text, ok := e.AsLiteral().(types.String); ok && !w.kept[e.ID()] {
			w.mentions.names[httploose.Name(string(text))] = true
			if w.values {
				e.SetKindCase(w.factory.NewLiteral(e.ID(), types.String(httploose.Value(string(text)))))
			}
		}
	case celast.CallKind:
		w.call(e)
	}
}

func (w *rewriting) selected(e celast.Expr) {
	s := e.AsSelect()
	name := httploose.Name(s.FieldName())
	w.mentions.names[name] = true
	if s.IsTestOnly() {
		e.SetKindCase(w.factory.NewPresenceTest(e.ID(), s.Operand(), name))
		return
	}
	e.SetKindCase(w.factory.NewSelect(e.ID(), s.Operand(), name))
}

func (w *rewriting) call(e celast.Expr) {
	c := e.AsCall()
	args := c.Args()
	switch name := c.FunctionName(); {
	case name == operators.Index:
		if text, ok := literalText(args[1]); ok {
			args[1].SetKindCase(w.factory.NewLiteral(args[1].ID(), types.String(httploose.Name(text))))
		}
	case name == operators.In && w.values:
		e.SetKindCase(w.factory.NewCall(e.ID(), amongFunction, args...))
	case name == operators.In:
		e.SetKindCase(w.factory.NewCall(e.ID(), knownFunction, args...))
	case name == operators.Equals && w.values:
		e.SetKindCase(w.factory.NewCall(e.ID(), alikeFunction, args...))
	case name == operators.NotEquals && w.values:
		same := w.factory.NewCall(math.MaxInt64-e.ID(), alikeFunction, args...) // an id that no parser gives
		e.SetKindCase(w.factory.NewCall(e.ID(), operators.LogicalNot, same))
	case name == overloads.Matches && w.values && len(args) > 0:
		pattern := args[len(args)-1]
		if text, ok := literalText(pattern); ok {
			pattern.SetKindCase(w.factory.NewLiteral(pattern.ID(), types.String("(?i)"+text)))
		}
	}
}

func literalText(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// alike compares as services do that do not care for types: each of a list, numbers and truth as texts.
func alike(a, b ref.Val) bool {
	if a.Equal(b) == types.True {
		return true
	}
	if list, ok := a.(traits.Lister); ok {
		if _, both := b.(traits.Lister); !both {
			return bool(among(b, list, alike).(types.Bool))
		}
		return false
	}
	if list, ok := b.(traits.Lister); ok {
		return bool(among(a, list, alike).(types.Bool))
	}
	if truth, ok := a.(types.Bool); ok {
		return truthOf(b) == truth && isTruth(b)
	}
	if truth, ok := b.(types.Bool); ok {
		return truthOf(a) == truth && isTruth(a)
	}
	x, some := numberOf(a)
	y, others := numberOf(b)
	return some && others && x == y
}

func among(a, in ref.Val, same func(a, b ref.Val) bool) ref.Val {
	if m, ok := in.(traits.Mapper); ok {
		if text, isText := a.(types.String); isText {
			a = types.String(httploose.Name(string(text)))
		}
		_, found := m.Find(a)
		return types.Bool(found)
	}
	list, ok := in.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(in)
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		if same(a, it.Next()) {
			return types.True
		}
	}
	return types.False
}

// isTruth reports whether a value is read as true or false by some service.
func isTruth(v ref.Val) bool {
	switch v := v.(type) {
	case types.Bool, types.Null:
		return true
	case types.String:
		switch string(v) {
		case "", "0", "1", "true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "null", "enabled", "disabled":
			return true
		}
		_, isNumber := numberOf(v)
		return isNumber
	}
	_, isNumber := numberOf(v)
	return isNumber
}

func truthOf(v ref.Val) types.Bool {
	switch v := v.(type) {
	case types.Bool:
		return v
	case types.String:
		switch string(v) {
		case "1", "true", "yes", "on", "t", "y", "enabled":
			return true
		}
	}
	n, ok := numberOf(v)
	return types.Bool(ok && n != 0)
}

func numberOf(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), true
	case types.String:
		n, err := strconv.ParseFloat(strings.TrimSpace(string(v)), 64)
		return n, err == nil
	}
	return 0, false
}
