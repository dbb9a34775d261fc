package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// node is a value read whole. kind is its first byte; an object has its members in order, duplicates too.
type node struct {
	Kind     jsontext.Kind
	Text     string // a string decoded, a number as it stands
	Names    []string
	Children []*node
}

// tree reads one value, bounded in depth.
func tree(d *jsontext.Decoder, depth int) (*node, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &node{Kind: tok.Kind()}
	switch n.Kind {
	case '"', '0':
		n.Text = tok.String()
	case '{', '[':
		if depth == 0 {
			return nil, errors.New("too deep")
		}
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			if n.Kind == '{' {
				name, err := d.ReadToken()
				if err != nil {
					return nil, err
				}
				n.Names = append(n.Names, name.String())
			}
			child, err := tree(d, depth-1)
			if err != nil {
				return nil, err
			}
			n.Children = append(n.Children, child)
		}
		_, err = d.ReadToken()
	}
	return n, err
}

func trees(body string) (out []*node, err error) {
	d := jsontext.NewDecoder(struct{ io.Reader }{strings.NewReader(body)}, jsontext.AllowDuplicateNames(true))
	for {
		n, err := tree(d, MaxDepth)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
}

// The paths of the comparison, and what they mean, written a second time.
var comparedPaths = []string{"$..password", "$.a[*].b => B", "$.*[0] => last4", "$.mail => domain"}

func namedBy(place []any) int {
	last := place[len(place)-1]
	switch {
	case last == "password":
		return 0
	case len(place) == 3 && place[0] == "a" && last == "b":
		return 1
	case len(place) == 2 && last == 0:
		return 2
	case len(place) == 1 && last == "mail":
		return 3
	}
	return -1
}

const (
	documents jsontext.Kind = 'J' // a string of documents, its Children
	unjudged  jsontext.Kind = '?' // a string with something like documents in it: the tables are about them
)

// openTree is a string as documents, if it is nothing else.
func openTree(text string, level int) *node {
	if level >= maxLevel || !strings.ContainsAny(text, `{["`) {
		return nil
	}
	docs, err := trees(text)
	judged := err == nil && len(docs) > 0
	for _, doc := range docs {
		judged = judged && (doc.Kind == '{' || doc.Kind == '[' || doc.Kind == '"' && len(docs) == 1)
	}
	if judged {
		return &node{Kind: documents, Children: docs}
	}
	return &node{Kind: unjudged}
}

// align brings what came out into the form of what is wanted.
func align(want, out *node) {
	if out.Kind == '"' && want.Kind == unjudged {
		*out = node{Kind: unjudged}
	}
	if out.Kind == '"' && want.Kind == documents {
		if docs, err := trees(out.Text); err == nil {
			*out = node{Kind: documents, Children: docs}
		}
	}
	for i := range min(len(want.Children), len(out.Children)) {
		align(want.Children[i], out.Children[i])
	}
}

// maskTree hides what the paths name and what secrets finds.
func maskTree(n *node, place []any, level int) *node {
	found := func(s string) string { return secrets.ReplaceAllLiteralString(s, "[masked]") }
	if len(place) > 0 && n.Kind != 'n' {
		if by := namedBy(place); by >= 0 {
			if n.Kind != '"' {
				return &node{Kind: 'n'}
			}
			text := n.Text
			switch by {
			case 0:
				text = "[masked]"
			case 1:
				text = "B"
			case 2:
				if r := []rune(text); len(r) > 8 {
					text = found("***" + string(r[len(r)-4:]))
				} else {
					text = "***"
				}
			case 3:
				if at := strings.LastIndexByte(text, '@'); at > 0 {
					text = found("***" + text[at:])
				} else {
					text = "***"
				}
			}
			return &node{Kind: '"', Text: text}
		}
	}
	out := &node{Kind: n.Kind, Text: n.Text}
	switch n.Kind {
	case '"':
		if opened := openTree(n.Text, level); opened != nil {
			for i, doc := range opened.Children {
				opened.Children[i] = maskTree(doc, place, level+1)
			}
			return opened
		}
		out.Text = found(n.Text)
	case '0':
		digits := strings.TrimPrefix(n.Text, "-")
		whole, ok := writtenOut(nil, []byte(digits))
		if secrets.MatchString(digits) || ok && secrets.Match(whole) {
			return &node{Kind: 'n'}
		}
	}
	for i, c := range n.Children {
		var step any = i
		if n.Kind == '{' {
			step = n.Names[i]
			out.Names = append(out.Names, found(n.Names[i]))
		}
		out.Children = append(out.Children, maskTree(c, append(place[:len(place):len(place)], step), level))
	}
	return out
}

// compare masks body, in pieces of a size, and compares with the naive way.
func compare(t interface {
	Helper()
	Fatalf(string, ...any)
}, v *View, body string, src io.Reader,
) string {
	t.Helper()
	got, err := masked(JSON, src, v)
	in, wantErr := trees(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v, naive: %v", body, err, wantErr)
	}
	if err != nil {
		if _, ours := errors.AsType[*Error](err); !ours {
			t.Fatalf("%q: %v", body, err)
		}
		return got
	}
	out, err := trees(got)
	if err != nil {
		t.Fatalf("%q becomes %q: %v", body, got, err)
	}
	var want []*node
	for _, n := range in {
		want = append(want, maskTree(n, nil, 0))
	}
	for i := range min(len(want), len(out)) {
		align(want[i], out[i])
	}
	if d := cmp.Diff(want, out); d != "" {
		t.Fatalf("%q becomes %q (-want +got):\n%s", body, got, d)
	}
	return got
}

// FuzzJSON compares with a naive implementation.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"password":"s","a":[{"b":1},{"b":"x"}],"mail":"b@c","c":["0123456789",2]}`,
		`{"a":{"x":{"b":{}}},"\u0070assword":[[]],"password":null}`,
		`["tok_1",{"tok_2":4111111111111111,"x":4.111111111111111e15}] 1 "x"`,
		`"[00"`, "[\"\\ud83d\\ude00\\/\",-0.0e+1,true , false]\r\n", `{"a`, `{"a":1}}`, "\"\xff\"", `"\ud800"`, strings.Repeat("[", 40),
		`{"mail":"tok_1@tok_2","c":["tok_tok_abc"]}`,
		`{"a":["{\"b\":\"s\",\"password\":[1]} [\"{\\\"password\\\":\\\"x\\\"}\"]"],"x":"\u007b\"password\":\"s\u00e9\"\/"}`,
	} {
		f.Add([]byte(s), uint8(3))
	}
	view := NewView(fields(f, comparedPaths...), secrets, nil)
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		whole := compare(t, view, string(body), bytes.NewReader(body))
		parts := compare(t, view, string(body), &chunks{bytes.Clone(body), int(size) + 1})
		if _, err := trees(string(body)); err == nil && whole != parts {
			t.Fatalf("whole %q, in pieces %q", whole, parts)
		}
	})
}

