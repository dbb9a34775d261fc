package httpmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

// form shows a field a line, decoded. What goes on to another line is set in, so that it is not taken for a field.
func (v *View) form(body []byte) (string, bool) {
	var out strings.Builder
	for _, p := range httploose.Pairs(string(body)) {
		value, ok := v.member(p.Name, escaped(p.Value))
		if !ok {
			return "", false
		}
		name := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(v.Text(escaped(p.Name)))
		fmt.Fprintf(&out, "%s = %s\n", name, strings.ReplaceAll(value, "\n", "\n        "))
	}
	return out.String(), true
}

// escaped writes bytes that are no UTF-8 as \xe9.
func escaped(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&out, `\x%02x`, text[0])
		} else {
			out.WriteString(text[:n])
		}
		text = text[n:]
	}
	return out.String()
}

// member is a field's value as it would be seen as the member of a document: paths name fields of forms, too. A name with
// brackets or dots is one within another, as services read it.
func (v *View) member(name, value string) (string, bool) {
	plain := v.Text(value)
	if !v.paths {
		return plain, true
	}
	name = escaped(name)
	within := strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' || r == '.' })
	ways := [][]string{{name}}
	for _, one := range within {
		ways = append(ways, []string{one})
	}
	for _, names := range append(ways, within) {
		shown, ok := v.memberOf(names, value)
		if !ok || shown != plain {
			return shown, ok
		}
	}
	return plain, true
}

// memberOf is the value of a member within others.
func (v *View) memberOf(names []string, value string) (string, bool) {
	var document []byte
	var err error
	for _, name := range names {
		if document, err = jsontext.AppendQuote(append(document, '{'), name); err != nil {
			return "", false
		}
		document = append(document, ':')
	}
	if document, err = jsontext.AppendQuote(document, value); err != nil {
		return "", false
	}
	shown, ok := v.masked(jsonmask.JSON, append(document, bytes.Repeat([]byte("}"), len(names))...))
	if !ok {
		return "", false
	}
	d := jsontext.NewDecoder(strings.NewReader(shown))
	for {
		token, err := d.ReadToken()
		if err != nil {
			return "", false
		}
		if token.Kind() != '{' { // the value, or what hides all that it stands in
			return token.String(), true
		}
		if _, err := d.ReadToken(); err != nil {
			return "", false
		}
	}
}

// parts shows a multipart body (RFC 2046, 5.1) by its parts; read is false if it is none, and may be shown as a text. One that
// breaks off, has something beside its parts, or stands in too many others, may not if paths name something: it cannot be
// found in it.
func (v *View) parts(body []byte, boundary string, depth int) (text string, ok, read bool) {
	switch {
	case !bytes.Contains(body, []byte("--"+boundary)):
		return "", false, false
	case depth < 0 || !onlyParts(body, boundary):
		return "", false, v.paths
	}
	var out strings.Builder
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out.String(), true, out.Len() > 0
		}
		if err != nil {
			return "", false, v.paths
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return "", false, v.paths
		}
		for _, name := range slices.Sorted(maps.Keys(part.Header)) {
			for _, line := range part.Header[name] {
				fmt.Fprintf(&out, "%s: %s\n", escaped(name), v.Text(escaped(line)))
			}
		}
		shown, fine := v.part(part, content, depth)
		if !fine {
			return "", false, true
		}
		out.WriteString("\n" + shown + "\n\n")
	}
}

// part shows what a part holds: by its type, unless its name is one that is hidden.
func (v *View) part(part *multipart.Part, content []byte, depth int) (string, bool) {
	shown, ok := v.asked(part.Header.Get("Content-Type"), content, depth)
	if !ok || !v.paths {
		return shown, ok
	}
	dispositions := part.Header["Content-Disposition"]
	if len(dispositions) == 0 {
		return shown, true
	}
	_, parameters, err := mime.ParseMediaType(dispositions[0])
	if err != nil || len(dispositions) > 1 { // services differ in which name that is
		return "", false
	}
	name := parameters["name"]
	if name == "" {
		return shown, true
	}
	text := string(content)
	value, could := v.member(name, escaped(text))
	switch {
	case !could || value == v.Text(escaped(text)):
		return shown, could
	case !utf8.ValidString(text):
		return "", false
	}
	if document, isJSON := v.masked(jsonmask.JSON, content); isJSON && value == document {
		return shown, true // it is hidden by its own names, and laid out
	}
	return value, true
}

// onlyParts reports whether a multipart body is nothing but its parts, for whoever reads it: what stands before the first or
// behind the last is read by some, and so is what is almost a boundary.
func onlyParts(body []byte, boundary string) bool {
	mark := []byte("--" + boundary)
	rest, ok := bytes.CutPrefix(body, mark)
	for ok {
		switch {
		case bytes.HasPrefix(rest, []byte("--")):
			return len(bytes.TrimSpace(rest[2:])) == 0
		case !bytes.HasPrefix(rest, []byte("\r\n")):
			return false
		}
		rest, ok = nextPart(rest, mark)
	}
	return false
}

// nextPart gives what stands behind the next boundary; false if there is none, or only what some take for one.
func nextPart(rest, mark []byte) ([]byte, bool) {
	for {
		i := bytes.Index(rest, mark)
		if i < 0 {
			return nil, false
		}
		line, behind := i > 0 && (rest[i-1] == '\n' || rest[i-1] == '\r'), rest[i+len(mark):]
		if !line || len(behind) > 0 && isOfBoundary(behind[0]) { // another one, of a body within this
			rest = behind
			continue
		}
		return behind, i > 1 && rest[i-1] == '\n' && rest[i-2] == '\r'
	}
}

// isOfBoundary reports whether a boundary goes on with a byte; a hyphen may end it (RFC 2046, 5.1.1).
func isOfBoundary(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || strings.IndexByte("'()+_,./:=?", b) >= 0
}

// otherBoundary is a boundary in a form of which not everybody knows (RFC 2231).
var otherBoundary = regexp.MustCompile(`(?i);\s*boundary\s*\*`)
