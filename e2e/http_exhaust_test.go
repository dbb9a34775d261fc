package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// storm is a stage of its own, on which an agent and a service try to use up what Sluice has.
type storm struct {
	*stage.Stage
	port   int
	token  string
	client *http.Client
	calm   int64 // the memory of the processor before anything, in bytes
	// others and other are the token and the client of somebody else.
	others string
	other  *http.Client
}

const (
	// innocentMost is how long somebody else's GET may take meanwhile.
	innocentMost = 5 * time.Second
	// memoryMost is by how much the processor's memory may grow, in MiB, what the collector has not yet given back
	// included. Without bounds each of the heavier ways takes two to four thousand.
	memoryMost = 1500
)

func newStorm(t *testing.T) *storm {
	t.Helper()
	s := &storm{Stage: ownStage(t, stage.Options{}), port: freePort(t)}
	key := filepath.Join(s.Dir, "wire-key")
	if err := os.WriteFile(key, []byte(realKey), 0o600); err != nil {
		t.Fatal(err)
	}
	_, service, err := net.SplitHostPort(newGlutton(t))
	if err != nil {
		t.Fatal(err)
	}
	policyFile(t, s.Stage, "70-storm.yaml", fmt.Sprintf(`
targets:
- name: storm
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: %s}], tls: {mode: DISABLE}}
  credential: {header: {name: x-api-key, value: {file: %q}}}
rules:
- {name: storm-open, who: {groups: [agents]}, on: {targets: [storm]}, allow: {}}
- {name: storm-held, on: {targets: [storm], http: {paths: ["/held/**"]}}, approve: {by: [{groups: [dba], count: 1}], within: 900s}}
- {name: storm-pay, on: {targets: [storm], http: {paths: ["/pay"]}}, when: "has(request.http.body.amount)", deny: {message: "Too much."}}
masks:
- {name: storm-secrets, on: {targets: [storm]}, paths: ["$..password", "$..a..b..c"], headers: [x-secret], detect: ["*"], redact: {}, except: {groups: [dba]}}
`, s.port, service, key))
	if s.token, err = s.Token(t.Context(), "agent"); err != nil {
		t.Fatal(err)
	}
	if s.others, err = s.Token(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	s.other = apiClient(t, s.Stage)
	s.other.Timeout = 20 * time.Second
	ready(t, s.port, s.token)
	s.calm = s.resident(t)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport}
	return s
}

func (s *storm) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// ask makes a request and reads its answer, of which it returns the status, 0 if there was none.
func (s *storm) ask(ctx context.Context, method, path, body string) (status int) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address()+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body) // it may be cut
	return res.StatusCode
}

// innocent is a GET of somebody else's, to another target through the same listeners and servers.
func (s *storm) innocent(ctx context.Context) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/customers/7", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+s.others)
	res, err := s.other.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// resident is the memory of the processor, in bytes.
func (s *storm) resident(t *testing.T) int64 {
	t.Helper()
	return residentOf(t, s.Stage)
}

func (s *storm) metric(t *testing.T, name string) int {
	t.Helper()
	text, err := s.Metrics(t.Context())
	if err != nil {
		t.Error(err)
		return 0
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Error(err)
			}
			return int(f)
		}
	}
	t.Errorf("there is no metric %s", name)
	return 0
}

