package check

import (
	"strings"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies/httptag"
)

// conditions are the headers that name entity tags (RFC 9110, 13.1).
var conditions = []string{"if-match", "if-none-match"}

// tags is the scope of entity tags for a request: who asks, under which masks, for what. Nil where no mask reads bodies:
// there a service's tags pass as they are.
func (a *asking) tags(v guard.Verdict) func() httptag.Scope {
	p, target := a.admission.Who(), a.admission.Target.GetName()
	masks := v.Policy.Masks(p, target)
	if !masks.HidesBodies() {
		return nil
	}
	key, authority, path := a.server.o.Tags, a.request.authority, a.request.path.Raw
	return func() httptag.Scope {
		return key.Scope([]byte(p.GetIssuerUrl()), []byte(p.GetSubject()), []byte(target), masks.Digest(), []byte(authority), []byte(path))
	}
}

// opened are the conditions of a request as the service gets them: what agents only guess of its tags matches nothing.
func opened(r *request, tags func() httptag.Scope) map[string]string {
	var out map[string]string
	for _, name := range conditions {
		var all []string
		for _, h := range r.headers {
			if h.name == name {
				all = append(all, h.value)
			}
		}
		if len(all) == 0 {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = tags().Open(strings.Join(all, ", "))
	}
	return out
}
