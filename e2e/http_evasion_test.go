package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// realKey is what the target's credential is in these tests: no agent may see it, override it or leave it out.
const realKey = "the-real-wire-key"

// lure is a service that takes whatever Go's server takes, and keeps it.
type lure struct {
	address string
	mu      sync.Mutex
	got     []lured
}

// lured is a request as a service got it.
type lured struct {
	method, uri, host string
	header            http.Header
	trailer           http.Header
	body              string
}

func newLure(t *testing.T) *lure {
	t.Helper()
	l := &lure{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // it may be cut
		l.mu.Lock()
		l.got = append(l.got, lured{r.Method, r.RequestURI, r.Host, r.Header, r.Trailer, string(body)})
		l.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"fine":true,"password":"`+secretPassword+`1"}`)
	}))
	t.Cleanup(server.Close)
	l.address = server.Listener.Addr().String()
	return l
}

func (l *lure) take() []lured {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	l.got = nil
	return got
}

// evasionPolicy is a target at a port of its own. What is below /admin is denied, below /held held, the rest allowed.
func evasionPolicy(t *testing.T, s *stage.Stage, name string, port int, upstream, extra string) string {
	t.Helper()
	key := filepath.Join(s.Dir, "wire-key")
	if err := os.WriteFile(key, []byte(realKey), 0o600); err != nil {
		t.Fatal(err)
	}
	_, upstreamPort, err := net.SplitHostPort(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
targets:
- name: %[1]s
  listener: {address: 127.0.0.1, port: %[2]d, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: %[3]s}], tls: {mode: DISABLE}%[4]s}
  credential: {header: {name: x-api-key, value: {file: %[5]q}}}
rules:
- {name: %[1]s-open, who: {groups: [agents, dba]}, on: {targets: [%[1]s], http: {paths: ["/", "/**"]}}, allow: {}}
- {name: %[1]s-admin, on: {targets: [%[1]s], http: {paths: ["/admin/**"]}}, deny: {message: "Not for agents."}}
- {name: %[1]s-host, on: {targets: [%[1]s], http: {hosts: [admin.test]}}, deny: {message: "Not this host."}}
- {name: %[1]s-held, on: {targets: [%[1]s], http: {paths: ["/held/**"]}}, approve: {by: [{groups: [dba], count: 1}], within: 900s}}
- {name: %[1]s-pay, on: {targets: [%[1]s], http: {paths: ["/pay"]}}, when: "request.http.body.amount > 10", deny: {message: "Too much."}}
- {name: %[1]s-kind, on: {targets: [%[1]s], http: {paths: ["/q"]}}, when: "'all' in request.http.query.scope", deny: {message: "Not all."}}
- {name: %[1]s-account, on: {targets: [%[1]s], http: {paths: ["/account"]}}, when: "request.http.body.id != 9007199254740992", deny: {message: "Another's."}}
masks:
- {name: %[1]s-secrets, on: {targets: [%[1]s]}, paths: ["$..password"], headers: [x-secret, set-cookie], redact: {}, except: {groups: [dba]}}
`, name, port, upstreamPort, extra, key)
}

// talk sends bytes to a listener, {T} being a token, and returns all that comes back until it is silent or ends.
func talk(t *testing.T, port int, token, text string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = conn.Close() }()
	// What is refused midway resets the connection.
	_, _ = io.WriteString(conn, strings.ReplaceAll(text, "{T}", token))
	var out bytes.Buffer
	buf := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	for {
		n, err := conn.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			return out.String()
		}
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	}
}

// statuses are the status codes of what talk returned, in order: "" if there was none.
func statuses(said string) string {
	var out []string
	for r := bufio.NewReader(strings.NewReader(said)); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(out, " ")
		}
		_, _ = io.Copy(io.Discard, res.Body) // it may be cut
		_ = res.Body.Close()
		out = append(out, fmt.Sprint(res.StatusCode))
	}
}

// frames speaks HTTP/2 without asking whether a field may be sent.
type frames struct {
	fields   [][2]string
	body     string
	trailers [][2]string
}

