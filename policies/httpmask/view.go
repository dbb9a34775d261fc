package httpmask

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/detect"
	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/jsonmask"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// View is how one principal sees one target. It is safe for concurrent use.
type View struct {
	masks  policies.MaskSet
	body   *jsonmask.View
	paths  bool
	places *jsonpath.Set // of the paths
	finder finder
	found  *policies.MaskRule
}

// NewView makes a view of masks that were compiled.
func NewView(masks policies.MaskSet) (*View, error) {
	v := &View{masks: masks}
	names, rule := masks.Detectors()
	set, err := detect.New(names)
	if err != nil {
		return nil, fmt.Errorf("httpmask: %w", err)
	}
	var f jsonmask.Finder
	if !set.Empty() {
		v.finder, v.found = finder{set}, rule
		f = v.finder
	}
	var fields []jsonmask.Field
	var paths []jsonpath.Path
	for _, p := range masks.Paths() {
		fields = append(fields, jsonmask.Field{Path: p.Path, Rule: p.Rule})
		paths = append(paths, p.Path)
	}
	v.places = jsonpath.NewSet(paths)
	v.paths = len(fields) > 0
	v.body = jsonmask.NewView(fields, f, rule)
	return v, nil
}

// Empty reports whether nothing is hidden.
func (v *View) Empty() bool { return v.masks.Empty() }

// Body hides values in bodies.
func (v *View) Body() *jsonmask.View { return v.body }

// Header is the value of a header as it may be seen, and whether it is another than it was. The name is in lower case.
func (v *View) Header(name, value string) (string, bool) {
	if rule := v.masks.Header(name); rule != nil {
		return string(rule.Append(nil, []byte(value))), true
	}
	text := v.Text(value)
	return text, text != value
}

// Text is a text as it may be seen: what detectors find is hidden.
func (v *View) Text(s string) string {
	if v.found == nil {
		return s
	}
	spans := v.finder.Find(nil, []byte(s))
	if len(spans) == 0 {
		return s
	}
	var out []byte
	last := 0
	for _, span := range spans {
		out = append(out, s[last:span.Start]...)
		out = v.found.Append(out, []byte(s[span.Start:span.End]))
		last = span.End
	}
	return string(append(out, s[last:]...))
}

// Value is a text of a request as the record shows it: what detectors find in it is hidden, percent-encoded (RFC 3986,
// 2.1), as clients put it into a query, or not. Where something was found only so, the text is shown decoded.
func (v *View) Value(s string) string {
	shown := v.Text(s)
	if v.found == nil {
		return shown
	}
	decoded := shown
	for range maxEncodings {
		if !strings.ContainsAny(decoded, "%+") {
			break
		}
		decoded = unescape(decoded)
		if hidden := v.Text(decoded); hidden != decoded {
			shown, decoded = hidden, hidden
		}
	}
	return shown
}

// maxEncodings is how often a text is decoded: URLs stand in queries of URLs.
const maxEncodings = 3

// unescape decodes what is percent-encoded, and leaves what is not as it is.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			c = ' '
		}
		if c == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				c = b[0]
				i += 2
			}
		}
		out = append(out, c)
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

// Format is how a body of a type is read; false if it cannot be (RFC 8259, RFC 6839 for +json; WHATWG HTML, 9.2). A
// text without structure can, if no path names what stands in it.
func (v *View) Format(contentType string) (jsonmask.Format, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, false
	}
	if charset := strings.ToLower(parameters["charset"]); charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return 0, false
	}
	switch {
	case httploose.IsJSON(kind):
		return jsonmask.JSON, true
	case kind == "application/x-ndjson" || kind == "application/ndjson" || kind == "application/jsonl" || kind == "application/x-jsonlines":
		return jsonmask.Lines, true
	case kind == "text/event-stream":
		return jsonmask.Events, true
	case strings.HasPrefix(kind, "text/") && !v.paths:
		return jsonmask.Text, true
	}
	return 0, false
}

// Shown is a whole body as it may be shown to people: masked where it can be read, else nil.
func (v *View) Shown(contentType string, body []byte) []byte {
	if v.Empty() {
		if utf8.Valid(body) {
			return body
		}
		return nil
	}
	f, ok := v.Format(contentType)
	if !ok {
		return nil
	}
	var out bytes.Buffer
	err := jsonmask.Copy(f, bytes.NewReader(body), jsonmask.Output{View: v.body, Write: func(p []byte) error {
		out.Write(p)
		return nil
	}})
	if err != nil {
		return nil
	}
	return out.Bytes()
}

// finder is detect for jsonmask.
type finder struct{ set *detect.Set }

// Find implements jsonmask.Finder.
func (f finder) Find(dst []jsonmask.Span, text []byte) []jsonmask.Span {
	var few [3]detect.Span // small: it is cleared for each text
	for _, s := range f.set.Find(few[:0], text) {
		dst = append(dst, jsonmask.Span{Start: s.Start, End: s.End})
	}
	return dst
}

// FindNamed implements jsonmask.Namer.
func (f finder) FindNamed(dst []jsonmask.Span, name, text []byte) []jsonmask.Span {
	var few [3]detect.Span // small: it is cleared for each text
	for _, s := range f.set.FindNamed(few[:0], name, text) {
		dst = append(dst, jsonmask.Span{Start: s.Start, End: s.End})
	}
	return dst
}

// Open implements jsonmask.Opener.
func (f finder) Open(text []byte) int { return f.set.Open(text) }
