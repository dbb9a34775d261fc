package httpmask

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"mime"
	"slices"
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
// is hidden. False: it cannot be shown, since what masks hide cannot be told from the rest, or services could read it in
// more than one way.
func (v *View) Asked(contentType string, body []byte) (string, bool) {
	text, ok := v.asked(contentType, body, partDepth)
	return escaped(text), ok
}

func (v *View) asked(contentType string, body []byte, depth int) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil { // services read on all the same
		kind, _, _ = strings.Cut(contentType, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	text, isWide := wide(body, parameters["charset"])
	switch {
	case httploose.IsMultipart(contentType) || httploose.MayBeMultipart(contentType, body):
		return v.multipart(contentType, body, depth-1)
	case v.paths && !legible(contentType, body, isWide):
		return "", false
	case httploose.IsForm(kind) && (!v.paths || bytes.IndexByte(body, 0) < 0): // else its fields cannot be told apart
		return v.form(body)
	case kind == "text/event-stream":
		if text, ok := v.masked(jsonmask.Events, body); ok {
			return text, true
		}
	}
	if isText(body) {
		return v.text(kind, body)
	}
	switch {
	case httploose.IsForm(kind):
		return "", false
	case isWide:
		return v.text(kind, []byte(text))
	case v.paths && (httploose.IsJSON(kind) || looksJSON(body)):
		return v.compressed(kind, body)
	case v.paths && kind == "text/event-stream": // it could not be masked
		return "", false
	case v.hidesFields(body):
		shown, ok := v.form(body)
		return shown, ok && bytes.IndexByte(body, 0) < 0
	case isNearlyText(kind, body):
		return zeros.Replace(v.Text(string(body))), true
	}
	return v.binary(kind, body), true
}

// legible reports whether names in a body can be told, as far as its letters go.
func legible(contentType string, body []byte, isWide bool) bool {
	switch httploose.LettersOf(contentType) {
	case httploose.ASCII:
		return true
	case httploose.Wide:
		return isWide && !isText(body) || len(body) == 0
	}
	return len(body) == 0
}

// isText: it can be shown line by line.
func isText(body []byte) bool { return utf8.Valid(body) && bytes.IndexByte(body, 0) < 0 }

// zeros are shown as what is no UTF-8 is.
var zeros = strings.NewReplacer("\x00", `\x00`)

// isNearlyText reports whether services read a text in what is none, and all of it: people would see a beginning only.
func isNearlyText(kind string, body []byte) bool {
	hasZero := bytes.IndexByte(body, 0) >= 0
	return httploose.IsJSON(kind) && !isGzip(body) || (kind == "" || strings.HasPrefix(kind, "text/")) && !hasZero
}

// isGzip reports whether a body begins as one that is compressed (RFC 1952, 2.3.1).
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// looksJSON: bytes that are no text begin as a document would.
func looksJSON(body []byte) bool {
	for _, b := range body {
		if !strings.ContainsRune(" \t\r\n\x00", rune(b)) && b < 0xfe && b != 0xef && b != 0xbb && b != 0xbf { // blanks, marks
			return b == '{' || b == '['
		}
	}
	return false
}

// escaped is a text with the bytes that are no UTF-8 as binary has them.
func escaped(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&out, `\x%02x`, text[0])
		} else {
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

// indented has the lines of a text behind blanks, so that none is taken for a field or header.
func indented(text string) string { return "  " + breaks.Replace(text) }

// breaks are what some terminal or reader takes for the end of a line.
var breaks = strings.NewReplacer("\r\n", "\r\n  ", "\n", "\n  ", "\r", "\r  ", "\v", "\v  ", "\f", "\f  ",
	"\u0085", "\u0085  ", "\u2028", "\u2028  ", "\u2029", "\u2029  ")

// text shows what is UTF-8. What may be JSON or a form to a service is masked as such, whatever its type says.
func (v *View) text(kind string, body []byte) (string, bool) {
	document := trimmed(body)
	if !httploose.IsJSON(kind) && kind != "text/event-stream" && (len(document) == 0 || document[0] != '{' && document[0] != '[') {
		if v.hidesFields(body) {
			return v.form(body)
		}
		return v.Text(string(body)), true
	}
	if lines, ok := v.masked(jsonmask.JSON, document); ok { // one document, or several behind one another
		return laidOut(lines), true
	}
	if v.paths { // what they name cannot be found in it
		return "", false
	}
	return v.Text(string(body)), true
}

// trimmed is a text without what readers of JSON take off: the mark of its encoding, and blanks.
func trimmed(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
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

// form shows a field a line, decoded. What its line ends would begin anew is no field of its own. What hides values only as
// JSON, as some services read it whatever its type says, is shown as such; what does both ways, or only looks like JSON, is
// not shown.
func (v *View) form(body []byte) (string, bool) {
	var out strings.Builder
	hides := false
	for field := range strings.SplitSeq(string(body), "&") {
		if field == "" {
			continue
		}
		shown, hidden, ok := v.field(field)
		if !ok {
			return "", false
		}
		hides = hides || hidden
		out.WriteString(breaks.Replace(zeros.Replace(shown)) + "\n")
	}
	if !v.paths || !looksJSON(body) {
		return out.String(), true
	}
	document := trimmed(body)
	masked, ok := v.masked(jsonmask.JSON, document)
	if ok && masked != string(document) {
		return laidOut(masked), !hides
	}
	return out.String(), ok || !bytes.HasPrefix(document, []byte("{"))
}

// hidesFields reports whether masks hide a field of what is no form by its type, if a service takes it for one. What has more
// names than fields have is none.
func (v *View) hidesFields(body []byte) bool {
	if !v.paths || bytes.IndexByte(body, '=') < 0 {
		return false
	}
	return slices.ContainsFunc(httploose.Pairs(string(body)), func(p httploose.Pair) bool {
		if p.Value == "" {
			return false
		}
		_, hidden, ok := v.member(p.Name, p.Value)
		return ok && hidden
	})
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

// compressed shows JSON that is no text: by no beginning if it is compressed (RFC 1952), else not at all.
func (v *View) compressed(kind string, body []byte) (string, bool) {
	if !isGzip(body) {
		return "", false
	}
	return v.size(kind, body), true
}

// binary shows what is no text.
func (v *View) binary(kind string, body []byte) string {
	begins := strconv.QuoteToASCII(string(body[:min(shownBytes, len(body))]))
	return fmt.Sprintf("%s, begins with %s", v.size(kind, body), v.Text(begins))
}

// size is what anybody may know of what is no text.
func (v *View) size(kind string, body []byte) string {
	switch {
	case kind == "":
		kind = "no type"
	case len(kind) > kindBytes: // a name has no bound of its own, and what people read has one
		kind = strings.ToValidUTF8(kind[:kindBytes], "") + "…"
	}
	return fmt.Sprintf("%d bytes, %s, sha256 %x", len(body), kind, sha256.Sum256(body))
}