// send returns the status, or "reset" if the stream or the connection was ended instead, and all that came: fields and data.
func (f frames) send(ctx context.Context, port int, token string) (status, seen string, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return "", "", err
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	block := func(fields [][2]string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for _, kv := range fields {
			_ = e.WriteField(hpack.HeaderField{Name: kv[0], Value: strings.ReplaceAll(kv[1], "{T}", token)}) // to memory
		}
		return b.Bytes()
	}
	const stream = 1
	err = errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block(f.fields), EndHeaders: true, EndStream: f.body == "" && f.trailers == nil,
	}))
	if f.body != "" {
		err = errors.Join(err, framer.WriteData(stream, f.trailers == nil, []byte(f.body)))
	}
	if f.trailers != nil {
		err = errors.Join(err, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(f.trailers), EndHeaders: true, EndStream: true}))
	}
	if err != nil {
		return "", "", err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			if status == "" {
				status = "reset"
			}
			return status, seen, nil
		}
		switch v := frame.(type) {
		case *http2.MetaHeadersFrame:
			status += v.PseudoValue("status")
			for _, field := range v.Fields {
				seen += field.Name + ": " + field.Value + "\n"
			}
		case *http2.DataFrame:
			seen += string(v.Data())
		case *http2.RSTStreamFrame:
			return status + "reset", seen, nil
		}
		if h := frame.Header(); h.StreamID == stream && h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			return status, seen, nil
		}
	}
}

// sloppily are the paths for which careless servers take a request target: by case, by decoding twice, with backslashes,
// parameters, empty and dot segments, dots and blanks at the end, and UTF-8 that is too long.
func sloppily(target string) []string {
	if u, err := url.Parse(target); err == nil && u.IsAbs() {
		target = u.RequestURI()
	}
	raw, _, _ := strings.Cut(target, "?")
	raw, _, _ = strings.Cut(raw, "#")
	var out []string
	for range 3 {
		p := strings.NewReplacer("\\", "/", "\xc0\xaf", "/", "\xc0\xae", ".", "\x00", "").Replace(raw)
		parts := strings.Split(p, "/")
		for i := range parts {
			parts[i], _, _ = strings.Cut(parts[i], ";")
			if s := strings.TrimRight(parts[i], " "); strings.Trim(s, ".") != "" {
				parts[i] = s
			}
		}
		out = append(out, strings.ToLower(path.Clean("/"+strings.Join(parts, "/"))))
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return out
		}
		raw = decoded
	}
	return out
}

func underAdmin(target string) bool {
	return slices.ContainsFunc(sloppily(target), func(p string) bool { return p == "/admin" || strings.HasPrefix(p, "/admin/") })
}

// attempt is one way to have a service see something else than was decided on.
type attempt struct {
	name string
	// text goes over HTTP/1.1 as it is; h2 in place of it.
	text string
	h2   *frames
	// status is what comes back; "refused" is an end of the connection or 400, whichever of the two Envoy gets out.
	status string
	// sent is what reaches the service, as "METHOD target body". Its host is the service's own, whatever the agent says.
	sent []string
}

// ground is a target of the attempts' own, and the service behind it.
type ground struct {
	port int
	*lure
}

func newGrounds(t *testing.T, s *stage.Stage, n int, extra string) []ground {
	t.Helper()
	var all []ground
	for i := range n {
		g := ground{freePort(t), newLure(t)}
		name := fmt.Sprintf("ground-%c", 'a'+i)
		policyFile(t, s, "70-"+name+".yaml", evasionPolicy(t, s, name, g.port, g.address, extra))
		all = append(all, g)
	}
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		ready(t, g.port, token)
		g.take()
	}
	return all
}

const bearerLine = "Authorization: Bearer {T}\r\n"

// get is a request with further lines of its head.
func get(target string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n" + bearerLine + strings.Join(lines, "") + "\r\n"
}

// try makes an attempt and judges it.
func (g ground) try(t *testing.T, token string, a attempt) {
	t.Helper()
	var status, seen string
	if a.h2 != nil {
		var err error
		if status, seen, err = a.h2.send(t.Context(), g.port, token); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	} else {
		seen = talk(t, g.port, token, a.text)
		status = statuses(seen)
	}
	good := status == a.status
	if a.status == "refused" {
		good = slices.Contains([]string{"", "400", "431", "501", "reset"}, status)
	}
	if !good {
		t.Errorf("%s: answered %q, want %q: %.200q", a.name, status, a.status, seen)
	}
	if hasSecret(seen) || strings.Contains(seen, realKey) {
		t.Errorf("%s: a secret reached the client: %q", a.name, seen)
	}
	var sent []string
	for _, got := range g.take() {
		sent = append(sent, strings.TrimSpace(got.method+" "+got.uri+" "+got.body))
		if got.host != g.address {
			t.Errorf("%s: the service is asked as %q", a.name, got.host)
		}
		if underAdmin(got.uri) {
			t.Errorf("%s: reached what is denied: %s", a.name, got.uri)
		}
		got.isClean(t, a.name, token)
	}
	if !slices.Equal(sent, a.sent) {
		t.Errorf("%s: the service got %q, want %q", a.name, sent, a.sent)
	}
}

