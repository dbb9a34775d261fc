package check

import (
	"fmt"
	"maps"
	"net/url"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httppath"
)

// readPaths finds what a request is about: its own path, and the one that it names as a destination (WebDAV: RFC 4918,
// 10.3), which a service writes to. Rules are asked about both.
func readPaths(r *request, t *policyv1.Target, p *policies.Policy) ([]policies.Operation, *problem) {
	if foreign := p.Foreign(r.target, r.host(), r.path); foreign != "" {
		return nil, foreignPath(foreign)
	}
	own := operationOf(r)
	to, ok, problem := destination(r)
	if problem != nil || !ok {
		return []policies.Operation{own}, problem
	}
	if foreign := p.Foreign(r.target, r.host(), to); foreign != "" || !to.Begins(policies.PathPrefix(t.GetHttp())) {
		return nil, foreignPath(foreign)
	}
	there := policies.CallOf(r.method, &policies.Call{Host: r.host(), Path: to, Values: func() map[string]any {
		values := maps.Clone(r.values())
		values["path"] = to.Raw
		return values
	}, Fields: r.fields})
	return []policies.Operation{own, there}, nil
}

// foreignPath refuses what another target would have decided on, had it been written as that is configured.
func foreignPath(target string) *problem {
	detail := "The Destination is not below the path_prefix of the target."
	if target != "" {
		detail = fmt.Sprintf("A service could take the path for one of target %q.", target)
	}
	return &problem{
		Status: 400, Type: "malformed", Title: "Not understood", Detail: detail,
		Hint: "Nothing was forwarded. Write the path as the service's own documentation does.",
	}
}

// destination reads that header where it is one: every COPY and MOVE has it, other requests may.
func destination(r *request) (to httppath.Path, some bool, _ *problem) {
	for _, h := range r.headers {
		if h.name != "destination" {
			continue
		}
		at, isPath := h.value, strings.HasPrefix(h.value, "/")
		if u, err := url.Parse(h.value); err == nil && u.Host != "" {
			at, isPath = u.EscapedPath(), true
			if host := strings.ToLower(u.Host); host != r.authority && strings.ToLower(u.Hostname()) != r.host() {
				return to, false, malformed("The Destination is at another host.")
			}
			if u.RawQuery != "" {
				at += "?" + u.RawQuery
			}
		}
		if !isPath && r.method != "COPY" && r.method != "MOVE" {
			continue // of another protocol
		}
		if some {
			return to, false, malformed(`The header "destination" stands twice.`)
		}
		var err error
		if to, err = httppath.Parse(at); err != nil {
			return to, false, malformed("The Destination: " + err.Error() + ".")
		}
		some = true
	}
	return to, some, nil
}
