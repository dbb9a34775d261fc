package credname

import (
	"fmt"
	"strings"
	"testing"
)

func stars(v []byte) string { return fmt.Sprintf("‹%d›", len(v)) }

func TestCredentialsInHeadersAreHiddenWhateverAMaskNames(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Authorization", "Bearer abc", "Bearer ‹3›"},
		{"authorization", "abc", "‹3›"},
		{"Proxy-Authorization", "Basic dTpw", "Basic ‹4›"},
		{"X-API-Key", "secret", "‹6›"},
		{"x_api_key", "secret", "‹6›"},
		{"PRIVATE-TOKEN", "glpat", "‹5›"},
		{"Acme-Api-Key", "secret", "‹6›"},
		{"Acme-Access-Token", "secret", "‹6›"},
		{"Cookie", "sid=abc; theme=dark", "sid=‹3›; theme=‹4›"},
		{"Cookie", "bare", "‹4›"},
		{"Set-Cookie", "sid=abc; Path=/; HttpOnly", "sid=‹3›; Path=/; HttpOnly"},
		{"Set-Cookie", "sid=", "sid="},
		{"Location", "/cb?code=1&access_token=abc#id_token=d", "/cb?code=1&access_token=‹3›#id_token=‹1›"},
		{"Referer", "https://x/?q=1", "https://x/?q=1"},
		{"Location", "https://bob:s3cret@host/x?q=1", "https://bob:‹6›@host/x?q=1"},
		{"Referer", "see https://a:b@c, https://d:e@f/g", "see https://a:‹1›@c, https://d:‹1›@f/g"},
		{"Referer", "https://bob@host/", "https://bob@host/"},
		{"Refresh", "0; url=/x?access_token=abc", "0; url=/x?access_token=‹3›"},
		{"Destination", "/x?sig=abc&n=1", "/x?sig=‹3›&n=1"},
		{"X-NuGet-ApiKey", "secret", "‹6›"},
		{"X-Plex-Token", "secret", "‹6›"},
		{"X-MS-Authorization-Auxiliary", "Bearer secret", "Bearer ‹6›"},
		{"VMware-API-Session-Id", "secret", "‹6›"},
		{"CB-ACCESS-PASSPHRASE", "secret", "‹6›"},
		{"Authentication-Info", "secret", "‹6›"},
		{"Set-Cookie2", "sid=abc; Path=/", "sid=‹3›; Path=/"},
		{"Sec-WebSocket-Protocol", "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.abc", "‹60›"},
		{"Sec-WebSocket-Protocol", "v4.channel.k8s.io", "v4.channel.k8s.io"},
		{"Idempotency-Key", "abc", "abc"},
		{"User-Agent", "x/1 (+https://x.example/?about=1)", "x/1 (+https://x.example/?about=1)"},
		{"Content-Type", "text/plain", "text/plain"},
		{"X-Request-Id", "abc", "abc"},
		{"X-Api-Key", "", ""},
	} {
		got, changed := HideHeader(c.name, c.value, stars)
		if got != c.want || changed != (got != c.value) && c.want != "sid=" {
			t.Errorf("%s: %s: %q, %v, want %q", c.name, c.value, got, changed, c.want)
		}
	}
}

func TestCredentialsInQueriesAreHiddenAndTheRestStays(t *testing.T) {
	for path, want := range map[string]string{
		"/a":                         "/a",
		"/a?":                        "/a?",
		"/a?q=1":                     "/a?q=1",
		"/a?api_key=s3&q=%20+":       "/a?api_key=‹2›&q=%20+",
		"/a?API-KEY=s3":              "/a?API-KEY=‹2›",
		"/a?api%5Fkey=s3":            "/a?api%5Fkey=‹2›",
		"/a?%74oken=s3":              "/a?%74oken=‹2›",
		"/a?token[]=s3&token[]=s45":  "/a?token[]=‹2›&token[]=‹3›",
		"/a?user[password]=s3":       "/a?user[password]=‹2›",
		"/a?auth.token=s3":           "/a?auth.token=‹2›",
		"/a?q=1;token=s3;r":          "/a?q=1;token=‹2›;r",
		"/a?token=a=b":               "/a?token=‹3›",
		"/a?token":                   "/a?token",
		"/a?x?token=s3":              "/a?x?token=‹2›",
		"/a#access_token=s3":         "/a#access_token=‹2›",
		"GET /a?sig=s3 HTTP/1.1":     "GET /a?sig=‹2› HTTP/1.1",
		"/a?X-Amz-Signature=ab&x=y":  "/a?X-Amz-Signature=‹2›&x=y",
		"/a?my_token=s3":             "/a?my_token=‹2›",
		"/a?[password]=s3":           "/a?[password]=‹2›",
		"?token=s3":                  "?token=‹2›",
		"#access_token=s3":           "#access_token=‹2›",
		"/a?tokens=3":                "/a?tokens=3",
		"/a?apiToken=s3&pageKey=1":   "/a?apiToken=‹2›&pageKey=1",
		"/a?clientSecret=s3":         "/a?clientSecret=‹2›",
		"/a?newAPIKey=s3":            "/a?newAPIKey=‹2›",
		"/a?refresh%54oken=s3":       "/a?refresh%54oken=‹2›",
		"/a?PHPSESSID=s3":            "/a?PHPSESSID=‹2›",
		"/a?password%00=s3":          "/a?password%00=‹2›",
		"/a?user[password][0]=s3":    "/a?user[password][0]=‹2›",
		"/a?next=%2Fcb%3Ftoken%3Ds":  "/a?next=‹17›",
		"/a?next=%2Fcb%3Fpage%3Ds":   "/a?next=%2Fcb%3Fpage%3Ds",
		"/a?u=https%3A%2F%2Fa:b@c":   "/a?u=‹19›",
		"/a?u=%252Fcb%253Fsig%253D1": "/a?u=‹21›",
		"https://a:b@c/?x=1":         "https://a:‹1›@c/?x=1",
		"/token=s3":                  "/token=s3",
	} {
		got, changed := HidePath(path, stars)
		if got != want || changed != (got != path) {
			t.Errorf("%s: %q, %v, want %q", path, got, changed, want)
		}
	}
}

func FuzzHidePath(f *testing.F) {
	f.Add("/a?", "token", "value")
	f.Add("/a?x=1&", "api%5Fkey", "v")
	f.Fuzz(func(t *testing.T, before, name, value string) {
		if !Key(name) || strings.ContainsAny(name, "=&;?# ") || value == "" || strings.ContainsAny(value, "&;?# ") {
			t.Skip()
		}
		got, changed := HidePath(before+"?"+name+"="+value, func([]byte) string { return "\x00" })
		if !changed || !strings.HasSuffix(got, name+"=\x00") {
			t.Errorf("%q", got)
		}
		if same, changed := HidePath(got, func([]byte) string { return "\x00" }); same != got || !changed {
			t.Errorf("a second time: %q", same)
		}
	})
}
