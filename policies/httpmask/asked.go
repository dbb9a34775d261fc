package httpmask

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

const (
	// shownBytes is how much of what is no text people see, in bytes.
	shownBytes = 64
	// kindBytes is how much of the type's name, in bytes: RFC 6838, 4.2 allows 127 for type and subtype each.
	kindBytes = 255
	// indentDepth is the deepest document that is laid out in lines: deeper, blanks would be most of it.
	indentDepth = 32
	// partDepth is how deep multipart bodies may nest.
	partDepth = 2
)

// Asked is the body of a request as people see it who decide on it: JSON laid out, texts line by line as they were sent,
// forms and multipart bodies by their fields, anything else by its size, type, digest and beginning. Only what masks hide
// is hidden. False: it cannot be shown, since what masks hide cannot be told from the rest.
func (v *View) Asked(contentType string, body []byte) (string, bool) {
	return v.asked(contentType, body, partDepth)
}

func (v *View) asked(contentType string, body []byte, depth int) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(contentType))
	}
	switch {
	case kind == "application/x-www-form-urlencoded" && utf8.Valid(body):
		return v.form(body)
	case strings.HasPrefix(kind, "multipart/") && parameters["boundary"] != "":
		if text, ok, read := v.parts(body, parameters["boundary"], depth-1); read {
			return text, ok
		}
	case kind == "text/event-stream":
		if text, ok := v.masked(jsonmask.Events, body); ok {
			return text, true
		}
	}
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		if text, ok := wide(body, parameters["charset"]); ok {
			return v.asked("text/plain", []byte(text), 0)
		}
		return v.binary(kind, body), true
	}
	return v.text(kind, body)
}

// text shows what is UTF-8. What may be JSON to a service is masked as such, whatever its type says.
func (v *View) text(kind string, body []byte) (string, bool) {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	isJSON := kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
	if !isJSON && (len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[') {
		return v.Text(string(body)), true
	}
	if lines, ok := v.masked(jsonmask.JSON, trimmed); ok { // one document, or several behind one another
		return laidOut(lines), true
	}
	if v.paths { // what they name cannot be found in it
		return "", false
	}
	return v.Text(string(body)), true
}

func (v *View) masked(f jsonmask.Format, body []byte) (string, bool) {
	var out bytes.Buffer
	err := jsonmask.Copy(f, bytes.NewReader(body), jsonmask.Output{View: v.body, Write: func(p []byte) error {
		out.Write(p)
		return nil
	}})
	return out.String(), err == nil
}

// laidOut puts members and elements on lines of their own. What each says stays as it was sent, names that stand twice
// included. What is no document stays as it is.
func laidOut(text string) string {
	if deepest(text) > indentDepth {
		return text
	}
	value := jsontext.Value(text)
	if err := value.Indent(jsontext.WithIndent("  "), jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true)); err != nil {
		return text
	}
	return string(value)
}

// deepest is how deep a document nests, or deeper.
func deepest(text string) int {
	depth, most := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			depth++
			most = max(most, depth)
		case '}', ']':
			depth--
		}
	}
	return most
}

// form shows a field a line, decoded.
func (v *View) form(body []byte) (string, bool) {
	var out strings.Builder
	for _, p := range httploose.Pairs(string(body)) {
		value, ok := v.member(p.Name, p.Value)
		if !ok {
			return "", false
		}
		fmt.Fprintf(&out, "%s = %s\n", v.Text(p.Name), value)
	}
	return out.String(), true
}

// member is a field's value as it would be seen as the member of a document: paths name fields of forms, too.
func (v *View) member(name, value string) (string, bool) {
	name, _, _ = strings.Cut(name, "[")
	if !v.paths || !utf8.ValidString(name+value) {
		return v.Text(value), true
	}
	document, err := jsontext.AppendQuote([]byte("{"), name)
	if err == nil {
		document, err = jsontext.AppendQuote(append(document, ':'), value)
	}
	if err != nil {
		return "", false
	}
	shown, ok := v.masked(jsonmask.JSON, append(document, '}'))
	if !ok {
		return "", false
	}
	d := jsontext.NewDecoder(strings.NewReader(shown))
	for range 2 { // the brace, the name
		if _, err := d.ReadToken(); err != nil {
			return "", false
		}
	}
	token, err := d.ReadToken()
	return token.String(), err == nil
}

// parts shows a multipart body (RFC 2046, 5.1) by its parts; read is false if it is none, and may be shown as a text. One that
// breaks off, or stands in too many others, may not if paths name something: it cannot be found in it.
func (v *View) parts(body []byte, boundary string, depth int) (text string, ok, read bool) {
	if depth < 0 {
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
		for _, name := range []string{"Content-Disposition", "Content-Type"} {
			for _, line := range part.Header[name] {
				fmt.Fprintf(&out, "%s: %s\n", name, v.Text(strings.ToValidUTF8(line, "\ufffd")))
			}
		}
		shown, fine := v.asked(part.Header.Get("Content-Type"), content, depth)
		if name := part.FormName(); fine && name != "" && utf8.Valid(content) {
			value, could := v.member(name, string(content))
			document, isJSON := v.masked(jsonmask.JSON, content) // it is hidden by its own names, and laid out
			if could && value != v.Text(string(content)) && (!isJSON || value != document) {
				shown = value
			}
		}
		if !fine {
			return "", false, true
		}
		out.WriteString("\n" + shown + "\n\n")
	}
}

// wide decodes UTF-16 (RFC 2781), by its mark or its name.
func wide(body []byte, charset string) (string, bool) {
	var order binary.ByteOrder
	switch charset = strings.ToLower(charset); {
	case len(body)%2 != 0 || len(body) < 2:
		return "", false
	case body[0] == 0xff && body[1] == 0xfe:
		order, body = binary.LittleEndian, body[2:]
	case body[0] == 0xfe && body[1] == 0xff:
		order, body = binary.BigEndian, body[2:]
	case charset == "utf-16le":
		order = binary.LittleEndian
	case charset == "utf-16be" || charset == "utf-16":
		order = binary.BigEndian
	default:
		return "", false
	}
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	text := string(utf16.Decode(units))
	return text, !strings.ContainsRune(text, utf8.RuneError) && !strings.ContainsRune(text, 0)
}

// binary shows what is no text.
func (v *View) binary(kind string, body []byte) string {
	switch {
	case kind == "":
		kind = "no type"
	case len(kind) > kindBytes: // a name has no bound of its own, and what people read has one
		kind = strings.ToValidUTF8(kind[:kindBytes], "") + "…"
	}
	begins := strconv.QuoteToASCII(string(body[:min(shownBytes, len(body))]))
	return fmt.Sprintf("%d bytes, %s, sha256 %x, begins with %s", len(body), kind, sha256.Sum256(body), v.Text(begins))
}