// isClean checks that a request has the target's credential, once, and nothing of what the agent must not say.
func (got lured) isClean(t *testing.T, name, token string) {
	t.Helper()
	if !slices.Equal(got.header["X-Api-Key"], []string{realKey}) || got.header["Authorization"] != nil || got.trailer["X-Api-Key"] != nil {
		t.Errorf("%s: the service got credentials %q %q %q", name, got.header["X-Api-Key"], got.header["Authorization"], got.trailer)
	}
	if nominated := strings.ToLower(got.header.Get("Connection")); strings.Contains(nominated, "x-") {
		t.Errorf("%s: a proxy on the way would take away %s", name, nominated)
	}
	if id := got.header["X-Request-Id"]; len(id) != 1 || len(id[0]) != 36 {
		t.Errorf("%s: request id %q", name, id)
	}
	for field, values := range got.header {
		if strings.Contains(strings.Join(values, " "), token) {
			t.Errorf("%s: the service got the agent's token in %s", name, field)
		}
		if field != "X-Api-Key" && strings.Contains(strings.Join(values, " "), "forged") {
			t.Errorf("%s: the service got %s: %q", name, field, values)
		}
	}
}

func pathAttempts() []attempt {
	var out []attempt
	for target, status := range map[string]string{
		// What is denied, in other words.
		"/admin": "403", "/admin/": "403", "/admin/x": "403", "/ADMIN/x": "403", "/%61dmin/x": "403", "/%41DMIN/x": "403", "/admin/.": "403", "/admin?x": "403",
		"/./admin/x": "403", "/x/../admin/y": "403", "/x/./../admin/y": "403", "/x/%2e%2e/admin/y": "403", "/x/.%2e/admin": "403", "/x\\..\\admin": "403",
		"/index.php/admin/x": "403", "/x/app.cgi/ADMIN": "403", "/admin.php/x": "403", "/(S(x))/admin/x": "403", "/ad(S(x))min": "403", "/admin::$INDEX_ALLOCATION/x": "403",
		"/x/..;/admin/x": "403", "/x%3f/../admin/x": "403", "http://api.test/admin/x": "403", "http://admin.test/x": "403", "http://api.test@admin.test/x": "403",
		// What servers read in two ways.
		"//admin/x": "400", "/admin;x/y": "400", "/;/admin/x": "400", "/%2561dmin/x": "400", "/y/%25x%252f..%252fadmin": "400", "/admin%00": "400", "/admin%09": "400", "/x%2f..%2fadmin": "400",
		"/x%5c..%5cadmin": "400", "/%": "400", "/%zz": "400", "/admin#x": "400", "/#/../admin": "400", "/" + strings.Repeat("a", 20<<10): "400",
		// What is no target of a request at all.
		"*": "refused", "": "refused", "admin/x": "refused", "/x y": "refused", "/\tadmin": "refused", "/admin\x00/x": "refused", "/x\x80/y": "refused", "/?\x80": "refused",
		"http:///admin/x": "refused", "https://api.test/x": "refused", "ftp://api.test/x": "refused",
	} {
		out = append(out, attempt{name: fmt.Sprintf("%.40q", target), text: get(target), status: status})
	}
	for target, sent := range map[string]string{
		"/x": "/x", "/a/../b": "/b", "/?/../admin/x": "/?/../admin/x", "/x?/../admin": "/x?/../admin",
		"http://other.test/x": "/x", "http://api.test": "/", "/administrator": "/administrator",
	} {
		out = append(out, attempt{name: target, text: get(target), status: "200", sent: []string{"GET " + sent}})
	}
	return out
}

