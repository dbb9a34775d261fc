package e2e

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// script is a service that answers a path with bytes as they are, piece by piece.
type script struct {
	address string
	mu      sync.Mutex
	answers map[string]scripted
	asked   []string // all requests, with their methods
}

// scripted is what comes back: stays leaves the connection open behind it.
type scripted struct {
	pieces []string
	stays  bool
	pause  time.Duration
}

func newScript(t *testing.T) *script {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: l.Addr().String(), answers: map[string]scripted{}}
	var conns sync.WaitGroup
	var open sync.Map // connections, to be closed
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			conns.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(c, _ any) bool { return c.(net.Conn).Close() == nil || true })
		conns.Wait()
	})
	return s
}

func (s *script) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, req.Method+" "+req.RequestURI)
		a, ok := s.answers[req.URL.Path]
		s.mu.Unlock()
		if !ok {
			a = sized(okHead+jsonType, `{"own":true}`)
		}
		for _, p := range a.pieces {
			if _, err := io.WriteString(c, p); err != nil {
				return
			}
			if len(a.pieces) > 1 {
				time.Sleep(max(a.pause, time.Millisecond))
			}
		}
		if !a.stays {
			return
		}
	}
}

func bySize(text string, n int) (out []string) {
	for len(text) > n {
		out, text = append(out, text[:n]), text[n:]
	}
	return append(out, text)
}

func chunked(pieces ...string) (out []string) {
	for _, p := range pieces {
		out = append(out, fmt.Sprintf("%x\r\n%s\r\n", len(p), p))
	}
	return append(out, "0\r\n\r\n")
}

const (
	okHead   = "HTTP/1.1 200 OK\r\n"
	jsonType = "Content-Type: application/json\r\n"
	oneBody  = `{"id":7,"password":"` + secretPassword + `7","api_key":"x"}`
)

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 0)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func sized(head, body string) scripted {
	return scripted{pieces: []string{head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body}, stays: true}
}

// outcome is what becomes of an answer.
type outcome int

const (
	masked  outcome = iota // whole, and something in it is masked
	passed                 // whole, and nothing of it was secret but what never goes on
	cut                    // it ends in a way that nobody takes for its end, or never begins
	refused                // another answer in its place
)

