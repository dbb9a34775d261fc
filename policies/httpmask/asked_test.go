package httpmask

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"unicode/utf16"
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
		"text":                      {"api", "text/plain", []byte(`{"cascade":true}`), "{\n  \"cascade\": true\n}", nil, false},
		"no type that says a thing": {"api", "application/octet-stream", []byte("cascade=true"), "cascade=true", nil, false},
		"no type":                   {"api", "", []byte("a\nb"), "a\nb", nil, false},
		"line by line":              {"api", "text/plain", []byte("# clean up old rows\nDROP TABLE customers;\n"), "# clean up old rows\nDROP TABLE customers;\n", nil, false},
		"a carriage return":         {"api", "text/plain", []byte("# a\rDROP"), "# a\rDROP", nil, false},
		"JSON":                      {"api", "application/json", []byte(`{"a":[1,{"b":2}],"password":"p"}`), "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"password\": \"***\"\n}", nil, false},
		"JSON that says text":       {"api", "text/plain", []byte(` {"password":"hunter2","n":1.0}`), "", []string{`"password": "***"`, `"n": 1.0`}, false},
		"JSON without a type":       {"api", "", []byte(`[{"password":"hunter2"}]`), "", []string{`"***"`}, false},
		"names that stand twice":    {"texts", "application/json", []byte(`{"a":1,"a":2}`), "", []string{`1`, `2`}, false},
		"escapes stay":              {"texts", "application/json", []byte(`{"a":"\u0041"}`), "", []string{`\u0041`}, false},
		"NDJSON":                    {"api", "application/x-ndjson", []byte("{\"password\":\"hunter2\"}\n{\"b\":2}\n"), "", []string{`{"password":"***"}`, `{"b":2}`}, false},
		"JSON that is none":         {"api", "application/json", []byte(`{"password":"hunter2",}`), "", nil, true},
		"text that is nearly JSON":  {"api", "text/plain", []byte(`{"password":"hunter2",}`), "", nil, true},
		"the same, nothing named":   {"texts", "application/json", []byte(`{"x":"hunter2",}`), `{"x":"hunter2",}`, nil, false},
		"a form":                    {"api", "application/x-www-form-urlencoded", []byte("cascade=true&password=hunter2&note=a%20b+c"), "cascade = true\npassword = ***\nnote = a b c\n", nil, false},
		"a form with brackets":      {"api", "application/x-www-form-urlencoded", []byte("password[]=hunter2&password%5Ba%5D=hunter2"), "", []string{"password[] = ***", "password[a] = ***"}, false},
		"a form with a find":        {"texts", "application/x-www-form-urlencoded", []byte("a=" + token), "a = [masked]\n", nil, false},
		"a strange name":            {"api", "application/x-www-form-urlencoded", []byte("a%22%3A%22=x"), "a\":\" = x\n", nil, false},
		"multipart":                 {"api", multi, []byte(field(`Content-Disposition: form-data; name="password"`, "hunter2") + field(`Content-Disposition: form-data; name="f"; filename="x.bin"`+"\r\nContent-Type: application/octet-stream", "\x00\x01") + "--b--\r\n"), "", []string{`name="password"`, "***", `filename="x.bin"`, "2 bytes, application/octet-stream", `\x00\x01`}, false},
		"multipart with JSON":       {"api", multi, []byte(field(`Content-Disposition: form-data; name="j"`+"\r\nContent-Type: application/json", `{"password":"hunter2"}`) + "--b--\r\n"), "", []string{`"password": "***"`}, false},
		"bytes":                     {"api", "application/pdf", []byte("%PDF-1.7\x00\xff" + strings.Repeat("x", 100)), "", []string{"110 bytes, application/pdf, sha256 ", `"%PDF-1.7\x00\xffxxx`}, false},
		"compressed":                {"api", "application/json", zipped(`{"password":"hunter2"}`), "", []string{"bytes, application/json, sha256"}, false},
		"UTF-16":                    {"texts", "text/plain", utf16le("drop " + token), "drop [masked]", nil, false},
		"a find in a text":          {"texts", "text/plain", []byte("a " + token + " b"), "a [masked] b", nil, false},
		"deep":                      {"texts", "application/json", []byte(strings.Repeat("[", 500) + strings.Repeat("]", 500)), strings.Repeat("[", 500) + strings.Repeat("]", 500), nil, false},
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

func FuzzAsked(f *testing.F) {
	for _, s := range []string{"a=1&password=x", `{"password":"x"}`, "--b\r\nContent-Disposition: form-data; name=password\r\n\r\nx\r\n--b--", "\xff\xfea\x00"} {
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
		_ = ok
	})
}