// weather runs one way to exhaust the processor: innocent requests are answered meanwhile, its memory stays within
// bounds, and goroutines and holds are as before soon after.
func (s *storm) weather(t *testing.T, name string, rage func(ctx context.Context, t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		goroutines := s.metric(t, "go_goroutines")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var peak, slowest atomic.Int64
		var asked atomic.Int64
		over := make(chan struct{})
		var watchers sync.WaitGroup
		watchers.Go(func() {
			for {
				peak.Store(max(peak.Load(), s.resident(t)))
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
		watchers.Go(func() {
			for {
				began := time.Now()
				if status, err := s.innocent(t.Context()); err != nil || status != http.StatusOK {
					t.Errorf("an innocent request: %d %v", status, err)
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				asked.Add(1)
				select {
				case <-over:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
		began := time.Now()
		rage(ctx, t)
		took := time.Since(began)
		cancel()
		close(over)
		watchers.Wait()
		s.client.CloseIdleConnections()
		grown := (peak.Load() - s.calm) >> 20
		t.Logf("%s: memory %d MiB + %d MiB; %d innocent requests, the slowest %s",
			took.Round(time.Millisecond), s.calm>>20, grown, asked.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
		if grown > memoryMost {
			t.Errorf("memory grew by %d MiB, at most %d were to be expected", grown, memoryMost)
		}
		if d := time.Duration(slowest.Load()); d > innocentMost {
			t.Errorf("an innocent request took %s", d)
		}
		waitUntil(t, "requests are still held", func() bool { return s.metric(t, "sluice_http_holding") == 0 })
		const spare = 60 // connections of Envoy's and of this test's
		waitUntil(t, "goroutines stay", func() bool { return s.metric(t, "go_goroutines") <= goroutines+spare })
	})
}

// glutton is a service that gives without end, little by little, or too much.
func newGlutton(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	var open sync.Map // connections, to be closed
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			conns.Go(func() {
				defer func() { _ = c.Close() }()
				defer open.Delete(c)
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil || !glut(c, req) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(c, _ any) bool { return c.(net.Conn).Close() == nil || true })
		conns.Wait()
	})
	return l.Addr().String()
}

// endless gives a piece again and again until nobody takes it any more.
func endless(w io.Writer, head, piece string) bool {
	_, err := io.WriteString(w, head)
	for piece = strings.Repeat(piece, 64<<10/len(piece)); err == nil; {
		_, err = io.WriteString(w, piece)
	}
	return false
}

// glut answers one request, and says whether the connection can take another.
func glut(c net.Conn, req *http.Request) bool {
	const raw = okHead + "Connection: close\r\nContent-Type: "
	whole := func(kind, body string) bool {
		_, err := io.WriteString(c, okHead+"Content-Type: "+kind+fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body))+body)
		return err == nil
	}
	const mb = 1 << 20
	switch req.URL.Path {
	case "/string": // as long as a string may be, and then silence
		_, _ = io.WriteString(c, raw+"application/json\r\n\r\n"+`{"a":"`+strings.Repeat("a", 8*mb-100))
		_, _ = c.Read(make([]byte, 1)) // until somebody closes it
		return false
	case "/event":
		_, _ = io.WriteString(c, raw+"text/event-stream\r\n\r\n"+strings.Repeat("data: \""+strings.Repeat("a", 160)+"\"\n", 8*mb/200))
		_, _ = c.Read(make([]byte, 1)) // until somebody closes it
		return false
	case "/line":
		return endless(c, raw+"application/x-ndjson\r\n\r\n\"", "a")
	case "/blank":
		return endless(c, raw+"application/json\r\n\r\n", " ")
	case "/sse":
		return endless(c, raw+"text/event-stream\r\n\r\ndata: ", "a")
	case "/deep":
		return endless(c, raw+"application/json\r\n\r\n", `{"a":[`)
	case "/hints":
		return endless(c, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
	case "/heads":
		return endless(c, raw+"application/json\r\n", "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
	case "/head":
		return endless(c, raw+"application/json\r\nX-A: ", "a")
	case "/trailers":
		return endless(c, okHead+"Transfer-Encoding: chunked\r\nTrailer: x-a\r\n"+jsonType+"\r\n2\r\n{}\r\n0\r\n", "X-A: aaaaaaaaaaaaaaaaaaaaaaaa\r\n")
	case "/digits":
		return whole("application/json", strings.Repeat("1", mb)+"."+strings.Repeat("0", mb)+"e"+strings.Repeat("1", mb))
	case "/members":
		var b strings.Builder
		for i := range 1_000_000 {
			fmt.Fprintf(&b, `,"%d":0`, i)
		}
		return whole("application/json", "{"+b.String()[1:]+"}")
	case "/url":
		return whole("application/json", `"`+manyPorts(mb/2)+`"`)
	case "/urls":
		return whole("text/event-stream", "data: "+manyPorts(mb/2)+"\n\n")
	case "/bytes":
		_, err := io.WriteString(c, raw+"application/json\r\n\r\n")
		for body := oneBody; err == nil && body != ""; body = body[1:] {
			_, err = io.WriteString(c, body[:1])
			time.Sleep(10 * time.Millisecond)
		}
		return false
	case "/never":
		_, _ = c.Read(make([]byte, 1)) // until somebody closes it
		return false
	case "/much":
		return endless(c, raw+"application/x-ndjson\r\n\r\n", oneBody+"\n")
	}
	return whole("application/json", `{"own":true}`)
}

// manyPorts is what could be a URL's host and port, if only it ended.
func manyPorts(n int) string { return "http://x:" + strings.Repeat("1", n) + strings.Repeat(",", n) }

// together calls do at once so many times, and waits.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// rapid opens requests over HTTP/2 and resets each at once (CVE-2023-44487), until so many were sent or Envoy has had
// enough of the connection. It returns how many were.
func (s *storm) rapid(ctx context.Context, n int, path string, pause time.Duration) (sent int) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return 0
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return 0
	}
	out := bufio.NewWriter(conn)
	framer := http2.NewFramer(out, conn)
	if err := framer.WriteSettings(); err != nil {
		return 0
	}
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for ; sent < n; sent++ {
		block.Reset()
		for _, kv := range [][2]string{
			{":method", "GET"}, {":scheme", "http"}, {":authority", "api.test"}, {":path", path}, {"authorization", "Bearer " + s.token},
		} {
			_ = e.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1]}) // to memory
		}
		id := uint32(2*sent + 1)
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
		if pause > 0 {
			_ = out.Flush() // the next write says so
			time.Sleep(pause)
		}
		if err == nil {
			err = framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break
		}
	}
	_ = out.Flush() // Envoy may have ended the connection
	return sent
}

// counted are answers by their status.
type counted struct {
	mu sync.Mutex
	by map[int]int
}

func (c *counted) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[int]int{}
	}
	c.by[status]++
}

