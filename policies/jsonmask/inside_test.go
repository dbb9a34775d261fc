package jsonmask

import (
	"strconv"
	"strings"
	"testing"
)

// quoted is a text as a string of JSON, times over.
func quoted(text string, times int) string {
	for range times {
		text = strings.ReplaceAll(strconv.Quote(text), `\x`, `\u00`)
	}
	return text
}

func TestPathsReachIntoDocumentsInStrings(t *testing.T) {
	view := NewView(fields(t, "$..password", "$.a.b.c => C"), nil, nil)
	both := NewView(fields(t, "$..password"), secrets, nil)
	doc := `{"password":"SECRET","x":[1, "\u2028\/é"]}`
	hidden := `{"password":"[masked]","x":[1, "\u2028\/é"]}`
	for _, c := range []struct {
		name     string
		view     *View
		in, want string
	}{
		{"a document in a string", view, `{"text":` + quoted(doc, 1) + `}`, `{"text":` + quoted(hidden, 1) + `}`},
		{"a document in an MCP result", view, `{"result":{"content":[{"type":"text","text":` + quoted(doc, 1) + `}]}}`, `{"result":{"content":[{"type":"text","text":` + quoted(hidden, 1) + `}]}}`},
		{"two levels", view, `[` + quoted(`{"log":`+quoted(doc, 1)+`}`, 1) + `]`, `[` + quoted(`{"log":`+quoted(hidden, 1)+`}`, 1) + `]`},
		{"three levels", view, `[` + quoted(`[`+quoted(`[`+quoted(doc, 1)+`]`, 1)+`]`, 1) + `]`, `[` + quoted(`[`+quoted(`[`+quoted(hidden, 1)+`]`, 1)+`]`, 1) + `]`},
		{"four levels are left", view, `[` + quoted(`[`+quoted(`[`+quoted(`[`+quoted(doc, 1)+`]`, 1)+`]`, 1)+`]`, 1) + `]`, ""},
		{"a string of a string", view, `[` + quoted(doc, 2) + `]`, `[` + quoted(hidden, 2) + `]`},
		{"lines of a log", view, `{"log":` + quoted("2026 INFO start\n2026 WARN sent "+doc+" ok\n"+doc+"\n", 1) + `}`, `{"log":` + quoted("2026 INFO start\n2026 WARN sent "+hidden+" ok\n"+hidden+"\n", 1) + `}`},
		{"a quoted document between words", view, `{"log":` + quoted("level=info body="+quoted(doc, 1)+" took=3", 1) + `}`, `{"log":` + quoted("level=info body="+quoted(hidden, 1)+" took=3", 1) + `}`},
		{"a path goes on into the document", view, `{"a":"{\"b\":{\"c\":\"s\",\"d\":1}}"}`, `{"a":"{\"b\":{\"c\":\"C\",\"d\":1}}"}`},
		{"a path of another place", view, `{"b":"{\"b\":{\"c\":\"s\"}}"}`, ""},
		{"other escapes stay as they are", view, `["\u007b\u0022password\u0022:\u0022x\u0022,\"a\":\"\\u2028\\\/\u00e4\"}"]`, `["\u007b\u0022password\u0022:\u0022[masked]\u0022,\"a\":\"\\u2028\\\/\u00e4\"}"]`},
		{"values that are no strings", view, `["{\"password\":[1,{\"a\":2}],\"b\":{\"password\":7}}"]`, `["{\"password\":null,\"b\":{\"password\":null}}"]`},
		{"an array in a string", NewView(fields(t, "$.a[1]"), nil, nil), `{"a":"[1,2,3]"}`, `{"a":"[1,null,3]"}`},
		{"no document", view, `["{\"x\" is not, nor [1, and {} \" neither"]`, ""},
		{"code without a named thing", view, `["f({\"a\": x}); g([1, y])"]`, ""},
		{"a document that breaks off in a value", view, `["{\"a\":1,\"password\":\"SECR"]`, `["{\"a\":1,\"password\"[masked]"]`},
		{"a document that breaks off behind one", view, `["{\"password\":\"SECRET\",\"b\":"]`, `["{\"password\":\"[masked]\",\"b\":"]`},
		{"a document that breaks off in what is hidden", view, `["{\"password\":{\"x\":\"SECRET"]`, `["{\"password\":null"]`},
		{"what only others take for JSON", view, `["{\"a\":NaN,\"password\":\"SECRET\"}"]`, `["{\"a\"[masked]"]`},
		{"a lone surrogate", view, `["{\"a\":\"\\ud800\",\"password\":\"SECRET\"}"]`, `["{\"a\"[masked]"]`},
		{"finds within and beside", both, `["tok_1 {\"password\":\"tok_2\",\"b\":\"x tok_3\",\"tok_4\":4111111111111111} tok_5"]`, `["[masked] {\"password\":\"[masked]\",\"b\":\"x [masked]\",\"[masked]\":null} [masked]"]`},
		{"names of members are not opened", view, `{"{\"password\":\"x\"}":1}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			if got, err := everySplit(t, JSON, c.in, c.view); err != nil || got != c.want {
				t.Errorf("%s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestAStringStaysAsItCameButForWhatIsFoundInIt(t *testing.T) {
	view := NewView(fields(t, "$.mail => domain"), secrets, nil)
	for in, want := range map[string]string{
		`["\u2028 tok_1 \u2029\/\u00e4\ud83d\ude00\t"]`: `["\u2028 [masked] \u2029\/\u00e4\ud83d\ude00\t"]`,
		`["\ud83d\ude00tok_1\\\""]`:                     `["\ud83d\ude00[masked]\\\""]`,
		`{"\u00e9tok_1\/":1}`:                           `{"\u00e9[masked]\/":1}`,
		`["\u0074ok_1"]`:                                `["[masked]"]`,
		`["😀é tok_1 é\u0001"]`:                          `["😀é [masked] é\u0001"]`,
		`{"mail":"a\/b@ex\u0061mple.com"}`:              `{"mail":"***@ex\u0061mple.com"}`,
	} {
		if got, err := everySplit(t, JSON, in, view); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

// named finds forty letters where the name says key, as detectors do.
type named struct{ pattern }

func (n named) FindNamed(dst []Span, name, text []byte) []Span {
	if dst = n.Find(dst, text); strings.Contains(string(name), "Key") && len(text) == 8 {
		dst = append(dst, Span{0, len(text)})
	}
	return dst
}

func TestTheNameOfAFieldTellsWhatItsValueIs(t *testing.T) {
	view := NewView(nil, named{secrets}, nil)
	for in, want := range map[string]string{
		`{"SecretKey":"abcdefgh","other":"abcdefgh"}`:                                   `{"SecretKey":"[masked]","other":"abcdefgh"}`,
		`{"Key\u0031":"abcdefgh"}`:                                                      `{"Key\u0031":"[masked]"}`,
		`{"Keys":["abcdefgh",["abcdefgh"],{"a":"abcdefgh"},"abcdefgh"],"b":"abcdefgh"}`: `{"Keys":["[masked]",["abcdefgh"],{"a":"abcdefgh"},"[masked]"],"b":"abcdefgh"}`,
		`{"Key":{"a":"abcdefgh"},"b":["abcdefgh"]}`:                                     `{"Key":{"a":"abcdefgh"},"b":["abcdefgh"]}`,
		`[{"name":"SecretKey","value":"abcdefgh"},{"name":"b","value":"abcdefgh"}]`:     `[{"name":"SecretKey","value":"[masked]"},{"name":"b","value":"abcdefgh"}]`,
		`[{"Key":"MyKey","Value":"abcdefgh","x":"abcdefgh"},{"value":"abcdefgh"}]`:      `[{"Key":"MyKey","Value":"[masked]","x":"abcdefgh"},{"value":"abcdefgh"}]`,
		`["abcdefgh"]`:              `["abcdefgh"]`,
		`"abcdefgh"`:                `"abcdefgh"`,
		`{"Key":"abcdefghi tok_1"}`: `{"Key":"abcdefghi [masked]"}`,
	} {
		if got, err := everySplit(t, JSON, in, view); err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", in, got, err, want)
		}
	}
}
