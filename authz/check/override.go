package check

import (
	"bytes"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// overrides are names of parameters by which frameworks take a request for one of another method: Rails, Symfony, Laravel
// and Express read _method, others a header's name in a query, Google's APIs $httpMethod.
var overrides = []string{
	"_method", "__method", "x-http-method-override", "x-http-method", "x-method-override", "x-method", "x_http_method_override",
	"x_http_method", "x_method_override", "http_method_override", "http-method-override", "httpmethod", "$httpmethod", "http_method", "_httpmethod",
}

func isOverride(name string) bool { return slices.Contains(overrides, httploose.Name(name)) }

// overridden refuses a request that names another method in its query or body, at a target whose rules speak of methods:
// what was decided on would not be what the service does.
func overridden(r *request, p *policies.Policy) *problem {
	if !p.ByMethod(r.target) {
		return nil
	}
	place := ""
	switch {
	case slices.ContainsFunc(httploose.Pairs(r.path.Query), func(p httploose.Pair) bool { return isOverride(p.Name) }):
		place = "query"
	case r.formOverrides():
		place = "body"
	default:
		return nil
	}
	return &problem{
		Status: 400, Type: "method-override", Title: "A method in another place than the request line",
		Detail: fmt.Sprintf("The %s names a method: some services would take the request for one of that method, and rules of this target tell methods apart.", place),
		Hint:   "Nothing was forwarded. Send the request with the method that it is meant to have.",
	}
}

// formOverrides reports whether a body that a service may read as a form, or as a JSON object in place of one, names a
// method.
func (r *request) formOverrides() bool {
	if len(r.body) == 0 {
		return false
	}
	contentType := r.header("content-type")
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/"):
		return partNames(contentType, r.body)
	case err != nil || kind == "application/x-www-form-urlencoded" || kind == "text/plain" || kind == "application/octet-stream":
		// Without a type, or with one that says nothing, some servers take it for a form.
		return formNames(r.body) || jsonNames(r.body)
	case kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"):
		return jsonNames(r.body)
	}
	return false
}

// mayName reports whether a body can have such a name at all: most are not read further.
func mayName(body []byte) bool {
	folded := bytes.ToLower(body)
	return bytes.Contains(folded, []byte("method")) || bytes.IndexByte(folded, '%') >= 0 || bytes.Contains(folded, []byte(`\u`))
}

func formNames(body []byte) bool {
	return mayName(body) && slices.ContainsFunc(httploose.Pairs(string(body)), func(p httploose.Pair) bool { return isOverride(p.Name) })
}

// partNames looks at the names of a form's parts (RFC 7578). What services could read in more than one way, and has the word,
// is taken for one.
func partNames(contentType string, body []byte) bool {
	if !mayName(body) {
		return false
	}
	names, ok := httpmask.PartNames(contentType, body)
	return !ok || slices.ContainsFunc(names, isOverride)
}

// jsonNames looks at the names of an object's members.
func jsonNames(body []byte) bool {
	if !mayName(body) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return false
	}
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return false
		}
		if isOverride(name.String()) {
			return true
		}
		if err := d.SkipValue(); err != nil {
			return false
		}
	}
	return false
}
