package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sluicegate/sluice/policies"
)

func TestValuesNamedByPathsAreHiddenAndTheRestLeavesAsItCame(t *testing.T) {
	view := NewView(fields(t, "$..password", "$.data[*].token => X", "$..mail => domain", "$.data[1]", "$.card => last4"), nil, nil)
	for _, c := range []struct{ name, in, want string }{
		{"nothing to hide", " { \"a\" : [ 1.0E+2 , -0, \"\\u0041\\/\" ] }\r\n\t", ""},
		{"a string", `{"password":"s3cret","a":1}`, `{"password":"[masked]","a":1}`},
		{"white space stays", "{\n  \"password\" :\t\"s3cret\" ,\n \"a\": 1 }\n", "{\n  \"password\" :\t\"[masked]\" ,\n \"a\": 1 }\n"},
		{"a number", `{"password":123.5e7}`, `{"password":null}`},
		{"a bool", `{"password":true,"x":false}`, `{"password":null,"x":false}`},
		{"null stays", `{"password":null}`, ""},
		{"an object", `{"password":{"a":[1,{"password":"x"}]},"b":"c"}`, `{"password":null,"b":"c"}`},
		{"an array", `[[{"password":["s","t"]}],0]`, `[[{"password":null}],0]`},
		{"an empty object", `{"password":{}}`, `{"password":null}`},
		{"a name with escapes", `{"pass\u0077ord":"s","\u0070assword":"t"}`, `{"pass\u0077ord":"[masked]","\u0070assword":"[masked]"}`},
		{"another case is another name", `{"Password":"s"}`, ""},
		{"each of duplicates", `{"password":"a","password":"b","password":["c"]}`, `{"password":"[masked]","password":"[masked]","password":null}`},
		{"an element and its fields", `{"data":[{"token":"t"},{"token":"u"},{"token":"v"}]}`, `{"data":[{"token":"X"},null,{"token":"X"}]}`},
		{"a path that goes another way", `{"data":{"token":"t"},"token":"u"}`, ""},
		{"a part is kept", `{"mail":"bob@example.com","card":"4111 1111 1111 1234"}`, `{"mail":"***@example.com","card":"***1234"}`},
		{"a part of a decoded string", `{"mail":"b\"ob\u0040ex\"\\ample.com"}`, `{"mail":"***\u0040ex\"\\ample.com"}`},
		{"a part that would be the whole", `{"mail":"@example.com","card":"12345678"}`, `{"mail":"***","card":"***"}`},
		{"a part of more characters than bytes would be", `{"card":"ää😀12345ß"}`, `{"card":"***345ß"}`},
		{"a part of a number is not kept", `{"card":4111111111111234}`, `{"card":null}`},
		{"several documents", "{\"password\":\"a\"}\n{\"password\":1}[2]\n\n\"password\" 3", "{\"password\":\"[masked]\"}\n{\"password\":null}[2]\n\n\"password\" 3"},
		{"no document", " \n", ""},
		{"an empty body", "", ""},
		{"a number at the end", "12", ""},
		{"deep", strings.Repeat(`[{"a":`, MaxDepth/2) + "1" + strings.Repeat("}]", MaxDepth/2), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			if got, err := everySplit(t, JSON, c.in, view); err != nil || got != c.want {
				t.Errorf("%q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestFindsAreHiddenInStringsNamesAndNumbers(t *testing.T) {
	view := NewView(fields(t, "$.password => KEPT", "$.mail => domain"), secrets, &policies.MaskRule{Text: "‹\"›"})
	for in, want := range map[string]string{
		`{"a":"b"}`:                    `{"a":"b"}`,
		`{"a":"see tok_1 and tok_2."}`: `{"a":"see ‹\"› and ‹\"›."}`,
		`{"a":"\u0074ok_1\n\u00e4"}`:   `{"a":"‹\"›\n\u00e4"}`,
		`{"a":"\u0078\/"}`:             `{"a":"\u0078\/"}`,
		`{"tok_1":{"xtok_2":1}}`:       `{"‹\"›":{"x‹\"›":1}}`,
		`["tok_1"]`:                    `["‹\"›"]`,
		`"tok_1" `:                     `"‹\"›" `,
		`[4111111111111111,-4111111111111111,411]`:                                      `[null,null,411]`,
		`[4111111111111111.0,4.111111111111111e15,41111111111111110E-1,4.1e15,4e99999]`: `[null,null,null,null,4e99999]`,
		`4111111111111111`:                             `null`,
		`{"password":"tok_1","mail":"a@tok_1"}`:        `{"password":"KEPT","mail":"***@‹\"›"}`,
		`{"password":{"tok_1":"tok_2"},"z":["tok_3"]}`: `{"password":null,"z":["‹\"›"]}`,
	} {
		if got, err := everySplit(t, JSON, in, view); err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", in, got, err, want)
		}
	}
	last := NewView(nil, secrets, &policies.MaskRule{KeepLast: 4})
	if got, _ := masked(JSON, strings.NewReader(`["a 4111111111111234"]`), last); got != `["a ***1234"]` {
		t.Errorf("a partial mask of a find: %s", got)
	}
}

// odd finds what cannot be cut out as it is.
type odd []Span

func (o odd) Find(dst []Span, _ []byte) []Span { return append(dst, o...) }

func TestSpansThatAreNotInOrderDoNoHarm(t *testing.T) {
	for _, c := range []struct {
		spans odd
		want  string
	}{
		{odd{{3, 4}, {0, 1}}, `"*bc*e"`},
		{odd{{-5, 1}, {4, 99}}, `"*bcd*"`},
		{odd{{2, 2}, {3, 1}, {7, 9}}, `"abcde"`},
		{odd{{0, 3}, {2, 4}, {1, 2}}, `"*e"`},
	} {
		if got, err := masked(JSON, strings.NewReader(`"abcde"`), NewView(nil, c.spans, &policies.MaskRule{Text: "*"})); err != nil || got != c.want {
			t.Errorf("%v: %s, %v; want %s", c.spans, got, err, c.want)
		}
	}
	if got, err := masked(JSON, strings.NewReader(`"a😀b"`), NewView(nil, odd{{2, 3}}, &policies.MaskRule{Text: "*"})); err != nil || got != `"a*b"` {
		t.Errorf("a part of a character: %s, %v", got, err)
	}
}

func TestWhatIsNotJSONIsAnErrorAndNothingOfTheValueIsWritten(t *testing.T) {
	view := NewView(fields(t, "$..password"), nil, nil)
	long := strings.Repeat("s", MaxToken)
	for _, c := range []struct{ name, in, reason string }{
		{"truncated in an object", `{"a":1,"b":"s3cret`, "ends within"},
		{"truncated behind a name", `{"a":1,"b"`, "ends within"},
		{"truncated literal", `[1,tru`, "ends within"},
		{"garbage behind", `{"a":1} s3cret`, "invalid character"},
		{"another bracket", `[1,2}`, "not valid JSON"},
		{"no comma", `{"a":1 "s3cret":2}`, "invalid character"},
		{"a comma too many", `[1,]`, "invalid character"},
		{"a name that is no string", `{1:2}`, "not valid JSON"},
		{"invalid UTF-8", "[\"s3cret\xff\"]", "invalid UTF-8"},
		{"bad escape", `["s3cret\x"]`, "invalid escape"},
		{"half a surrogate pair", `["s3cret\ud800"]`, "invalid surrogate"},
		{"half a pair and another character", `["s3cret\ud800\u0041"]`, "invalid surrogate"},
		{"a control character", "[\"s3cret\n\"]", "invalid character"},
		{"a byte order mark", "\ufeff{}", "invalid character"},
		{"NaN", "[NaN]", "invalid character"},
		{"too deep", strings.Repeat("[", MaxDepth+1), "too deeply"},
		{"too deep where nothing can match", `{"password":` + strings.Repeat("[", MaxDepth), "too deeply"},
		{"a string too long", `["` + long + `"]`, "longer than"},
		{"a string too long that is hidden", `{"password":"` + long + `"}`, "longer than"},
		{"endless white space", "[" + strings.Repeat(" ", MaxToken) + "1]", "longer than"},
		{"endless white space behind", "[]" + strings.Repeat(" ", MaxToken+1), "longer than"},
		{"broken where all is hidden", `{"password":{"s3cret":[}}`, "invalid character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(src io.Reader) {
				out, err := masked(JSON, src, view)
				e, ok := errors.AsType[*Error](err)
				if !ok || !strings.Contains(e.Reason, c.reason) || e.Offset < 0 || e.Offset > int64(len(c.in)) {
					t.Errorf("%v, want %q", err, c.reason)
				}
				if strings.Contains(out, "s3cret") || strings.Contains(err.Error(), "s3cret") || strings.Contains(out, "sss") {
					t.Errorf("%.100q, %v", out, err)
				}
			}
			check(strings.NewReader(c.in))
			if len(c.in) < 10000 {
				check(iotest.OneByteReader(strings.NewReader(c.in)))
			}
		})
	}
	for name, longest := range map[string]string{"string": `["` + long[:MaxToken-2] + `"]`, "white space": `[]` + strings.Repeat(" ", MaxToken)} {
		if out, err := masked(JSON, strings.NewReader(longest), view); err != nil || out != longest {
			t.Errorf("the longest %s is refused: %v", name, err)
		}
	}
}

func TestWhatIsDecidedIsWrittenBeforeTheNextRead(t *testing.T) {
	view := NewView(fields(t, "$..password"), secrets, nil)
	flows(t, JSON, view,
		`{"a":1,"pass`, `{"a":1`,
		`word" : "s3c`, `{"a":1,"password"`+" ",
		`ret"`, `{"a":1,"password" : "[masked]"`,
		"\n , ", `{"a":1,"password" : "[masked]"`+"\n ",
		`"b":"x tok`, `{"a":1,"password" : "[masked]"`+"\n , \"b\"",
		`_1","password":[1,`, `{"a":1,"password" : "[masked]"`+"\n , "+`"b":"x [masked]","password":null`,
		`2,3]}`+"\n", `{"a":1,"password" : "[masked]"`+"\n , "+`"b":"x [masked]","password":null}`+"\n",
	)
}

func TestEachOutputSeesItsOwnView(t *testing.T) {
	const body = `{"password":{"a":"tok_1"},"token":"t","list":[{"x":"tok_2"}]}`
	views := []*View{
		NewView(nil, nil, nil),
		NewView(fields(t, "$.password"), nil, nil),
		NewView(fields(t, "$.token", "$.list[*].y"), secrets, nil),
		NewView(fields(t, "$.list"), nil, nil),
	}
	var outs []Output
	written := make([]bytes.Buffer, 2*len(views))
	for i := range written {
		outs = append(outs, Output{views[i%len(views)], func(p []byte) error { written[i].Write(p); return nil }})
	}
	for _, src := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
		if err := Copy(JSON, src, outs...); err != nil {
			t.Fatal(err)
		}
		for i := range written {
			want, err := masked(JSON, strings.NewReader(body), views[i%len(views)])
			if got := written[i].String(); err != nil || got != want {
				t.Errorf("output %d: %s, alone: %s", i, got, want)
			}
			written[i].Reset()
		}
	}
}

