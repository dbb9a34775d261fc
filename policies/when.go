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
	// aboutDoings: it may ask what a command does, and to what.
	aboutDoings bool
}

// newWhenEnv declares what an expression may read: request.principal (issuer, subject, groups, kind), request.target,
// request.time, request.command, request.effects, request.objects, request.attributes as the protocol gives them, and
// for HTTP request.http: params of the rule's template, and what Call.Values gives.
func newWhenEnv() (*cel.Env, error) {
	return cel.NewEnv(cel.Variable("request", cel.MapType(cel.StringType, cel.DynType)))
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
	program, err := env.Program(ast, cel.CostLimit(whenCost), cel.EvalOptions(cel.OptOptimize))
	about := slices.ContainsFunc([]string{"command", "effects", "objects"}, func(name string) bool { return strings.Contains(source, name) })
	return condition{program: program, aboutDoings: about}, err
}

// holds evaluates. onError is the answer for an expression that fails: a rule that allows must not match then, one
// that denies or asks for approval must (DESIGN 3.14).
func (c condition) holds(values func() map[string]any, onError bool) bool {
	if c.program == nil {
		return true
	}
	value, _, err := c.program.Eval(values())
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
func (c condition) failure(values func() map[string]any) string {
	if c.program == nil {
		return ""
	}
	value, _, err := c.program.Eval(values())
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
