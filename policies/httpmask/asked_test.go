package httpmask

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func utf16le(s string) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func zipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

// TestPeopleSeeWhatTheyDecideOn: bodies of any type, and nothing of what masks hide.
func TestPeopleSeeWhatTheyDecideOn(t *testing.T) {
	const token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
	multi := "multipart/form-data; boundary=b"
	field := func(head, content string) string { return "--b\r\n" + head + "\r\n\r\n" + content + "\r\n" }
	for name, c := range map[string]struct {
		target, kind string
		body         []byte
		want         string   // the whole, if it is not empty
		has          []string // parts of it
		refused      bool
	}{
		"text":                          {"api", "text/plain", []byte(`{"cascade":true}`), "{\n  \"cascade\": true\n}", nil, false},
		"no type that says a thing":     {"api", "application/octet-stream", []byte("cascade=true"), "cascade=true", nil, false},
		"no type":                       {"api", "", []byte("a\nb"), "a\nb", nil, false},
		"line by line":                  {"api", "text/plain", []byte("# clean up old rows\nDROP TABLE customers;\n"), "# clean up old rows\nDROP TABLE customers;\n", nil, false},
		"a carriage return":             {"api", "text/plain", []byte("# a\rDROP"), "# a\rDROP", nil, false},
		"JSON":                          {"api", "application/json", []byte(`{"a":[1,{"b":2}],"password":"p"}`), "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"password\": \"***\"\n}", nil, false},
		"JSON that says text":           {"api", "text/plain", []byte(` {"password":"hunter2","n":1.0}`), "", []string{`"password": "***"`, `"n": 1.0`}, false},
		"JSON without a type":           {"api", "", []byte(`[{"password":"hunter2"}]`), "", []string{`"***"`}, false},
		"names that stand twice":        {"texts", "application/json", []byte(`{"a":1,"a":2}`), "", []string{`1`, `2`}, false},
		"escapes stay":                  {"texts", "application/json", []byte(`{"a":"\u0041"}`), "", []string{`\u0041`}, false},
		"NDJSON":                        {"api", "application/x-ndjson", []byte("{\"password\":\"hunter2\"}\n{\"b\":2}\n"), "", []string{`{"password":"***"}`, `{"b":2}`}, false},
		"JSON that is none":             {"api", "application/json", []byte(`{"password":"hunter2",}`), "", nil, true},
		"text that is nearly JSON":      {"api", "text/plain", []byte(`{"password":"hunter2",}`), "", nil, true},
		"the same, nothing named":       {"texts", "application/json", []byte(`{"x":"hunter2",}`), `{"x":"hunter2",}`, nil, false},
		"a form":                        {"api", "application/x-www-form-urlencoded", []byte("cascade=true&password=hunter2&note=a%20b+c"), "cascade = true\npassword = ***\nnote = a b c\n", nil, false},
		"a form, and how it is written": {"api", "application/x-www-form-urlencoded; charset=utf-8", []byte("cascade=true&password=hunter2"), "cascade = true\npassword = ***\n", nil, false},
		"a form with brackets":          {"api", "application/x-www-form-urlencoded", []byte("password[]=hunter2&password%5Ba%5D=hunter2"), "", []string{"password[] = ***", "password[a] = ***"}, false},
		"a form with a find":            {"texts", "application/x-www-form-urlencoded", []byte("a=" + token), "a = [masked]\n", nil, false},
		"a strange name":                {"api", "application/x-www-form-urlencoded", []byte("a%22%3A%22=x"), "a\":\" = x\n", nil, false},
		"multipart":                     {"api", multi, []byte(field(`Content-Disposition: form-data; name="password"`, "hunter2") + field(`Content-Disposition: form-data; name="f"; filename="x.bin"`+"\r\nContent-Type: application/octet-stream", "\x00\x01") + "--b--\r\n"), "", []string{`name="password"`, "***", `filename="x.bin"`, "2 bytes, application/octet-stream", `\x00\x01`}, false},
		"multipart with JSON":           {"api", multi, []byte(field(`Content-Disposition: form-data; name="j"`+"\r\nContent-Type: application/json", `{"password":"hunter2"}`) + "--b--\r\n"), "", []string{`"password": "***"`}, false},
		"bytes":                         {"api", "application/pdf", []byte("%PDF-1.7\x00\xff" + strings.Repeat("x", 100)), "", []string{"110 bytes, application/pdf, sha256 ", `"%PDF-1.7\x00\xffxxx`}, false},
		"compressed":                    {"api", "application/json", zipped(`{"password":"hunter2"}`), "", []string{"bytes, application/json, sha256"}, false},
		"UTF-16":                        {"texts", "text/plain", utf16le("drop " + token), "drop [masked]", nil, false},
		"a find in a text":              {"texts", "text/plain", []byte("a " + token + " b"), "a [masked] b", nil, false},
		"deep":                          {"texts", "application/json", []byte(strings.Repeat("[", 500) + strings.Repeat("]", 500)), strings.Repeat("[", 500) + strings.Repeat("]", 500), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, record := views(t, c.target)
			got, ok := record.Asked(c.kind, c.body)
			if ok == c.refused {
				t.Fatalf("shown %v: %q", ok, got)
			}
			if c.want != "" && got != c.want {
				t.Errorf("people see %q", got)
			}
			for _, part := range c.has {
				if !strings.Contains(got, part) {
					t.Errorf("%q is missing in %q", part, got)
				}
			}
			if strings.Contains(got, "ghp_") || c.target == "api" && strings.Contains(got, "hunter2") {
				t.Errorf("a value is shown: %q", got)
			}
		})
	}
}

