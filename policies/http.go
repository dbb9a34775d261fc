package policies

import (
	"fmt"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/httppath"
)

// Call is an HTTP request as far as rules select by it. Its method is the operation's command.
type Call struct {
	// Host is without port, in lower case.
	Host string
	Path httppath.Path
	// Values is what conditions may read as request.http besides params: called at the first need, at most once.
	Values func() map[string]any
	// Fields are what services may read in the body as if it stood in the query; false if some may read others. Called at the
	// first need, at most once; nil if there is no body.
	Fields func() (map[string][]string, bool)
}

// CallOf is the operation of a request. Its one pair has the path as its object.
func CallOf(method string, c *Call) Operation {
	return Operation{Command: method, Pairs: []Pair{{Effect: policyv1.Effect_CALL, Object: c.Path.Raw}}, Call: c}
}

// calls is a compiled HttpOn.
type calls struct {
	methods map[string]struct{}
	hosts   []string
	paths   []httppath.Template
}

func compileCalls(on *policyv1.HttpOn, field string) (*calls, error) {
	if on == nil {
		return nil, nil
	}
	out := &calls{hosts: on.GetHosts()}
	for _, m := range on.GetMethods() {
		if out.methods == nil {
			out.methods = map[string]struct{}{}
		}
		out.methods[m] = struct{}{}
	}
	for i, source := range on.GetPaths() {
		t, err := httppath.Compile(source)
		if err != nil {
			return nil, &Fault{Field: fmt.Sprintf("%s.paths[%d]", field, i), Message: err.Error()}
		}
		out.paths = append(out.paths, t)
	}
	return out, nil
}

// byMethod reports whether the method decides.
func (c *calls) byMethod() bool { return c != nil && len(c.methods) > 0 }

// namesMethod reports whether a condition may read the method, by either of its names.
func namesMethod(when string) bool {
	return strings.Contains(when, "method") || strings.Contains(when, "command")
}

// ByMethod reports whether some rule of a target tells requests apart by their method.
func (p *Policy) ByMethod(target string) bool {
	t := p.targets[target]
	return t != nil && t.byMethod
}

// match reports whether a request is selected. loose: or whether a server could take it for one that is, which tells
// letters by case and a slash at the end from none as the server likes.
func (c *calls) match(op *Operation, loose bool) bool {
	if c == nil {
		return true
	}
	if len(c.methods) > 0 && !c.hasMethod(op.Command, loose) {
		return false
	}
	if len(c.hosts) > 0 && !matchHost(c.hosts, op.Call.Host) {
		return false
	}
	if len(c.paths) == 0 {
		return true
	}
	for _, t := range c.paths {
		if t.Match(op.Call.Path) || loose && t.MayMatch(op.Call.Path) {
			return true
		}
	}
	return false
}

// hasMethod reports whether the method is named. loose: or whether services do the same for it, as for HEAD and GET (RFC
// 9110, 9.3.2).
func (c *calls) hasMethod(method string, loose bool) bool {
	_, ok := c.methods[method]
	if !ok && loose && method == "HEAD" {
		_, ok = c.methods["GET"]
	}
	return ok
}

// params are the values of the first template that matches, or else of the first that may.
func (c *calls) params(op *Operation) map[string]string {
	if c != nil {
		for _, t := range c.paths {
			if t.Match(op.Call.Path) {
				return t.Params(op.Call.Path)
			}
		}
		for _, t := range c.paths {
			if t.MayMatch(op.Call.Path) {
				return t.Params(op.Call.Path)
			}
		}
	}
	return nil
}

// matchHost: "*.example.com" stands for every name below example.com, not for that itself.
func matchHost(patterns []string, host string) bool {
	for _, p := range patterns {
		if suffix, ok := strings.CutPrefix(p, "*"); ok && len(host) > len(suffix) && strings.HasSuffix(host, suffix) || p == host {
			return true
		}
	}
	return false
}

// String says what is selected, for people.
func (c *calls) String() string {
	what := "every request"
	if len(c.methods) > 0 {
		what = strings.Join(sortedKeys(c.methods), ", ")
	}
	if len(c.hosts) > 0 {
		what += " at " + strings.Join(c.hosts, ", ")
	}
	if len(c.paths) > 0 {
		names := make([]string, len(c.paths))
		for i, t := range c.paths {
			names[i] = t.String()
		}
		what += " on " + strings.Join(names, ", ")
	}
	return what
}

// vars are the variables of a condition for one rule: the templates are the rule's own.
func (c *calls) vars(r *readings, op *Operation) vars {
	if op.Call == nil {
		return vars{readings: r}
	}
	return vars{readings: r, params: c.params(op)}
}
