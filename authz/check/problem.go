package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy_type_v3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
)

// problem is a refusal, for the agent (RFC 9457).
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Approval string `json:"approval,omitempty"`

	// token: the agent showed one, and needs another.
	token bool
	cause error // for the log
	// login: it kept somebody out, for this reason.
	login  bool
	reason string
}

// Error implements error: what ends a hold is told to whoever waits.
func (p *problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// typePrefix makes the type of a problem a URI of its own.
const typePrefix = "urn:sluice:problem:"

func malformed(detail string) *problem {
	return &problem{Status: 400, Type: "malformed", Title: "Not understood", Detail: detail, Hint: "Nothing was forwarded."}
}

// internal is a fault of ours: only the log hears of it.
func internal(err error) *problem {
	return &problem{Status: 500, Type: "internal", Title: "An internal error", Detail: "Nothing was forwarded.", cause: err}
}

// misconfigured is a fault of whoever set Sluice up: the agent can do nothing about it, and trying again may help later.
func misconfigured(detail string, err error) *problem {
	return &problem{
		Status: 503, Type: "misconfigured", Title: "Sluice is misconfigured", Detail: detail + " Nothing was forwarded.",
		Hint: "Ask whoever runs Sluice: its log says what does not fit.", cause: err,
	}
}

// noRecord says that what cannot be recorded does not happen.
func noRecord(err error) *problem {
	if _, ours := errors.AsType[*guard.PanicError](err); ours {
		return internal(err)
	}
	return &problem{
		Status: 503, Type: "no-record", Title: "Cannot be recorded", Detail: "Sluice cannot record, so nothing is forwarded.",
		Hint: "Ask whoever runs Sluice: the recorder has failed or its disk is full.", cause: err,
	}
}

// turnedAway is a decision against a request.
func turnedAway(err error) *problem {
	var d *guard.Denied
	if !errors.As(err, &d) {
		return internal(err)
	}
	p := denial(d.Decision)
	p.cause, p.reason = d.Err, d.Kind.String()
	switch d.Kind {
	case guard.NotReady, guard.Unavailable:
		p.Status, p.Type = 503, "unavailable"
	case guard.SessionEnded:
		p.Status, p.Type, p.token = 401, "session-ended", true
	case guard.Rejected:
		p.Type = "rejected"
	case guard.Expired:
		p.Type = "expired"
	case guard.Changed:
		p.Status, p.Type = 409, "changed"
	}
	return p
}

func denial(d policies.Decision) *problem {
	p := &problem{Status: 403, Type: "denied", Title: d.Message, Detail: d.Detail, Hint: d.Hint}
	if len(d.Rules) > 0 {
		p.Rule = d.Rules[0]
	}
	return p
}

// response is what Envoy answers the agent with.
func (p *problem) response(head bool) *envoy_service_auth_v3.CheckResponse {
	shown := *p
	if shown.Type == "" {
		shown.Type = "about:blank"
	} else {
		shown.Type = typePrefix + shown.Type
	}
	body, err := json.Marshal(&shown)
	if err != nil { // strings and a number: cannot be
		body = []byte(`{"status":500}`)
	}
	denied := &envoy_service_auth_v3.DeniedHttpResponse{
		Status: &envoy_type_v3.HttpStatus{Code: envoy_type_v3.StatusCode(p.Status)}, //nolint:gosec // G115: a status
		Headers: []*envoy_config_core_v3.HeaderValueOption{
			set("content-type", "application/problem+json"), set("cache-control", "no-store"),
		},
	}
	if !head {
		denied.Body = escaped(body) + "\n"
	}
	if p.Status == 401 {
		challenge := `Bearer realm="sluice"`
		if p.token { // RFC 6750, 3.1
			challenge += `, error="invalid_token"`
		}
		denied.Headers = append(denied.Headers, set("www-authenticate", challenge))
	}
	if p.Status == 503 {
		denied.Headers = append(denied.Headers, set("retry-after", "1"))
	}
	return &envoy_service_auth_v3.CheckResponse{
		Status:       &status.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &envoy_service_auth_v3.CheckResponse_DeniedResponse{DeniedResponse: denied},
	}
}

// escaped writes characters that a terminal obeys and does not show (control, bidi) as escapes: a reason is what a person
// wrote, a path what an agent did.
func escaped(document []byte) string {
	var out strings.Builder
	for _, r := range string(document) {
		switch {
		case !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

func set(name, value string) *envoy_config_core_v3.HeaderValueOption {
	return &envoy_config_core_v3.HeaderValueOption{
		Header:       &envoy_config_core_v3.HeaderValue{Key: name, Value: value},
		AppendAction: envoy_config_core_v3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
