package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// whenCost bounds one evaluation, in CEL's own units: about a millisecond.
const whenCost = 100_000

// condition is a compiled when. The zero value always holds.
type condition struct {
	program cel.Program
	// names and loose are the same for a request as lenient services may read it: names folded, or names and values.
	names, loose cel.Program
	mentions     *mentions
	// aboutDoings: it may ask what a command does, and to what.
	aboutDoings bool
}

// newWhenEnv declares what an expression may read: request.principal (issuer, subject, groups, kind), request.target,
// request.time, request.command, request.effects, request.objects, request.attributes as the protocol gives them, and
// for HTTP request.http: params of the rule's template, and what Call.Values gives.
func newWhenEnv() (*cel.Env, error) {
	return cel.NewEnv(append(looseFunctions(), cel.Variable("request", cel.MapType(cel.StringType, cel.DynType)))...)
}

func compileWhen(env *cel.Env, source string) (condition, error) {
	if source == "" {
		return condition{}, nil
	}
	ast, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		return condition{}, err
	}
	if t := ast.OutputType(); t != cel.BoolType && t != cel.DynType {
		return condition{}, fmt.Errorf("gives %s, a bool is needed", t)
	}
	if err := misnamed(ast); err != nil {
		return condition{}, err
	}
	out := condition{aboutDoings: slices.ContainsFunc([]string{"command", "effects", "objects"}, func(name string) bool { return strings.Contains(source, name) })}
	var err error
	if out.program, err = env.Program(ast, cel.CostLimit(whenCost), cel.EvalOptions(cel.OptOptimize)); err != nil {
		return condition{}, err
	}
	if out.names, out.mentions, err = rewritten(env, source, false); err != nil {
		return condition{}, err
	}
	out.loose, _, err = rewritten(env, source, true)
	return out, err
}

// holds evaluates. takes: the rule denies, or asks for approval. An expression that fails is met then, while a rule that
// allows must not match; and it is met if any of the ways in which services may read the request meets it.
func (c condition) holds(v vars, takes bool) bool {
	return c.exactly(v, takes) || takes && c.loosely(v)
}

// exactly reports whether the condition holds for the request as it is.
func (c condition) exactly(v vars, onError bool) bool {
	return c.program == nil || met(c.program, v.as(), onError)
}

// loosely reports whether it holds for the request as some service may read it.
func (c condition) loosely(v vars) bool {
	for _, values := range [...]bool{false, true} {
		program := c.names
		if values {
			program = c.loose
		}
		all := v.loose(values, c.mentions)
		if all == nil {
			return false
		}
		for _, all := range v.joined(all, values, c.mentions) {
			found, few := each(all, choices(all, c.mentions, values), func(one map[string]any) bool { return met(program, one, true) })
			if found || !few {
				return true
			}
		}
	}
	return false
}

// met evaluates once.
func met(program cel.Program, values map[string]any, onError bool) bool {
	value, _, err := program.Eval(values)
	if err != nil {
		return onError
	}
	b, ok := value.(types.Bool)
	if !ok {
		return onError
	}
	return bool(b)
}

// failure says why an expression fails, for whoever writes policies; empty if it does not.
func (c condition) failure(v vars) string {
	if c.program == nil {
		return ""
	}
	value, _, err := c.program.Eval(v.as())
	if err != nil {
		return "its condition fails: " + err.Error()
	}
	if _, ok := value.(types.Bool); !ok {
		return fmt.Sprintf("its condition gives %s, a bool is needed", value.Type().TypeName())
	}
	return ""
}

// activation is built at most once an operation, and only if some rule has a condition.
func activation(req *Request, op *Operation) map[string]any {
	p := req.Principal
	request := map[string]any{
		"principal": map[string]any{
			"issuer":  p.GetIssuer(),
			"subject": p.GetSubject(),
			"groups":  p.GetGroups(),
			"kind":    p.GetKind().String(),
		},
		"target":     req.Target,
		"time":       req.Time.UTC(),
		"attributes": req.Attributes,
		"command":    "",
		"effects":    []string{},
		"objects":    []string{},
	}
	if op != nil {
		effects, objects := pairNames(op.Pairs)
		request["command"], request["effects"], request["objects"] = op.Command, effects, objects
		if c := op.Call; c != nil {
			http := map[string]any{"params": map[string]string{}}
			if c.Values != nil {
				maps.Copy(http, c.Values())
			}
			request["http"] = http
		}
	}
	return map[string]any{"request": request}
}

func pairNames(pairs []Pair) (effects, objects []string) {
	seen := map[policyv1.Effect]bool{}
	for _, p := range pairs {
		if !seen[p.Effect] {
			seen[p.Effect] = true
			effects = append(effects, p.Effect.String())
		}
		objects = append(objects, p.Object)
	}
	return effects, objects
}
