package httpmask

import (
	"bytes"
	"fmt"
	"mime"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/policies/httploose"
)

// boundaryChars are those of a boundary (RFC 2046, 5.1.1) but blanks, commas, quotes and brackets: readers cut it there, or
// take them off.
const boundaryChars = `[0-9A-Za-z+_./:=?-]{1,70}`

var (
	// boundaries finds each parameter that some service takes for the boundary, extended ones too (RFC 2231).
	boundaries = regexp.MustCompile(`(?i)boundary\s*[*=]`)
	// boundaryWord is in each of them: PHP takes what stands behind the first, in small letters if there is one.
	boundaryWord = regexp.MustCompile(`(?i)boundary`)
	boundaryForm = regexp.MustCompile(`^` + boundaryChars + `$`)
	// boundaryParameter is the only way to write it that all readers take for the same.
	boundaryParameter = regexp.MustCompile(`(?i);[ \t]*(boundary)=(?:"` + boundaryChars + `"[ \t]*|` + boundaryChars + `)(?:;|$)`)
	// headerForm is a line of a part's header.
	headerForm = regexp.MustCompile(`^([!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)$`)
	// headerName is one of a line in a header.
	headerName = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]{1,100}$`)
)

// header is a line of a part's header.
type header struct{ name, value string }

// part is a part of a multipart body.
type part struct {
	headers []header
	content []byte
}

// split takes a multipart body apart (RFC 2046, 5.1). False: it holds more than its parts, or a service could take it apart
// otherwise.
func split(body []byte, boundary string) ([]part, bool) {
	if !boundaryForm.MatchString(boundary) {
		return nil, false
	}
	pieces := bytes.Split(body, []byte("--"+boundary))
	last := len(pieces) - 1
	end, closed := bytes.CutPrefix(pieces[last], []byte("--"))
	if last < 2 || !closed || len(bytes.Trim(pieces[0], "\r\n")) > 0 || len(bytes.Trim(end, " \t\r\n")) > 0 {
		return nil, false
	}
	if len(pieces[0]) > 0 && !bytes.HasSuffix(pieces[0], []byte("\r\n")) {
		return nil, false
	}
	var out []part
	for _, piece := range pieces[1:last] {
		inner, starts := bytes.CutPrefix(piece, []byte("\r\n"))
		inner, ends := bytes.CutSuffix(inner, []byte("\r\n"))
		head, content, parted := bytes.Cut(append([]byte("\r\n"), inner...), []byte("\r\n\r\n"))
		headers, ok := headersOf(strings.TrimPrefix(string(head), "\r\n"))
		if !starts || !ends || !parted || !ok || len(headers) == 0 && hasHeader(content) {
			return nil, false
		}
		out = append(out, part{headers, content})
	}
	return out, true
}

// headersOf reads a part's header; false: services could read it otherwise, as they do lines that are folded.
func headersOf(head string) ([]header, bool) {
	if head == "" {
		return nil, true
	}
	var out []header
	for line := range strings.SplitSeq(head, "\r\n") {
		m := headerForm.FindStringSubmatch(line)
		if m == nil {
			return nil, false
		}
		out = append(out, header{m[1], strings.TrimRight(m[2], " \t")})
	}
	return out, true
}

// hasHeader reports whether a line looks like one of a header: some services read one behind a blank line.
func hasHeader(content []byte) bool {
	for line := range bytes.FieldsFuncSeq(content, func(c rune) bool { return c == '\r' || c == '\n' }) {
		if name, _, cut := bytes.Cut(line, []byte(":")); cut && headerName.Match(bytes.Trim(name, " \t")) {
			return true
		}
	}
	return false
}

// get is the value of a header, and whether it stands there once at most.
func (p part) get(name string) (string, bool) {
	value, times := "", 0
	for _, h := range p.headers {
		if textproto.CanonicalMIMEHeaderKey(h.name) == name {
			value, times = h.value, times+1
		}
	}
	return value, times <= 1
}

// asIs reports whether the part's content is what stands there: some services decode what has a transfer encoding (RFC 2045,
// 6), others do not (RFC 7578, 4.7); and some read as much as a length says, or unpack.
func (p part) asIs() bool {
	encoding, once := p.get("Content-Transfer-Encoding")
	coding, codedOnce := p.get("Content-Encoding")
	length, measuredOnce := p.get("Content-Length")
	if !once || !codedOnce || !measuredOnce || length != "" && length != strconv.Itoa(len(p.content)) {
		return false
	}
	if coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// PartNames are the names of the parts of a multipart body, and of the parts of those that are multipart themselves. False:
// services could take it apart, or name its parts, in more than one way.
func PartNames(contentType string, body []byte) ([]string, bool) {
	var out []string
	if !eachPart(contentType, body, partDepth, func(name string, _ part) { out = append(out, name) }) {
		return nil, false
	}
	return out, true
}

// PartFields are the parts by their names, with what they contain. False: as PartNames, or that could be read in more than one way.
func PartFields(contentType string, body []byte) ([]httploose.Pair, bool) {
	var out []httploose.Pair
	plain := true
	certain := eachPart(contentType, body, partDepth, func(name string, p part) {
		out = append(out, httploose.Pair{Name: name, Value: string(p.content)})
		plain = plain && p.asIs()
	})
	return out, certain && plain
}

// eachPart calls f for each part and each name of it.
func eachPart(contentType string, body []byte, depth int, f func(name string, p part)) bool {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || depth == 0 || otherReading(contentType) {
		return false
	}
	parts, ok := split(body, parameters["boundary"])
	if !ok {
		return false
	}
	for _, p := range parts {
		names, ok := p.names()
		if !ok {
			return false
		}
		for _, name := range names {
			f(name, p)
		}
		if !p.eachWithin(depth, f) {
			return false
		}
	}
	return true
}

// eachWithin is eachPart of a part's own parts.
func (p part) eachWithin(depth int, f func(name string, p part)) bool {
	kind, once := p.get("Content-Type")
	if !httploose.IsMultipart(kind) {
		return once && !httploose.MayBeMultipart(kind, p.content)
	}
	return eachPart(kind, p.content, depth-1, f) && once && p.asIs()
}

// otherReading reports whether some service could take another parameter for the boundary, or read a body's headers in other
// letters.
func otherReading(contentType string) bool {
	return otherBoundary(contentType) || httploose.LettersOf(contentType) != httploose.ASCII
}

// otherBoundary reports whether some service could take another parameter for the boundary, or another boundary out of it.
func otherBoundary(contentType string) bool {
	words := boundaryWord.FindAllStringIndex(contentType, 2)
	if len(words) == 0 {
		return false
	}
	first := words[0]
	m := boundaryParameter.FindStringSubmatchIndex(contentType)
	return m == nil || m[2] != first[0] || len(words) > 1 && contentType[first[0]:first[1]] != "boundary" ||
		len(boundaries.FindAllString(contentType, 2)) > 1
}

// multipart shows a multipart body by its parts. One whose parts cannot be told in one way only is shown in whole if it is a
// text; if paths name something, it cannot be found in that. One whose boundary, names, letters or contents can be read in two
// ways never is: it would be shown as what one service reads.
func (v *View) multipart(contentType string, body []byte, depth int) (string, bool) {
	if otherReading(contentType) {
		return "", false
	}
	_, parameters, _ := mime.ParseMediaType(contentType)
	parts, ok := split(body, parameters["boundary"])
	if !ok || depth < 0 || !httploose.IsMultipart(contentType) {
		if v.paths && len(bytes.TrimSpace(body)) > 0 || !isText(body) {
			return "", false
		}
		return v.Text(string(body)), true
	}
	var out strings.Builder
	for _, p := range parts {
		shown, ok := v.part(p, depth)
		if !ok {
			return "", false
		}
		for _, h := range p.headers {
			value, _ := v.Header(strings.ToLower(h.name), h.value)
			fmt.Fprintf(&out, "%s: %s\n", h.name, value)
		}
		out.WriteString("\n" + indented(shown) + "\n\n")
	}
	return out.String(), true
}

// part shows what a part holds, as its name or its type has it.
func (v *View) part(p part, depth int) (string, bool) {
	kind, once := p.get("Content-Type")
	names, ok := p.names()
	if !once || !ok || !p.asIs() {
		return "", false
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		shown, hidden, ok := v.member(name, string(p.content))
		if hidden || !ok {
			return shown, ok
		}
	}
	return v.asked(kind, p.content, depth)
}
