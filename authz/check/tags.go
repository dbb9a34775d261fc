package check

import (
	"regexp"
	"strings"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies/httptag"
)

// bracketed are entity tags in WebDAV's If, beside tokens of locks (RFC 4918, 10.4).
var bracketed = regexp.MustCompile(`\[[^\]]*\]?`)

// isCondition reports whether a header names entity tags (RFC 9110, 13.1): those of object stores for what is copied, too
// (x-amz-copy-source-if-match).
func isCondition(name string) bool {
	for _, of := range [...]string{"if-match", "if-none-match"} {
		if before, ok := strings.CutSuffix(name, of); ok && (before == "" || strings.HasSuffix(before, "-")) {
			return true
		}
	}
	return false
}

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
	var all map[string][]string
	for _, h := range r.headers {
		if h.name != "if" && !isCondition(h.name) {
			continue
		}
		if all == nil {
			all = map[string][]string{}
		}
		all[h.name] = append(all[h.name], h.value)
	}
	out := make(map[string]string, len(all))
	for name, values := range all {
		if name == "if" {
			out[name] = bracketed.ReplaceAllStringFunc(strings.Join(values, " "), func(tag string) string {
				return "[" + tags().Open(strings.Trim(tag, "[]")) + "]"
			})
			continue
		}
		out[name] = tags().Open(strings.Join(values, ", "))
	}
	return out
}