// bad are answers of services that lie, fail and do not care, by what becomes of them.
func bad() map[outcome]map[string]scripted {
	const chunkedHead = okHead + jsonType + "Transfer-Encoding: chunked\r\n\r\n"
	return map[outcome]map[string]scripted{
		masked: {
			"plain":              sized(okHead+jsonType, oneBody),
			"identity":           sized(okHead+jsonType+"Content-Encoding: identity\r\n", oneBody),
			"empty encoding":     sized(okHead+jsonType+"Content-Encoding: \r\n", oneBody),
			"vendor":             sized(okHead+"Content-Type: application/vnd.x+json\r\n", oneBody),
			"json as sse":        sized(okHead+"Content-Type: text/event-stream\r\n", oneBody),
			"sse two lines":      sized(okHead+"Content-Type: text/event-stream\r\n", "data: {\"password\":\ndata: \""+secretPassword+"7\"}\n\n"),
			"sse no json":        sized(okHead+"Content-Type: text/event-stream\r\n", "data: password="+secretPassword+"7\n\n"),
			"sse cr":             sized(okHead+"Content-Type: text/event-stream\r\n", "data:"+oneBody+"\r\r"),
			"sse cut":            sized(okHead+"Content-Type: text/event-stream\r\n", "data:"+oneBody),
			"sse id":             sized(okHead+"Content-Type: text/event-stream\r\n", "event: {\"password\":\"y\"}\nfoo: "+oneBody+"\n\n"),
			"lines as json":      sized(okHead+jsonType, oneBody+"\n"+oneBody+"\n"),
			"ndjson":             sized(okHead+"Content-Type: application/x-ndjson\r\n", oneBody+"\n"+oneBody+"\n"),
			"duplicate":          sized(okHead+jsonType, `{"password":"`+secretPassword+`1","password":"`+secretPassword+`2","a":{"password":["`+secretPassword+`3"]}}`),
			"escaped":            sized(okHead+jsonType, `{"pass\u0077ord":"`+secretPassword+`1","\u0070assword":{"x":"`+secretPassword+`1"}}`),
			"one byte chunks":    scripted{pieces: append([]string{chunkedHead}, chunked(bySize(oneBody, 1)...)...), stays: true},
			"chunk ext":          scripted{pieces: []string{chunkedHead + fmt.Sprintf("%x;x=%s\r\n%s\r\n0\r\n\r\n", len(oneBody), secretPassword, oneBody)}, stays: true},
			"chunk trailer":      scripted{pieces: []string{chunkedHead + fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Secret: %s\r\n\r\n", len(oneBody), oneBody, secretPassword)}, stays: true},
			"no length":          scripted{pieces: []string{okHead + jsonType + "\r\n" + oneBody}},
			"the version before": scripted{pieces: []string{"HTTP/1.0 200 OK\r\n" + jsonType + "\r\n" + oneBody}},
			"slow":               scripted{pieces: append([]string{chunkedHead}, chunked(bySize(oneBody, 8)...)...), stays: true, pause: 250 * time.Millisecond},
			"a failure":          sized("HTTP/1.1 500 x\r\n"+jsonType, oneBody),
			"an unknown status":  sized("HTTP/1.1 999 x\r\n"+jsonType, oneBody),
		},
		passed: {
			"empty":                sized(okHead+jsonType, ""),
			"204":                  scripted{pieces: []string{"HTTP/1.1 204 No Content\r\nX-Secret: " + secretPassword + "\r\n\r\n"}, stays: true},
			"304 body":             scripted{pieces: []string{"HTTP/1.1 304 Not Modified\r\nContent-Length: 55\r\n\r\n" + oneBody}, stays: true},
			"103":                  scripted{pieces: []string{"HTTP/1.1 103 Early Hints\r\nX-Secret: " + secretPassword + "\r\nLink: <" + secretPassword + ">\r\n\r\n", okHead + jsonType + "Content-Length: 2\r\n\r\n{}"}, stays: true},
			"102":                  scripted{pieces: []string{"HTTP/1.1 102 Processing\r\nX-Secret: " + secretPassword + "\r\n\r\n", okHead + jsonType + "Content-Length: 2\r\n\r\n{}"}, stays: true},
			"100":                  scripted{pieces: []string{"HTTP/1.1 100 Continue\r\nX-Secret: " + secretPassword + "\r\n\r\n", okHead + jsonType + "Content-Length: 2\r\n\r\n{}"}, stays: true},
			"199":                  scripted{pieces: []string{"HTTP/1.1 199 x\r\nX-Secret: " + secretPassword + "\r\n\r\n", okHead + jsonType + "Content-Length: 2\r\n\r\n{}"}, stays: true},
			"length short":         scripted{pieces: []string{okHead + jsonType + "Content-Length: 2\r\n\r\n{}" + oneBody}, stays: true},
			"second response":      scripted{pieces: []string{okHead + jsonType + "Content-Length: 2\r\n\r\n{}" + okHead + jsonType + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(oneBody)) + oneBody}, stays: true},
			"reason":               scripted{pieces: []string{"HTTP/1.1 200 " + secretPassword + "\r\n" + jsonType + "Content-Length: 2\r\n\r\n{}"}, stays: true},
			"set-cookie":           sized(okHead+"Set-Cookie: a="+secretPassword+"\r\nSet-Cookie: b="+secretPassword+"\r\n"+jsonType, "{}"),
			"header cases":         sized(okHead+"X-SECRET: "+secretPassword+"\r\nx-secret: "+secretPassword+"\r\n"+jsonType, "{}"),
			"header folded":        sized(okHead+"X-Secret: a\r\n "+secretPassword+"\r\n"+jsonType, "{}"),
			"header underscore":    sized(okHead+"X_Secret: x\r\n"+jsonType, "{}"),
			"redirect":             sized("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\nX-Secret: "+secretPassword+"\r\n"+jsonType, "{}"),
			"trailer masked early": scripted{pieces: []string{okHead + jsonType + "Trailer: X-Secret\r\nTransfer-Encoding: chunked\r\n\r\n" + "2\r\n{}\r\n0\r\nX-Secret: " + secretPassword + "\r\n\r\n"}, stays: true},
		},
		cut: {
			"truncated":            sized(okHead+jsonType, oneBody[:30]),
			"truncated in key":     sized(okHead+jsonType, `{"id":1,"passw`),
			"length long":          scripted{pieces: []string{okHead + jsonType + "Content-Length: 500\r\n\r\n" + oneBody}},
			"length short in json": scripted{pieces: []string{okHead + jsonType + "Content-Length: 30\r\n\r\n" + oneBody}, stays: true},
		},
		refused: {
			"gzip":             sized(okHead+jsonType+"Content-Encoding: gzip\r\n", gzipped(oneBody)),
			"gzip unsaid":      sized(okHead+jsonType, gzipped(oneBody)),
			"gzip TE":          scripted{pieces: []string{okHead + jsonType + "Transfer-Encoding: gzip, chunked\r\n\r\n" + strings.Join(chunked(gzipped(oneBody)), "")}},
			"deflate":          sized(okHead+jsonType+"Content-Encoding: deflate\r\n", deflated(oneBody)),
			"two encodings":    sized(okHead+jsonType+"Content-Encoding: identity\r\nContent-Encoding: deflate\r\n", deflated(oneBody)),
			"text":             sized(okHead+"Content-Type: text/plain\r\n", oneBody),
			"html":             sized(okHead+"Content-Type: text/html\r\n", oneBody),
			"no type":          sized(okHead, oneBody),
			"bad type":         sized(okHead+"Content-Type: ;;\r\n", oneBody),
			"two types":        sized(okHead+"Content-Type: text/plain\r\n"+jsonType, oneBody),
			"two types 2":      sized(okHead+jsonType+"Content-Type: text/plain\r\n", "x"+oneBody),
			"utf16 said":       sized(okHead+"Content-Type: application/json; charset=utf-16\r\n", oneBody),
			"sse as json":      sized(okHead+jsonType, "data: "+oneBody+"\n\n"),
			"ndjson split":     sized(okHead+"Content-Type: application/x-ndjson\r\n", strings.Replace(oneBody, ",", ",\n", 1)+"\n"),
			"deep":             sized(okHead+jsonType, strings.Repeat(`{"a":[`, 5000)+oneBody+strings.Repeat("]}", 5000)),
			"deep value":       sized(okHead+jsonType, `{"password":`+strings.Repeat("[", 20000)+`"`+secretPassword+`"`+strings.Repeat("]", 20000)+`}`),
			"invalid utf8":     sized(okHead+jsonType, `{"x":"`+"\xff"+`","password":"`+secretPassword+`1"}`),
			"invalid utf8 key": sized(okHead+jsonType, `{"pass`+"\xff"+`word":"`+secretPassword+`1"}`),
			"surrogate":        sized(okHead+jsonType, `{"x":"\ud800","password":"`+secretPassword+`1"}`),
			"bom":              sized(okHead+jsonType, "\xef\xbb\xbf"+oneBody),
			"comment":          sized(okHead+jsonType, "/* "+secretPassword+" */"+oneBody),
			"single quotes":    sized(okHead+jsonType, strings.ReplaceAll(oneBody, `"`, `'`)),
			"nan":              sized(okHead+jsonType, `{"x":NaN,"password":"`+secretPassword+`1"}`),
			"xssi":             sized(okHead+jsonType, ")]}',\n"+oneBody),
			"trailing":         sized(okHead+jsonType, oneBody+secretPassword),
			"nul":              sized(okHead+jsonType, oneBody+"\x00"+secretPassword),
			"no chunk end":     scripted{pieces: []string{chunkedHead + fmt.Sprintf("%x\r\n%s\r\n", len(oneBody), oneBody)}},
			"bad chunk":        scripted{pieces: []string{chunkedHead + "zz\r\n" + oneBody}},
			"206":              sized("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-60/100\r\n"+jsonType, `word":"`+secretPassword+`1"`),
			"206 json":         sized("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-60/100\r\n"+jsonType, `"`+secretPassword+`1"`),
			"byteranges":       sized("HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\n", "--x\r\n\r\n"+secretPassword),
			"204 body":         scripted{pieces: []string{"HTTP/1.1 204 No Content\r\nContent-Length: 55\r\n\r\n" + oneBody}, stays: true},
			"101 unasked":      scripted{pieces: []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + secretPassword}, stays: true},
			"two lengths":      scripted{pieces: []string{okHead + jsonType + "Content-Length: 2\r\nContent-Length: 55\r\n\r\n" + oneBody}, stays: true},
			"TE and length":    scripted{pieces: []string{okHead + jsonType + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + strings.Join(chunked(oneBody), "")}, stays: true},
			"no head at all":   scripted{pieces: []string{oneBody}},
			"cut head":         scripted{pieces: []string{okHead + "X-Secret: " + secretPassword}},
			"nothing":          scripted{},
			"status 000":       sized("HTTP/1.1 000 x\r\n"+jsonType, oneBody),
			"big head":         sized(okHead+"X-Secret: "+strings.Repeat(secretPassword, 20000)+"\r\n"+jsonType, oneBody),
			"many heads":       sized(okHead+strings.Repeat("X-Secret: "+secretPassword+"\r\n", 300)+jsonType, oneBody),
		},
	}
}

