package check

import (
	"errors"
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
