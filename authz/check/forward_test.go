package check

import (
	"compress/gzip"
	"slices"
	"strings"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// passes is the bundle with a target that lets some of it through.
var passes = strings.Replace(bundle, "rules:\n", `- name: open
  listener: {address: 127.0.0.1, port: 4, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 2}], tls: {mode: DISABLE}, cookies: PASS, forward_headers: [x-forwarded-host, x-http-method-override, cf-connecting-ip]}
  credential: {bearer: {token: {env: API_TOKEN}}}
rules:
- name: open-writes
  who: {groups: [agents]}
  on: {targets: [open], http: {methods: [DELETE]}}
  approve: {by: [{groups: [dba]}], within: 60s}
`, 1)

func TestWhatAgentsMayNotSayOfARequestStaysBehind(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, passes, "v1"))
	for _, name := range []string{
		"x-sluice-principal", "x-sluice-anything", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-user", "x-real-ip", "x-original-url",
		"x-original-host", "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override", "x-method", "x-override-url", "cf-connecting-ip",
		"client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-user", "remote-user", "x-auth-request-email", "x-envoy-original-path",
		"x-amzn-oidc-data", "x-ms-client-principal-name", "cookie",
	} {
		got := f.check(t, ask("api", "GET", "/x", good, name+": forged")).GetOkResponse()
		if !slices.Contains(got.GetHeadersToRemove(), name) {
			t.Errorf("%s goes on", name)
		}
		got = f.check(t, ask("open", "GET", "/x", good, name+": forged")).GetOkResponse()
		lets := slices.Contains([]string{"x-forwarded-host", "x-http-method-override", "cf-connecting-ip", "cookie"}, name)
		if slices.Contains(got.GetHeadersToRemove(), name) == lets {
			t.Errorf("where the target has exceptions, %s: removed %v", name, !lets)
		}
	}
	for _, name := range []string{"accept", "x-tenant", "x-forwarded-proto", "x-request-id", "user-agent", "if-match", "content-type"} {
		if got := f.check(t, ask("api", "GET", "/x", good, name+": a")).GetOkResponse(); slices.Contains(got.GetHeadersToRemove(), name) {
			t.Errorf("%s stays behind", name)
		}
	}
}

func TestCookiesThatGoOnAreShownToPeople(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, passes, "v1"))
	done := make(chan bool, 1)
	go func() {
		done <- f.check(t, ask("open", "DELETE", "/x", good, "cookie: force=1; session=0123456789abcdef0123", "cookie: b=2")).GetOkResponse() != nil
	}()
	a := f.held(t)
	var shown []string
	for _, d := range a.GetAction().GetDetails() {
		if d.GetName() == "header" {
			shown = append(shown, d.GetValue())
		}
	}
	if want := []string{"cookie: force=1; session=‹hidden, 20 bytes›", "cookie: b=2"}; !slices.Equal(shown, want) {
		t.Errorf("people see %q", shown)
	}
	f.vote(t, a.GetId(), approvalv1.Vote_APPROVE)
	if !<-done {
		t.Error("it was not let through")
	}
}