// whole reports whether an answer over HTTP/1.1 came to its end.
func whole(said, method string) bool {
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(said)), &http.Request{Method: method})
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close()) == nil
}

func (o outcome) judge(t *testing.T, name, status string, whole bool, seen string) {
	t.Helper()
	good := false
	switch o {
	case masked:
		good = whole && strings.Contains(seen, "[masked]")
	case passed:
		good = whole && status < "500"
	case cut:
		good = !whole || status == "502"
	case refused:
		good = whole && status >= "502" && status <= "503"
	}
	if !good {
		t.Errorf("%s: answered %q, whole: %v: %.300q", name, status, whole, seen)
	}
	if hasSecret(seen) || strings.Contains(seen, realKey) {
		t.Errorf("%s: a secret reached the client: %q", name, seen)
	}
}

// spoiled reports whether a request met a connection in which a service had said too much before: Envoy ends that
// connection, and the request once gets no answer.
func spoiled(seen string) bool { return strings.Contains(seen, "reset reason: protocol") }

// Whatever a service answers, no secret reaches whom masks apply to, nothing that was cut looks whole, and the next
// request gets its own answer.
func TestAnswersThatLieLeakNothing(t *testing.T) {
	s := ownStage(t, stage.Options{})
	up, port := newScript(t), freePort(t)
	policyFile(t, s, "70-bad.yaml", evasionPolicy(t, s, "bad", port, up.address, ", websocket: true"))
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, port, token)
	answers := bad()
	var wg sync.WaitGroup
	for o, all := range answers {
		for name, a := range all {
			up.mu.Lock()
			path := fmt.Sprintf("/x/%d/%s", o, url.PathEscape(name))
			up.answers["/x/"+fmt.Sprint(int(o))+"/"+name] = a
			up.mu.Unlock()
			try := func() {
				said := slowly(t, port, token, get(path))
				if spoiled(said) {
					said = slowly(t, port, token, get(path))
				}
				o.judge(t, name, statuses(said), whole(said, http.MethodGet), said)
				status, seen, err := frames{fields: asH2("GET", path)}.send(t.Context(), port, token)
				if err == nil && spoiled(seen) {
					status, seen, err = frames{fields: asH2("GET", path)}.send(t.Context(), port, token)
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				o.judge(t, "HTTP/2: "+name, strings.TrimSuffix(status, "reset"), !strings.HasSuffix(status, "reset"), seen)
				// Without a body there is nothing to mask but the head.
				if seen := slowly(t, port, token, strings.Replace(get(path), "GET", "HEAD", 1)); hasSecret(seen) {
					t.Errorf("%s: a secret reached the client: %q", name, seen)
				}
				gotOwn(t, port, token, name)
			}
			if o == passed || o == cut {
				try() // some say too much: another request over that connection would suffer from it
			} else {
				wg.Go(try)
			}
		}
		wg.Wait()
	}
	recordHidesAll(t, s, token)
}

