package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// hiding is a target whose paths and headers are hidden from all but dba, and from them too what detectors find.
func hiding(t *testing.T, s *stage.Stage, name string, port int, upstream, extra string) string {
	t.Helper()
	return evasionPolicy(t, s, name, port, upstream, extra) + fmt.Sprintf(`- {name: %[1]s-found, on: {targets: [%[1]s]}, detect: ["*"], redact: {}}
`, name)
}

// twoRules is a target whose finds are hidden in two ways: a part of some is left, nothing of the others.
func twoRules(t *testing.T, s *stage.Stage, name string, port int, upstream string) string {
	t.Helper()
	policy, _, _ := strings.Cut(evasionPolicy(t, s, name, port, upstream, ""), "masks:")
	return policy + fmt.Sprintf(`masks:
- {name: %[1]s-cards, on: {targets: [%[1]s]}, detect: [card-number], partial: {keep_last: 16}}
- {name: %[1]s-keys, on: {targets: [%[1]s]}, detect: [github-token], redact: {}}
`, name)
}

// passage is one way on which a secret could come where it must not. In what is sent and answered {S} stands for a secret that
// detectors find, {s} for one of small letters, {P} for a text that only a path or a header of a mask hides, {C} for a
// control that nothing hides, {T} for the agent's token, {T1} and {T2} for its claims and its signature.
type passage struct {
	name string
	// as is agent if empty, which masks apply to; alice is excepted from those of paths and headers.
	as string
	// to is the target: up if empty.
	to string
	// text is sent over HTTP/1.1, or h2.
	text string
	h2   *frames
	// answer of the service, where the way is about that. Its path is the way's own: {A}.
	answer *scripted
	// status that is expected; any if empty.
	status string
	// sees: the client gets the secret itself, by the policy.
	sees bool
	// held: people are asked, who do this: approve, reject, or gone for the client. change: the policy changes meanwhile.
	held   string
	change bool
}

// planted is what a way's placeholders became.
type planted struct {
	name, value string
	control     bool
	seen        bool
}

// plants makes values that are not alike, each for one way.
type plants struct {
	token string
	mu    sync.Mutex
	all   []planted
}

// fill replaces the placeholders of one way: all of one kind by one value.
func (x *plants) fill(n int, w passage) func(string) string {
	id := fmt.Sprintf("%04d", n)
	// Put together here, from pieces that no scanner takes for a secret.
	found := "gh" + "p_" + id + "q7Zk2mXw9RtY4uPv6sLd3nBf8hGj" + id
	small := "gh" + "p_" + id + "s7zk2mxw9rty4upv6sld3nbf8hgj" + id
	named := "named-k3jq8zv5w1-" + id
	control := "control-" + id + "-p0r7t"
	parts := strings.Split(x.token, ".")
	used := map[string]bool{}
	return func(text string) string {
		for _, one := range []struct {
			mark, value string
			control     bool
		}{{"{S}", found, false}, {"{s}", small, false}, {"{P}", named, false}, {"{C}", control, true}} {
			if !strings.Contains(text, one.mark) {
				continue
			}
			if !used[one.mark] {
				used[one.mark] = true
				x.mu.Lock()
				x.all = append(x.all, planted{w.name, one.value, one.control, w.sees})
				x.mu.Unlock()
			}
			text = strings.ReplaceAll(text, one.mark, one.value)
		}
		return strings.NewReplacer("{T}", x.token, "{T1}", parts[1], "{T2}", parts[2], "{A}", "/x/way/"+id, "{B}", base64.StdEncoding.EncodeToString([]byte("agent:"+x.token)),
			"{%}", percent(x.token), "{%S}", percent(found)).Replace(text)
	}
}

// percent encodes every byte, as any client may.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// post is a request with a body and further lines of its head.
func post(target, kind, body string, lines ...string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n" + bearerLine + strings.Join(lines, "") +
		"Content-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\n" + "{BODY}" + body + "{END}"
}