func TestErrorsOfReadersAndWritersComeBack(t *testing.T) {
	broken := errors.New("broken")
	body := func() io.Reader { return strings.NewReader("data: {\"a\":1}\n\n[1]") }
	for f := range 4 {
		for _, view := range []*View{NewView(fields(t, "$..password"), secrets, nil), NewView(nil, nil, nil)} {
			_, err := masked(Format(f), io.MultiReader(strings.NewReader("1\n"), iotest.ErrReader(broken)), view)
			if _, ours := errors.AsType[*Error](err); !errors.Is(err, broken) || ours {
				t.Errorf("format %d, reading: %v", f, err)
			}
			if _, err := masked(Format(f), iotest.ErrReader(io.ErrUnexpectedEOF), view); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("format %d, a body cut off: %v", f, err)
			}
			if _, err := masked(Format(f), stuck{}, view); !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("format %d, a reader that gives nothing: %v", f, err)
			}
			in := body()
			if f < 2 {
				in = strings.NewReader("[1]")
			}
			for _, in := range []io.Reader{in, strings.NewReader("1")} {
				err = Copy(Format(f), in, Output{view, func([]byte) error { return broken }})
				if _, ours := errors.AsType[*Error](err); !errors.Is(err, broken) || ours {
					t.Errorf("format %d, writing: %v", f, err)
				}
			}
		}
	}
	view := NewView(fields(t, "$.a"), nil, nil)
	if err := Copy(9, body(), Output{view, func([]byte) error { return nil }}); err == nil {
		t.Error("an unknown format is accepted")
	}
	if err := Copy(JSON, body(), Output{View: view}); err == nil {
		t.Error("an output without a writer is accepted")
	}
	if err := Copy(JSON, body(), Output{Write: func([]byte) error { return nil }}); err == nil {
		t.Error("an output without a view is accepted")
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestAnEmptyViewPassesWhatCannotBeRead(t *testing.T) {
	const body = "{\"a\xff"
	if got, err := masked(JSON, strings.NewReader(body), NewView(nil, nil, nil)); err != nil || got != body {
		t.Errorf("%q, %v", got, err)
	}
	if NewView(nil, secrets, nil).Empty() || NewView(fields(t, "$.a"), nil, nil).Empty() || !NewView(nil, nil, nil).Empty() {
		t.Error("Empty is wrong")
	}
}