func methodAttempts() []attempt {
	as := func(method, target string) string { return strings.Replace(get(target), "GET", method, 1) }
	out := []attempt{
		{name: "CONNECT", text: "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n" + bearerLine + "\r\n", status: "403"},
		{name: "CONNECT of a path", text: as("CONNECT", "/x"), status: "refused"},
		{name: "TRACE", text: as("TRACE", "/x"), status: "400"},
		{name: "DELETE of what is denied", text: as("DELETE", "/admin/x"), status: "403"},
		{name: "HTTP/1.0", text: "GET /x HTTP/1.0\r\nHost: api.test\r\n" + bearerLine + "\r\n", status: "refused"},
		{name: "HTTP/0.9", text: "GET /x\r\n\r\n", status: "refused"},
		{name: "HTTP/2.0 in words", text: "GET /x HTTP/2.0\r\nHost: api.test\r\n" + bearerLine + "\r\n", status: "refused"},
		{
			name: "override", status: "200", sent: []string{"GET /x"},
			text: get("/x", "X-HTTP-Method-Override: forged\r\nX-HTTP-Method: forged\r\nX-Method-Override: forged\r\nX-Original-Url: /forged\r\nX-Rewrite-Url: /forged\r\n"),
		},
	}
	for _, m := range []string{"get", "GeT", "BREW", "M-SEARCH", "G\x00T"} {
		out = append(out, attempt{name: m, text: as(m, "/x"), status: "refused"})
	}
	return out
}

func headerAttempts() []attempt {
	var out []attempt
	passes := []string{"GET /x"}
	for name, lines := range map[string]string{
		"a forged credential":             "X-Api-Key: forged\r\n",
		"a forged credential twice":       "X-Api-Key: forged\r\nx-api-key: forged\r\n",
		"a credential taken away":         "Connection: x-api-key\r\n",
		"a credential forged and taken":   "Connection: close, x-api-key\r\nX-Api-Key: forged\r\n",
		"a proxy's credential":            "Proxy-Authorization: Bearer {T}\r\n",
		"a forged request id":             "X-Request-Id: forged\r\n",
		"two forged request ids":          "X-Request-Id: forged\r\nX-Request-Id: forged\r\n",
		"Envoy's own":                     "X-Envoy-Original-Path: /forged\r\nX-Envoy-Original-Host: forged\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 1\r\nX-Envoy-Retry-On: forged\r\nX-Envoy-Decorator-Operation: forged\r\nX-Envoy-Internal: forged\r\n",
		"where the agent is":              "X-Forwarded-For: forged\r\nX-Forwarded-Host: forged\r\nX-Forwarded-Proto: forged\r\nX-Forwarded-Port: forged\r\nForwarded: for=forged\r\nX-Real-Ip: forged\r\nX-Forwarded-Client-Cert: By=forged\r\n",
		"an upgrade to HTTP/2":            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: forged\r\n",
		"hop by hop":                      "Keep-Alive: forged\r\nProxy-Connection: forged\r\nTE: trailers, forged\r\n",
		"a line that ends in LF":          "X-A: b\nX-Api-Key: forged\r\n",
		"compression and parts asked for": "Accept-Encoding: forged\r\nRange: bytes=forged\r\nIf-Range: forged\r\n",
	} {
		out = append(out, attempt{name: name, text: get("/x", lines), status: "200", sent: passes})
	}
	for name, lines := range map[string]string{
		"two tokens": bearerLine, "a token and another scheme": "authorization: Basic eA==\r\n", "a token in capitals": "AUTHORIZATION: Bearer x\r\n",
		"the token taken away": "Connection: authorization\r\n", "the token kept and taken": "Connection: keep-alive, Authorization\r\n",
	} {
		out = append(out, attempt{name: name, text: get("/x", lines), status: "401"})
	}
	for name, lines := range map[string]string{
		"an underscore": "X_Api_Key: forged\r\n", "a blank in a name": "X-Api-Key : forged\r\n", "a name that is no ASCII": "X-\xc3\xa9: a\r\n", "NUL": "X-A: b\x00c\r\n",
		"no colon": "nonsense\r\n", "no name": ": x\r\n", "100 KB": "X-Big: " + strings.Repeat("a", 100<<10) + "\r\n", "300 headers": strings.Repeat("X-Many: a\r\n", 300),
	} {
		out = append(out, attempt{name: name, text: get("/x", lines), status: "refused"})
	}
	return append(out,
		attempt{name: "a folded line", text: get("/x", " X-Api-Key: forged\r\n"), status: "401"},
		attempt{name: "a WebSocket where none may be", text: get("/x", "Connection: upgrade\r\nUpgrade: websocket\r\n"), status: "403"},
		attempt{name: "no host", text: "GET /x HTTP/1.1\r\n" + bearerLine + "\r\n", status: "400"},
	)
}

func hostAttempts() []attempt {
	var out []attempt
	for host, status := range map[string]string{
		"admin.test": "403", "ADMIN.test": "403", "admin.test.": "403", "admin.test:80": "403", "admin.test:": "400", "admin.test:x": "400", "admin.test.:80": "403",
		"admin.test/x": "refused", "admin.test?x": "refused", "admin.test#x": "refused", "admin.test api.test": "refused", "admin.test\\x": "refused",
	} {
		out = append(out, attempt{name: "host " + host, text: strings.Replace(get("/x"), "api.test", host, 1), status: status})
	}
	return out
}