// framed makes one chunk of what stands between the marks of post, once its length is known.
func framed(text string) string {
	head, rest, ok := strings.Cut(text, "{BODY}")
	if !ok {
		return text
	}
	body, _, _ := strings.Cut(rest, "{END}")
	return head + strings.Join(chunked(body), "")
}

// respond is an answer of the service to a way; its length is set once the placeholders are filled.
func respond(head, body string) *scripted { return &scripted{pieces: []string{head, body}} }

const (
	asJSON  = "application/json"
	socket1 = "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)

// tokenWays have the agent's token in odd places.
func tokenWays() (out []passage) {
	for _, name := range []string{
		"Cookie", "Referer", "User-Agent", "Origin", "X-Token", "X-Forwarded-For", "X-Forwarded-Uri", "X-Forwarded-Authorization", "X-Forwarded-Access-Token", "Forwarded", "Via",
		"X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Range", "If-Range", "Accept-Encoding", "If-None-Match",
		"X-Request-Id", "X-Api-Key", "X-Real-Ip", "Traceparent", "Accept", "Content-Encoding", "Content-Language", "X-Envoy-Original-Path", "TE", "Expect", "From",
	} {
		status := "400"
		switch name {
		case "X-Request-Id", "X-Envoy-Original-Path", "TE": // Envoy's own: it takes the agent's away
			status = "200"
		}
		out = append(out, passage{name: "token in " + name, text: get("/x/token", name+": {T}\r\n", "X-Way: {C}\r\n"), status: status})
	}
	// The scheme and the token as they stand in Authorization.
	for _, name := range []string{"Proxy-Authorization", "X-Amz-Security-Token", "X-Original-Authorization"} {
		out = append(out, passage{name: "bearer in " + name, text: get("/x/token", name+": Bearer {T}\r\n")})
	}
	bare := func(lines string) string {
		return "GET /x/token HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n" + lines + "\r\n"
	}
	return append(out,
		passage{name: "token as basic user", text: bare("Authorization: Basic {B}\r\n"), status: "401"},
		passage{name: "basic beside bearer", text: get("/x/token", "Authorization: Basic {B}\r\n"), status: "401"},
		passage{name: "token without scheme", text: bare("Authorization: {T}\r\n"), status: "401"},
		passage{name: "token twice in one", text: bare("Authorization: Bearer {T} {T}\r\n"), status: "401"},
		passage{name: "token, comma", text: bare("Authorization: Bearer {T}, Bearer {T}\r\n"), status: "401"},
		passage{name: "token with a tail", text: bare("Authorization: Bearer {T}x\r\n"), status: "401"},
		passage{name: "token with a part", text: bare("Authorization: Bearer {T}.{T2}\r\n"), status: "401"},
		passage{name: "token without its head", text: bare("Authorization: Bearer {T1}.{T2}\r\n"), status: "401"},
		passage{name: "claims in the head's place", text: bare("Authorization: Bearer {T1}.{T1}.{T2}\r\n"), status: "401"},
		passage{name: "signature in the head's place", text: bare("Authorization: Bearer {T2}.{T1}.{T2}\r\n"), status: "401"},
		passage{name: "bytes behind the token", text: bare("Authorization: Bearer {T}\xff\r\n"), status: "401"},
		passage{name: "token only in the query", text: strings.Replace(bare(""), "/x/token", "/x?access_token={T}", 1), status: "401"},
		passage{name: "token in the query", text: get("/x?access_token={T}"), status: "400"},
		passage{name: "token in the path", text: get("/x/{T}"), status: "400"},
		passage{name: "token in the path, encoded", text: get("/x/{%}"), status: "400"},
		passage{name: "token in the query, encoded", text: get("/x?a={%}"), status: "400"},
		passage{name: "token in a held path", text: get("/held/{T}"), status: "400"},
		passage{name: "token in a denied path", text: get("/admin/{T}"), status: "400"},
		passage{name: "token as the host", text: strings.Replace(get("/x"), "api.test", "{T}", 1)},
		passage{name: "signature as the host", text: strings.Replace(get("/x"), "api.test", "{T2}", 1)},
		passage{name: "token and a byte", text: get("/x", "X-A: \xff{T}\r\n"), status: "400"},
		passage{name: "token in a second header", text: get("/x", "X-A: a\r\nX-A: {T}\r\n"), status: "400"},
		passage{name: "signature in a header", text: get("/x", "X-Sig: {T2}\r\n"), status: "400"},
		passage{name: "signature in the query", text: get("/x?sig={T2}"), status: "400"},
		passage{name: "signature in a body", text: post("/x", asJSON, `{"sig":"{T2}"}`), status: "400"},
		passage{name: "token in a body", text: post("/x", asJSON, `{"token":"{T}","way":"{C}"}`), status: "400"},
		passage{name: "token in a form", text: post("/x", "application/x-www-form-urlencoded", `token={T}`), status: "400"},
		passage{name: "token in a text", text: post("/x", "text/plain", `my token is {T}.`), status: "400"},
		passage{name: "token in no type", text: post("/x", "", `{T}`), status: "400"},
		passage{name: "token in a denied body", text: post("/admin/x", asJSON, `{"token":"{T}"}`), status: "400"},
		passage{name: "token in a held body", text: post("/held/token", asJSON, `{"token":"{T}"}`), status: "400"},
		passage{name: "token in a long body", text: post("/x", asJSON, `{"token":"{T}","x":"`+strings.Repeat("x", 1<<20)+`"}`), status: "413"},
		passage{name: "token of a websocket", text: strings.Replace(get("/x", socket1, "Sec-WebSocket-Protocol: bearer, {T}\r\n"), "Connection: close", "Connection: Upgrade", 1), status: "400"},
		passage{name: "token in trailers", h2: &frames{fields: asH2("POST", "/x"), body: "hello", trailers: [][2]string{{"x-a", "{T}"}}}},
		passage{name: "token in HTTP/2's cookie", h2: &frames{fields: append(asH2("GET", "/x"), [2]string{"cookie", "a=b"}, [2]string{"cookie", "t={T}"})}, status: "400"},
		passage{name: "token as authority", h2: &frames{fields: [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "{T}"}, {":path", "/x"}, {"authorization", "Bearer {T}"}}}},
	)
}