// FuzzFormats: no input makes a panic, or a difference by how it comes in.
func FuzzFormats(f *testing.F) {
	f.Add(uint8(1), []byte("{\"password\":1}\r\n\n2\n"), uint8(1))
	f.Add(uint8(2), []byte("\ufeffid: tok_1\r\ndata: {\"password\":\ndata:\"tok_1\"}\r\r\n: x\rfoo\ndata"), uint8(2))
	f.Add(uint8(3), []byte("x tok_1\nBEGIN KEY\n\nEND KEY\xff"), uint8(1))
	view := NewView(fields(f, comparedPaths...), secrets, nil)
	finder := NewView(nil, secrets, nil)
	streams := NewView(fields(f, "$..password"), opens, nil)
	f.Add(uint8(2), []byte("data: {\"delta\":{\"text\":\"to\"}}\n\ndata: {\"delta\":{\"text\":\"k_1\"}}\r\n\r\ndata: t\n\ndata: ok_2"), uint8(4))
	f.Fuzz(func(t *testing.T, format uint8, body []byte, size uint8) {
		for _, v := range []*View{view, finder, streams} {
			want, wantErr := masked(Format(format%4), bytes.NewReader(body), v)
			got, err := masked(Format(format%4), &chunks{bytes.Clone(body), int(size) + 1}, v)
			if (err == nil) != (wantErr == nil) || err == nil && got != want {
				t.Fatalf("whole %q, %v; in pieces %q, %v", want, wantErr, got, err)
			}
		}
	})
}