func TestAStormLeavesNothingBehind(t *testing.T) {
	s := newStorm(t)
	large := `"` + strings.Repeat("a", 1<<20-10) + `"`

	s.weather(t, "services without end", func(ctx context.Context, t *testing.T) {
		paths := []string{"/line", "/blank", "/sse", "/deep", "/heads", "/head", "/trailers", "/digits", "/members", "/url", "/urls", "/bytes"}
		together(2*len(paths), func(i int) {
			if s.ask(ctx, http.MethodGet, paths[i/2], ""); ctx.Err() != nil {
				t.Errorf("%s has no end", paths[i/2])
			}
		})
	})
	s.weather(t, "strings and events that stop midway", func(ctx context.Context, _ *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		together(100, func(i int) { s.ask(ctx, http.MethodGet, []string{"/string", "/event"}[i%2], "") })
	})
	s.weather(t, "services that never answer", func(ctx context.Context, _ *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		together(300, func(i int) {
			path := "/never"
			if i%50 == 0 {
				path = "/hints"
			}
			s.ask(ctx, http.MethodGet, path, "")
		})
	})
	s.weather(t, "bodies that are trees", func(ctx context.Context, t *testing.T) {
		for _, one := range []string{"0,", `{"a":0},`} {
			body := "[" + strings.Repeat(one, (1<<20-10)/len(one)) + "0]"
			var all counted
			together(25, func(int) {
				status := s.ask(ctx, http.MethodPost, "/pay", body)
				all.add(status)
			})
			if all.by[http.StatusForbidden] != 25 { // no member amount can be had of a list: the rule that denies counts
				t.Errorf("%s: %v", one, all.by)
			}
		}
	})
	s.weather(t, "bodies of requests that wait for an answer", func(ctx context.Context, _ *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		together(100, func(int) { s.ask(ctx, http.MethodPost, "/never", large) })
	})
	s.weather(t, "bodies of requests that are held", func(ctx context.Context, t *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
		defer cancel()
		var all counted
		together(100, func(int) {
			status := s.ask(ctx, http.MethodPost, "/held/x", large)
			all.add(status)
		})
		if all.by[http.StatusServiceUnavailable] == 0 || all.by[0] == 0 {
			t.Errorf("some wait to the end and the rest is refused: %v", all.by)
		}
	})
	s.weather(t, "clients that read nothing", func(ctx context.Context, t *testing.T) {
		dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { // as little as the kernel allows: else its buffers hide what Sluice does
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
			})
		}}
		for range 50 {
			conn, err := dialer.DialContext(ctx, "tcp", s.address())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, strings.ReplaceAll(get("/much"), "{T}", s.token)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(3 * time.Second)
	})
	s.weather(t, "rapid resets", func(ctx context.Context, t *testing.T) {
		// Who waits for people meanwhile goes on waiting.
		waits, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan int, 1)
		go func() {
			status := s.ask(waits, http.MethodGet, "/held/meanwhile", "")
			ended <- status
		}()
		waitUntil(t, "nothing is held", func() bool { return s.metric(t, "sluice_http_holding") == 1 })
		for _, path := range []string{"/x", "/held/x"} {
			for _, pause := range []time.Duration{0, time.Millisecond} {
				var sent atomic.Int64
				together(20, func(int) { sent.Add(int64(s.rapid(ctx, 500, path, pause))) })
				if sent.Load() < 1000 {
					t.Errorf("only %d requests were sent", sent.Load())
				}
			}
		}
		select {
		case status := <-ended:
			t.Errorf("what another waited for was cut: %d", status)
		case <-time.After(500 * time.Millisecond):
		}
	})
	s.weather(t, "holds that are dropped", func(ctx context.Context, _ *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		together(900, func(i int) { s.ask(ctx, http.MethodGet, "/held/"+strconv.Itoa(i), "") })
	})
	s.weather(t, "a frozen store", s.frozenStore)
	s.drain(t)
}