// requestWays have secrets in what the agent sends.
func requestWays() []passage {
	form, parts := "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	found := `{"note":"my key is {S}","way":"{C}"}`
	denied := func(body string) string { return post("/admin/way", asJSON, body) }
	return []passage{
		{name: "query", text: get("/x?key={S}&way={C}")},
		{name: "query, encoded", text: get("/x?url=https%3A%2F%2Fx%2F%3Fa%3D{S}%26b")},
		{name: "query, all encoded", text: get("/x?a={%S}&w={S}")},
		{name: "a connection string in a query", text: get("/x?dsn=postgres%3A%2F%2Fapp%3A{P}%40db.test%2Forders")},
		{name: "a held connection string in a query", text: get("/held/dsn?dsn=postgres%3A%2F%2Fapp%3A{P}%40db.test%2Forders"), held: "reject"},
		{name: "path", text: get("/x/{S}/{C}")},
		{name: "path, encoded", text: get("/x/{%S}/{S}")},
		{name: "denied path", text: get("/admin/{S}"), status: "403", sees: true},
		{name: "held path", text: get("/held/{S}/{C}"), held: "approve"},
		{name: "rejected path", text: get("/held/{S}"), held: "reject"},
		{name: "header", text: get("/x", "X-Thing: {S}\r\n", "X-Way: {C}\r\n")},
		{name: "header and a byte", text: get("/x", "X-Thing: \xff {S}\r\n")},
		{name: "user agent", text: get("/x", "User-Agent: curl {S}\r\n")},
		{name: "user agent of a new session", to: "two", text: get("/x", "User-Agent: curl {S}\r\n")},
		{name: "referer", text: get("/x", "Referer: https://x.test/?a={S}\r\n")},
		{name: "forwarded", text: get("/x", "X-Forwarded-Uri: /{S}\r\nX-Original-Url: /?{S}\r\nX-Real-Ip: {S}\r\n")},
		{name: "cookie", text: get("/x", "Cookie: session={P}; k={S}\r\n")},
		{name: "a proxy's credential", text: get("/x", "Proxy-Authorization: Basic {P}\r\n")},
		{name: "an API key of the agent's own", text: get("/x", "X-Api-Key: {P}\r\n")},
		{name: "host", text: strings.Replace(get("/x"), "api.test", "{s}.api.test", 1)},
		{name: "held host", text: strings.Replace(get("/held/host"), "api.test", "{s}.api.test", 1), held: "reject"},
		{name: "content type", text: post("/x", "text/plain; a={S}", "x")},
		{name: "held content type", text: post("/held/type", "text/plain; a={S}", "x"), held: "reject"},
		{name: "websocket", text: strings.Replace(get("/x", socket1, "Sec-WebSocket-Protocol: {S}\r\n"), "Connection: close", "Connection: Upgrade", 1)},
		{name: "trailers", h2: &frames{fields: asH2("POST", "/x"), body: "hello", trailers: [][2]string{{"x-a", "{S}"}}}},
		{name: "body", text: post("/x", asJSON, found)},
		{name: "body by path", text: post("/x", asJSON, `{"a":{"password":"{P}"},"way":"{C}"}`)},
		{name: "body by path, alice", as: "alice", text: post("/x", asJSON, `{"a":{"password":"{P}"},"way":"{C}"}`)},
		{name: "body by path, text, alice", as: "alice", text: post("/x", "text/plain", `{"a":{"password":"{P}"}}`)},
		{name: "denied body", text: denied(`{"password":"{P}","b":"{S}","way":"{C}"}`), status: "403"},
		{name: "denied broken body", text: denied(`{"password":"{P}","b":"{S}"]`), status: "403"},
		{name: "cut body", text: post("/x", asJSON, `{"password":"{P}","b":"{S}"`)},
		{name: "body broken behind", text: post("/x", asJSON, `{"password":"{P}"x`)},
		{name: "body broken before", text: post("/x", asJSON, `x{"password":"{P}"}`)},
		{name: "names twice", text: post("/x", asJSON, `{"password":"a","password":"{P}","PASSWORD":1}`)},
		{name: "escaped name", text: post("/x", asJSON, `{"pass\u0077ord":"{P}"}`)},
		{name: "invalid UTF-8", text: post("/x", asJSON, "{\"password\":\"{P}\xff\",\"a\":\"{S}\"}")},
		{name: "invalid UTF-8 text", text: post("/x", "text/plain", "{S}\xff{P}")},
		{name: "form", text: post("/x", form, "password={P}&key={S}")},
		{name: "multipart", text: post("/x", parts, "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{P}{S}\r\n--b--\r\n")},
		{name: "no type", text: post("/x", "", `{"password":"{P}"}`)},
		{name: "another charset", text: post("/x", "application/json; charset=utf-16", `{"password":"{P}"}`)},
		{name: "lines", text: post("/x", "application/x-ndjson", `{"password":"{P}"}`+"\n"+`{"password":"{P}"`)},
		{name: "compressed, so it says", text: post("/x", asJSON, `{"password":"{P}"}`, "Content-Encoding: gzip\r\n")},
		{name: "long body", text: post("/x", asJSON, `{"password":"{P}","x":"`+strings.Repeat("x", 1<<20)+`"}`), status: "413"},
		{name: "held body", text: post("/held/body", asJSON, `{"password":"{P}","note":"{S}","way":"{C}"}`), held: "approve"},
		{name: "held body of a form", text: post("/held/form", form, "password={P}&key={S}"), held: "reject"},
		{name: "held broken body", text: post("/held/broken", asJSON, `{"password":"{P}","note":"{S}"`), status: "403"}, // it cannot be shown
		{name: "withdrawn body", text: post("/held/gone", asJSON, `{"password":"{P}","note":"{S}"}`), held: "gone"},
		{name: "body, policy changed", text: post("/held/changed", asJSON, `{"password":"{P}","note":"{S}"}`), held: "approve", change: true},
		{name: "names that are secrets", text: post("/x", asJSON, `{"{S}":1}`)},
		{name: "two rules", to: "two", text: get("/x?key={S}")},
	}
}