// What services may read as a form has its fields hidden, whatever its type says; what no mask names stays as it was sent.
func TestFieldsAreHiddenInWhatServicesMayReadAsAForm(t *testing.T) {
	_, view := views(t, "api")
	const want = "a = 1\npassword = ***\n"
	for _, kind := range []string{
		formKind, formKind + "+x", formKind + "-x", formKind + "/x", formKind + ",application/json", "x-www-form-urlencoded", "application/x-url-encoded",
		"", "*/*", "text/plain", "text/html", "application/xml", "application/octet-stream", "application/graphql", "application/pdf",
	} {
		if shown, ok := view.Asked(kind, []byte("a=1&password=hunter2")); !ok || shown != want {
			t.Errorf("%s: %v, %q", kind, ok, shown)
		}
		if shown, ok := view.Asked(kind, []byte("?password=hunter2\xe9")); !ok || shown != "?password = ***\n" {
			t.Errorf("%s, no UTF-8: %v, %q", kind, ok, shown)
		}
	}
	if shown, ok := view.Asked("text/plain", []byte("a=\x00&password=hunter2")); ok {
		t.Errorf("with a zero: %q", shown)
	}
	if shown, ok := view.Asked("text/plain", utf16le("a=1&password=hunter2")); !ok || shown != want {
		t.Errorf("in UTF-16: %v, %q", ok, shown)
	}
	for _, body := range []string{
		"cascade=true", "a=1&b=%41+c", "SELECT a FROM b WHERE c=1; -- password", "password", "# a=b\npassword\n", "a&password&b=1",
		"One. two. three. four. five. six. seven. eight. nine. password=hunter2",
	} {
		if shown, ok := view.Asked("text/plain", []byte(body)); !ok || shown != body {
			t.Errorf("%q is shown as %v, %q", body, ok, shown)
		}
	}
}

func TestAFormThatIsADocumentHasItsMembersHidden(t *testing.T) {
	_, view := views(t, "api")
	for body, want := range map[string]string{
		`{"password":"hunter2"}`:                  "{\n  \"password\": \"***\"\n}",
		"\ufeff [{\"password\":\"hunter2\"}]\n":   "[\n  {\n    \"password\": \"***\"\n  }\n]",
		`{"a":"&password=hunter2"}`:               "{\"a\":\" = \npassword = ***\n",
		`{"a":1}`:                                 "{\"a\":1} = \n",
		"[a]=1":                                   "[a] = 1\n",
		"[password]=hunter2":                      "[password] = ***\n",
		`{"password":"hunter2&password=hunter2"}`: "",
		`{"password":"hunter2",}`:                 "",
		`{"password":"hunter2"}=`:                 "",
	} {
		if shown, ok := view.Asked(formKind, []byte(body)); ok != (want != "") || ok && shown != want {
			t.Errorf("%s: %v, %q", body, ok, shown)
		}
	}
}

