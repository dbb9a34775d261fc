package check

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// maxFields is how many fields of a body are read for a rule about the query: Tomcat takes as many.
const maxFields = 10_000

// fields are what services may read in the body as if it stood in the query: servlets' parameters, PHP's $_REQUEST and Rails'
// params do not tell the two apart. False: some service may read others.
func (r *request) fields() (map[string][]string, bool) {
	switch {
	case r.bodyGone:
		return nil, false
	case len(r.body) == 0:
		return nil, true
	}
	b := r.bodyType()
	if b.anyLetters() {
		return nil, false
	}
	out := fields{}
	ok := out.form(r.body) // some services read a form in a body of any type
	body := r.body
	if encoding := r.header("content-encoding"); compressed(encoding) {
		text, unpacks := unpacked(encoding, body, maxUnpacked)
		switch {
		case unpacks:
			body = text
		case b.opaque():
			return nil, false
		}
	}
	if text := inASCII(body); !bytes.Equal(text, r.body) {
		ok = ok && out.form(text)
		body = text
	}
	switch {
	case b.multipart:
		ok = ok && out.parts(b.contentType, body)
	case b.json, bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")):
		ok = (out.members(body) || !b.json) && ok
	}
	return out, ok
}

// fields are values by names.
type fields map[string][]string

func (f fields) add(pairs []httploose.Pair) {
	for _, p := range pairs {
		f[p.Name] = append(f[p.Name], p.Value)
	}
}

// form adds the fields of a form; false if there are too many.
func (f fields) form(body []byte) bool {
	if bytes.Count(body, []byte("&"))+bytes.Count(body, []byte(";")) >= maxFields {
		return false
	}
	f.add(httploose.Pairs(string(body)))
	return true
}

// parts adds the parts of a form; false if there are too many, or services could read others.
func (f fields) parts(contentType string, body []byte) bool {
	pairs, ok := httpmask.PartFields(contentType, body)
	f.add(pairs)
	return ok && len(pairs) < maxFields
}

// members adds the members of objects behind one another that are no objects; of a list each that is none. False: it is no
// JSON to its end, or has too many.
func (f fields) members(body []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	left := maxFields
	for {
		if d.PeekKind() == '{' {
			if !f.object(d, &left) {
				return false
			}
		} else if err := d.SkipValue(); err != nil { // services take a list for one parameter of a name of their own
			return errors.Is(err, io.EOF)
		}
	}
}

// object adds the members of one. False: it is none to its end, or there are more than are left.
func (f fields) object(d *jsontext.Decoder, left *int) bool {
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return false
		}
		if name := token.String(); !f.member(d, name, left) {
			return false
		}
	}
	_, err := d.ReadToken()
	return err == nil
}

// member adds what is behind a name: a value, or those of a list.
func (f fields) member(d *jsontext.Decoder, name string, left *int) bool {
	if d.PeekKind() != '[' {
		return f.value(d, name, left)
	}
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() != ']' {
		if !f.value(d, name, left) {
			return false
		}
	}
	_, err := d.ReadToken()
	return err == nil
}

// value adds one as text, if it is neither an object nor a list.
func (f fields) value(d *jsontext.Decoder, name string, left *int) bool {
	*left--
	if k := d.PeekKind(); k == '{' || k == '[' {
		return d.SkipValue() == nil && *left > 0
	}
	token, err := d.ReadToken()
	if err != nil || *left <= 0 {
		return false
	}
	f[name] = append(f[name], token.String())
	return true
}