func TestAMethodInAnotherPlaceIsRefusedWhereMethodsMatter(t *testing.T) {
	f := open(t)
	form, json, multi := "content-type: application/x-www-form-urlencoded", "content-type: application/json", "content-type: multipart/form-data; boundary=b"
	part := func(name string) string {
		return "--b\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\nDELETE\r\n--b--\r\n"
	}
	for _, c := range []struct{ path, kind, body string }{
		{path: "/x?_method=DELETE"},
		{path: "/x?a=1&_METHOD=delete"},
		{path: "/x?_method[]=DELETE"},
		{path: "/x?method=delete"}, // Facebook's Graph API
		{path: "/x?a=1&Method=%20DELETE"},
		{path: "/x?method=POST%00x"},
		{"/x", form, "a=1&method=put"},
		{"/x", form, "m%65thod=%70atch&a=" + strings.Repeat("x", 1000)},
		{path: "/x?%5fmethod=DELETE"},
		{path: "/x?+_method=DELETE"},
		{path: "/x?a=b;_method=DELETE"},
		{path: "/x?X-HTTP-Method-Override=PUT"},
		{path: "/x?$httpMethod=PUT"},
		{"/x", form, "a=1&_method=DELETE"},
		{"/x", form, "%5Fm%65thod=DELETE"},
		{"/x", "", "_method=DELETE"},
		{"/x", "content-type: text/plain", "_method=DELETE"},
		{"/x", json, `{"a":1,"_method":"DELETE"}`},
		{"/x", json, `{"\u005fm\u0065thod":"DELETE"}`},
		{"/x", "content-type: application/vnd.api+json", `{"_Method":"DELETE"}`},
		{"/x", multi, part("_method")},
		{"/x", multi, part(`"_method"`)},
		{"/x", "content-type: multipart/form-data", part("_method")},
		{"/x", multi, part("x") + part("_method")},
		{"/x", multi, part("_method") + "--c\r\n\r\n--c--\r\n"},
		{"/x", multi, "--c\r\nContent-Disposition: form-data; name=_method\r\n\r\nDELETE\r\n--c--\r\n" + part("x")},
		{"/x", multi, strings.ReplaceAll(part("_method"), "\r\n", "\n")},
		{"/x", multi, "--b\r\nContent-Disposition: form-data; name=x\r\nContent-Disposition: form-data; name=_method\r\n\r\nDELETE\r\n--b--\r\n"},
		{"/x", multi, part("x; name*=utf-8''%5Fmethod")},
		{"/x", multi, part(`x; name*0="_met"; name*1="hod"`)},
		{"/x", multi, part(`"=?utf-8?b?X21ldGhvZA==?="`)},
		{"/x", multi, part(`"=?utf-8?q?=5Fm=65thod?="`)},
		{"/x", multi, part(`"a=?utf-8?q?=5Fm=65thod?="`)},
		{"/x", json, "\ufeff{\"_method\":\"DELETE\"}"},
		{"/x", json, wide(`{"_method":"DELETE"}`)},
		{"/x", json + "; charset=utf-16", "\xff\xfe" + wide(`{"_method":"DELETE"}`)},
		{"/x", json, `{a:1,"_method":"DELETE"}`},
		{"/x", json, `{'_method':'DELETE'}`},
		{"/x", json, `{'\x5fm\x65thod':'DELETE'}`},
		{"/x", json, "//x\n{\"_method\":\"DELETE\"}"},
		{"/x", json, `{"a":1} {"_method":"DELETE"}`},
		{"/x", json, `{"a":1,"b":[{"_method":"DELETE"`},
		{"/x", json + "; charset=ibm500", "\x6d\x94\x85\xa3\x88\x96\x84"},
		{"/x", form + "; charset=utf-16", wide("_method=DELETE")},
		{"/x", form + "; charset=utf-7", "+AF8-method=DELETE"},
		{"/x", form + "; charset=ibm500", "\x6d\x94\x85\xa3\x88\x96\x84\x7e\xc4"},
		{"/x?a=1&%EF%BB%BF_method=DELETE", "", ""},
		{"/x??_method=DELETE", "", ""},
		{"/x", form, "?_method=DELETE"},
		{"/x", form, "a=1&\ufeff_method=DELETE"},
		{"/x", form + "; charset=ascii; charset=utf-7", "+AF8-method=DELETE"},
		{"/x", form + "+x", "_method=DELETE"},
		{"/x", form + "-x", "a=1&_method=DELETE"},
		{"/x", "content-type: application/x-url-encoded", "_method=DELETE"},
		{"/x", "content-type: x-www-form-urlencoded", "_method=DELETE"},
		{"/x", "content-type: text/html", "_method=DELETE"},
		{"/x", "content-type: application/pdf", "_method=DELETE"},
		{"/x", "content-type: application/xml", "a=1&%5Fmethod=DELETE"},
		{"/x", "content-type: application/x-json", `{"a":NaN,"_method":"DELETE"}`},
		{"/x", "content-type: text/html", `{"_method":"DELETE"}`},
		{"/x", "content-type: text/html", ` {'http method':'DELETE'}`},
		{"/x", "content-type: text/html", `{x_http method:'DELETE'}`},
		{"/x", "content-type: text/html", `{"x method":"DELETE",}`},
		{"/x", "content-type: application/x-ndjson", "{\"a\":1}\n{\"b\":1,\"\\u005fmethod\":\"DELETE\"}\n"},
		{"/x", "content-type: text/plain", `{"a":1}{"_method":"DELETE"}`},
		{"/x", json, `{"a":NaN,"_method":"DELETE"}`},
		{"/x", json, `{"a":` + strings.Repeat("[", 10001) + strings.Repeat("]", 10001) + `,"_method":"DELETE"}`},
		{"/x", json + "; charset=utf-7", `{"+AF8-me+AHQ-hod":"DELETE"}`},
		{"/x", json + "|content-encoding: gzip", "\x1f\x8b"},
		{"/x", json + "|content-encoding: gzip", zipped(`{"_method":"DELETE"}`)},
		{"/x", json + "|content-encoding: GZIP ", zipped("\ufeff{}\n{\"_method\":\"DELETE\"}")},
		{"/x", json + "|content-encoding: gzip, gzip", zipped(zipped("{}"))},
		{"/x", json + "|content-encoding: gzip", zipped(strings.Repeat(" ", 8<<20) + "{}")},
		{"/x", json + "|content-encoding: gzip", zipped("{}") + zipped("{}")},
		{"/x", json + "|content-encoding: gzip", zipped("{}") + "{}"},
		{"/x", json + "|content-encoding: gzip", strings.TrimSuffix(zipped("{}"), "\x00")},
		{"/x", json + "|content-encoding: gzip", strings.Replace(zipped("{}"), "\x02\x00\x00\x00", "\x03\x00\x00\x00", 1)},
		{"/x", form + "|content-encoding: x-gzip", zipped("a=1&%5fmethod=DELETE")},
		{"/x", form + "|content-encoding: gzip", named("a=1", "&_method=DELETE&")},
		{"/x", "content-type: text/plain|content-encoding: gzip", named("a=1", "&_method=DELETE&")},
		{"/x", "content-type: text/plain|content-encoding: gzip", zipped(` {"_method":"DELETE"}`)},
		{"/x", "content-encoding: gzip", zipped("_method=DELETE")},
		{"/x", multi + "|content-encoding: gzip", zipped(part("a"))},
		{"/x", form + "|content-encoding: br", "\x0b"},
		{"/x", form + "+x|content-encoding: br", "\x0b"},
		{"/x", multi + "|content-encoding: identity, x", "x"},
		{"/x", "content-encoding: deflate", "\x78\x9c"},
		{"/x", multi, part(`"\_method"`)},
		{"/x", multi, part(`"_me\thod"`)},
		{"/x", multi, part(`"_me` + "\r\n " + `thod"`)},
		{"/x", multi, part("\"\ufeff_method\"")},
		{"/x", multi, part(`"x\"; filename="; name=_method; x="`)},
		{"/x", multi, strings.Replace(part("_method"), "\r\n", "\r\n\r\n", 1)},
		{"/x", multi, strings.Replace(part(`x; name*0="_met"; name*1="hod"`), "\r\n", "\r\n\r\n\r\n", 1)},
		{"/x", multi + "; charset=utf-7", part("+AF8-me+AHQ-hod")},
		{"/x", multi, strings.Replace(part("x\r\nContent-Type: multipart/mixed; boundary=c"), "DELETE", strings.ReplaceAll(part("_method"), "--b", "--c"), 1)},
		{"/x", multi, strings.Replace(part("x\r\nContent-Type: multipart/mixed; charset=utf-7; boundary=c"), "DELETE", strings.ReplaceAll(part("+AF8-me+AHQ-hod"), "--b", "--c"), 1)},
		{"/x", multi, strings.Replace(part("x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: multipart/mixed; boundary=c"), "DELETE", "LS1j", 1)},
		{"/x", "content-type: text/plain, multipart/form-data; boundary=b", part("_method")},
		{"/x", "content-type: application/octet-stream; boundary=b", part(`x; name*0="_met"; name*1="hod"`)},
		{"/x", "content-type: image/png; charset=utf-7", `{"+AF8-method":"DELETE"}`},
		{"/x", "content-type: text/html; charset=utf-8; charset=ibm500", "x"},
		{"/x", form + "; charset=shift_jis", "a=1"},
		{"/x", "content-type: image/png; charset=utf-16", "\xff\xfe" + wide(`{"_method":"DELETE"}`)},
		{"/x", "content-type: image/png|content-encoding: gzip", zipped(`{"_method":"DELETE"}`)},
		{"/x", "content-type: application/x-json|content-encoding: gzip", zipped(`{"_method":"DELETE"}`)},
		{"/x", "content-type: text/html|content-encoding: x-gzip", zipped("a=1&_method=DELETE")},
		{"/x", "content-type: image/png|content-encoding: gzip", named("a=1", "&_method=DELETE&")},
		{"/x", "content-type: image/png|content-encoding: gzip", "\x1f\x8b"},
		{"/x", "content-type: image/png|content-encoding: br", "\x0b"},
		{"/x", "content-type: application/x-json|content-encoding: br", "\x0b\x09\x80{\"_method\":\"DELETE\"}\x03"},
		{"/x", "content-type: text/html|content-encoding: deflate", "\x78\x9c"},
		{"/x", "content-type: application/grpc+json|content-encoding: zstd", "x"},
		{"/x", "content-type: application/x-protobuf|content-encoding: gzip", zipped("a=1&_method=DELETE")},
		{"/x", "content-type: application/x-protobuf|content-encoding: br", "a=1&_method=DELETE"},
		{"/x", multi, part("'_method'")},
		{"/x", multi, part("`_method`")},
		{"/x", multi, part(`"\"_method\""`)},
		{"/x", multi, part(`"_method;x"`)},
		{"/x", multi, part(`"]_method"`)},
		{"/x", multi, part(`"_[method"`)},
		{"/x", multi, part("\"_method\x00x\"")},
		{"/x", multi, part("\"_me\x01thod\"")},
		{"/x", multi, "--b\r\nContent-ID: _method\r\n\r\nDELETE\r\n--b--\r\n"},
		{"/x", multi, part("x\r\nContent-ID: <_method>")},
		{"/x", multi, part("x\r\nX-A: Content-ID: _method")},
		{"/x", multi, "--b\r\nX-A: Content-Disposition: form-data; name=\"_method\"\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nDELETE\r\n--b--\r\n"},
		{"/x", multi, part("x; x-name=_method")},
		{"/x", multi, part("x; filename=\"a name=_method\"")},
		{"/x", multi, strings.Replace(part("x"), " name=x", " file-name=_method", 1)},
		{"/x", multi, strings.Replace(part("x"), " name=x", " a;name=_method", 1)},
		{"/x", `content-type: multipart/form-data; boundary="a,b"`, strings.ReplaceAll(strings.Replace(part("x"), "DELETE", strings.ReplaceAll(part("_method"), "--b", "--a"), 1), "--b", "--a,b")},
		{"/x", `content-type: multipart/form-data; boundary=" b"`, strings.ReplaceAll(strings.Replace(part("x"), "DELETE", strings.ReplaceAll(part("_method"), "--b", "--c"), 1), "--b", "-- b")},
		{"/x", "content-type: multipart/form-data; boundary=b ; x=y", part("_method")},
		{path: "/x?]_method=DELETE"},
		{path: "/x?[]_method=DELETE"},
		{path: "/x?%u005fmethod=DELETE"},
		{path: "/x?x-tunneled-method=DELETE"},
		{path: "/x?__METHOD_OVERRIDE__=DELETE"},
		{path: "/x?%00_%00m%00e%00t%00h%00o%00d=DELETE"},
		{"/x", form, "]_method=DELETE"},
		{"/x", form, "%5D_method=DELETE"},
		{"/x", form, "_[method=DELETE"},
		{"/x", form, "%_method=DELETE"},
		{"/x", form, "_me\x01thod=DELETE"},
		{"/x", form, "_me%01thod=DELETE"},
		{"/x", form, "_method\x00x=DELETE"},
		{"/x", "", "a=1&_method\x00=DELETE"},
		{"/x", "content-type: image/png", "a=1&_method\x00x=DELETE"},
		{"/x", json, "{\"_method\x00x\":\"DELETE\"}"},
		{"/x", json, "{\"\\u005fm\\u0065thod\x00x\":\"DELETE\"}"},
		{"/x", form, "%u0058-HTTP-Method-Override=DELETE"},
		{"/x", form + ";charset=utf-16be", "%00_%00m%00e%00t%00h%00o%00d=%00D"},
		{"/x", form + ";charset=utf-16le", "_%00m%00e%00t%00h%00o%00d%00=D%00"},
		{"/x", "content-type: multipart/form-data; boundary=c; boundary=b", part("_method")},
		{"/x", "content-type: Multipart/Form-Data; boundary=c; boundary*=utf-8''b", part("_method")},
		{"/x", multi, strings.Replace(part("_method"), "_me", "_me\n", 1)}, // PHP joins lines without a colon
		{"/x", multi, strings.Replace(part("_method"), "_me", "_me\r\n", 1)},
		{"/x", multi, strings.Replace(part("_method"), "_me", "_me\r", 1)},
		{"/x", multi, strings.Replace(part(`"_method"`), "_me", "_\r\nme\n", 1)},
		{"/x", multi, strings.Replace(part("X-HTTP-Method-Override"), "Met", "Met\r\n", 1)},
		{"/x", json, `{"a":"&_method=DELETE&"}`}, // some read a form in a body of any type
		{"/x", json, `[1, ";X-HTTP-Method-Override=DELETE;"]`},
		{"/x", json + "; charset=utf-16", "{\x00\"\x00&\x00_\x00m\x00e\x00t\x00h\x00o\x00d\x00=\x00D\x00\"\x00}\x00"},
		{"/x", json + "|content-encoding: gzip", zipped(`{"a":"&_method=DELETE&"}`)},
		{"/x", json + "|content-encoding: gzip", named(`{}`, "&_method=DELETE&")},
		{"/x", "content-type: application/vnd.api+json", `{"a":"&%5Fmethod=DELETE&"}`},
		{"/x", multi, strings.Replace(part("x"), "DELETE", "a&_method=DELETE&b", 1)},
		{"/x", "content-type: Multipart/Mixed; boundary=b", strings.Replace(part("x"), "DELETE", "a&_method=DELETE&b", 1)},
	} {
		in := ask("api", "GET", c.path, good)
		if c.kind != "" {
			in = ask("api", "GET", c.path, append([]string{good}, strings.Split(c.kind, "|")...)...)
		}
		r := f.check(t, withBody(in, c.body))
		if r.GetOkResponse() != nil {
			t.Errorf("%+v is let through", c)
			continue
		}
		if p := problemOf(t, r); p.Status != 400 || p.Type != typePrefix+"method-override" {
			t.Errorf("%+v: %+v", c, p)
		}
	}
	for _, c := range []struct{ path, kind, body string }{
		{"/x?method=a&payment_method=card", form, "method=b"},
		{"/x?method=deleted&payment_method=delete", form, "method=delete-all&method=" + strings.Repeat("+", 100) + "x"},
		{"/x", json, `{"method":"tools/call","a":{"_method":"x"}}`},
		{"/x", json, `[{"method":"tools/call"},{"method":"tools/list"}] `},
		{"/x", json + "; charset=UTF-8", `{"method":"a \\ b"}`},
		{"/x", json, `{"a": "100 %"}`},
		{"/x", "content-type: text/plain; charset=iso-8859-1", "the method {x} 100 %"},
		{"/x", multi, part("method")},
		{"/x", multi, strings.ReplaceAll(part("file; filename=x"), "DELETE", "\x00=?\xff ?= name")},
		{"/x", multi, strings.ReplaceAll(part(`file; filename="a \"b\".txt"`), "DELETE", "\n \\% multipart/ method")},
		{"/x", multi, strings.ReplaceAll(part("x"), "\r\n", "\n")},
		{"/x", multi, "--b\r\n\r\nX-A: 1\r\n--b--"},
		{"/x", multi, strings.Replace(part("x"), "DELETE", strings.ReplaceAll(part("_method"), "--b", "--c"), 1)},
		{"/x", multi, strings.Replace(part("x\r\nContent-Type: multipart/mixed; boundary=c"), "DELETE", strings.ReplaceAll(part("method"), "--b", "--c"), 1)},
		{"/x", multi, part(`"it's"; filename="it's a \"method\".png"`)},
		{"/x", multi, part(`"user[method]"; filename*=UTF-8''a%20method.png`)},
		{"/x", `content-type: multipart/related; type="application/xop+xml"; start="<root@x>"; boundary="uuid:1"`, "--uuid:1\r\nContent-ID: <root@x>\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n\r\n<methodCall/>\r\n--uuid:1--\r\n"},
		{"/x?files[]=1&user[name]=2&user[payment_method]=card&discount=100%", form, "a[0][b]=1&it's=2&c=ZGE=&d=e;f;method=g"},
		{"/x", json, wide(`{"method":"a\\u0041%"}`)},
		{"/x", "content-type: application/octet-stream", "\x00\x01method\x00=\x02&x=1"},
		{"/x", json + "; boundary=b", `{"method": "a -- b"}`},
		{"/x", json + "|content-encoding: Identity", `{"a":1}`},
		{"/x", json + "|content-encoding: gzip", zipped(`{"method":"tools/call","a":"100 %"}`)},
		{"/x", json + "|content-encoding: gzip", zipped(strings.Repeat(" ", 8<<20-2) + "{}")},
		{"/x", "content-type: application/x-ndjson|content-encoding: gzip", zipped("{\"index\":{}}\n{\"method\":\"GET\"}\n")},
		{"/x", form + "|content-encoding: gzip", zipped("method=a")},
		{"/x", "content-type: application/octet-stream|content-encoding: x-gzip", zipped("a method; 100 %")},
		{"/x", "content-encoding: gzip", zipped("{}")},
		{"/x", "content-type: application/x-git-upload-pack-request|content-encoding: gzip", zipped("0032want 0a53e9ddeaddad63ad106860237bbf53411d11a7\n0000")},
		{"/x", "content-type: application/x-git-upload-pack-request|content-encoding: gzip", "\x1f\x8b%"},
		{"/x", "content-type: application/x-git-receive-pack-request|content-encoding: gzip", zipped(strings.Repeat(" ", 8<<20+1))},
		{"/x", "content-type: application/x-protobuf|content-encoding: gzip", "\x1f\x8b"},
		{"/x", "content-type: application/x-protobuf; proto=io.prometheus.write.v2.Request|content-encoding: snappy", "\x0b%method"},
		{"/x", "content-type: application/proto|content-encoding: zstd", "x"},
		{"/x", "content-type: text/css|content-encoding: gzip", zipped("a{x:url('\\'); method: 1}")},
		{"/x", "content-type: image/png; charset=binary", "method"},
		{"/x", "content-type: application/pdf", "%PDF-1.7 \\ method & x"},
		{"/x", "content-type: application/xml", "<methodCall><methodName>a</methodName></methodCall>"},
		{"/x", "content-type: application/x-ndjson", "{\"index\":{}}\n{\"method\":\"GET\",\"a\":\"100 % \\\\\"}\n"},
		{"/x", json, "{\"index\":{}}\n{\"method\":\"GET\",\"a\":\"100 % \\\\\"}\n"},
		{"/x", "content-type: application/graphql", "{ payment { paymentMethod method(id: 1) } }"},
		{"/x", "content-type: text/css", "a{x:url('\\'); method: 1}"},
		{"/x", "content-type: text/html; charset=gb18030", "method"},
	} {
		if r := f.check(t, withBody(ask("api", "GET", c.path, append([]string{good}, strings.Split(c.kind, "|")...)...), c.body)); r.GetOkResponse() == nil {
			t.Errorf("%+v: %v", c, r)
		}
	}
	f.policies.policy.Store(compiled(t, strings.SplitN(bundle, "rules:\n", 2)[0]+"rules:\n- {name: all, on: {targets: [\"*\"], http: {}}, who: {groups: [agents]}, allow: {}}\n", "v2"))
	if r := f.check(t, ask("api", "GET", "/x?_method=DELETE", good)); r.GetOkResponse() == nil {
		t.Errorf("where no rule speaks of methods: %v", r)
	}
}

