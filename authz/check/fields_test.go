package check

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestFieldsOfABodyAreReadAsServicesReadThem(t *testing.T) {
	part := func(rest, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=" + rest + "\r\n\r\n" + value + "\r\n"
	}
	const form, json, multi = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
	for _, c := range []struct{ kind, encoding, body, want string }{ // want: each name=value, or "?" for what is doubtful
		{form, "", "", ""},
		{form, "", "all=1", "all=1"},
		{form, "", "a=x+y&b%5B%5D=%31;a=2&c", "a=x y|a=2|b[]=1|c="},
		{"", "", "all=1", "all=1"},
		{"text/plain", "", "all=1", "all=1"},
		{"text/plain", "", "a=1\n&all=1", "all=1"},
		{"application/octet-stream", "", "\x00\xff&all=1&b=2", "all=1|b=2"},
		{"image/png", "", "\x89PNG\r\n;all=1;", "all=1"},
		{form + "; charset=utf-16le", "", "a\x00l\x00l\x00=\x001\x00", "all=1"},
		{form + "; charset=utf-7", "", "all=1", "?"},
		{"text/plain; charset=unheard-of", "", "all=1", "?"},
		{form, "gzip", zipped("all=1"), "all=1"},
		{"text/plain", "gzip", named("a=1", "&all=1&"), "all=1"},
		{form, "gzip", "no gzip", "?"},
		{form, "br", "xx", "?"},
		{"text/plain", "br", "xx", "?"},
		{"application/x-protobuf", "br", "x&all=1", "all=1"},
		{multi, "", part("all", "1") + "--b--\r\n", "all=1"},
		{multi, "", part("a", "1") + part(`"all"; filename=x`, "y") + "--b--\r\n", "a=1|all=y"},
		{multi, "", part("a", "&all=1&") + "--b--\r\n", "all=1"},
		{multi, "", part("a\r\nContent-Transfer-Encoding: base64", "MQ==") + "--b--\r\n", "?"},
		{multi, "", "--c\r\n", "?"},
		{multi, "", strings.Repeat(part("a", "1"), maxFields) + "--b--\r\n", "?"},
		{json, "", `{"all":1,"b":true,"c":"x","d":[1,"y",{"e":1},[2]],"f":{"g":1},"h":null}`, "all=1|b=true|c=x|d=1|d=y|h=null"},
		{json, "", `{"b":1} [2] {"all":1}`, "all=1|b=1"},
		{json, "", `{"a":1,"a":2}`, "a=1|a=2"},
		{json, "", `{"a":"&all=1&"}`, "all=1|a=&all=1&"},
		{json, "", "{\n\"a\":\"&all=1&\"}", "all=1"},
		{json, "gzip", zipped(`{"all":1}`), "all=1"},
		{json, "", `{"all":1`, "?"},
		{json, "", `{"all":[1`, "?"},
		{json, "", `{all:1}`, "?"},
		{"text/plain", "", `{"all":1}`, "all=1"},
		{"text/plain", "", `{=&all=1`, "all=1"},
		{form, "", `{"all":1}`, "all=1"},
		{form, "", `{=&all=1`, "all=1"},
		{form, "", strings.Repeat("a&", maxFields), "?"},
		{"text/plain", "", strings.Repeat("a;", maxFields), "?"},
		{json, "", `{"a":[` + strings.Repeat("1,", maxFields) + "1]}", "?"},
		{json, "", "{" + strings.Repeat(`"a":1,`, maxFields) + `"a":1}`, "?"},
	} {
		r := &request{headers: []header{{"content-encoding", c.encoding}, {"content-type", c.kind}}, body: []byte(c.body)}
		if c.kind == "" {
			r.headers = r.headers[:1]
		}
		fields, ok := r.fields()
		if !ok || c.want == "?" {
			if ok || c.want != "?" {
				t.Errorf("%s %s %.60q: certain %v, want %q", c.kind, c.encoding, c.body, ok, c.want)
			}
			continue
		}
		for _, want := range strings.FieldsFunc(c.want, func(c rune) bool { return c == '|' }) {
			if name, value, _ := strings.Cut(want, "="); !slices.Contains(fields[name], value) {
				t.Errorf("%s %s %.60q: no %q in %.200q", c.kind, c.encoding, c.body, want, fields)
			}
		}
	}
}

func TestFieldsOfABodyThatIsNotKeptAreDoubtful(t *testing.T) {
	for name, r := range map[string]*request{
		"large":                {body: bytes.Repeat([]byte("a"), smallBody+1)},
		"large, once unpacked": {headers: []header{{"content-encoding", "gzip"}}, body: []byte(zipped("a"))},
	} {
		kept := r.kept()
		if _, ok := kept.fields(); ok || kept.body != nil || r.body == nil {
			t.Errorf("%s: certain", name)
		}
	}
	if _, ok := (&request{body: []byte("a=1")}).kept().fields(); !ok {
		t.Error("what is small is kept")
	}
}
