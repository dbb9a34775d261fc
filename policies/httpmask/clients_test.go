package httpmask

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
)

// clientBodies are bodies as clients that many use write them: a field "password" of hunter2, and a file of two lines.
func clientBodies(t testing.TB) map[string]struct{ kind, body string } {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("password", "hunter2"); err != nil {
		t.Fatal(err)
	}
	f, err := w.CreateFormFile("file", `a "b"\c.txt`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("one\ntwo\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := map[string]struct{ kind, body string }{"Go": {w.FormDataContentType(), b.String()}}
	for name, c := range map[string]struct{ boundary, field, file string }{
		"curl":     {"------------------------d74496d66958873e", "", "filename=\"a %22b%22.txt\"\r\nContent-Type: text/plain"},
		"old curl": {"------------------------d74496d66958873e", "", "filename=\"a \\\"b\\\".txt\"\r\nContent-Type: text/plain"},
		"Chrome":   {"----WebKitFormBoundary7MA4YWxkTrZu0gW", "", "filename=\"a b.txt\"\r\nContent-Type: text/plain"},
		"Firefox":  {"---------------------------735323031399963166993862150", "", "filename=\"grün.txt\"\r\nContent-Type: text/plain"},
		"requests": {"4a1d3c2f5b6e7f8091a2b3c4d5e6f708", "", `filename="a.txt"`},
		"httpx":    {"4a1d3c2f5b6e7f8091a2b3c4d5e6f708", "", "filename=\"a.txt\"\r\nContent-Type: text/plain"},
		"axios":    {"axios-1.7.2-boundary-mM4gFyWZp1A9wZrYQ", "", "filename=\"a.txt\"\r\nContent-Type: text/plain"},
		"Node":     {"--------------------------060270138113231231231231", "", "filename=\"a.txt\"\r\nContent-Type: text/plain"},
		"undici":   {"----formdata-undici-078239120913", "", "filename=\"a.txt\"\r\nContent-Type: application/octet-stream"},
		"OkHttp":   {"3f1c4d2e-7a8b-4c9d-9e0f-1a2b3c4d5e6f", "\r\nContent-Length: 7", "filename=\"a.txt\"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 8"},
		"Apache":   {"Xk9_vQ-7tPzL0aBcDeFgHiJk", "\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit", "filename=\"a.txt\"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary"},
		".NET":     {"b2f1c0de-6a5b-4c3d-8e9f-0a1b2c3d4e5f", "\r\nContent-Type: text/plain; charset=utf-8", "filename=a.txt; filename*=utf-8''a.txt"},
	} {
		lead := "--" + c.boundary + "\r\nContent-Disposition: form-data; name="
		out[name] = struct{ kind, body string }{
			"multipart/form-data; boundary=" + c.boundary,
			lead + `"password"` + c.field + "\r\n\r\nhunter2\r\n" + lead + `"file"; ` + c.file + "\r\n\r\none\ntwo\n\r\n--" + c.boundary + "--\r\n",
		}
	}
	return out
}

func TestBodiesOfClientsAreShownAndTheirFieldsAreHidden(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	for name, c := range clientBodies(t) {
		shown, ok := api.Asked(c.kind, []byte(c.body))
		if !ok || strings.Contains(shown, "hunter2") || !strings.Contains(shown, "  ***\n") || !strings.Contains(shown, "  one\n  two\n") {
			t.Errorf("%s: %v, %q", name, ok, shown)
		}
		shown, ok = texts.Asked(c.kind, []byte(c.body))
		if !ok || !strings.Contains(shown, "  hunter2\n") || !strings.Contains(shown, "  one\n  two\n") {
			t.Errorf("%s, where no path names anything: %v, %q", name, ok, shown)
		}
		if names, ok := PartNames(c.kind, []byte(c.body)); !ok || strings.Join(names, " ") != "password file" {
			t.Errorf("%s has parts of these names: %v, %q", name, ok, names)
		}
	}
}