// A body ends where Envoy says it does, or the request is refused: nothing behind it becomes a request of its own
// without a decision of its own.
func bodyAttempts() []attempt {
	const behind = "GET /forged HTTP/1.1\r\nHost: api.test\r\nX-Api-Key: forged\r\n\r\n"
	post := func(lines, body string) string {
		return "POST /x HTTP/1.1\r\nHost: api.test\r\n" + bearerLine + lines + "\r\n" + body
	}
	const te, none = "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"
	var out []attempt
	for name, text := range map[string]string{
		"two lengths":              post("Content-Length: 5\r\nContent-Length: 0\r\n", "hello"+behind),
		"two equal lengths":        post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"+behind),
		"a list of lengths":        post("Content-Length: 5, 5\r\n", "hello"+behind),
		"a length with a sign":     post("Content-Length: +5\r\n", "hello"+behind),
		"a length below zero":      post("Content-Length: -5\r\n", "hello"+behind),
		"a length's name padded":   post("Content-Length : 5\r\n", "hello"+behind),
		"length and chunks":        post("Content-Length: 5\r\n"+te, none+behind),
		"chunks and length":        post(te+"Content-Length: 5\r\n", none+behind),
		"an unknown coding":        post("Transfer-Encoding: xchunked\r\n", none+behind),
		"identity":                 post("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello"+behind),
		"chunked, then another":    post("Transfer-Encoding: chunked, identity\r\n", none+behind),
		"another, then chunked":    post("Transfer-Encoding: gzip, chunked\r\n", none+behind),
		"two codings":              post(te+"Transfer-Encoding: identity\r\n", none+behind),
		"a coding padded":          post("Transfer-Encoding: \x0bchunked\r\n", none+behind),
		"a coding's name padded":   post("Transfer-Encoding : chunked\r\n", none+behind),
		"a coding's name mangled":  post("Transfer_Encoding: chunked\r\n", none+behind),
		"a chunk of 0x5":           post(te, "0x5\r\nhello\r\n"+none+behind),
		"a chunk that ends in LF":  post(te, "5\nhello\n0\n\n"+behind),
		"an extension without CR":  post(te, "5;\nhello\r\n"+none+behind),
		"a chunk without its end":  post(te, "5\r\nhelloXX"+none+behind),
		"a chunk past all numbers": post(te, "fffffffffffffffff\r\nhello\r\n"+none+behind),
		"a body that is cut":       post("Content-Length: 50\r\n", "hello"),
	} {
		out = append(out, attempt{name: name, text: text, status: "refused"})
	}
	hello := []string{"POST /x hello"}
	return append(out,
		attempt{name: "one behind another, without a token", text: post("Content-Length: 5\r\n", "hello"+behind), status: "200 401", sent: hello},
		attempt{name: "one behind another, denied", text: post("Content-Length: 5\r\n", "hello"+get("/admin/x")), status: "200 403", sent: hello},
		attempt{name: "chunks with an extension", text: post(te+"Connection: close\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"), status: "200", sent: hello},
		attempt{name: "trailers", text: post(te+"Trailer: X-Api-Key\r\nConnection: close\r\n", "5\r\nhello\r\n0\r\nX-Api-Key: forged\r\n\r\n"), status: "200", sent: hello},
		attempt{name: "asked to go on", text: post("Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n", "hello"), status: "100 200", sent: hello},
		attempt{name: "asked for something else", text: post("Expect: x\r\nContent-Length: 5\r\nConnection: close\r\n", "hello"), status: "417"},
	)
}

