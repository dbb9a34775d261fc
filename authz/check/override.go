package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"regexp"
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
		Detail: fmt.Sprintf("The %s names a method, or could be read so: some services would take the request for one of that method, and rules of this target tell methods apart.", place),
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
	kind, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/"):
		return partNames(contentType, r.body)
	case err != nil || kind == "application/x-www-form-urlencoded" || kind == "text/plain" || kind == "application/octet-stream":
		// Without a type, or with one that says nothing, some servers take it for a form.
		text := inASCII(r.body)
		return otherLetters(parameters["charset"]) || formNames(text) || bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) && memberNames(text)
	case kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"):
		return otherLetters(parameters["charset"]) || memberNames(inASCII(r.body))
	}
	return false
}

// likeASCII are character sets in which the letters of a name are what they are in ASCII, or inASCII makes them so.
var likeASCII = regexp.MustCompile(`(?i)^(utf-?8|utf-?16(le|be)?|utf-?32(le|be)?|(us-)?ascii|latin-?1|(iso-?8859|windows|cp-?125|koi8)[-_0-9a-z]*)?$`)

// otherLetters reports whether a body in a character set could spell a name in bytes that are not looked for.
func otherLetters(charset string) bool { return !likeASCII.MatchString(charset) }

// inASCII is a body without the marks and bytes that UTF-16 and UTF-32 add to ASCII.
func inASCII(body []byte) []byte {
	for _, mark := range []string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe", "\x00\x00\xfe\xff"} {
		body = bytes.TrimPrefix(body, []byte(mark))
	}
	if bytes.IndexByte(body, 0) < 0 {
		return body
	}
	return bytes.ReplaceAll(body, []byte{0}, nil)
}

// mayName reports whether a body can have such a name at all: most are not read further.
func mayName(body []byte) bool {
	return bytes.ContainsAny(body, `%\`) || bytes.Contains(bytes.ToLower(body), []byte("method"))
}

func formNames(body []byte) bool {
	return mayName(body) && slices.ContainsFunc(httploose.Pairs(string(body)), func(p httploose.Pair) bool { return isOverride(p.Name) })
}

// encodedName finds a part's name that is in pieces, or encoded (RFC 2231, RFC 2047): it need not have the word.
var encodedName = regexp.MustCompile(`(?i)\bname\s*(\*|=[^\r\n]*=\?)`)

// partNames looks at the names of a form's parts (RFC 7578). What services could read in more than one way, and could name a
// method, is taken to.
func partNames(contentType string, body []byte) bool {
	if text := inASCII(body); !mayName(text) && !encodedName.Match(text) {
		return false
	}
	names, ok := httpmask.PartNames(contentType, body)
	return !ok || slices.ContainsFunc(names, isOverride)
}

// memberNames looks at the names of an object's members. What is no JSON to its end, and has the word, is taken to name a
// method: some services read more than JSON, such as comments, or another kind of quotes.
func memberNames(body []byte) bool {
	if !mayName(body) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return d.SkipValue() != nil || !over(d)
	}
	if _, err := d.ReadToken(); err != nil {
		return true
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil || isOverride(name.String()) || d.SkipValue() != nil {
			return true
		}
	}
	_, err := d.ReadToken()
	return err != nil || !over(d)
}

// over reports whether nothing follows.
func over(d *jsontext.Decoder) bool {
	_, err := d.ReadToken()
	return errors.Is(err, io.EOF)
}