// frozenStore stops the store while requests are held and others come to be.
func (s *storm) frozenStore(ctx context.Context, t *testing.T) {
	client := redis.NewClient(s.Valkey.Options())
	info, err := client.Info(ctx, "server").Result()
	_ = client.Close()
	_, rest, _ := strings.Cut(info, "process_id:")
	line, _, _ := strings.Cut(rest, "\r\n")
	pid, convErr := strconv.Atoi(line)
	if err != nil || convErr != nil {
		t.Fatalf("%v %v %.200s", err, convErr, info)
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	var all sync.WaitGroup
	hold := func(when string) {
		for i := range 200 {
			all.Go(func() { s.ask(ctx, http.MethodGet, "/held/"+when+strconv.Itoa(i), "") })
		}
	}
	hold("before")
	waitUntil(t, "nothing is held", func() bool { return s.metric(t, "sluice_http_holding") == 200 })
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	hold("after")
	all.Wait()
}

// drain ends the processor while much is held and much is on its way.
func (s *storm) drain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	var held counted
	for i := range 100 {
		all.Go(func() {
			status := s.ask(ctx, http.MethodGet, "/held/"+strconv.Itoa(i), "")
			held.add(status)
		})
		all.Go(func() { s.ask(ctx, http.MethodGet, "/x", "") })
	}
	waitUntil(t, "nothing is held", func() bool { return s.metric(t, "sluice_http_holding") == 100 })
	began := time.Now()
	s.StopSluice()
	all.Wait()
	took := time.Since(began)
	t.Logf("it ended in %s", took.Round(time.Millisecond))
	if took > 15*time.Second || held.by[http.StatusServiceUnavailable] != 100 {
		t.Errorf("it ended in %s, what was held as %v", took, held.by)
	}
}