// gotOwn checks that a request gets its own answer. It may get none, where the service has said too much over the same
// connection, but not for long.
func gotOwn(t *testing.T, port int, token, name string) {
	t.Helper()
	for range 5 {
		said := slowly(t, port, token, get("/x/own"))
		if strings.HasSuffix(said, "{\"own\":true}\r\n0\r\n\r\n") {
			return
		}
		if statuses(said) != "502" && statuses(said) != "503" {
			t.Errorf("%s: the next request got %q", name, said)
		}
	}
	t.Errorf("%s: the next requests got nothing", name)
}

func asH2(method, path string) [][2]string {
	return [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "api.test"}, {":path", path}, {"authorization", "Bearer {T}"}}
}

// slowly is talk for what may take its time: it waits for the end.
func slowly(t *testing.T, port int, token, text string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	_, _ = io.WriteString(conn, strings.ReplaceAll(text, "{T}", token))
	said, _ := io.ReadAll(conn) // it may be cut
	return string(said)
}

// ready waits until a target is served.
func ready(t *testing.T, port int, token string) {
	t.Helper()
	waitUntil(t, "the target is not served", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = c.Close()
		return statuses(slowly(t, port, token, get("/x/ready"))) == "200"
	})
}

// A secret is cut at each of its bytes by the chunks of an answer, and by pauses between them.
func TestASecretBetweenTwoChunksIsMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	up, port := newScript(t), freePort(t)
	policyFile(t, s, "70-bad.yaml", evasionPolicy(t, s, "bad", port, up.address, ""))
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, port, token)
	var wg sync.WaitGroup
	for i := 1; i < len(oneBody); i++ {
		path := fmt.Sprintf("/x/cut/%d", i)
		up.mu.Lock()
		up.answers[path] = scripted{
			pieces: append([]string{okHead + jsonType + "Transfer-Encoding: chunked\r\n\r\n"}, chunked(oneBody[:i], oneBody[i:])...), pause: 20 * time.Millisecond, stays: true,
		}
		up.mu.Unlock()
		wg.Go(func() {
			said := slowly(t, port, token, get(path))
			masked.judge(t, fmt.Sprintf("cut at %d", i), statuses(said), whole(said, http.MethodGet), said)
		})
	}
	wg.Wait()
}

