package httpmask

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

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
	text, ok := v.asked(contentType, body, partDepth)
	return escaped(text), ok
}

func (v *View) asked(contentType string, body []byte, depth int) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(contentType))
	}
	switch {
	case kind == "application/x-www-form-urlencoded":
		return v.form(body)
	case strings.HasPrefix(kind, "multipart/") && (err != nil || otherBoundary.MatchString(contentType)):
		return "", false // services differ in where its parts begin
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
		if v.paths && mayBeJSON("", body) {
			return "", false
		}
		return v.binary(kind, body), true
	}
	return v.text(kind, body)
}

// text shows what is UTF-8. What may be JSON to a service is masked as such, whatever its type says.
func (v *View) text(kind string, body []byte) (string, bool) {
	if !mayBeJSON(kind, body) {
		return v.Text(string(body)), true
	}
	trimmed := trimmed(body)
	if lines, ok := v.masked(jsonmask.JSON, trimmed); ok { // one document, or several behind one another
		return laidOut(lines), true
	}
	if v.paths { // what they name cannot be found in it
		return "", false
	}
	return v.Text(string(body)), true
}

// mayBeJSON reports whether a service could read a body as JSON.
func mayBeJSON(kind string, body []byte) bool {
	b := trimmed(body)
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json") || len(b) > 0 && (b[0] == '{' || b[0] == '[')
}

func trimmed(body []byte) []byte { return bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff"))) }

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
