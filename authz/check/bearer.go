package check

import (
	"bytes"
	"errors"
	"net/url"
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

// shows reports whether the token stands where it would go on to the service, or into the record. Its signature is
// enough: the rest of it is no secret without that (RFC 7515, 3.1).
func (r *request) shows(token string) bool {
	part := token[strings.LastIndexByte(token, '.')+1:]
	query, err := url.QueryUnescape(r.path.Query)
	if err != nil {
		query = "" // what is no encoding stands there as it is
	}
	segments := "" // with nothing encoded they are the path
	if strings.Contains(r.path.Raw, "%") {
		segments = strings.Join(r.path.Segments, "/")
	}
	for _, text := range [...]string{r.path.Raw, segments, r.path.Query, query} {
		if strings.Contains(text, part) {
			return true
		}
	}
	if strings.Contains(r.authority, strings.ToLower(part)) || bytes.Contains(r.body, []byte(part)) {
		return true
	}
	for _, h := range r.headers {
		// Those two go nowhere. Others that do not go on are recorded.
		if h.name != "authorization" && h.name != "proxy-authorization" && strings.Contains(h.value, part) {
			return true
		}
	}
	return false
}

// unidentified says why a token was refused, and how to get one. It never shows the token.
func unidentified(token string, err error) *problem {
	p := &problem{
		Status: 401, Type: "unidentified", Title: "No identity", Detail: "The token was refused.", token: token != "", cause: err,
		Hint: "Send a current token from your identity provider, for Sluice's audience: Authorization: Bearer TOKEN (in the demo: bin/sluice token --as NAME).",
	}
	var refused *identity.Error
	if errors.As(err, &refused) {
		p.reason = refused.Kind.String()
		p.Detail = refused.Public()
		if refused.Kind == identity.Unavailable {
			p.Status, p.Type, p.Title, p.Hint = 503, "unavailable", "Cannot be decided now", identity.UnavailableHint
		}
	}
	return p
}
