package check

import (
	"errors"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/authz/identity"
)

// bearer is the agent's token (RFC 6750, 2.1).
func (r *request) bearer() string {
	scheme, token, _ := strings.Cut(r.header("authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// shows reports whether the token stands where it would go on to the service, or into the record.
func (r *request) shows(token string) bool {
	if strings.Contains(r.path.Query, token) || strings.Contains(r.path.Raw, token) {
		return true
	}
	for _, h := range r.headers {
		if !slices.Contains(removed, h.name) && strings.Contains(h.value, token) {
			return true
		}
	}
	return false
}

// unidentified says why a token was refused, and how to get one. It never shows the token.
func unidentified(err error) *problem {
	p := &problem{
		Status: 401, Type: "unidentified", Title: "No identity", Detail: "The token was refused.", cause: err,
		Hint: "Send a current token from your identity provider, for Sluice's audience: Authorization: Bearer TOKEN (in the demo: bin/sluice token --as NAME).",
	}
	var refused *identity.Error
	if errors.As(err, &refused) {
		p.Detail = refused.Public()
		if refused.Kind == identity.Unavailable {
			p.Status, p.Type, p.Title = 503, "unavailable", "Cannot be decided now"
		}
	}
	return p
}