// What a condition reads of a body or a query is what the service takes, or the rule against it counts.
func conditionAttempts() []attempt {
	var out []attempt
	pay := func(name, lines, body, status string, sent ...string) {
		text := fmt.Sprintf("POST /pay HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n%s%sContent-Length: %d\r\n\r\n%s", bearerLine, lines, len(body), body)
		out = append(out, attempt{name: "pay: " + name, text: text, status: status, sent: sent})
	}
	const js = "Content-Type: application/json\r\n"
	pay("little", js, `{"amount":5}`, "200", `POST /pay {"amount":5}`)
	// The record must not have what masks hide, from whichever side it comes: recordHidesAll.
	pay("a secret", js, `{"amount":5,"password":"`+secretPassword+`5"}`, "200", `POST /pay {"amount":5,"password":"`+secretPassword+`5"}`)
	for name, body := range map[string]string{
		"much": `{"amount":50}`, "a name twice": `{"amount":5,"amount":50}`, "a name twice, escaped": `{"amount":5,"am\u006funt":50}`, "a string": `{"amount":"50"}`,
		"a mark of byte order": "\xef\xbb\xbf" + `{"amount":50}`, "invalid UTF-8": "{\"amount\":5,\"x\":\"\xff\"}", "too deep": `{"amount":5,"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"two documents": `{"amount":5}{"amount":50}`, "truncated": `{"amount":5`, "a list": `[{"amount":50}]`, "null": `{"amount":null}`, "endless": `{"amount":1e999}`, "nothing": "",
	} {
		pay(name, js, body, "403")
	}
	for name, lines := range map[string]string{
		"as text": "Content-Type: text/plain\r\n", "as nothing": "", "as two types": js + "Content-Type: text/plain\r\n",
		"compressed": js + "Content-Encoding: gzip\r\n", "in UTF-16": "Content-Type: application/json; charset=utf-16\r\n",
	} {
		pay(name, lines, `{"amount":5}`, "403")
	}
	for _, q := range []string{"/q?scope=all", "/q?scope=a&scope=all", "/q?sc%6fpe=all", "/q?scope=a;scope=all", "/q", "/q?Scope=a", "/q?scope=%", "/q?scope=al%6c"} {
		out = append(out, attempt{name: q, text: get(q), status: "403"})
	}
	asked := func(name, target, lines, body, status string, sent ...string) {
		text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n%s%sContent-Length: %d\r\n\r\n%s", target, bearerLine, lines, len(body), body)
		out = append(out, attempt{name: name, text: text, status: status, sent: sent})
	}
	const form, parts = "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: multipart/form-data; boundary=b\r\n"
	asked("all, in a form", "/q?scope=a", form, "x=1&scope=all", "403")
	asked("all, in a form of no type", "/q?scope=a", "", "scope=all", "403")
	asked("all, in a part", "/q?scope=a", parts, "--b\r\nContent-Disposition: form-data; name=scope\r\n\r\nall\r\n--b--\r\n", "403")
	asked("all, in JSON", "/q?scope=a", js, `{"Scope":["b","all"]}`, "403")
	asked("another scope, in a form", "/q?scope=a", form, "scope=b", "200", "POST /q?scope=a scope=b")
	asked("pay: much, in the query", "/pay?amount=50", js, `{"amount":5}`, "403")
	asked("pay: little, with a query", "/pay?page=50", js, `{"amount":5}`, "200", `POST /pay?page=50 {"amount":5}`)
	return append(out, attempt{name: "another scope", text: get("/q?scope=a"), status: "200", sent: []string{"GET /q?scope=a"}})
}

// h2Attempts are what only HTTP/2 can say: fields without a line, and any bytes in them (RFC 9113, section 8).
func h2Attempts() []attempt {
	head := func(method, scheme, authority, target string, more ...[2]string) [][2]string {
		return append([][2]string{{":method", method}, {":scheme", scheme}, {":authority", authority}, {":path", target}, {"authorization", "Bearer {T}"}}, more...)
	}
	var out []attempt
	add := func(name, status string, f frames, sent ...string) {
		out = append(out, attempt{name: "HTTP/2: " + name, h2: &f, status: status, sent: sent})
	}
	for target, status := range map[string]string{
		"/admin/x": "403", "/%61dmin/x": "403", "/x/../admin": "403", "//admin/x": "400", "/x%2f../admin": "400", "/x#/admin": "400", "/?#/admin": "400",
		"*": "refused", "": "refused", "http://admin.test/admin/x": "refused", "/x y": "refused", "/? HTTP/1.1": "refused", "/x?\r\nX-Api-Key: forged": "refused", "/? HTTP/1.1\r\nx": "refused", "/\x00": "refused", "/?\x01": "refused",
	} {
		add(fmt.Sprintf("%q", target), status, frames{fields: head("GET", "http", "api.test", target)})
	}
	for name, field := range map[string][2]string{
		"a name in capitals": {"X-Api-Key", "forged"}, "an underscore": {"x_api_key", "forged"}, "a blank in a name": {"x api", "x"}, "a colon in a name": {"x:y", "z"}, "a line in a value": {"x-a", "b\r\nx-api-key: forged"},
		"a line in a name": {"x\r\ny", "z"}, "NUL": {"x-a", "b\x00"}, "no name": {"", "x"}, "hop by hop": {"connection", "x-api-key"}, "an upgrade": {"upgrade", "websocket"}, "chunks": {"transfer-encoding", "chunked"},
		"a length without a body": {"content-length", "5"}, "a second path": {":path", "/admin/x"}, "a pseudo-header of its own": {":x", "a"}, "a protocol": {":protocol", "websocket"}, "a status": {":status", "200"}, "TE": {"te", "gzip"},
	} {
		add(name, "refused", frames{fields: head("GET", "http", "api.test", "/x", field)})
	}
	for name, f := range map[string][][2]string{
		"a forged credential": head("GET", "http", "api.test", "/x", [2]string{"x-api-key", "forged"}), "a host besides the authority": head("GET", "http", "api.test", "/x", [2]string{"host", "admin.test"}),
		"another scheme": head("GET", "https", "api.test", "/x"),
	} {
		add(name, "200", frames{fields: f}, "GET /x")
	}
	add("two tokens", "401", frames{fields: head("GET", "http", "api.test", "/x", [2]string{"authorization", "Bearer x"})})
	for _, v := range [][3]string{
		{"get", "api.test", "400"},
		{"TRACE", "api.test", "400"},
		{"CONNECT", "api.test", "refused"},
		{"GET /admin HTTP/1.1", "api.test", "refused"},
		{"", "api.test", "refused"},
		{"GET", "admin.test", "403"},
		{"GET", "api.test/admin", "refused"},
		{"GET", "u@admin.test", "refused"},
		{"GET", "a\r\nb", "refused"},
		{"GET", "", "refused"},
		{"GET", "a b", "refused"},
	} {
		add(fmt.Sprintf("%q of %q", v[0], v[1]), v[2], frames{fields: head(v[0], "http", v[1], "/x")})
	}
	post := head("POST", "http", "api.test", "/x")
	with := func(length string) [][2]string {
		return append(slices.Clone(post), [2]string{"content-length", length})
	}
	add("a body", "200", frames{fields: post, body: "hello"}, "POST /x hello")
	add("a body of GET", "200", frames{fields: head("GET", "http", "api.test", "/x"), body: "GET /forged"}, "GET /x GET /forged")
	add("a length that is too great", "refused", frames{fields: with("10"), body: "hello"})
	add("a length that is too small", "refused", frames{fields: with("2"), body: "helloGET /forged HTTP/1.1\r\n\r\n"})
	add("a length of none", "refused", frames{fields: with("0"), body: "GET /forged HTTP/1.1\r\n\r\n"})
	add("trailers", "200", frames{fields: post, body: "hello", trailers: [][2]string{{"x-api-key", "forged"}, {"authorization", "Bearer {T}"}}}, "POST /x hello")
	add("a path in trailers", "refused", frames{fields: post, body: "hello", trailers: [][2]string{{":path", "/admin"}}})
	return out
}

// holes are open: each is refused, or nothing forged arrives, once it is closed.
func holes() []attempt {
	passes := []string{"GET /x"}
	out := []attempt{
		// Hosts that are none: a rule by host does not know them, servers make of them what they like.
		{name: "two hosts", text: get("/x", "Host: admin.test\r\n"), status: "refused"},
		// encoding/json, and others, take the last of names that differ by case.
		{name: "a name twice, by case", status: "403", text: strings.Replace(get("/pay", "Content-Type: application/json\r\nContent-Length: 24\r\n"), "GET", "POST", 1) + `{"amount":5,"AMOUNT":50}`},
		// What 2^53 and more is rounded to is another number than the service reads.
		{name: "a number that is rounded", status: "403", text: strings.Replace(get("/account", "Content-Type: application/json\r\nContent-Length: 23\r\n"), "GET", "POST", 1) + `{"id":9007199254740993}`},
		{
			name: "what proxies say", status: "200", sent: passes,
			text: get("/x", "X-Forwarded-Uri: /forged\r\nX-Forwarded-Path: /forged\r\nX-Forwarded-Prefix: /forged\r\nX-Forwarded-Method: forged\r\nX-Forwarded-User: forged\r\nX-Forwarded-Server: forged\r\n"+
				"X-Forwarded-Scheme: forged\r\nX-Original-Uri: /forged\r\nX-Original-Method: forged\r\nX-Original-Host: forged\r\nX-Host: forged\r\nTrue-Client-Ip: forged\r\nX-Client-Ip: forged\r\nX-Envoy-Peer-Metadata: forged\r\nX-Envoy-Attempt-Count: forged\r\n"),
		},
		{name: "the token in a cookie", text: get("/x", "Cookie: token={T}\r\n"), status: "400"},
		{name: "the token in the query", text: get("/x?access_token={T}"), status: "400"},
		{name: "UTF-8 that is too long, dots", text: get("/x/%c0%ae%c0%ae/admin/1"), status: "400"},
		{name: "UTF-8 that is too long, slash", text: get("/%c0%afadmin/1"), status: "400"},
		{name: "a blank at the end", text: get("/admin%20/x"), status: "403"},
		{name: "a dot at the end", text: get("/admin./x"), status: "403"},
	}
	for _, host := range []string{"admin.test..", "admin.test:80:80", "[admin.test]", "%61dmin.test", "admin.test,api.test", "a@admin.test", ""} {
		out = append(out, attempt{name: "host " + host, text: strings.Replace(get("/x"), "api.test", host, 1), status: "400"})
	}
	const socket = "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
	return append(out,
		attempt{name: "a credential taken away with an upgrade", text: "GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, x-api-key\r\n" + bearerLine + socket + "\r\n", status: "400"},
		// The last: a byte that is no UTF-8 in a header, and nothing is recorded by this process any more.
		attempt{name: "bytes in a header", text: get("/x", "X-A: \xff\r\n"), status: "200", sent: passes},
		attempt{name: "what comes behind them", text: get("/x"), status: "200", sent: passes},
		attempt{name: "HTTP/2: bytes in a query", status: "400", h2: &frames{fields: [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "api.test"}, {":path", "/?\x80"}, {"authorization", "Bearer {T}"}}}},
		attempt{name: "HTTP/2: what comes behind them", text: get("/x"), status: "200", sent: passes},
	)
}

// Each of these has been a hole.
func TestWhatHasBeenAHoleInTheWayOfARequest(t *testing.T) {
	s := ownStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	g := newGrounds(t, s, 1, ", websocket: true")[0]
	for _, a := range holes() {
		g.try(t, token, a)
	}
	recordHidesAll(t, s, token)
}

// A service sees what was decided on, with the target's credential, or nothing at all.
func TestAServiceSeesWhatWasDecidedOrNothing(t *testing.T) {
	s := ownStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	grounds := newGrounds(t, s, 6, "")
	all := slices.Concat(pathAttempts(), methodAttempts(), headerAttempts(), hostAttempts(), bodyAttempts(), conditionAttempts(), h2Attempts())
	next := make(chan attempt)
	var wg sync.WaitGroup
	for _, g := range grounds {
		wg.Go(func() {
			for a := range next {
				g.try(t, token, a)
			}
		})
	}
	for _, a := range all {
		next <- a
	}
	close(next)
	wg.Wait()
	t.Logf("%d attempts", len(all))
	recordHidesAll(t, s, token)
}

// recordHidesAll replays every session of HTTP as an auditor, once they have ended, and verifies the record.
func recordHidesAll(t *testing.T, s *stage.Stage, token string) {
	t.Helper()
	s.StopSluice() // sessions end with it
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "--limit", "100", "-o", "json")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var sessions []struct{ ID, Target string }
	if err := json.Unmarshal([]byte(out), &sessions); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	parts, replayed := strings.Split(token, "."), 0
	for _, one := range sessions {
		text, err := s.Sluice(t.Context(), "carol", "sessions", "replay", one.ID)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if strings.Contains(text, "HTTP") || strings.Contains(text, "/x") {
			replayed++
		}
		if strings.Contains(text, "session of demo:agent") && strings.Contains(text, "   allow by ") && !strings.Contains(text, " with masks "+one.Target+"-secrets") {
			t.Errorf("session %s at %s does not say which masks applied: %.600s", one.ID, one.Target, text)
		}
		for _, hidden := range []string{secretPassword, secretKey, realKey, apiSecret, parts[1], parts[2]} {
			if i := strings.Index(text, hidden); i >= 0 {
				t.Errorf("session %s at %s shows %.20s…: %.300s", one.ID, one.Target, hidden, text[max(0, i-150):])
			}
		}
	}
	if replayed == 0 {
		t.Errorf("no session of HTTP among %d", len(sessions))
	}
	if out, err := s.Sluice(t.Context(), "carol", "audit", "verify", s.Recordings); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(s.SluiceLog()); err != nil || strings.Contains(string(text), parts[2]) || hasSecret(string(text)) || strings.Contains(string(text), realKey) {
		t.Errorf("the log shows a secret, or %v", err)
	}
}

// apiSecret is the credential of the demo's API.
const apiSecret = "the-real-api-token"
