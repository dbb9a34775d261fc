package check

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// maxFields is how many fields of a body are read for a rule about the query: Tomcat takes as many.
const maxFields = 10_000

// fields are what services may read in the body as if it stood in the query: servlets' parameters, PHP's $_REQUEST and Rails'
// params do not tell the two apart. False: some service may read others.
func (r *request) fields() (map[string][]string, bool) {
	if len(r.body) == 0 {
		return nil, true
	}
	contentType := r.header("content-type")
	kind, _, err := mime.ParseMediaType(contentType)
	multipart := httploose.IsMultipart(contentType) || httploose.MayBeMultipart(contentType, r.body)
	form, isJSON := err != nil || httploose.IsForm(kind), httploose.IsJSON(kind)
	sure := multipart || form || isJSON
	if letters := httploose.LettersOf(contentType); sure && (letters == httploose.Unknown || letters == httploose.Mixed) {
		return nil, false
	}
	body := r.body
	if encoding := r.header("content-encoding"); compressed(encoding) {
		text, ok := unpacked(encoding, body, maxUnpacked)
		if !ok {
			return nil, !sure
		}
		body = text
	}
	if multipart {
		return partFields(contentType, body)
	}
	text := inASCII(body)
	out := map[string][]string{}
	if isJSON || bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if !memberFields(text, out) && isJSON {
			return nil, false
		}
	}
	if form || couldBeForm(text) {
		if !formFields(text, out) && form {
			return nil, false
		}
	}
	return out, true
}

// couldBeForm reports whether a body of another type is a form nonetheless, as some services take it whatever its type is.
func couldBeForm(body []byte) bool {
	return bytes.IndexByte(body, '=') >= 0 && utf8.Valid(body) && !bytes.ContainsFunc(body, unicode.IsControl)
}

// formFields adds the fields of a form; false if there are too many.
func formFields(body []byte, out map[string][]string) bool {
	if bytes.Count(body, []byte("&"))+bytes.Count(body, []byte(";")) >= maxFields {
		return false
	}
	for _, p := range httploose.Pairs(string(body)) {
		out[p.Name] = append(out[p.Name], p.Value)
	}
	return true
}

func partFields(contentType string, body []byte) (map[string][]string, bool) {
	out := map[string][]string{}
	pairs, ok := httpmask.PartFields(contentType, body)
	for _, p := range pairs {
		out[p.Name] = append(out[p.Name], p.Value)
	}
	return out, ok && len(pairs) < maxFields
}

// memberFields adds the members of an object that are no objects, of a list each that is none. False: it is no JSON to its end,
// or has too many.
func memberFields(body []byte, out map[string][]string) bool {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return validTo(d) // services take a list for one parameter of a name of their own
	}
	_, err := d.ReadToken()
	for n := 0; err == nil && d.PeekKind() == '"'; {
		var token jsontext.Token
		if token, err = d.ReadToken(); err != nil {
			return false
		}
		name := token.String()
		var values []string
		values, err = scalars(d)
		if n += 1 + len(values); n > maxFields {
			return false
		}
		out[name] = append(out[name], values...)
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	return err == nil && validTo(d)
}

// validTo reports whether there is nothing but documents up to the end.
func validTo(d *jsontext.Decoder) bool {
	for {
		if err := d.SkipValue(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// scalars are a value, or those of a list, as text; what is neither has none.
func scalars(d *jsontext.Decoder) (out []string, err error) {
	list := d.PeekKind() == '['
	if list {
		if _, err := d.ReadToken(); err != nil {
			return nil, err //nolint:wrapcheck // only whether there is one counts
		}
	}
	for err == nil {
		switch kind := d.PeekKind(); kind {
		case ']':
			_, err = d.ReadToken()
			return out, err //nolint:wrapcheck // the same
		case '{', '[':
			err = d.SkipValue()
		default:
			var t jsontext.Token
			if t, err = d.ReadToken(); err == nil {
				out = append(out, t.String())
			}
		}
		if !list {
			break
		}
	}
	return out, err //nolint:wrapcheck // the same
}