func TestWhatIsInLettersThatAreNotLikeASCIIIsNotHeldWherePathsNameSomething(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	for kind, body := range map[string]string{
		"application/json; charset=utf-7":          `{"+AHA-assword":"hunter2"}`,
		formKind + "; charset=utf-7":               "+AHA-assword=hunter2",
		"text/plain; charset=ibm500":               "hunter2",
		"text/plain; charset=utf-8; charset=utf-7": "hunter2",
		"application/json; charset=utf-16":         `{"password":"hunter2"}`,
		"text/plain; charset=utf-32le":             "h\x00\x00\x00",
	} {
		if shown, ok := api.Asked(kind, []byte(body)); ok {
			t.Errorf("%s: %q", kind, shown)
		}
		if shown, ok := texts.Asked(kind, []byte(body)); !ok {
			t.Errorf("%s, where no path names anything: %q", kind, shown)
		}
		if _, ok := api.Asked(kind, nil); !ok && !strings.HasPrefix(kind, "application/json") {
			t.Errorf("%s: nothing cannot be shown", kind)
		}
	}
	for _, kind := range []string{"application/json; charset=utf-8", "application/json; charset=iso-8859-1", "application/json; charset=utf-16le"} {
		body := []byte(`{"password":"hunter2"}`)
		if strings.HasSuffix(kind, "le") {
			body = utf16le(string(body))
		}
		if shown, ok := api.Asked(kind, body); !ok || !strings.Contains(shown, "***") {
			t.Errorf("%s: %v, %q", kind, ok, shown)
		}
	}
}

// nested is a form's field of that name in multipart bodies within one another.
func nested(times int, name string) (kind, body string) {
	body = "Content-Disposition: form-data; name=" + name + "\r\n\r\nhunter2"
	for i := range times {
		kind = fmt.Sprintf("multipart/mixed; boundary=b%d", i)
		body = fmt.Sprintf("--b%d\r\n%s\r\n--b%d--\r\n", i, body, i)
		if i < times-1 {
			body = "Content-Type: " + kind + "\r\n\r\n" + body
		}
	}
	return kind, body
}

func TestMultipartBodiesAreShownByTheirPartsAsLongAsTheyAreSome(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	for depth := 1; depth <= partDepth+1; depth++ {
		kind, body := nested(depth, "password")
		shown, ok := api.Asked(kind, []byte(body))
		if ok != (depth <= partDepth) || strings.Contains(shown, "hunter2") || ok && !strings.Contains(shown, "***") {
			t.Errorf("%d within one another, with paths: %v, %q", depth, ok, shown)
		}
		shown, ok = texts.Asked(kind, []byte(body))
		if !ok || !strings.Contains(shown, "hunter2") || strings.Contains(shown, "--b0") != (depth > partDepth) {
			t.Errorf("%d within one another, without paths: %v, %q", depth, ok, shown)
		}
	}
	const head = "--b\r\nContent-Disposition: form-data; name=password\r\n"
	for name, c := range map[string]struct {
		body  string
		paths bool // it can be shown where paths name something
	}{
		"nothing":              {" \r\n", true},
		"no part at all":       {"not a part", false},
		"no part but the end":  {"before\r\n--b--\r\n", false},
		"a part that ends":     {head + "\r\nhunter2\r\n--b--\r\n", true},
		"a part that goes on":  {head + "\r\nhunter2", false},
		"a header that breaks": {head + "hunter2", false},
	} {
		shown, ok := api.Asked("multipart/form-data; boundary=b", []byte(c.body))
		if ok != c.paths || strings.Contains(shown, "hunter2") || ok && shown == "" {
			t.Errorf("%s, with paths: %v, %q", name, ok, shown)
		}
		if shown, ok := texts.Asked("multipart/form-data; boundary=b", []byte(c.body)); !ok || shown == "" {
			t.Errorf("%s, without paths: %v, %q", name, ok, shown)
		}
	}
}

func TestADocumentIsLaidOutUnlessItNestsDeeply(t *testing.T) {
	_, view := views(t, "texts")
	for name, c := range map[string]struct {
		body string
		laid bool
	}{
		"as deep as may be": {strings.Repeat("[", indentDepth) + "1" + strings.Repeat("]", indentDepth), true},
		"deeper":            {strings.Repeat("[", indentDepth+1) + "1" + strings.Repeat("]", indentDepth+1), false},
		"wide":              {"[" + strings.Repeat("[1],", indentDepth) + "{}]", true},
	} {
		if got, ok := view.Asked("application/json", []byte(c.body)); !ok || strings.Contains(got, "\n") != c.laid || strings.Join(strings.Fields(got), "") != c.body {
			t.Errorf("%s: %v, %q", name, ok, got)
		}
	}
}