// anyDocument is a document whose secrets all hold the word SECRET.
func anyDocument(t *rapid.T, depth, level int, place []any) string {
	space := func() string { return rapid.SampledFrom([]string{"", "", "", " ", "\t ", "\n"}).Draw(t, "space") }
	by := -1
	if len(place) > 0 {
		by = namedBy(place)
	}
	kinds := 6
	if depth == 0 {
		kinds = 3
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		if by >= 0 {
			return `"` + rapid.SampledFrom([]string{"SECRET", "SECRET\\u0040", "\\\"SECRET😀", "xSECRETx"}).Draw(t, "secret") + `1234"`
		}
		return rapid.SampledFrom([]string{`"x"`, `"\u0041\/\ud83d\ude00"`, `"tok_secret"`, `""`, `"password"`}).Draw(t, "string")
	case 1:
		return rapid.SampledFrom([]string{"0", "-1.50e+3", "4111111111111111", "true", "false", "null"}).Draw(t, "literal")
	case 2:
		return `{"password":"SECRET"}`
	case 5:
		if by >= 0 || level == maxLevel {
			return "null"
		}
		doc := anyDocument(t, depth-1, level+1, place)
		if !strings.HasPrefix(doc, `"`) {
			doc += "\n" + anyDocument(t, 0, level+1, place)
		}
		return quoted(doc, 1)
	case 3:
		out := "["
		for i := range rapid.IntRange(0, 3).Draw(t, "len") {
			if i > 0 {
				out += ","
			}
			out += space() + anyDocument(t, depth-1, level, append(place[:len(place):len(place)], i)) + space()
		}
		return out + "]"
	default:
		out := "{"
		for i := range rapid.IntRange(0, 4).Draw(t, "len") {
			if i > 0 {
				out += "," + space()
			}
			name := rapid.SampledFrom([]string{"a", "b", "password", `pass\u0077ord`, "mail", "0", "tok_name"}).Draw(t, "name")
			out += `"` + name + `"` + space() + ":" + space() + anyDocument(t, depth-1, level, append(place[:len(place):len(place)], strings.ReplaceAll(name, `\u0077`, "w")))
		}
		return out + space() + "}"
	}
}

func TestMaskingInAnyPiecesIsMaskingTheParsedDocument(t *testing.T) {
	view := NewView(fields(t, comparedPaths...), secrets, nil)
	nothing := NewView(fields(t, "$..nobody"), odd(nil), nil)
	rapid.Check(t, func(t *rapid.T) {
		body := anyDocument(t, 5, 0, nil) + "\n" + anyDocument(t, 2, 0, nil)
		got := compare(t, view, body, &pieces{t, []byte(body)})
		if whole := compare(t, view, body, strings.NewReader(body)); got != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
		if strings.Contains(got, "SECRET") || strings.Contains(got, "tok_") || strings.Contains(got, "4111111111111111") {
			t.Fatalf("a secret is shown: %q", got)
		}
		// What is hidden from nobody leaves as it came, though every token is read.
		if out, err := masked(JSON, &pieces{t, []byte(body)}, nothing); err != nil || out != body {
			t.Fatalf("%q becomes %q, %v", body, out, err)
		}
		// Cut off anywhere, what has been written so far holds no secret either.
		cut := rapid.IntRange(0, len(body)).Draw(t, "cut")
		if out, _ := masked(JSON, &pieces{t, []byte(body[:cut])}, view); strings.Contains(out, "SECRET") || strings.Contains(out, "tok_s") {
			t.Fatalf("%q: a secret is shown: %q", body[:cut], out)
		}
	})
}
