package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// drip is a body that comes a byte at a time.
type drip struct {
	bytes int // -1: without end
	every time.Duration
	ctx   context.Context
}

func (d *drip) Read(p []byte) (int, error) {
	if d.bytes == 0 {
		return 0, io.EOF
	}
	d.bytes--
	select {
	case <-time.After(d.every):
		p[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// TestARequestMustArriveAndAHoldMayWait: what is not whole has little time, and what is whole has all that people need.
func TestARequestMustArriveAndAHoldMayWait(t *testing.T) {
	g := newHTTPGateway(t, nil)
	api := g.service("api.internal")
	g.serve("targets:\n" + g.target("api", api.addr, "hosts: [api.test]\n    tls: {server_name: api.internal, ca: {file: ca.pem}}") +
		g.target("short", api.addr, "hosts: [short.test]\n    body_timeout: 3s\n    tls: {server_name: api.internal, ca: {file: ca.pem}}"))
	g.isReady("https://api.test/")
	const hold = 14 * time.Second // longer than any of the times for arriving
	var checks atomic.Int64
	g.processor.decide(func(ctx context.Context, a *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
		checks.Add(1)
		if strings.HasPrefix(a.GetRequest().GetHttp().GetPath(), "/held") {
			select {
			case <-time.After(hold):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return allow(ctx, a)
	})
	var all sync.WaitGroup
	defer all.Wait() // most of it is waiting
	for name, c := range map[string]struct {
		url    string
		body   func(context.Context) io.Reader
		length int64
		status int
		least  time.Duration
		most   time.Duration
	}{
		"a body that never ends": {"https://api.test/x", func(ctx context.Context) io.Reader {
			return io.MultiReader(strings.NewReader("x"), &drip{1, time.Hour, ctx})
		}, -1, 408, 9 * time.Second, 13 * time.Second},
		"a body whose length is a lie": {"https://api.test/x", func(ctx context.Context) io.Reader {
			return io.MultiReader(strings.NewReader("x"), &drip{1, time.Hour, ctx})
		}, 100, 408, 9 * time.Second, 13 * time.Second},
		"a body of which nothing comes": {"https://api.test/x", func(ctx context.Context) io.Reader {
			return &drip{1, time.Hour, ctx}
		}, 100, 408, 9 * time.Second, 13 * time.Second},
		"a drip without end": {"https://short.test/x", func(ctx context.Context) io.Reader {
			return &drip{-1, 500 * time.Millisecond, ctx}
		}, -1, 408, 2 * time.Second, 6 * time.Second},
		"slow, and in time": {"https://api.test/x", func(ctx context.Context) io.Reader {
			return &drip{6, 2 * time.Second, ctx}
		}, -1, 200, 11 * time.Second, 18 * time.Second},
		"a hold without a body":         {"https://short.test/held", nil, 0, 200, hold, hold + 5*time.Second},
		"a hold with a body":            {"https://short.test/held", func(context.Context) io.Reader { return strings.NewReader("body") }, 4, 200, hold, hold + 5*time.Second},
		"a hold with a large body":      {"https://short.test/held", func(context.Context) io.Reader { return strings.NewReader(strings.Repeat("x", mebibyte)) }, mebibyte, 200, hold, hold + 5*time.Second},
		"a hold whose body was slow":    {"https://short.test/held", func(ctx context.Context) io.Reader { return &drip{4, 500 * time.Millisecond, ctx} }, -1, 200, hold + 2*time.Second, hold + 7*time.Second},
		"nobody's path with a body":     {"https://other.test/x", func(ctx context.Context) io.Reader { return &drip{1, time.Hour, ctx} }, -1, 404, 0, 3 * time.Second},
		"a service that is slow to say": {"https://short.test/sleep", nil, 0, 200, 12 * time.Second, 20 * time.Second},
	} {
		for _, http2 := range []bool{false, true} {
			all.Go(func() {
				name := fmt.Sprintf("%s, HTTP/2 %v", name, http2)
				ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
				defer cancel()
				var body io.Reader
				if c.body != nil {
					body = c.body(ctx)
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, body)
				if err != nil {
					t.Error(err)
					return
				}
				req.ContentLength = c.length
				began := time.Now()
				res, err := g.newClient(http2).Do(req)
				if err != nil {
					t.Errorf("%s: %v after %v", name, err, time.Since(began))
					return
				}
				defer func() { _ = res.Body.Close() }()
				text, _ := io.ReadAll(res.Body)
				if took := time.Since(began); res.StatusCode != c.status || took < c.least || took > c.most {
					t.Errorf("%s: answered %d after %v: %s", name, res.StatusCode, took, text)
				}
				if res.StatusCode == 408 && (res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(text), "did not arrive")) {
					t.Errorf("%s: got %v %s", name, res.Header, text)
				}
			})
		}
	}
}

// TestWholeBodiesArrive sends many of the greatest length at once: a buffer in front of another must not keep any.
func TestWholeBodiesArrive(t *testing.T) {
	g := newHTTPGateway(t, nil)
	api := g.service("api.internal")
	g.serve("targets:\n" + g.target("api", api.addr, "hosts: [api.test]\n    tls: {server_name: api.internal, ca: {file: ca.pem}}"))
	g.isReady("https://api.test/")
	g.processor.decide(func(ctx context.Context, a *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
		return allow(ctx, a)
	})
	const rounds, together = 15, 16
	for _, http2 := range []bool{false, true} {
		client := g.newClient(http2)
		for _, size := range []int{mebibyte, mebibyte - 1, 300 << 10, mebibyte + 1} {
			var all sync.WaitGroup
			var bad atomic.Int64
			for range together {
				all.Go(func() {
					for range rounds {
						ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
						req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.test/x", strings.NewReader(strings.Repeat("x", size)))
						if err != nil {
							t.Error(err)
						}
						res, err := client.Do(req)
						if err != nil {
							bad.Add(1)
							t.Logf("%d bytes, HTTP/2 %v: %v", size, http2, err)
							cancel()
							continue
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
						if want := map[bool]int{true: 413, false: 200}[size > mebibyte]; res.StatusCode != want && size <= mebibyte {
							bad.Add(1)
							t.Logf("%d bytes, HTTP/2 %v: %d", size, http2, res.StatusCode)
						}
						cancel()
					}
				})
			}
			all.Wait()
			if bad.Load() > 0 {
				t.Errorf("%d bytes, HTTP/2 %v: %d of %d", size, http2, bad.Load(), rounds*together)
			}
		}
	}
}
