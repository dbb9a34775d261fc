package jsonmask

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// pattern is a finder by a regular expression.
type pattern struct{ *regexp.Regexp }

func (p pattern) Find(dst []Span, text []byte) []Span {
	for _, at := range p.FindAllIndex(text, -1) {
		dst = append(dst, Span{at[0], at[1]})
	}
	return dst
}

// secrets finds made-up tokens, card numbers, and blocks that go over line ends.
var secrets = pattern{regexp.MustCompile(`tok_[a-z0-9]+|\b4[0-9]{15}\b|(?s:BEGIN KEY.*?(?:END KEY|$))`)}

func fields(t testing.TB, paths ...string) []Field {
	t.Helper()
	var out []Field
	for _, source := range paths {
		source, rule, _ := strings.Cut(source, " => ")
		p, err := jsonpath.Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		f := Field{Path: p, Rule: &policies.MaskRule{Text: policies.DefaultMaskText}}
		switch rule {
		case "domain":
			f.Rule.KeepDomain = true
		case "last4":
			f.Rule.KeepLast = 4
		case "":
		default:
			f.Rule.Text = rule
		}
		out = append(out, f)
	}
	return out
}

func masked(f Format, src io.Reader, v *View) (string, error) {
	var out bytes.Buffer
	err := Copy(f, src, Output{v, func(p []byte) error { out.Write(p); return nil }})
	return out.String(), err
}

// pieces reads a body in pieces of drawn sizes.
type pieces struct {
	t    *rapid.T
	body []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.body) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.body[:rapid.IntRange(0, min(len(p.body), 40)).Draw(p.t, "piece")])
	p.body = p.body[n:]
	return n, nil
}

// everySplit masks a body whole, in single bytes, and in two parts split at every place (of a long one, at a hundred),
// and wants the same.
func everySplit(t *testing.T, f Format, body string, v *View) (string, error) {
	t.Helper()
	want, wantErr := masked(f, strings.NewReader(body), v)
	same := func(how string, src io.Reader) {
		t.Helper()
		got, err := masked(f, src, v)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("%q %s: %q, %v; whole: %q, %v", body, how, got, err, want, wantErr)
		}
	}
	same("in single bytes", iotest.OneByteReader(strings.NewReader(body)))
	same("with an early EOF", iotest.DataErrReader(strings.NewReader(body)))
	for i := 0; i < len(body); i += 1 + len(body)/1000*10 {
		same("split", io.MultiReader(strings.NewReader(body[:i]), strings.NewReader(body[i:])))
	}
	return want, wantErr
}

// live is a body that comes part by part. Before each part it checks what has been written.
type live struct {
	t       *testing.T
	parts   []string // to be read
	written []string // all that is written before each part, and at the end
	out     bytes.Buffer
}

func (l *live) Read(b []byte) (int, error) {
	if got := l.out.String(); got != l.written[0] {
		l.t.Errorf("before %.60q has been written\n     %q,\nwant %q", l.parts, got, l.written[0])
	}
	l.written = l.written[1:]
	if len(l.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, l.parts[0])
	l.parts = l.parts[1:]
	return n, nil
}

// flows copies parts, given in turns with what is then written in all.
func flows(t *testing.T, f Format, v *View, turns ...string) {
	t.Helper()
	l := &live{t: t, written: []string{""}}
	for i := 0; i+1 < len(turns); i += 2 {
		l.parts = append(l.parts, turns[i])
		l.written = append(l.written, turns[i+1])
	}
	if err := Copy(f, l, Output{v, func(p []byte) error { l.out.Write(p); return nil }}); err != nil {
		t.Error(err)
	}
}