// answerWays have secrets in what the service says.
func answerWays() (out []passage) {
	plain := okHead + "Content-Type: text/plain\r\n"
	doc := `{"password":"{P}","note":"{S}","way":"{C}"}`
	for _, as := range []string{"agent", "alice"} {
		add := func(name string, a *scripted) {
			// What the masks except alice from she sees, and what is found in places where masks do not apply.
			out = append(out, passage{name: as + ": " + name, as: as, text: get("{A}"), answer: a, sees: as == "alice"})
		}
		add("JSON", respond(okHead+jsonType, doc))
		add("broken behind", respond(okHead+jsonType, `{"password":"{P}"x`))
		add("broken behind a find", respond(okHead+jsonType, `{"note":"{S}"x`))
		add("broken name", respond(okHead+jsonType, `{"{S}" 1}`))
		add("name", respond(okHead+jsonType, `{"{S}":1}`))
		add("invalid UTF-8", respond(okHead+jsonType, "{\"password\":\"{P}\xff\",\"a\":\"{S}\"}"))
		add("two documents", respond(okHead+jsonType, doc+doc+"{P}"))
		add("lines", respond(okHead+"Content-Type: application/x-ndjson\r\n", doc+"\n"+doc+"\n{\"password\":\"{P}"))
		add("events", respond(okHead+"Content-Type: text/event-stream\r\n", "data: "+doc+"\n\nevent: {S}\nid: {\"password\":\"{P}\"}\ndata: {S}\n\n: {S}\n\ndata: sent {\"password\":\"{P}\n\n"))
		add("text", respond(plain, doc))
		add("html", respond(okHead+"Content-Type: text/html\r\n", "<p>{P} {S}</p>"))
		add("bytes", respond(okHead+"Content-Type: application/octet-stream\r\n", "{P}{S}"))
		add("no type", respond(okHead, doc))
		add("type", respond(okHead+"Content-Type: application/x; a={S}\r\n", "x"))
		add("encoding that is found", respond(okHead+jsonType+"Content-Encoding: {S}\r\n", "x"))
		add("headers", respond(okHead+jsonType+"X-Secret: {P}\r\nX-Secret: {P}\r\nX-Thing: {S}\r\nSet-Cookie: a={P}\r\nLocation: /?a={S}\r\nX-Way: {C}\r\n", "{}"))
		add("refused headers", respond(plain+"X-Secret: {P}\r\nX-Thing: {S}\r\n", "x"))
		add("a part", respond("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-60/100\r\n"+jsonType, doc))
		add("a failure", respond("HTTP/1.1 500 {S}\r\n"+jsonType, doc))
		add("cut", &scripted{pieces: []string{okHead + jsonType + "Content-Length: 500\r\n\r\n" + doc}})
		add("cut in the secret", &scripted{pieces: []string{okHead + jsonType + "Content-Length: 500\r\n\r\n{\"password\":\"{P}"}})
		add("no head", &scripted{pieces: []string{doc}})
		add("cut head", &scripted{pieces: []string{okHead + "X-Secret: {P}"}})
		add("bad chunk", &scripted{pieces: []string{okHead + jsonType + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + doc}})
		add("trailer", &scripted{pieces: []string{okHead + jsonType + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Secret: {P}\r\nX-Thing: {S}\r\n\r\n"}})
		for _, kind := range []string{"text/plain", "application/octet-stream", asJSON + "\r\nContent-Encoding: br", "text/html; a={S}"} {
			out = append(out, passage{
				name: as + ": passes " + kind, as: as, to: "pass", text: get("{A}"), sees: true, answer: respond(okHead+"Content-Type: "+kind+"\r\nX-Secret: {P}\r\n", doc),
			})
		}
	}
	return append(out, passage{name: "two rules", to: "two", text: get("{A}"), answer: respond(okHead+jsonType, `{"a":"{S}"}`)})
}
