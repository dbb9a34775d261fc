package jsonmask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies"
)

// opening is a finder that holds back the last word, as long as it could begin a token or a block.
type opening struct{ pattern }

func (opening) Open(text []byte) int {
	word := len(text)
	for word > 0 && text[word-1] != ' ' && text[word-1] != '\n' {
		word--
	}
	for at := word; at < len(text); at++ {
		if n := min(len("tok_"), len(text)-at); string(text[at:at+n]) == "tok_"[:n] {
			return at
		}
	}
	for n := len("BEGIN KE"); n > 0; n-- {
		if strings.HasSuffix(string(text), "BEGIN KE"[:n]) {
			return len(text) - n
		}
	}
	return len(text)
}

var opens = opening{pattern{regexp.MustCompile(`tok_[a-z0-9_]+|(?s:BEGIN KEY.*?(?:END KEY|$))`)}}

func TestASecretOverTwoDeltasIsHidden(t *testing.T) {
	view := NewView(nil, opens, nil)
	for _, c := range []struct{ name, in, want string }{
		{
			"OpenAI's chunks",
			`data: {"id":"c","choices":[{"index":0,"delta":{"content":"it is to"}}]}|data: {"id":"c","choices":[{"index":0,"delta":{"content":"k_ab"}}]}|data: {"id":"c","choices":[{"index":0,"delta":{"content":"cd, so"}}]}|data: [DONE]`,
			`data: {"id":"c","choices":[{"index":0,"delta":{"content":"it is [masked]"}}]}|data: {"id":"c","choices":[{"index":0,"delta":{"content":""}}]}|data: {"id":"c","choices":[{"index":0,"delta":{"content":", so"}}]}|data: [DONE]`,
		},
		{
			"Anthropic's chunks, with pings between",
			`event: content_block_delta|Ldata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x tok_a"}}|event: ping|Ldata: {"type":"ping"}|data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b y"}}|data: {"type":"content_block_stop","index":0}`,
			`event: content_block_delta|Ldata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x [masked]"}}|event: ping|Ldata: {"type":"ping"}|data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" y"}}|data: {"type":"content_block_stop","index":0}`,
		},
		{
			"arguments of a tool",
			`data: {"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"k\":\"tok_"}}]}}|data: {"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\u0061b\"}"}}]}}`,
			`data: {"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"k\":\"[masked]"}}]}}|data: {"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}}`,
		},
		{
			"OpenAI's responses",
			`data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"tok"}|data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"_a"}`,
			`data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"[masked]"}|data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":""}`,
		},
		{
			"MCP's progress",
			`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"message":"have t"}}|data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"message":"ok_z9 now"}}`,
			`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"message":"have [masked]"}}|data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"message":" now"}}`,
		},
		{
			"fields beside one another are apart",
			`data: {"index":0,"delta":{"text":"to"}}|data: {"index":1,"delta":{"text":"k_a"}}|data: {"index":0,"delta":{"text":"k_b"}}|data: {"delta":{"text":"to","thinking":"k_a"}}`,
			`data: {"index":0,"delta":{"text":"[masked]"}}|data: {"index":1,"delta":{"text":"k_a"}}|data: {"index":0,"delta":{"text":""}}|data: {"delta":{"text":"to","thinking":"k_a"}}`,
		},
		{"the index stands behind", `data: {"delta":{"text":"to"},"index":0}|data: {"delta":{"text":"k_a"},"index":1}|data: {"delta":{"text":"k_b"},"index":0}`, `data: {"delta":{"text":"[masked]"},"index":0}|data: {"delta":{"text":"k_a"},"index":1}|data: {"delta":{"text":""},"index":0}`},
		{"data that is no JSON", "data: a to|data: k_1|data:  b", "data: a [masked]|data: |data:  b"},
		{"a block over many", `data: {"text":"a BEG"}|data: {"text":"IN KEY x"}|: ping|id: 4|data: {"text":"y"}|data: {"text":"z END KEY b"}`, `data: {"text":"a [masked]"}|data: {"text":""}|: ping|id: 4|data: {"text":""}|data: {"text":" b"}`},
		{"a piece in front of a find", `data: {"text":"t"}|data: {"text":"tok_a "}|data: {"text":"."}`, `data: {"text":"t"}|data: {"text":"[masked] "}|data: {"text":"."}`},
		{"a piece with a find, and another that could begin", `data: {"text":"a"}|data: {"text":"tok_1 to"}|data: {"text":"x"}`, `data: {"text":"a"}|data: {"text":"[masked] to"}|data: {"text":"x"}`},
		{"data of blanks", "data: to|data:   |data: k_1", ""},
		{"strings of an array are apart", `data: {"content":["x","to"]}|data: {"content":["k_a"]}|data: {"content":["","k_b."]}`, `data: {"content":["x","[masked]"]}|data: {"content":["k_a"]}|data: {"content":["","."]}`},
		{"a field and the names above it are apart", `data: {"delta":{"a":{"b":"to"}}}|data: {"delta":{"ab":"k_a"}}|data: {"delta":{"a/b":"k_a"}}|data: {"delta":{"a":{"b":"k_b"}}}`, `data: {"delta":{"a":{"b":"[masked]"}}}|data: {"delta":{"ab":"k_a"}}|data: {"delta":{"a/b":"k_a"}}|data: {"delta":{"a":{"b":""}}}`},
		{
			"a number for each token, as TGI has it",
			`data: {"index":1,"token":{"id":7,"text":"a t"}}|data: {"index":2,"token":{"id":7,"text":"ok"}}|data: {"index":3,"token":{"id":9,"text":"_a b"}}|data: {"index":4,"token":{"id":9,"text":"tok_1"}}`,
			`data: {"index":1,"token":{"id":7,"text":"a [masked]"}}|data: {"index":2,"token":{"id":7,"text":""}}|data: {"index":3,"token":{"id":9,"text":" b"}}|data: {"index":4,"token":{"id":9,"text":"[masked]"}}`,
		},
		{
			"a number for each token, in two fields",
			`data: {"a":{"index":1,"text":"to"},"b":{"index":1,"text":"t"}}|data: {"a":{"index":2,"text":"k_a"},"b":{"index":2,"text":"ok_b"}}`,
			`data: {"a":{"index":1,"text":"[masked]"},"b":{"index":1,"text":"[masked]"}}|data: {"a":{"index":2,"text":""},"b":{"index":2,"text":""}}`,
		},
		{"an index now and then", `data: {"index":0,"text":"t"}|data: {"text":"ok_"}|data: {"text":"a."}`, `data: {"index":0,"text":"[masked]"}|data: {"text":""}|data: {"text":"."}`},
		{"a find within the piece of a number, that goes on", `data: {"index":1,"text":"x tok_a"}|data: {"index":2,"text":"b."}`, `data: {"index":1,"text":"x [masked]"}|data: {"index":2,"text":"."}`},
		{"elements of one event are apart", `data: {"content":[{"index":1,"text":"to"},{"index":2,"text":"k_a"}]}|data: {"content":[{"index":3,"text":"k_a"}]}`, ""},
		{"elements without a value, too", `data: {"content":[{"text":"to"},{"text":"k_a"}]}|data: {"content":[{"text":"k_a"},{"text":"k_a"}]}`, `data: {"content":[{"text":"[masked]"},{"text":"k_a"}]}|data: {"content":[{"text":""},{"text":"k_a"}]}`},
		{"positions are no count", `data: {"content":[{"text":"to"}]}|data: {"content":[{},{"text":"k_a"}]}`, ""},
		{
			"another choice is not in every event",
			`data: {"choices":[{"index":0,"delta":{"content":"t"}},{"index":1,"delta":{"content":"t"}}]}|data: {"choices":[{"index":0,"delta":{"content":"ok"}}]}|data: {"choices":[{"index":0,"delta":{"content":"_a."}},{"index":1,"delta":{"content":"ok_b"}}]}`,
			`data: {"choices":[{"index":0,"delta":{"content":"[masked]"}},{"index":1,"delta":{"content":"[masked]"}}]}|data: {"choices":[{"index":0,"delta":{"content":""}}]}|data: {"choices":[{"index":0,"delta":{"content":"."}},{"index":1,"delta":{"content":""}}]}`,
		},
		{
			"choices stand in another order",
			`data: {"choices":[{"index":0,"delta":{"content":"to"}},{"delta":{"content":"t"},"index":1}]}|data: {"choices":[{"index":1,"delta":{"content":"ok_b"}},{"delta":{"content":"k_a."},"index":0}]}`,
			`data: {"choices":[{"index":0,"delta":{"content":"[masked]"}},{"delta":{"content":"[masked]"},"index":1}]}|data: {"choices":[{"index":1,"delta":{"content":""}},{"delta":{"content":"."},"index":0}]}`,
		},
		{
			"a tool call stands at another place",
			`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"tok"}}]}}]}|data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":9,"function":{"arguments":"q"}},{"index":0,"function":{"arguments":"_a "}}]}}]}`,
			`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"[masked]"}}]}}]}|data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":9,"function":{"arguments":"q"}},{"index":0,"function":{"arguments":" "}}]}}]}`,
		},
		{"a value beside says nothing", `data: {"text":"to","usage":{"index":1}}|data: {"usage":{"index":2},"text":"k_a."}|data: {"index":[1],"text":"to"}|data: {"index":[2],"text":"k_a"}`, `data: {"text":"[masked]","usage":{"index":1}}|data: {"usage":{"index":2},"text":"."}|data: {"index":[1],"text":"[masked]"}|data: {"index":[2],"text":""}`},
		{"the same index twice is one", `data: {"index":1,"index":1,"text":"to"}|data: {"index":2,"index":2,"text":"x"}|data: {"text":"k_a","index":1,"index":1}|data: {"index":2,"index":2,"text":"to"}`, `data: {"index":1,"index":1,"text":"[masked]"}|data: {"index":2,"index":2,"text":"x"}|data: {"text":"","index":1,"index":1}|data: {"index":2,"index":2,"text":"to"}`},
		{"strings of JSON", `data: "a to"|data: "k_1"|data: " b"`, `data: "a [masked]"|data: ""|data: " b"`},
		{"arrays of strings of JSON", `data: ["x","to"]|data: ["to","k_a."]|data: ["k_b"]`, `data: ["x","[masked]"]|data: ["[masked]","."]|data: [""]`},
		{"arrays of JSON, one in another", `data: [["to"],"x"]|data: [["k_a"],"k_a"]`, `data: [["[masked]"],"x"]|data: [[""],"k_a"]`},
		{
			"names in another case", `data: {"Delta":{"Other":"to"},"TEXT":"to"}|data: {"Delta":{"Other":"k_a"},"TEXT":"k_b"}|data: {"Index":1,"Text":"."}|data: {"INDEX":2,"Text":"to"}|data: {"Index":1,"Text":"k_a"}`,
			`data: {"Delta":{"Other":"[masked]"},"TEXT":"[masked]"}|data: {"Delta":{"Other":""},"TEXT":""}|data: {"Index":1,"Text":"."}|data: {"INDEX":2,"Text":"to"}|data: {"Index":1,"Text":"k_a"}`,
		},
		{"nothing comes of it", `data: {"text":"\u0074ok"}|: x|data: {"text":"en\/"}`, ""},
		{"fields of what is no text", `data: {"message":{"id":"to"}}|data: {"message":{"id":"k_1"}}`, ""},
		{"fields that are no text", `data: {"id":"to"}|data: {"id":"k_1"}|data: {"name":"to"}|data: {"name":"k_1"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			lay := func(s string) string {
				s = strings.ReplaceAll(strings.ReplaceAll(s, "|L", "\n"), "|", "\n\n") + "\n\n"
				return s
			}
			if got, err := everySplit(t, Events, lay(c.in), view); err != nil || got != lay(c.want) {
				t.Errorf("%s, %v\nwant %s", got, err, lay(c.want))
			}
		})
	}
}

// indexed is an event with a piece of one of many fields.
func indexed(field int, text string) string {
	return fmt.Sprintf(`data: {"index":%d,"text":%q}`+"\n\n", field, text)
}

func TestOfManyFieldsTheOneIsLetGoThatHasBeenSilentForLongest(t *testing.T) {
	view := NewView(nil, opens, &policies.MaskRule{Text: "*"})
	others := func(from, n int) (body string) {
		for i := range n {
			body += indexed(from+i, "x")
		}
		return body
	}
	elsewhere := ""
	for i := range deltaFields {
		elsewhere += fmt.Sprintf(`data: {"f%d":{"text":"x"}}`+"\n\n", i)
	}
	apart := indexed(0, ".") + indexed(1, ".") + indexed(0, ".")
	for name, c := range map[string]struct{ in, want string }{
		"as many as are followed": {
			indexed(0, "to") + others(1, deltaFields-1) + indexed(0, "k_a"),
			indexed(0, "*") + others(1, deltaFields-1) + indexed(0, ""),
		},
		"one more": {
			indexed(0, "to") + others(1, deltaFields) + indexed(0, "k_a"),
			indexed(0, "to") + others(1, deltaFields) + indexed(0, "k_a"),
		},
		"one that goes on, and many that do not": {
			indexed(0, "t") + others(1, deltaFields-1) + indexed(0, "ok") + others(deltaFields, deltaFields-1) + indexed(0, "_a"),
			indexed(0, "*") + others(1, deltaFields-1) + indexed(0, "") + others(deltaFields, deltaFields-1) + indexed(0, ""),
		},
		"one that is let go within a find over a count": {
			indexed(1, "tok_") + indexed(2, "a") + elsewhere + indexed(3, "b"),
			indexed(1, "*") + indexed(2, "") + elsewhere + indexed(3, "b"),
		},
		"one that is let go within a find": {
			apart + indexed(0, "tok_") + indexed(0, "a") + others(1, deltaFields),
			apart + indexed(0, "*") + indexed(0, "") + others(1, deltaFields),
		},
	} {
		if got, err := masked(Events, strings.NewReader(c.in), view); err != nil || got != c.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, c.want)
		}
	}
}

// soFar is what has been written of a stream when all that has come of it has been read.
func soFar(t *testing.T, v *View, stream string) (written string) {
	t.Helper()
	var out strings.Builder
	src := io.MultiReader(strings.NewReader(stream), readerFunc(func([]byte) (int, error) {
		written = out.String()
		return 0, io.EOF
	}))
	if err := Copy(Events, src, Output{v, func(p []byte) error { out.Write(p); return nil }}); err != nil {
		t.Error(err)
	}
	return written
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAnEventWaitsNoLongerThanTheBoundsSay(t *testing.T) {
	view := NewView(nil, opens, &policies.MaskRule{Text: "*"})
	const begins, ping = `data: {"text":"tok"}` + "\n\n", ": ping\n"
	beside := func(n int) string { return ":" + strings.Repeat("x", n-len(":\n")) + "\n" }
	large := func(n int) string {
		head, tail := `data: {"x":"`, `","text":"tok"}`+"\n\n"
		return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
	}
	pings := strings.Repeat(ping, deltaEvents)
	text := func(n int) string { return inPieces("tok_"+strings.Repeat("x", n-len("tok_")), deltaWindow) }
	for name, c := range map[string]struct{ stream, written string }{
		"text":                       {text(deltaWindow), ""},
		"more text":                  {text(deltaWindow + 1), inPieces("*", 1) + `data: {"delta":{"text":""}}` + "\n\n"},
		"events":                     {begins + pings[len(ping):], ""},
		"more events":                {begins + pings, begins + pings},
		"events, late in a stream":   {pings + begins + ping, pings},
		"bytes":                      {begins + beside(deltaBytes-len(begins)), ""},
		"more bytes":                 {begins + beside(deltaBytes-len(begins)+1), begins + beside(deltaBytes-len(begins)+1)},
		"bytes, late in a stream":    {beside(deltaBytes) + begins + ping, beside(deltaBytes)},
		"one large event":            {large(deltaBytes), ""},
		"one event that is larger":   {large(deltaBytes + 1), large(deltaBytes + 1)},
		"a find, and what may begin": {inPieces("BEGIN KEY END KEYto", len("BEGIN KEY END KEY")), inPieces("*", 1)},
	} {
		if got := soFar(t, view, c.stream); got != c.written {
			t.Errorf("%s: %d bytes are written, want %d: %.300q", name, len(got), len(c.written), got)
		}
	}
}

func TestAFindThatEndsInAnEventThatWaitsHasOneMark(t *testing.T) {
	long := strings.Repeat("w", deltaContext)
	for name, c := range map[string]struct {
		finder Finder
		parts  []string
		want   string
	}{
		"behind much":                 {opens, []string{long + " tok_a", "b to", "x"}, long + " * tox"},
		"behind another":              {opens, []string{"tok_1 " + long + " tok_a", "b to", "x"}, "* " + long + " * tox"},
		"a long one":                  {opens, []string{"tok_" + long, "b to", "x"}, "* tox"},
		"one within which another is": {overlapping{}, []string{"x<", "<" + long[1:], ">x", "."}, "x*x."},
		"one that another goes on":    {overlapping{}, []string{long + "xy", "y.y", "z"}, long + "*y.*"},
	} {
		body := ""
		for _, part := range c.parts {
			body += inPieces(part, len(part))
		}
		got, err := masked(Events, strings.NewReader(body), NewView(nil, c.finder, &policies.MaskRule{Text: "*"}))
		if err != nil {
			t.Fatal(err)
		}
		if joined := joinedText(t, got); joined != c.want {
			t.Errorf("%s: %q, want %q", name, joined, c.want)
		}
	}
}

// whole wants whole characters.
type whole struct {
	opening
	t *testing.T
}

func (w whole) Find(dst []Span, text []byte) []Span {
	if !utf8.Valid(text) {
		w.t.Errorf("a part of a character is shown in %d bytes, %.10q… %q", len(text), text, text[max(0, len(text)-2*deltaEnd):])
	}
	return w.opening.Find(dst, text)
}

func TestTheFinderIsShownWholeCharactersOfDeltas(t *testing.T) {
	for shift := range utf8.UTFMax {
		long := strings.Repeat("x", shift) + strings.Repeat("😀", deltaWindow/4+50)
		for text, want := range map[string]string{
			long + " tok_a now":                          long + " * now",
			"BEGIN KEY" + long + "END KEY" + long + " a": "*" + long + " a",
		} {
			body := ""
			for _, part := range strings.SplitAfter(strings.ReplaceAll(text, "😀😀😀", "😀😀😀\x00"), "\x00") {
				body += fmt.Sprintf("data: {\"delta\":{\"text\":%q}}\n\n", strings.TrimSuffix(part, "\x00"))
			}
			got, err := masked(Events, strings.NewReader(body), NewView(nil, whole{opens, t}, &policies.MaskRule{Text: "*"}))
			if err != nil {
				t.Fatal(err)
			}
			if joined := joinedText(t, got); joined != want {
				t.Errorf("%d bytes become %d, want %d", len(text), len(joined), len(want))
			}
		}
	}
}

func TestAnEventWaitsOnlyWhileItsTextCouldGoOn(t *testing.T) {
	a, b, c := `data: {"text":"some words"}`+"\n\n", `data: {"text":"the t"}`+"\n\n", `data: {"text":"oken"}`+"\r\n\r\n"
	flows(t, Events, NewView(nil, opens, nil),
		a, a,
		b, a,
		": ping\n", a,
		c, a+b+": ping\n"+c,
		b, a+b+": ping\n"+c,
		"id: 1\r", a+b+": ping\n"+c,
		"\n", a+b+": ping\n"+c,
	)
}

func TestWhatWaitsIsBounded(t *testing.T) {
	view := NewView(nil, opens, nil)
	read, most, written := 0, 0, 0
	// A token without end: each event could be its last.
	body := `data: {"text":"tok_"}` + "\n\n" + strings.Repeat(`data: {"text":"abcdefgh"}`+"\n\n", 4000)
	src := &counted{chunks{[]byte(body), 700}, &read}
	var out strings.Builder
	if err := Copy(Events, src, Output{view, func(p []byte) error {
		written += len(p)
		most = max(most, read-written)
		out.Write(p)
		return nil
	}}); err != nil || most > 40*deltaWindow {
		t.Errorf("%v, held back %d", err, most)
	}
	if got := out.String(); strings.Contains(got, "abc") || strings.Count(got, "[masked]") != 1 {
		t.Errorf("the token is shown: %.300q", got)
	}
	// Nothing but empty lines behind an event that is held.
	read, most, written = 0, 0, 0
	src = &counted{chunks{[]byte(`data: {"text":"tok"}` + strings.Repeat("\n", 1<<20)), 100}, &read}
	if err := Copy(Events, src, Output{view, func(p []byte) error {
		written += len(p)
		most = max(most, read-written)
		return nil
	}}); err != nil || most > 2*deltaEvents {
		t.Errorf("%v, held back %d lines", err, most)
	}
	// Many fields at once.
	body = ""
	for i := range 4 * deltaFields {
		body += fmt.Sprintf(`data: {"index":%d,"text":"tok_a"}`+"\n\n", i)
	}
	if got, err := masked(Events, strings.NewReader(body), view); err != nil || strings.Contains(got, "tok_") {
		t.Errorf("%v: %.300q", err, got)
	}
	// Much beside the text.
	body = strings.Repeat(`data: {"text":"a","x":"`+strings.Repeat("y", 1<<16)+`"}`+"\n\n", 40)
	if got, err := masked(Events, strings.NewReader(`data: {"text":"tok_"}`+"\n\n"+body), view); err != nil || strings.Contains(got, `"text":"a"`) {
		t.Errorf("%v: %d bytes", err, len(got))
	}
}

// overlapping finds what may begin within another find, and goes on where that has ended: xy, then yz, and a block.
type overlapping struct{}

var overlaps = []*regexp.Regexp{regexp.MustCompile(`x+y`), regexp.MustCompile(`y+z`), regexp.MustCompile(`<[^>]*(?:>|$)`)}

func (overlapping) Find(dst []Span, text []byte) []Span {
	for _, form := range overlaps {
		dst = pattern{form}.Find(dst, text)
	}
	return dst
}

var overlapsOpen = regexp.MustCompile(`(?:x+|y+|<[^>]*)$`)

func (overlapping) Open(text []byte) int {
	if at := overlapsOpen.FindIndex(text); at != nil {
		return at[0]
	}
	return len(text)
}

// behindHost finds what stands behind p=, if there is a host in the 256 bytes before: that is as far as detectors look.
type behindHost struct{}

func (behindHost) Find(dst []Span, text []byte) []Span {
	for _, at := range regexp.MustCompile(`p=(\w+)`).FindAllSubmatchIndex(text, -1) {
		if bytes.Contains(text[max(0, at[0]-256):at[0]], []byte("host=")) {
			dst = append(dst, Span{at[2], at[3]})
		}
	}
	return dst
}

func (behindHost) Open(text []byte) int {
	return len(text) - len(regexp.MustCompile(`p?=?\w*$`).Find(text))
}

func TestWhatMakesASecretMayBeOutForLong(t *testing.T) {
	view := NewView(nil, behindHost{}, nil)
	for between := range 256 - len("host=") {
		in := `data: {"text":"host="}` + "\n\n" + `data: {"text":"` + strings.Repeat("-", between) + `"}` + "\n\n" + `data: {"text":"p=hunter2 "}` + "\n\n"
		if out, err := masked(Events, strings.NewReader(in), view); err != nil || strings.Contains(out, "hunter2") {
			t.Fatalf("%d bytes behind: %s, %v", between, out, err)
		}
	}
}

// The texts of a field, joined, are the text that was cut, masked; whatever else is in the stream, and however it comes in.
func TestTheJoinedTextOfDeltasIsMaskedAsOne(t *testing.T) {
	for name, c := range map[string]struct {
		finder Finder
		rule   policies.MaskRule
		words  []string
		want   func(string) string
	}{
		"finds apart": {
			opens,
			policies.MaskRule{Text: "*"},
			[]string{"tok_1", "tok_abc9", "to", "tok", "k_a", " ", "word", ".", "é😀", "\"", "\\", "\n", "BEGIN", " KEY", "x", "END KEY", "t"},
			func(text string) string { return opens.ReplaceAllString(text, "*") },
		},
		"finds within one another, of which a part is shown": {
			overlapping{},
			policies.MaskRule{KeepLast: 1},
			[]string{"x", "xx", "xy", "xyyz", "y", "yz", "z", " ", "é", "<", "<é", ">", ".", strings.Repeat("w", deltaContext-1), strings.Repeat("é", deltaContext/2)},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			view := NewView(fields(t, "$..password"), c.finder, &c.rule)
			if c.want == nil { // what a text becomes that is not cut
				c.want = func(text string) string {
					in, _ := json.Marshal(text)
					out, err := masked(JSON, bytes.NewReader(in), view)
					if err != nil || json.Unmarshal([]byte(out), &text) != nil {
						t.Fatalf("%q: %q, %v", in, out, err)
					}
					return text
				}
			}
			rapid.Check(t, func(t *rapid.T) { deltasAreMaskedAsOne(t, view, rapid.SampledFrom(c.words), c.want) })
		})
	}
}

// deltasAreMaskedAsOne draws the texts of two fields, and a stream that gives them piece by piece. That index tells them apart
// is seen first.
func deltasAreMaskedAsOne(t *rapid.T, view *View, word *rapid.Generator[string], want func(string) string) {
	cut := rapid.SampledFrom([]int{1, 2, 3, 5, 8, 13, deltaContext, 3 * deltaContext})
	var texts [2]string
	var rest [2]string
	for i := range rest {
		texts[i] = strings.Join(rapid.SliceOfN(word, 0, 12).Draw(t, "words"), "")
		rest[i] = texts[i]
	}
	body := ""
	for _, i := range []int{0, 1, 0} {
		body += fmt.Sprintf("data: {\"index\":%d,\"delta\":{\"text\":\" \"}}\n\n", i)
		texts[i] = " " + texts[i]
	}
	for rest[0] != "" || rest[1] != "" {
		i := rapid.IntRange(0, 1).Draw(t, "field")
		runes := []rune(rest[i])
		n := min(cut.Draw(t, "cut"), len(runes))
		quoted, err := json.Marshal(string(runes[:n]))
		if err != nil {
			t.Fatal(err)
		}
		rest[i] = string(runes[n:])
		body += fmt.Sprintf("data: {\"index\":%d,\"delta\":{\"text\":%s}}\n\n", i, quoted)
		if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
			body += rapid.SampledFrom([]string{": ping\n", "data: {\"type\":\"ping\"}\n\n", "\n", "id: 7\r\n\r\n"}).Draw(t, "what")
		}
	}
	got, err := masked(Events, &pieces{t, []byte(body)}, view)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err := masked(Events, strings.NewReader(body), view); err != nil || whole != got {
		t.Fatalf("in pieces %q, whole %q", got, whole)
	}
	var joined [2]string
	for _, e := range readEvents(got) {
		var d struct {
			Index int
			Delta *struct{ Text string }
		}
		if err := json.Unmarshal([]byte(e.Data), &d); err != nil {
			t.Fatalf("%q: %v", e.Data, err)
		}
		if d.Delta != nil {
			joined[d.Index] += d.Delta.Text
		}
	}
	changed := false
	for i, text := range texts {
		want := want(text)
		changed = changed || want != text
		if joined[i] != want {
			t.Fatalf("field %d of %q becomes %q, want %q", i, text, joined[i], want)
		}
	}
	if !changed && got != body {
		t.Fatalf("%q becomes %q", body, got)
	}
}

// So is a text whose pieces each have a number of their own, or several have one.
func TestTheJoinedTextOfCountedDeltasIsMaskedAsOne(t *testing.T) {
	view := NewView(nil, opens, &policies.MaskRule{Text: "*"})
	word := rapid.SampledFrom([]string{"tok_1", "tok_abc9", "to", "tok", "k_a", " ", "word", ".", "é😀", "\n", "BEGIN", " KEY", "x", "END KEY", "t"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 30).Draw(t, "words"), "")
		body, number := "", 0
		for rest := []rune(text); len(rest) > 0; {
			n := min(rapid.SampledFrom([]int{1, 2, 3, 5, 8, 13}).Draw(t, "cut"), len(rest))
			quoted, err := json.Marshal(string(rest[:n]))
			if err != nil {
				t.Fatal(err)
			}
			body += fmt.Sprintf("data: {\"delta\":{\"text\":%s},\"index\":%d}\n\n", quoted, number)
			rest = rest[n:]
			number += rapid.IntRange(0, 4).Draw(t, "step")
		}
		got, err := masked(Events, &pieces{t, []byte(body)}, view)
		if err != nil {
			t.Fatal(err)
		}
		joined := ""
		for _, e := range readEvents(got) {
			var d struct{ Delta struct{ Text string } }
			if err := json.Unmarshal([]byte(e.Data), &d); err != nil {
				t.Fatalf("%q: %v", e.Data, err)
			}
			joined += d.Delta.Text
		}
		if want := opens.ReplaceAllString(text, "*"); joined != want {
			t.Fatalf("%q becomes %q, want %q: %q", text, joined, want, got)
		}
		if joined == text && got != body {
			t.Fatalf("%q becomes %q", body, got)
		}
	})
}

// inPieces is a stream that gives a text in pieces of a size, some other event between some of them.
func inPieces(text string, size int) string {
	var b strings.Builder
	for n := 0; text != ""; n++ {
		cut := min(size, len(text))
		fmt.Fprintf(&b, "data: {\"delta\":{\"text\":%q}}\n\n", text[:cut])
		if text = text[cut:]; n%5 == 4 {
			b.WriteString("data: {\"type\":\"ping\"}\n\n")
		}
	}
	return b.String()
}

// joinedText is the text of a stream of inPieces.
func joinedText(t *testing.T, stream string) string {
	t.Helper()
	var joined strings.Builder
	for _, e := range readEvents(stream) {
		var d struct{ Delta struct{ Text string } }
		if err := json.Unmarshal([]byte(e.Data), &d); err != nil {
			t.Fatalf("%q: %v", e.Data, err)
		}
		joined.WriteString(d.Delta.Text)
	}
	return joined.String()
}

// What is found may be longer than what may be held: it is hidden to its end, by one mark, and what stands around it stays.
func TestAFindLongerThanTheWindowIsHiddenToItsEnd(t *testing.T) {
	view := NewView(nil, opens, &policies.MaskRule{Text: "*"})
	fill := func(n int) string { return strings.Repeat("x", n) }
	words := func(n int) string { return strings.Repeat("word ", n/5) + fill(n%5) }
	lengths := []int{0, deltaContext - 9, deltaContext + 1, deltaWindow - 13, deltaWindow - 9, deltaWindow - 1, deltaWindow, 2*deltaWindow + 3}
	if testing.Short() {
		lengths = []int{0, deltaContext, deltaWindow - 9, deltaWindow}
	}
	for _, n := range lengths {
		for name, c := range map[string]struct{ text, want string }{
			"a token":                    {"say tok_a" + fill(n) + " now", "say * now"},
			"a block":                    {"say BEGIN KEY " + words(n) + "END KEY now", "say * now"},
			"a block without end":        {"say BEGIN KEY " + words(n), "say *"},
			"two":                        {"tok_a" + fill(n) + " and tok_b" + fill(n) + ".", "* and *."},
			"two blocks, side by side":   {"BEGIN KEY" + words(n) + "END KEYBEGIN KEY" + words(n) + "END KEY", "**"},
			"a token behind much":        {words(n) + " tok_a now", words(n) + " * now"},
			"a token behind a long word": {fill(n) + " tok_a now", fill(n) + " * now"},
			"what looks like one":        {"tok" + fill(n) + " to " + words(n) + " BEGIN KE" + fill(n), "tok" + fill(n) + " to " + words(n) + " BEGIN KE" + fill(n)},
		} {
			for _, size := range []int{1, 7, 100, deltaWindow, deltaWindow + 1} {
				if size == 1 && n > deltaContext+1 { // each piece is looked at with all that is held
					continue
				}
				got, err := masked(Events, strings.NewReader(inPieces(c.text, size)), view)
				if err != nil {
					t.Fatal(err)
				}
				if joined := joinedText(t, got); joined != c.want {
					t.Errorf("%s of %d in pieces of %d: %d bytes %.60q…, want %d", name, n, size, len(joined), joined, len(c.want))
				}
			}
		}
	}
}