func TestUTF16IsKnownByItsMarkOrItsName(t *testing.T) {
	_, view := views(t, "texts")
	for name, c := range map[string]struct{ kind, body, want string }{
		"the little end first":         {"text/plain", "\xff\xfea\x00", "a"},
		"the big end first":            {"text/plain", "\xfe\xff\x00a", "a"},
		"a mark and another name":      {"text/plain; charset=utf-16le", "\xfe\xff\x00a", "a"},
		"nothing but a mark":           {"text/plain", "\xff\xfe", ""},
		"by name":                      {"text/plain; charset=UTF-16LE", "a\x00b\x00", "ab"},
		"by name, one letter":          {"text/plain; charset=utf-16be", "\x00a", "a"},
		"by name, whatever end":        {"text/plain; charset=utf-16", "\x00a\x00b", "ab"},
		"two units":                    {"text/plain; charset=utf-16", "\xd8\x3d\xde\x00", "😀"},
		"half a mark":                  {"text/plain", "\xfe\x00\x00a", `4 bytes, text/plain, sha256 `},
		"the other half":               {"text/plain", "\x00\xff\x00a", `4 bytes, text/plain, sha256 `},
		"neither":                      {"text/plain", "\x00a", `2 bytes, text/plain, sha256 `},
		"half a letter":                {"text/plain; charset=utf-16", "\x00a\x00", `3 bytes, text/plain, sha256 `},
		"half a pair":                  {"text/plain; charset=utf-16", "\xd8\x3d\x00a", `4 bytes, text/plain, sha256 `},
		"a zero, as another has it":    {"text/plain; charset=utf-16", "\x00\x00\x00a", `4 bytes, text/plain, sha256 `},
		"a type of which nothing says": {"", "\x00", `1 bytes, no type, sha256 `},
	} {
		got, ok := view.Asked(c.kind, []byte(c.body))
		if whole := !strings.HasSuffix(c.want, " "); !ok || whole && got != c.want || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %v, %q", name, ok, got)
		}
	}
}

func TestTheNameOfATypeHasABound(t *testing.T) {
	_, view := views(t, "texts")
	longest := "a/" + strings.Repeat("b", kindBytes-len("a/"))
	for kind, want := range map[string]string{
		longest:             "1 bytes, " + longest + ", ",
		longest + "b":       "1 bytes, " + longest + "…, ",
		longest[:254] + "é": "1 bytes, " + longest[:254] + "…, ",
	} {
		if got, ok := view.Asked(kind, []byte{0}); !ok || !strings.HasPrefix(got, want) {
			t.Errorf("%v, %q, want %q", ok, got, want)
		}
	}
}

func TestABodyIsLaidOutWhereNothingIsHidden(t *testing.T) {
	p, err := compile(t, bundle)
	if err != nil {
		t.Fatal(err)
	}
	view, err := NewView(p.Masks(nil, "of no mask"))
	if err != nil || !view.Empty() {
		t.Fatalf("something is hidden: %v", err)
	}
	for kind, c := range map[string]struct{ body, want string }{
		"application/json":  {`{"a":"b"}`, "{\n  \"a\": \"b\"\n}"},
		"text/event-stream": {"data: {\"a\":1}\n\n", "data: {\"a\":1}\n\n"},
		"text/plain":        {`{"a"`, `{"a"`},
	} {
		if got, ok := view.Asked(kind, []byte(c.body)); !ok || got != c.want {
			t.Errorf("%s: %v, %q", kind, ok, got)
		}
	}
}

func FuzzAsked(f *testing.F) {
	for _, s := range []string{"a=1&password=x", `{"password":"x"}`, "--b\r\nContent-Disposition: form-data; name=password\r\n\r\nx\r\n--b--", "\xff\xfea\x00", "caf%e9=1&password=caf%e9", "--b\r\nX-A: \xe9\r\n\r\n\xe9\r\n--b--", "{\"a\":\"\xe9\"}"} {
		for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/event-stream"} {
			f.Add(kind, []byte(s))
		}
	}
	f.Add("application/"+strings.Repeat("a", 11_000), []byte{0}) // the type's name, too, has a bound
	p, err := compile(&testing.T{}, bundle)
	if err != nil {
		f.Fatal(err)
	}
	view, err := (&Cache{}).OfRecord(p, "api")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		shown, ok := view.Asked(kind, body)
		if len(shown) > 40*len(body)+10_000 {
			t.Errorf("%d bytes of %d", len(shown), len(body))
		}
		if !utf8.ValidString(shown) {
			t.Errorf("shown %v as what is no UTF-8: %q", ok, shown)
		}
	})
}
