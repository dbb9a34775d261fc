package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// overrides are names of parameters by which frameworks take a request for one of another method: Rails, Symfony, Laravel
// and Express read _method, Werkzeug's users __METHOD_OVERRIDE__, others a header's name in a query, Google's APIs $httpMethod.
var overrides = []string{
	"_method", "__method", "x-http-method-override", "x-http-method", "x-method-override", "x-method", "x_http_method_override",
	"x_http_method", "x_method_override", "http_method_override", "http-method-override", "httpmethod", "$httpmethod", "http_method", "http-method",
	"_httpmethod", "_http_method", "__method_override__", "__method_override", "_method_override", "method_override", "method-override",
	"x-tunneled-method", "x_tunneled_method",
}

func isOverride(name string) bool {
	return slices.ContainsFunc(httploose.Names(name), func(n string) bool { return slices.Contains(overrides, n) })
}

// methods are what the name "method" means one by: Facebook's Graph API and others read ?method=delete, while to most it is a word
// like any other.
var methods = []string{"get", "head", "post", "put", "patch", "delete", "options", "trace", "connect", "query", "purge", "merge", "link", "unlink", "copy", "move"}

// isOverridePair reports whether a field of a query or form names a method.
func isOverridePair(name, value string) bool {
	return isOverride(name) || slices.Contains(httploose.Names(name), "method") && slices.Contains(methods, httploose.Value(value))
}

// overridden refuses a request that names another method in its query or body, at a target whose rules speak of methods:
// what was decided on would not be what the service does.
func overridden(r *request, p *policies.Policy) *problem {
	if !p.ByMethod(r.target) {
		return nil
	}
	place := ""
	switch {
	case slices.ContainsFunc(httploose.Pairs(r.path.Query), func(p httploose.Pair) bool { return isOverridePair(p.Name, p.Value) }):
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
// method. What is neither by its type is one only if it has such a name, or could: in letters that may be any, or compressed
// so that it cannot be read.
func (r *request) formOverrides() bool {
	if len(r.body) == 0 {
		return false
	}
	b := r.bodyType()
	if b.anyLetters() {
		return true
	}
	body := r.body
	if encoding := r.header("content-encoding"); compressed(encoding) {
		// Services that unpack nothing read a form in the bytes themselves: a name of a file in them, what does not compress.
		if b.multipart || formNames(body) {
			return true
		}
		if text, ok := unpacked(encoding, body, maxUnpacked); ok {
			body = text
		} else if b.opaque() {
			return true
		}
	}
	text := inASCII(body)
	switch {
	case formNames(text) || len(text) < len(body) && formNames(body): // some services read a form in a body of any type
		return true
	case b.multipart:
		return partNames(b.contentType, body, text)
	case b.json:
		return memberNames(text) || cutName.Match(body)
	}
	// What says nothing of itself, some services take for JSON, too.
	vague := b.form || b.kind == "text/plain" || b.kind == "application/octet-stream"
	object := bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) && (vague || almostName.Match(text))
	return object && memberNames(text)
}

var (
	// neverForm are types that clients compress as they like, and services read as nothing else.
	neverForm = regexp.MustCompile(`^application/(x-git-[a-z-]+|(x-|vnd\.google\.)?protobuf|(connect\+)?proto|grpc(-web)?(\+proto)?)$`)
	// almostName is in each name by which a method is named, unless that is written with escapes.
	almostName = regexp.MustCompile(`(?i)([-_.]|http|x|tunneled) ?method|method[-_. ]override|\\`)
	// cutName is a zero behind what may be such a name, in letters of a byte each: some services read no further.
	cutName = regexp.MustCompile(`(?is)(method|\\u).*\x00`)
)

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

// longestMethod is how much of a value may be a method's name, in bytes, encoded and with blanks around it.
const longestMethod = 64

// formNames looks at the names of a form's fields (WHATWG URL, 5.1). Values are not decoded further than they may be a method:
// they may be most of a body.
func formNames(body []byte) bool {
	for field := range bytes.FieldsFuncSeq(body, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := bytes.Cut(field, []byte("="))
		if len(name) < len("method") || !mayName(name) && !bytes.ContainsFunc(name, unicode.IsControl) {
			continue
		}
		value = value[:min(len(value), longestMethod)]
		if isOverridePair(httploose.Unescape(string(name), true), httploose.Unescape(string(value), true)) {
			return true
		}
	}
	return false
}

// otherNames finds what a multipart body may have whose parts' names need not have the word: names that are in pieces, or
// encoded (RFC 2231, RFC 2047), lines that are folded, and parts within parts.
var otherNames = regexp.MustCompile(`(?i)\bname\s*(\*|=[^\r\n]*=\?)|[\r\n][ \t]|multipart/`)

// partNames looks at the names of a form's parts (RFC 7578). What services could read in more than one way, and could name a
// method, is taken to.
func partNames(contentType string, body, text []byte) bool {
	if httploose.IsMultipart(contentType) {
		if names, ok := httpmask.PartNames(contentType, body); ok {
			return slices.ContainsFunc(names, isOverride)
		}
	}
	return mayName(controls.ReplaceAll(text, nil)) || otherNames.Match(text)
}

// controls are what some services take out of names. Ends of lines are among them: PHP joins a line of a part's header that has
// no colon to the one before it.
var controls = regexp.MustCompile(`[\x00-\x1f\x7f]+`)

// memberNames looks at the names of an object's members, or of several objects behind one another. What is no JSON to its
// end, and has the word, is taken to name a method: some services read more than JSON, such as comments, or other quotes.
func memberNames(body []byte) bool {
	if !mayName(body) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		switch named, err := overridesNext(d); {
		case errors.Is(err, io.EOF):
			return false
		case named || err != nil:
			return true
		}
	}
}

// overridesNext reads a document, up to a member that names a method. io.EOF: there is none.
func overridesNext(d *jsontext.Decoder) (bool, error) {
	if d.PeekKind() != '{' {
		return false, d.SkipValue() //nolint:wrapcheck // it tells only the end from the rest
	}
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() == '"' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err == nil {
			if isOverride(name.String()) {
				return true, nil
			}
			err = d.SkipValue()
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	return false, err
}
