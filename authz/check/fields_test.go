package check

import (
	"bytes"
	"compress/gzip"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestFieldsOfABodyAreReadAsServicesReadThem(t *testing.T) {
	part := func(rest, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=" + rest + "\r\n\r\n" + value + "\r\n"
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("all=1"))
	_ = z.Close()
	const form, json, multi = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=b"
	for _, c := range []struct {
		kind, encoding, body string
		want                 string // name=value, sorted; "?" is doubtful
	}{
		{form, "", "", ""},
		{form, "", "all=1", "all=1"},
		{form, "", "a=x+y&b%5B%5D=%31;a=2&c", "a=x y a=2 b[]=1 c="},
		{"", "", "all=1", "all=1"},
		{"text/plain", "", "all=1", "all=1"},
		{"application/octet-stream", "", "all=1&b=2", "all=1 b=2"},
		{"text/csv", "", "a,b\n1=2,3\n", ""},
		{"image/png", "", "\x89PNG all=1", ""},
		{form + "; charset=utf-16le", "", "a\x00l\x00l\x00=\x001\x00", "all=1"},
		{form + "; charset=utf-7", "", "all=1", "?"},
		{form, "gzip", packed.String(), "all=1"},
		{form, "gzip", "no gzip", "?"},
		{form, "br", "xx", "?"},
		{"application/x-protobuf", "br", "xx", ""},
		{multi, "", part("all", "1") + "--b--\r\n", "all=1"},
		{multi, "", part("a", "1") + part(`"all"; filename=x`, "y") + "--b--\r\n", "a=1 all=y"},
		{multi, "", part("a\r\nContent-Transfer-Encoding: base64", "MQ==") + "--b--\r\n", "?"},
		{multi, "", "--c\r\n", "?"},
		{json, "", `{"all":1,"b":true,"c":"x","d":[1,"y",{"e":1},[2]],"f":{"g":1},"h":null}`, "all=1 b=true c=x d=1 d=y h=null"},
		{json, "", `{"all":1} {"b":2}`, "all=1"},
		{json, "", `{"a":1,"a":2}`, "a=1 a=2"},
		{json, "", `[{"all":1}]`, ""},
		{json, "", `{"all":1`, "?"},
		{json, "", `{all:1}`, "?"},
		{"text/plain", "", `{"all":1}`, "all=1"},
		{"text/plain", "", `{all:1}`, ""},
		{form, "", `{"all":1}`, `all=1 {"all":1}=`},
		{form, "", `{=&all=1`, "all=1 {="},
		{"text/plain", "", `{=&all=1`, "all=1 {="},
		{json, "", `{"a":"&all=1&"}`, `"}= a=&all=1& all=1 {"a":"=`},
		{form, "", strings.Repeat("a&", maxFields), "?"},
		{json, "", "{\"a\":[" + strings.Repeat("1,", maxFields) + "1]}", "?"},
	} {
		r := &request{headers: []header{{"content-type", c.kind}, {"content-encoding", c.encoding}}, body: []byte(c.body)}
		if c.kind == "" {
			r.headers = r.headers[1:]
		}
		fields, ok := r.fields()
		var list []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			for _, value := range fields[name] {
				list = append(list, name+"="+value)
			}
		}
		got := strings.Join(list, " ")
		if !ok {
			got = "?"
		}
		if got != c.want {
			t.Errorf("%s %s %.60q: %.80q, want %q", c.kind, c.encoding, c.body, got, c.want)
		}
	}
}
