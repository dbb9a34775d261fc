package check

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httploose"
)

// operationOf is the request in the words of a policy.
func operationOf(r *request) policies.Operation {
	return policies.CallOf(r.method, &policies.Call{Host: r.host(), Path: r.path, Values: r.values, Fields: r.fields})
}

// values are what conditions may read as request.http. What cannot be read without doubt is absent, so that a condition
// on it fails.
func (r *request) values() map[string]any {
	headers := map[string]string{}
	for _, h := range r.headers {
		if secret(h.name) {
			continue
		}
		if before, ok := headers[h.name]; ok {
			headers[h.name] = before + ", " + h.value // RFC 9110, 5.3
		} else {
			headers[h.name] = h.value
		}
	}
	out := map[string]any{
		"method": r.method, "scheme": r.scheme, "host": r.host(), "path": r.path.Raw, "headers": headers,
	}
	if query, err := url.ParseQuery(r.path.Query); err == nil && !strings.Contains(r.path.Query, ";") {
		out["query"] = map[string][]string(query)
	}
	if body, ok := r.json(); ok {
		out["body"] = body
	}
	return out
}

// json is the body, if it is one document without a name that stands twice: servers differ in which of the two they
// take (RFC 8259, 4).
func (r *request) json() (any, bool) {
	kind, parameters, err := mime.ParseMediaType(r.header("content-type"))
	charset := strings.ToLower(parameters["charset"])
	switch {
	case err != nil || r.header("content-encoding") != "" || charset != "" && charset != "utf-8":
		return nil, false
	case kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return nil, false
	}
	var v any
	if json.Unmarshal(r.body, &v) != nil || doubtful(v) || !exact(r.body) {
		return nil, false
	}
	return v, true
}

// doubtful reports whether some object has two names that some servers take for one, as those that differ by case alone.
func doubtful(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		folded := make(map[string]struct{}, len(v))
		for name, member := range v {
			f := httploose.Name(name)
			if _, twice := folded[f]; twice || doubtful(member) {
				return true
			}
			folded[f] = struct{}{}
		}
	case []any:
		return slices.ContainsFunc(v, doubtful)
	}
	return false
}

// exactDigits is how many decimal digits a number may have so that it is read as what it says (IEEE 754).
const exactDigits = 15

// exact reports whether every number of a valid document is read as what it says: a server may hold more digits.
func exact(document []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return false
		case token.Kind() != '0':
			continue
		}
		number := token.String()
		mantissa := number
		if e := strings.IndexAny(number, "eE"); e >= 0 {
			mantissa = number[:e]
		}
		digits, some := significant(mantissa)
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || digits > exactDigits || f == 0 && some {
			return false
		}
	}
}

// significant counts the digits of a mantissa from the first that is not zero to the last, and says whether there are
// any. It allocates nothing: a body may be numbers and little else.
func significant(mantissa string) (n int, some bool) {
	zeros := 0
	for i := range len(mantissa) {
		switch c := mantissa[i]; {
		case c < '0' || c > '9':
		case c != '0':
			n += zeros + 1
			zeros, some = 0, true
		case some:
			zeros++
		}
	}
	return n, some
}

// recordRequest writes what is asked, before anything is decided on it.
func (a *asking) recordRequest() error {
	r, shown := a.request, a.server.o.Shown
	show := func(v string) string { return shown.Value(a.policy, r.target, v) }
	header := func(name, v string) string { return shown.Header(a.policy, r.target, name, v) }
	event := &recordv1.Event{Kind: &recordv1.Event_HttpRequest{HttpRequest: &recordv1.HttpRequest{
		Number: a.number, Method: r.method, Scheme: r.scheme, Host: show(r.authority), Path: show(r.uri),
		Headers: r.recorded(header, a.admission.Target.GetCredential().GetHeader().GetName()), RequestId: readable(r.id), ClientAddress: r.client,
	}}}
	if len(r.body) == 0 {
		return a.session.rec.Append(false, event)
	}
	return a.session.rec.AppendData([]*recordv1.Event{event}, recordv1.Data_FROM_AGENT, a.number, a.body())
}

// body is the request's as it may be shown.
func (a *asking) body() []byte {
	return a.server.o.Shown.Body(a.policy, a.request.target, a.request.header("content-type"), a.request.body)
}

func (a *asking) decision(verdict recordv1.Decision_Verdict, d policies.Decision, p *problem) *recordv1.Event {
	out := &recordv1.Decision{Number: a.number, Verdict: verdict, Rules: d.Rules, Masks: d.Masks, BundleVersion: d.Version}
	if p != nil { // its words may have the path
		show := func(v string) string { return a.server.o.Shown.Value(a.policy, a.request.target, v) }
		out.Code, out.Message, out.Detail, out.Hint = statusText(uint32(p.Status)), show(p.Title), show(p.Detail), p.Hint //nolint:gosec // G115: a status
	}
	return &recordv1.Event{Kind: &recordv1.Event_Decision{Decision: out}}
}

// refused records a request that does not go on.
func (a *asking) refused(d policies.Decision, p *problem) *problem {
	a.denied(d, p)
	if err := a.session.rec.Append(false, a.decision(recordv1.Decision_DENY, d, p)); err != nil {
		return noRecord(err)
	}
	return p
}

// credential is the header that goes on in place of the agent's.
func (s *Server) credential(ctx context.Context, t *policyv1.Target) (name, value string, err error) {
	lease, err := s.o.Credentials.Lease(ctx, t)
	if err != nil {
		return "", "", err
	}
	secret := lease.Password()
	if err := lease.Release(ctx); err != nil { // a stored secret has nothing to end; it is used up here
		return "", "", err
	}
	switch c := t.GetCredential().GetKind().(type) {
	case *policyv1.Credential_Header:
		return c.Header.GetName(), secret, nil
	case *policyv1.Credential_Bearer:
		return "authorization", "Bearer " + secret, nil
	default:
		return "authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(lease.Username+":"+secret)), nil
	}
}

func statusText(code uint32) string {
	return strings.TrimSpace(strconv.Itoa(int(code)) + " " + http.StatusText(int(code)))
}
