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
		{"a document in a text in a string", view, `[` + quoted("sent "+doc, 2) + `]`, `[` + quoted("sent "+hidden, 2) + `]`},
		{"a quoted array between words", view, `{"log":` + quoted("body="+quoted(`["a",`+doc+`]`, 1)+" ok", 1) + `}`, `{"log":` + quoted("body="+quoted(`["a",`+hidden+`]`, 1)+" ok", 1) + `}`},
		{"a quoted array of objects between words", view, `{"log":` + quoted("body="+quoted(`[`+doc+`]`, 1)+" ok", 1) + `}`, `{"log":` + quoted("body="+quoted(`[`+hidden+`]`, 1)+" ok", 1) + `}`},
		{"a quoted array of arrays between words", view, `{"log":` + quoted("body="+quoted(`[ [`+doc+`]]`, 1)+" ok", 1) + `}`, `{"log":` + quoted("body="+quoted(`[ [`+hidden+`]]`, 1)+" ok", 1) + `}`},
		{"a quoted object of blanks between words", view, `{"log":` + quoted("body="+quoted(" { \"password\": 1}", 1)+" ok", 1) + `}`, `{"log":` + quoted("body="+quoted(" { \"password\": null}", 1)+" ok", 1) + `}`},
		{"a document with blanks between words", view, `["x [ { \"password\" : \"SECRET\" } ] y"]`, `["x [ { \"password\" : \"[masked]\" } ] y"]`},
		{"quotes and brackets to the end", view, `["x \"{"]`, ""},
		{"a bracket at the end, and blanks", view, `["x [ "]`, ""},
		{"an array that others take for an object", view, `["[\"password\": \"SECRET\"]"]`, `["[\"password\"[masked]"]`},
		{"a name that ends the text", view, `["x \"password\" "]`, ""},
		{"a name whose value has been cut off", view, `["x \"password\":"]`, ""},
		{"a name that has been cut off", view, `["{\"a\":NaN,\"password"]`, `["{\"a\"[masked]"]`},
		{"a name behind an empty string", view, `["{\"a\":\"\",b:1,\"password\":\"SECRET\"}"]`, `["{\"a\":\"\"[masked]"]`},
		{"a name with escapes, and what only others take for JSON", view, `["{\"pass\\u0077ord\":NaN}"]`, `["{\"pass\\u0077ord\"[masked]"]`},
		{"what breaks off behind what is hidden", view, `["{\"password\":[1] \"password\":\"SECRET\"}"]`, `["{\"password\":null[masked]"]`},
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