// http2Service is a target whose service speaks HTTP/2, and the agent's token.
func http2Service(t *testing.T, s *stage.Stage, handler http.HandlerFunc) (port int, token string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	port = freePort(t)
	policyFile(t, s, "70-bad.yaml", evasionPolicy(t, s, "bad", port, server.Listener.Addr().String(), ", http2: true"))
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, port, token)
	return port, token
}

// Trailers come only over HTTP/2 on both sides.
func TestTrailersAreMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	port, token := http2Service(t, s, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Trailer", "X-Secret, X-Plain")
		_, _ = io.WriteString(w, oneBody)
		w.Header().Set("X-Secret", secretPassword+"7")
		w.Header().Set("X-Plain", "plain")
	})
	status, seen, err := frames{fields: asH2("GET", "/x")}.send(t.Context(), port, token)
	if err != nil || status != "200" || hasSecret(seen) || !strings.Contains(seen, "x-secret: [masked]") || !strings.Contains(seen, "x-plain: plain") || !strings.Contains(seen, `"password":"[masked]"`) {
		t.Errorf("%s %v %q", status, err, seen)
	}
	other, err := s.Token(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, seen, err = (frames{fields: asH2("GET", "/x")}).send(t.Context(), port, other); err != nil || strings.Count(seen, secretPassword+"7") != 2 {
		t.Errorf("whom the mask excepts got %q, %v", seen, err)
	}
	recordHidesAll(t, s, token)
}

// A service that speaks HTTP/2 would get them.
func TestTrailersOfRequestsDoNotGoOn(t *testing.T) {
	s := ownStage(t, stage.Options{})
	got := make(chan http.Header, 10)
	port, token := http2Service(t, s, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body) // what cannot be read is not there
		_, _ = fmt.Fprintf(w, `{"got": %q}`, body)
		got <- r.Trailer
	})
	for len(got) > 0 {
		<-got
	}
	declared := append(asH2("POST", "/x"), [2]string{"trailer", "x-api-key, x-other"}) // Go's servers know only those
	f := frames{fields: declared, body: "hello", trailers: [][2]string{{"x-api-key", "forged"}, {"x-other", "o"}}}
	status, seen, err := f.send(t.Context(), port, token)
	if err != nil || status != "200" || !strings.Contains(seen, "hello") {
		t.Fatalf("%s %v %q", status, err, seen)
	}
	if trailer := <-got; len(trailer.Values("X-Api-Key"))+len(trailer.Values("X-Other")) > 0 {
		t.Errorf("the service got %v", trailer)
	}
}

