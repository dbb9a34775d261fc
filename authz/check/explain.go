package check

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httppath"
)

// Explain says what would be decided on a request, written "METHOD PATH" or "METHOD URL", and why. It has neither
// headers nor a body, so a condition on those fails. The error says what is wrong with the text.
func Explain(p *policies.Policy, who *identityv1.Principal, target *policyv1.Target, text string, now time.Time) (*controlv1.ExplainResponse, error) {
	r, err := written(text, target)
	if err != nil {
		return nil, err
	}
	op := operationOf(r)
	d, traces := p.Explain(&policies.Request{Principal: who, Target: target.GetName(), Operations: []policies.Operation{op}, Time: now})
	out := &controlv1.ExplainResponse{
		Pairs:    []*recordv1.Pair{{Effect: policyv1.Effect_CALL, Object: r.path.Raw}},
		Decision: &recordv1.Decision{Rules: d.Rules, Masks: d.Masks, BundleVersion: d.Version, Message: d.Message, Detail: d.Detail, Hint: d.Hint},
	}
	out.Decision.Verdict = map[policies.Verdict]recordv1.Decision_Verdict{
		policies.Allow: recordv1.Decision_ALLOW, policies.Hold: recordv1.Decision_HOLD, policies.Deny: recordv1.Decision_DENY,
	}[d.Verdict]
	for _, t := range traces {
		out.Trace = append(out.Trace, &controlv1.RuleTrace{Rule: t.Rule, Action: t.Action, Matched: t.Matched, Reason: t.Reason})
	}
	return out, nil
}

// written reads a request as people write it.
func written(text string, target *policyv1.Target) (*request, error) {
	method, rest, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok || !isMethod(method) {
		return nil, malformed("A request is written METHOD PATH, such as: GET /customers/7.")
	}
	r := &request{target: target.GetName(), method: method, scheme: "https"}
	if hosts := target.GetHttp().GetHosts(); len(hosts) > 0 {
		r.authority = hosts[0]
	}
	path := strings.TrimSpace(rest)
	if !strings.HasPrefix(path, "/") {
		u, err := url.Parse(path)
		if err != nil || u.Host == "" {
			return nil, malformed("The path begins with a slash, or a URL with https:// stands in its place.")
		}
		r.scheme, r.authority, path = u.Scheme, strings.ToLower(u.Host), u.RequestURI()
	}
	var err error
	if r.path, err = httppath.Parse(path); err != nil {
		return nil, err
	}
	if prefix := policies.PathPrefix(target.GetHttp()); !r.path.Begins(prefix) {
		return nil, malformed(fmt.Sprintf("The target takes what is below %s.", prefix))
	}
	return r, nil
}
