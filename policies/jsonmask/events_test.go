package jsonmask

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
)

func TestEventsAreMaskedAndTheirLinesStay(t *testing.T) {
	paths := NewView(fields(t, "$..password"), nil, nil)
	both := NewView(fields(t, "$..password"), secrets, nil)
	finder := NewView(nil, secrets, nil)
	for _, c := range []struct {
		name     string
		view     *View
		in, want string
	}{
		{"JSON", both, "data: {\"password\":\"a\",\"b\":\"tok_1\"}\n\n", "data: {\"password\":\"[masked]\",\"b\":\"[masked]\"}\n\n"},
		{"nothing to hide", both, "id: 7\nevent:x\ndata:{\"a\" : 1}\nretry: 10\n\n", ""},
		{"no space behind the colon", both, "data:{\"password\":\"a\"}\n\n", "data:{\"password\":\"[masked]\"}\n\n"},
		{"CR LF", both, "data: {\"password\":\"a\"}\r\nid: 1\r\n\r\ndata: 1\r\n\r\n", "data: {\"password\":\"[masked]\"}\r\nid: 1\r\n\r\ndata: 1\r\n\r\n"},
		{"CR", both, "data: {\"password\":\"a\"}\rid: 1\r\rdata: 2\r\r", "data: {\"password\":\"[masked]\"}\rid: 1\r\rdata: 2\r\r"},
		{"all kinds of line ends", both, "data: 1\r\r\n\ndata: {\"password\":\"a\"}\n\r\n:x\r\r", "data: 1\r\r\n\ndata: {\"password\":\"[masked]\"}\n\r\n:x\r\r"},
		{"a byte order mark", both, "\ufeffdata: {\"password\":\"a\"}\n\n", "\ufeffdata: {\"password\":\"[masked]\"}\n\n"},
		{"a byte order mark and an empty line", both, "\ufeff\ndata: {\"password\":\"a\"}\n\n", "\ufeff\ndata: {\"password\":\"[masked]\"}\n\n"},
		{"several lines of data", both, "data: {\"password\":\nid: 3\ndata: \"a\",\ndata:  \"b\":1}\n\n", "data: {\"password\":\nid: 3\ndata: \"[masked]\",\ndata:  \"b\":1}\n\n"},
		{"fewer lines than before", both, "data: {\"password\":[\ndata: 1\nid: 4\ndata: ],\ndata: \"b\":1}\n\n", "data: {\"password\":null,\ndata: \"b\":1}\nid: 4\n\n"},
		{"a line of data without a colon", both, "data\ndata: {\"password\":\"a\"}\ndata\n\n", "data\ndata: {\"password\":\"[masked]\"}\ndata\n\n"},
		{"two documents", both, "data: {\"password\":1}\ndata: {\"password\":2}\n\n", "data: {\"password\":null}\ndata: {\"password\":null}\n\n"},
		{"data that is no JSON", both, "data: hello tok_1\ndata: world\n\n", "data: hello [masked]\ndata: world\n\n"},
		{"data that is no JSON, with paths alone", paths, "data: hello tok_1\ndata: world\n\ndata: ping\n\ndata: a {b} [c] \"d\"\n\n", ""},
		{"a name and its value that are no JSON", paths, "data: a=1&PassWord=x&b=2\n\ndata: password: y\nid: password=z\n\ndata: password\n\n", "data: a=1&PassWord=[masked]\n\ndata: password:[masked]\nid: password=[masked]\n\ndata: password\n\n"},
		{"a name and its value before a document", paths, "data: password=x {\"password\":\"y\"}\n\ndata: {\"password\":\"y\"} password=x\n\n", "data: password=[masked]\n\ndata: {\"password\":\"[masked]\"} password=[masked]\n\n"},
		{"a name without a value", paths, "data: password \n\ndata: password=\n\ndata: x password:\n\n", ""},
		{"broken JSON", paths, "data: {\"password\":\"a\"\n\n", "data: {\"password\":\"[masked]\"\n\n"},
		{"a part of JSON", paths, "data: \"password\" : \"a\", \"b\":1}\n\ndata: words {\"password\":\"a\"} words\n\n", "data: \"password\" :[masked]\n\ndata: words {\"password\":\"[masked]\"} words\n\n"},
		{"JSON that only others read", paths, "data: {\"a\":NaN,\"password\":\"a\"}\n\n", "data: {\"a\"[masked]\n\n"},
		{"JSON that nests too deeply", paths, "data: " + strings.Repeat("[", MaxDepth+1) + "\"password\":1" + strings.Repeat("]", MaxDepth+1) + "\n\n", "data: " + strings.Repeat("[", MaxDepth+1) + "[masked]\n\n"},
		{"data that is no UTF-8", paths, "data: {\"\xff\":1,\"password\":\"a\"}\n\n", "data: {[masked]\n\n"},
		{"data that is no JSON, without paths", finder, "data: hello tok_1\ndata: world\n\n", "data: hello [masked]\ndata: world\n\n"},
		{"a find over lines of data", finder, "data: a BEGIN KEY\ndata: xyz\ndata: END KEY b\nid: 1\n\n", "data: a [masked] b\nid: 1\n\n"},
		{"the end of a stream of an API", both, "data: [DONE]\n\n", ""},
		{"almost the end of a stream of an API", both, "data: [DONE] tok_1\n\n", "data: [DONE] [masked]\n\n"},
		{"empty data", both, "data\n\ndata:\n\ndata: \n\n", ""},
		{"comments", both, ": ping\n:\n:tok_1 x\n\n", ": ping\n:\n:[masked] x\n\n"},
		{"JSON in other lines", both, ": {\"password\":\"a\"}\nid: {\"password\":1}\nevent: x {\"password\":[1]}\nretry: {\"password\":\"a\ndata: 1\n\n", ": {\"password\":\"[masked]\"}\nid: {\"password\":null}\nevent: x {\"password\":null}\nretry: {\"password\"[masked]\ndata: 1\n\n"},
		{"other fields", both, "event: tok_1\nid: a tok_2\nretry: 5\ndata: 1\nid:tok_3\n\n", "event: [masked]\nid: a [masked]\nretry: 5\ndata: 1\nid:[masked]\n\n"},
		{"fields that nobody knows", both, "Data: {\"password\":\"a\"}\n{\"password\":\"a\"}\nfoo\ndata: 1\ndatax: 2\n\n", ": [masked]\n: [masked]\n: [masked]\ndata: 1\n: [masked]\n\n"},
		{"fields that nobody knows, without paths", finder, "Data: tok_1\ntok_2: x\n\n", "Data: [masked]\n[masked]: x\n\n"},
		{"the last event has no empty line", both, "data: 1\n\ndata: {\"password\":\"a\"}\n", "data: 1\n\ndata: {\"password\":\"[masked]\"}\n"},
		{"the last line has no end", both, "data: {\"password\":\"a\"}", "data: {\"password\":\"[masked]\"}"},
		{"the last line is cut off", both, "data: {\"password\":\"a", "data: {\"password\"[masked]"},
		{"the last line is no data", both, "data: 1\nfoo: s", "data: 1\n: [masked]"},
		{"a space of the value", finder, "data:  tok_1\n\ndata:BEGIN KEY\ndata:END KEY\ndata:  x\n\n", "data:  [masked]\n\ndata:[masked]\ndata:  x\n\n"},
		{"empty", both, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			if got, err := everySplit(t, Events, c.in, c.view); err != nil || got != c.want {
				t.Errorf("%q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestAMasksTextCannotEndALineOfAnEvent(t *testing.T) {
	view := NewView(nil, secrets, &policies.MaskRule{Text: "x\ndata: y\r\n\rz"})
	if got, err := everySplit(t, Events, "data: tok_1\n\n", NewView(nil, secrets, &policies.MaskRule{Text: "x\r"})); err != nil || got != "data: x\ndata: \n\n" {
		t.Errorf("a text that ends in CR: %q, %v", got, err)
	}
	for in, want := range map[string]string{
		"data: a tok_1\n\n":   "data: a x\ndata: data: y\ndata: \ndata: z\n\n",
		"data: tok_1":         "data: x\ndata: data: y\ndata: \ndata: z",
		"id: tok_1\r\n":       "id: x data: y   z\r\n",
		"data: \"tok_1\"\n\n": "data: \"x\\ndata: y\\r\\n\\rz\"\n\n",
	} {
		if got, err := everySplit(t, Events, in, view); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	if got, err := masked(Events, strings.NewReader("data: tok_1\n\n"), NewView(nil, secrets, &policies.MaskRule{})); err != nil || got != "data: \n\n" {
		t.Errorf("an empty text: %q, %v", got, err)
	}
}

func TestAnEventGoesOutWithItsEmptyLine(t *testing.T) {
	flows(t, Events, NewView(fields(t, "$..password"), nil, nil),
		": ping\n", ": ping\n",
		"id: 1\ndata: {\"password\":", ": ping\nid: 1\n",
		"\"a\"}\n", ": ping\nid: 1\n",
		"id: 2\r\n", ": ping\nid: 1\n",
		"\r", ": ping\nid: 1\ndata: {\"password\":\"[masked]\"}\nid: 2\r\n\r",
		"\ndata: 1", ": ping\nid: 1\ndata: {\"password\":\"[masked]\"}\nid: 2\r\n\r\n",
		"\n\n", ": ping\nid: 1\ndata: {\"password\":\"[masked]\"}\nid: 2\r\n\r\ndata: 1\n\n",
	)
}

func TestAnEventHasBounds(t *testing.T) {
	view := NewView(fields(t, "$..password"), nil, nil)
	for name, in := range map[string]string{
		"a long line":  "data: 1\n\ndata: s3cret" + strings.Repeat("s", MaxToken),
		"many bytes":   strings.Repeat("data: "+strings.Repeat("s", 1000)+"\n", MaxToken/1000),
		"a comment":    ":" + strings.Repeat("s", MaxToken+1),
		"many lines":   strings.Repeat("data\n", maxLines+1),
		"an event too": "data: " + strings.Repeat("s", MaxToken) + "\n\n",
	} {
		out, err := masked(Events, strings.NewReader(in), view)
		if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(out, "ss") {
			t.Errorf("%s: %.100q, %v", name, out, err)
		}
	}
}

func TestAnEventMayBeAsLongAsTheBoundSays(t *testing.T) {
	view := NewView(nil, cheap{}, nil)
	long := func(n int, end string) string {
		return "data: " + strings.Repeat("s", n-len("data: ")-len(end)) + end
	}
	in := long(MaxToken, "\n\n") + "data: 1\n\n" + long(MaxToken, "")
	if got, err := masked(Events, strings.NewReader(in), view); err != nil || got != in {
		t.Errorf("the longest events: %d bytes, %v", len(got), err)
	}
	for _, in := range []string{long(MaxToken+1, "\n\n"), long(MaxToken+1, "")} {
		if _, err := masked(Events, strings.NewReader("\n"+in), view); err == nil {
			t.Error("an event that is longer is read")
		}
	}
}

func TestEventsOfEachOutputAreItsOwn(t *testing.T) {
	const body = "data: {\"password\":\"a\",\"b\":\"tok_1\"}\nid: tok_2\n\ndata: x\n\n"
	views := []*View{NewView(nil, nil, nil), NewView(fields(t, "$.password"), nil, nil), NewView(nil, secrets, nil)}
	written := make([]strings.Builder, len(views))
	var outs []Output
	for i, v := range views {
		outs = append(outs, Output{v, func(p []byte) error { written[i].Write(p); return nil }})
	}
	if err := Copy(Events, strings.NewReader(body), outs...); err != nil {
		t.Fatal(err)
	}
	for i, v := range views {
		if want, err := masked(Events, strings.NewReader(body), v); err != nil || written[i].String() != want {
			t.Errorf("output %d: %q, alone: %q", i, written[i].String(), want)
		}
	}
}
