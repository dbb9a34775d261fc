package httpmask

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

// nestedNames is how many names a field's own may be made of where paths name something: each is tried.
const nestedNames = 8

// member is a field's value as it would be seen as the member of a document, and whether that hides more than what would be
// hidden under any name: paths name fields of forms, too. Services nest them by brackets and dots ("user[password]"), and each
// name in one counts.
func (v *View) member(name, value string) (shown string, hidden, ok bool) {
	if !v.paths {
		return v.Text(value), false, true
	}
	nested := segments(name)
	if len(nested) > nestedNames {
		return "", false, false
	}
	value = escaped(value)
	tries := [][]string{{""}, {escaped(name)}}
	for i := range nested {
		if nested[i] != name {
			tries = append(tries, nested[i:i+1])
		}
	}
	for i := range max(len(nested)-1, 0) {
		tries = append(tries, nested[i:])
	}
	leaves, ok := v.leaves(tries, value)
	if !ok {
		return "", false, false
	}
	for _, leaf := range leaves[1:] {
		if leaf != leaves[0] {
			return leaf, true, true
		}
	}
	return leaves[0], false, true
}

// segments are the names of which services make a field's own, without what some take off.
func segments(name string) []string {
	var out []string
	for s := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return strings.ContainsRune("[].\x00", r) || r == utf8.RuneError
	}) {
		if s = strings.TrimFunc(s, func(r rune) bool { return httploose.Blank(r) || r == '?' }); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// leaves are a text as it would be seen in a document under each of these names within one another.
func (v *View) leaves(tries [][]string, value string) ([]string, bool) {
	text, err := jsontext.AppendQuote(nil, value)
	if err != nil {
		return nil, false
	}
	document := []byte("{")
	for i, names := range tries {
		if i > 0 {
			document = append(document, ',')
		}
		for j, name := range names {
			if j > 0 {
				document = append(document, '{')
			}
			if document, err = jsontext.AppendQuote(document, name); err != nil {
				return nil, false
			}
			document = append(document, ':')
		}
		document = append(append(document, text...), strings.Repeat("}", len(names)-1)...)
	}
	shown, ok := v.masked(jsonmask.JSON, append(document, '}'))
	if !ok {
		return nil, false
	}
	return lasts(shown, len(tries))
}

// lasts are the last scalars in each of an object's members, of which there are so many.
func lasts(object string, members int) ([]string, bool) {
	d := jsontext.NewDecoder(strings.NewReader(object), jsontext.AllowDuplicateNames(true))
	out, last := make([]string, 0, members), ""
	for {
		token, err := d.ReadToken()
		if err != nil {
			return out, errors.Is(err, io.EOF) && len(out) == members
		}
		if kind := token.Kind(); kind != '}' && kind != ']' {
			last = token.String()
		}
		if _, read := d.StackIndex(d.StackDepth()); d.StackDepth() == 1 && read > 0 && read%2 == 0 && len(out) < int(read/2) {
			out = append(out, last)
		}
	}
}