// Frames pass for whom no mask hides anything, and for nobody else; what is said before the service agrees goes nowhere.
func TestWebSocketsPassWhereNothingIsMasked(t *testing.T) {
	s := ownStage(t, stage.Options{})
	up, port, plain := newScript(t), freePort(t), freePort(t)
	up.answers["/x/ws"] = scripted{pieces: []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "frame:" + secretPassword + "7"}, pause: 50 * time.Millisecond}
	up.answers["/x/no"] = sized("HTTP/1.1 426 Upgrade Required\r\n"+jsonType, oneBody)
	policyFile(t, s, "70-bad.yaml", evasionPolicy(t, s, "bad", port, up.address, ", websocket: true"))
	policyFile(t, s, "71-plain.yaml", evasionPolicy(t, s, "plain", plain, up.address, ""))
	upgrade := func(path, behind string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n" + bearerLine + "\r\n" + behind
	}
	for _, tc := range []struct {
		as, path, status string
		port             int
		frames           bool
	}{
		{"alice", "/x/ws", "101", port, true}, {"agent", "/x/ws", "502", port, false}, {"agent", "/x/no", "426", port, false}, {"alice", "/x/ws", "403", plain, false}, {"mallory", "/x/ws", "403", port, false},
	} {
		token, err := s.Token(t.Context(), tc.as)
		if err != nil {
			t.Fatal(err)
		}
		if tc.as != "mallory" {
			ready(t, tc.port, token)
		}
		said := talk(t, tc.port, token, upgrade(tc.path, "GET /x/behind HTTP/1.1\r\nHost: api.test\r\n\r\n"))
		if got := hasSecret(said); got != tc.frames || !strings.HasPrefix(said, "HTTP/1.1 "+tc.status) {
			t.Errorf("%s %s: %q", tc.as, tc.path, said)
		}
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if slices.Contains(up.asked, "GET /x/behind") {
		t.Errorf("the service took what stood behind an upgrade for a request: %q", up.asked)
	}
}

// Sluice that dies during a hold lets nothing through, not even once it is back and people approve what was left.
func TestAHoldThatIsKilledReachesNobody(t *testing.T) {
	s := ownStage(t, stage.Options{})
	g := newGrounds(t, s, 1, "")[0]
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	// A client that goes away with half a body said was never asked about; with all of it, it is withdrawn.
	half := "POST /held/half HTTP/1.1\r\nHost: api.test\r\nContent-Length: 50\r\n" + bearerLine + "\r\nhello"
	if said := talk(t, g.port, token, half); said != "" {
		t.Errorf("half a body was answered %q", said)
	}
	said := make(chan string, 2)
	go func() {
		said <- slowly(t, g.port, token, "POST /held/1 HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\nContent-Length: 5\r\n"+bearerLine+"\r\nhello")
	}()
	go func() {
		status, seen, err := frames{fields: asH2("DELETE", "/held/2")}.send(t.Context(), g.port, token)
		said <- fmt.Sprintf("HTTP/2 %s %s %v", status, seen, err)
	}()
	first, second := held(t, s, "/held/1"), held(t, s, "/held/2")
	if id := approvalOf(t, s, "pending", "/held/half"); id != "" {
		t.Errorf("half a body is held as %s", id)
	}
	s.KillSluice()
	for range 2 {
		if a := <-said; !strings.Contains(a, " 502 ") && !strings.Contains(a, " 503 ") {
			t.Errorf("answered %q", a)
		}
	}
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{first, second} {
		_, _ = s.Sluice(t.Context(), "alice", "approve", id) // whether it may or not: there is nobody to use it
	}
	ready(t, g.port, token)
	for _, got := range g.take() {
		if strings.HasPrefix(got.uri, "/held") {
			t.Errorf("the service got %s %s", got.method, got.uri)
		}
	}
	recordHidesAll(t, s, token)
}

// A byte that is no UTF-8 in a header of a service must not end the recording of everybody.
func TestWhatHasBeenAHoleInTheWayOfAnAnswer(t *testing.T) {
	s := ownStage(t, stage.Options{})
	up, port := newScript(t), freePort(t)
	up.answers["/x/bytes"] = sized(okHead+jsonType+"X-Plain: \xff\r\nX-Secret: \xff"+secretPassword+"\r\n", oneBody)
	policyFile(t, s, "70-bad.yaml", evasionPolicy(t, s, "bad", port, up.address, ""))
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ready(t, port, token)
	said := slowly(t, port, token, get("/x/bytes"))
	masked.judge(t, "bytes in a header", statuses(said), whole(said, http.MethodGet), said)
	gotOwn(t, port, token, "bytes in a header")
}