// Behind what breaks a document, and where it is cut off within another, names are known as readers know them.
func TestANameBesideADocumentIsKnownHoweverItIsSpelled(t *testing.T) {
	view := NewView(fields(t, "$..password", "$..['k\u00e9y\U0001f600']"), nil, nil)
	for _, name := range []string{
		"password", "PassWord", `pass\u0077ord`, `\u0050assword`, "pa\u017fsword", `pa\u017Fsword`, `passwor\u0064`, `pass\\u0077ord`,
		`k\u00c9y\ud83d\ude00`, "k\u00e9y\U0001f600", "K\u00c9Y\U0001f600", "\u212a\u00e9y\U0001f600", `k\u00e9y\\ud83D\\uDE00`,
	} {
		for in, want := range map[string]string{
			`{"{"` + name + `":["SECRET"]}`:                                       `{"{"[masked]`,
			`x "` + name + `" : "SECRET"`:                                         `x "` + name + `" :[masked]`,
			`{"a":"{` + strings.ReplaceAll(`"`+name+`":["SECRET"`, `"`, `\u0022`): `{"a"[masked]`,
			`{"a":"{` + strings.ReplaceAll(`"`+name+`":["SECRET"`, `"`, `\"`):     `{"a"[masked]`,
		} {
			got, err := everySplit(t, JSON, `[`+quoted(in, 1)+`]`, view)
			if want := `[` + quoted(want, 1) + `]`; err != nil || got != want {
				t.Errorf("%s, %v\nwant %s", got, err, want)
			}
		}
	}
	for _, name := range []string{
		"passwor", "passwo\u00f0d", "passwor$", "pass word", `pass\u007word`, `pass\u0077or`, `pass\u0078ord`, `pass\ord`, "p", "", `\`, `k\u00e9y\ud83d`, "k\u00e9y\U0001f601", "passwor\x04",
	} {
		in := `[` + quoted(`x "`+name+`" : "SECRET"`, 1) + `]`
		if got, err := everySplit(t, JSON, in, view); err != nil || got != in {
			t.Errorf("%s becomes %s, %v", in, got, err)
		}
	}
}

func TestAnEmptyNameBesideADocumentIsKnown(t *testing.T) {
	view := NewView(fields(t, "$..['']"), nil, nil)
	for in, want := range map[string]string{`x "" : "SECRET"`: `x "" :[masked]`, `x "a" : ""`: `x "a" : ""`} {
		if got, err := everySplit(t, JSON, `[`+quoted(in, 1)+`]`, view); err != nil || got != `[`+quoted(want, 1)+`]` {
			t.Errorf("%s becomes %s, %v", in, got, err)
		}
	}
}

func TestAnArrayBetweenWordsIsKnownByWhatItBeginsWith(t *testing.T) {
	view := NewView(fields(t, "$.a[1]"), nil, nil)
	for _, begin := range []string{`[]`, `{}`, `""`, "-1", "0", "1", "9", "true", "false", "null"} {
		in, want := quoted("x\n["+begin+",2] y", 1), quoted("x\n["+begin+",null] y", 1)
		if got, err := everySplit(t, JSON, `{"a":`+in+`}`, view); err != nil || got != `{"a":`+want+`}` {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	for _, begin := range []string{"/", ":", "a", "u", "]", ""} {
		in := `{"a":` + quoted("x\n["+begin+",2] y", 1) + `}`
		if got, err := everySplit(t, JSON, in, view); err != nil || got != in {
			t.Errorf("%s becomes %s, %v", in, got, err)
		}
	}
}

func TestAStringStaysAsItCameButForWhatIsFoundInIt(t *testing.T) {
	view := NewView(fields(t, "$.mail => domain", "$.card => last4", "$.word => tok_of_a_mask"), secrets, nil)
	for in, want := range map[string]string{
		`["\u2028 tok_1 \u2029\/\u00e4\ud83d\ude00\t"]`: `["\u2028 [masked] \u2029\/\u00e4\ud83d\ude00\t"]`,
		`["\ud83d\ude00tok_1\\\""]`:                     `["\ud83d\ude00[masked]\\\""]`,
		`{"\u00e9tok_1\/":1}`:                           `{"\u00e9[masked]\/":1}`,
		`["\u0074ok_1"]`:                                `["[masked]"]`,
		`["😀é tok_1 é\u0001"]`:                          `["😀é [masked] é\u0001"]`,
		`["\ud800\udc00tok_1\ue000tok_2\uE000\ua000tok_3\uA000tok_4\uD7ff tok_5\uFFFD\udBFF\uDFFF tok_6"]`: `["\ud800\udc00[masked]\ue000[masked]\uE000\ua000[masked]\uA000[masked]\uD7ff [masked]\uFFFD\udBFF\uDFFF [masked]"]`,
		`{"word":"x","card":"1234567\/\u0041\/bc"}`:                                                        `{"word":"tok_of_a_mask","card":"***\u0041\/bc"}`,
		`{"card":"x12***1234","mail":"*@b.c"}`:                                                             `{"card":"***1234","mail":"***@b.c"}`,
		`{"mail":"a\/b@ex\u0061mple.com"}`:                                                                 `{"mail":"***@ex\u0061mple.com"}`,
	} {
		if got, err := everySplit(t, JSON, in, view); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

// named finds eight letters where the name says key, as detectors do.
type named struct{ pattern }

func (n named) FindNamed(dst []Span, name, text []byte) []Span {
	if dst = n.Find(dst, text); (strings.Contains(string(name), "Key") || string(name) == "VALUE") && len(text) == 8 {
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
		`[{"VALUE":"abcdefgh"},{"name":"b","VALUE":"abcdefgh"}]`:                        `[{"VALUE":"[masked]"},{"name":"b","VALUE":"abcdefgh"}]`,
		`["abcdefgh"]`: `["abcdefgh"]`,
		`{"env":[{"name":"SecretKey","value":"abcdefgh"}],"value":"abcdefgh"}`:                                                           `{"env":[{"name":"SecretKey","value":"[masked]"}],"value":"abcdefgh"}`,
		`{"x":[{"name":"b","plainKey":"abcdefgh"}]}`:                                                                                     `{"x":[{"name":"b","plainKey":"[masked]"}]}`,
		`["` + strings.Repeat("x", labelMost) + `",{"key":"` + strings.Repeat("x", labelMost-len(`"Key"`)) + `Key","value":"abcdefgh"}]`: `["` + strings.Repeat("x", labelMost) + `",{"key":"` + strings.Repeat("x", labelMost-len(`"Key"`)) + `Key","value":"[masked]"}]`,
		`{"key":"` + strings.Repeat("x", labelMost-len(`Key"`)) + `Key","value":"abcdefgh"}`:                                             `{"key":"` + strings.Repeat("x", labelMost-len(`Key"`)) + `Key","value":"abcdefgh"}`,
		`"abcdefgh"`:                `"abcdefgh"`,
		`{"Key":"abcdefghi tok_1"}`: `{"Key":"abcdefghi [masked]"}`,
	} {
		if got, err := everySplit(t, JSON, in, view); err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", in, got, err, want)
		}
	}
}