// zipped is text in one member of gzip.
func zipped(text string) string { return named(text, "") }

// named is zipped with the name of a file, which stands in it as it is (RFC 1952, 2.3).
func named(text, file string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	w.Name = file
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.String()
}

// wide is ASCII in UTF-16, little endian.
func wide(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.Write([]byte{c, 0})
	}
	return b.String()
}

func TestEachNameOfAMethodIsFoundInWhatIsAlmostADocument(t *testing.T) {
	for _, name := range overrides {
		for _, name := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "_", "."), strings.ReplaceAll(name, "_", " ")} {
			if isOverride(name) && !almostName.MatchString(name) {
				t.Errorf("%q is not", name)
			}
		}
	}
}

func TestPeopleSeeWhatACompressedBodySaysOrAreNotAsked(t *testing.T) {
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		kind, encoding, body, want string
		good                       bool
	}{
		"nothing said":                   {json, "", "{}", "{}", true},
		"as it is":                       {json, "identity", "{}", "{}", true},
		"gzip":                           {json, "gzip", zipped(`{"a":1}`), `{"a":1}`, true},
		"gzip of any type":               {"text/plain", "x-gzip", zipped("DROP"), "DROP", true},
		"gzip that is none":              {json, "gzip", "{}", "", false},
		"gzip with something behind":     {json, "gzip", zipped("{}") + "{}", "", false},
		"deflate that looks like a body": {json, "deflate", `x^{"a":1}`, "", false},
		"deflate":                        {"image/png", "deflate", "x^", "", false},
		"br":                             {"text/plain", "br", "\x0b", "", false},
		"a form, which some read packed": {form, "gzip", named("a=1", "&cascade=true&"), "", false},
		"so are parts":                   {"multipart/form-data; boundary=b", "gzip", zipped("--b--"), "", false},
		"of no type":                     {"", "gzip", zipped("a=1"), "", false},
		"as long as may be":              {json, "gzip", zipped(strings.Repeat(" ", maxLegible)), strings.Repeat(" ", maxLegible), true},
		"longer":                         {json, "gzip", zipped(strings.Repeat(" ", maxLegible+1)), "", false},
		"git's":                          {"application/x-git-receive-pack-request", "gzip", zipped("a"), "a", true},
		"git's, and long":                {"application/x-git-receive-pack-request", "gzip", "\x1f\x8b", "\x1f\x8b", true},
		"protobuf":                       {"application/x-protobuf", "snappy", "\x0b", "\x0b", true},
	} {
		r := &request{headers: []header{{"content-type", c.kind}, {"content-encoding", c.encoding}}, body: []byte(c.body)}
		got, ok := r.legible()
		if ok != c.good || ok && string(got) != c.want {
			t.Errorf("%s: %v, %q", name, ok, got)
		}
		if w := r.weight(); w < len(c.body) || w < len(c.want) {
			t.Errorf("%s weighs %d", name, w)
		}
	}
	f := open(t)
	for encoding, body := range map[string]string{"deflate": `x^{"a":1}`, "gzip": zipped("unshowable")} {
		p := problemOf(t, f.check(t, withBody(ask("api", "DELETE", "/customers/7", good, "content-type: text/csv", "content-encoding: "+encoding), body)))
		if p.Status != 403 && p.Type != typePrefix+"method-override" || encoding == "gzip" && !strings.Contains(p.Title, "cannot be shown") {
			t.Errorf("%s: %+v", encoding, p)
		}
	}
	done := make(chan bool, 1)
	go func() {
		done <- f.check(t, withBody(ask("api", "DELETE", "/customers/7", good, "content-type: text/csv", "content-encoding: gzip"), zipped("a,b"))).GetOkResponse() != nil
	}()
	a := f.held(t)
	if p := a.GetAction().GetParameters(); len(p) != 1 || p[0].GetValue() != "a,b" {
		t.Errorf("people see %v", p)
	}
	f.vote(t, a.GetId(), approvalv1.Vote_APPROVE)
	if !<-done {
		t.Error("it was not let through")
	}
}

func TestWhatCannotBeShownToPeopleIsRefusedAndNotHeld(t *testing.T) {
	f := open(t)
	p := problemOf(t, f.check(t, withBody(ask("api", "DELETE", "/customers/7", good, "content-type: application/json"), "unshowable")))
	if p.Status != 403 || p.Rule != "writes" || !strings.Contains(p.Title, "cannot be shown") {
		t.Errorf("got %+v", p)
	}
	if got := f.tape.kinds(); got != "SessionStart HttpRequest Data Decision:DENY" {
		t.Errorf("recorded: %s", got)
	}
}
