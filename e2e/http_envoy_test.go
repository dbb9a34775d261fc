package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	envoy_type_v3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

// authzNamespace is where Envoy puts what ext_authz says about a request.
const authzNamespace = "envoy.filters.http.ext_authz"

// answers is a processor of these tests: it allows what check allows and passes bodies on as they are.
type answers struct {
	envoy_service_auth_v3.UnimplementedAuthorizationServer
	envoy_service_ext_proc_v3.UnimplementedExternalProcessorServer
	socket *configv1.Socket

	mu     sync.Mutex
	server *grpc.Server
	check  checker
	// fault is asked before a message is answered; an error ends the stream.
	fault  func(*envoy_service_ext_proc_v3.ProcessingRequest) error
	checks []*envoy_service_auth_v3.AttributeContext
	// firsts are the first messages of ext_proc streams, and what was decided for them.
	firsts   []string
	metadata []*structpb.Struct
}

func (a *answers) start(t *testing.T) {
	t.Helper()
	var options []grpc.ServerOption
	network, address := "unix", a.socket.GetUnix()
	if m := a.socket.GetMtls(); m != nil {
		network, address = "tcp", m.GetAddress()
		config, err := peer.ServerTLS(m)
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	envoy_service_auth_v3.RegisterAuthorizationServer(s, a)
	envoy_service_ext_proc_v3.RegisterExternalProcessorServer(s, a)
	a.mu.Lock()
	a.server = s
	a.mu.Unlock()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
}

func (a *answers) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.server.Stop()
}

type checker func(context.Context, *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error)

// decide sets how requests are decided from now on, and forgets those that were.
func (a *answers) decide(f checker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.check, a.fault, a.checks, a.firsts, a.metadata = f, nil, nil, nil, nil
}

func (a *answers) fails(f func(*envoy_service_ext_proc_v3.ProcessingRequest) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = f
}

func (a *answers) seen() []*envoy_service_auth_v3.AttributeContext {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.checks)
}

// lastCheck is the latest, with its headers in the order in which they came.
func (a *answers) lastCheck(t *testing.T) (*envoy_service_auth_v3.AttributeContext, map[string][]string) {
	t.Helper()
	all := a.seen()
	if len(all) == 0 {
		t.Fatal("nobody asked")
	}
	last, header := all[len(all)-1], map[string][]string{}
	for _, h := range last.GetRequest().GetHttp().GetHeaderMap().GetHeaders() {
		header[h.GetKey()] = append(header[h.GetKey()], string(h.GetRawValue()))
	}
	return last, header
}

func (a *answers) Check(ctx context.Context, r *envoy_service_auth_v3.CheckRequest) (*envoy_service_auth_v3.CheckResponse, error) {
	a.mu.Lock()
	a.checks = append(a.checks, r.GetAttributes())
	check := a.check
	a.mu.Unlock()
	return check(ctx, r.GetAttributes())
}

func allow(context.Context, *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
	decided, err := structpb.NewStruct(map[string]any{"decided": "allow"})
	return &envoy_service_auth_v3.CheckResponse{
		Status: status.New(codes.OK, "").Proto(), DynamicMetadata: decided,
		HttpResponse: &envoy_service_auth_v3.CheckResponse_OkResponse{OkResponse: &envoy_service_auth_v3.OkHttpResponse{
			HeadersToRemove: []string{"authorization"},
			Headers: []*envoy_config_core_v3.HeaderValueOption{{
				Header:       &envoy_config_core_v3.HeaderValue{Key: "x-api-key", Value: "the target's"},
				AppendAction: envoy_config_core_v3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}},
		}},
	}, err
}

// atMost allows what has no longer body than a target takes: a processor must, since Envoy may cut what is longer by
// less than a frame of HTTP/2.
func atMost(limit int) checker {
	return func(ctx context.Context, a *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
		if len(a.GetRequest().GetHttp().GetRawBody()) <= limit {
			return allow(ctx, a)
		}
		return &envoy_service_auth_v3.CheckResponse{
			Status: status.New(codes.PermissionDenied, "").Proto(),
			HttpResponse: &envoy_service_auth_v3.CheckResponse_DeniedResponse{DeniedResponse: &envoy_service_auth_v3.DeniedHttpResponse{
				Status: &envoy_type_v3.HttpStatus{Code: envoy_type_v3.StatusCode_PayloadTooLarge},
			}},
		}, nil
	}
}

func (a *answers) Process(s envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer) error {
	for first := true; ; first = false {
		in, err := s.Recv()
		if err != nil {
			return status.Error(codes.Aborted, "over") // never OK: FACTS 4
		}
		a.mu.Lock()
		if first {
			a.firsts = append(a.firsts, fmt.Sprintf("%T", in.GetRequest()))
			a.metadata = append(a.metadata, in.GetMetadataContext().GetFilterMetadata()[authzNamespace])
		}
		fault := a.fault
		a.mu.Unlock()
		if fault != nil {
			if err := fault(in); err != nil {
				return err
			}
		}
		out := &envoy_service_ext_proc_v3.ProcessingResponse{}
		switch m := in.GetRequest().(type) {
		case *envoy_service_ext_proc_v3.ProcessingRequest_RequestHeaders:
			out.Response = &envoy_service_ext_proc_v3.ProcessingResponse_RequestHeaders{RequestHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}}
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders:
			out.Response = &envoy_service_ext_proc_v3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}}
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseBody:
			out.Response = &envoy_service_ext_proc_v3.ProcessingResponse_ResponseBody{ResponseBody: &envoy_service_ext_proc_v3.BodyResponse{
				Response: &envoy_service_ext_proc_v3.CommonResponse{BodyMutation: &envoy_service_ext_proc_v3.BodyMutation{
					Mutation: &envoy_service_ext_proc_v3.BodyMutation_StreamedResponse{StreamedResponse: &envoy_service_ext_proc_v3.StreamedBodyResponse{
						Body: m.ResponseBody.GetBody(), EndOfStream: m.ResponseBody.GetEndOfStream(),
					}},
				}},
			}}
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers:
			out.Response = &envoy_service_ext_proc_v3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &envoy_service_ext_proc_v3.TrailersResponse{}}
		}
		if err := s.Send(out); err != nil {
			return err
		}
	}
}

// httpGateway is a real control plane and a real Envoy in front of services, with answers as the processor.
type httpGateway struct {
	*gateway
	processor *answers
	certs     *stack.Certs
	files     map[string]string
	port      int
	client    *http.Client // speaks HTTP/1.1
}

// newHTTPGateway starts one. Over the socket that mutual names, if it does, Envoy asks with a certificate.
func newHTTPGateway(t *testing.T, mutual func(*stack.Certs) (processor, asked *configv1.Socket)) *httpGateway {
	t.Helper()
	stack.Need(t, "envoy")
	dir := stack.NewShortDir(t)
	at := func(name string) *configv1.Socket {
		return &configv1.Socket{Address: &configv1.Socket_Unix{Unix: filepath.Join(dir, name)}}
	}
	certs, err := stack.NewCerts(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	processor, asked := at("h"), at("h")
	if mutual != nil {
		processor, asked = mutual(certs)
	}
	g := &httpGateway{
		gateway: &gateway{t: t}, processor: &answers{socket: processor, check: allow}, certs: certs, port: freePort(t),
		files: map[string]string{"ca.pem": certs.CAFile()},
	}
	g.issue("front", "api.test")
	g.processor.start(t)
	g.control, err = server.New(server.Options{
		Resources: resources.Options{Postgres: at("p"), HTTP: asked, Read: func(s *policyv1.DataSource) ([]byte, error) {
			return os.ReadFile(g.files[s.GetFile()])
		}, Roots: func() ([]byte, error) { return os.ReadFile(certs.CAFile()) }},
		RetryFirst: 500 * time.Millisecond, RetryMost: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	xds := g.listen(at("x"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.control.Serve(ctx, xds) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	bootstrap, err := envoy.Bootstrap(envoy.Config{
		NodeID: "edge-1", Cluster: "edge", XDS: envoy.XDS{Socket: at("x").GetUnix()}, Admin: envoy.Admin{Socket: filepath.Join(dir, "a")},
	})
	if err != nil {
		t.Fatal(err)
	}
	stack.NewEnvoy(t, stack.EnvoyOptions{Bootstrap: bootstrap, DrainTime: drain})
	g.client = g.newClient(false)
	return g
}

// issue makes a certificate whose files the policy may name.
func (g *httpGateway) issue(name string, names ...string) tls.Certificate {
	g.t.Helper()
	f, err := g.certs.Issue(name, stack.Leaf{Names: names})
	if err != nil {
		g.t.Fatal(err)
	}
	g.files[name+".pem"], g.files[name+".key"] = f.Cert, f.Key
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		g.t.Fatal(err)
	}
	return pair
}

// newClient reaches the listener whatever the host, and takes only a certificate of the authority.
func (g *httpGateway) newClient(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: g.certs.Pool(), ServerName: "api.test"}, Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", g.port))
		},
	}
	g.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// target is a target in YAML, at the shared listener; extra goes into http.
func (g *httpGateway) target(name string, endpoint net.Addr, extra string) string {
	_, port, _ := net.SplitHostPort(endpoint.String())
	return fmt.Sprintf(`- name: %s
  listener: {address: 127.0.0.1, port: %d}
  http:
    endpoints: [{host: 127.0.0.1, port: %s}]
    certificate: {chain: {file: front.pem}, key: {file: front.key}}
    %s
  credential: {bearer: {token: {env: TOKEN}}}
`, name, g.port, port, extra)
}

// arrived is a request as the upstream got it.
type arrived struct {
	method, uri, host, proto string
	header                   http.Header
	body                     int64
}

// service is an upstream with TLS that keeps what arrives. It streams, fails and upgrades where the path says so.
type service struct {
	addr net.Addr
	mu   sync.Mutex
	got  []arrived
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.got = append(s.got, arrived{r.Method, r.RequestURI, r.Host, r.Proto, r.Header, n})
	s.mu.Unlock()
	w.Header().Set("Server", "a service")
	switch {
	case r.Header.Get("Upgrade") == "websocket":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, rw)
	case strings.HasPrefix(r.URL.Path, "/fail"):
		w.WriteHeader(http.StatusInternalServerError)
	default:
		if strings.HasPrefix(r.URL.Path, "/sleep") {
			time.Sleep(12 * time.Second)
		}
		_, _ = io.WriteString(w, "the secret body")
	}
}

func (s *service) last(t *testing.T) arrived {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("nothing reached the service")
	}
	return s.got[len(s.got)-1]
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func (g *httpGateway) service(names ...string) *service {
	g.t.Helper()
	s := &service{}
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{g.issue("service-"+names[0], names...)}, MinVersion: tls.VersionTLS12}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	g.t.Cleanup(server.Close)
	s.addr = server.Listener.Addr()
	return s
}

// received is what an agent got.
type received struct {
	status, major int
	header        http.Header
	body          string
}

// do sends a request and reads the answer to its end.
func (g *httpGateway) do(t *testing.T, client *http.Client, method, url string, body io.Reader, change ...func(*http.Request)) received {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return received{res.StatusCode, res.ProtoMajor, res.Header, string(text)}
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

// raw sends bytes over TLS, if there are any, and returns the first line of the answer, without what Go's client would
// mend.
func (g *httpGateway) raw(t *testing.T, text string) (net.Conn, *bufio.Reader, string) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: g.certs.Pool(), ServerName: "api.test"}}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", g.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	if text == "" {
		return conn, r, ""
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	line, err := r.ReadString('\n')
	if err != nil {
		line = err.Error()
	}
	return conn, r, strings.TrimSpace(line)
}

// again sends another request over a connection and returns the first line of the answer and its body.
func again(t *testing.T, conn net.Conn, r *bufio.Reader, text string) (string, string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Proto + " " + res.Status, string(body)
}

// isReady waits until the listener answers for a host.
func (g *httpGateway) isReady(url string) {
	g.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			g.t.Fatal(err)
		}
		if res, err := g.client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	g.t.Fatalf("%s is not served", url)
}

const mebibyte = 1 << 20

func TestEnvoyServesHTTPTargets(t *testing.T) {
	g := newHTTPGateway(t, nil)
	api, large := g.service("api.internal"), g.service("large.internal")
	_, apiPort, _ := net.SplitHostPort(api.addr.String())
	targets := "targets:\n" + g.target("api", api.addr, "hosts: [api.test]\n    tls: {server_name: api.internal, ca: {file: ca.pem}}") +
		g.target("large", large.addr, "hosts: [large.test]\n    tls: {server_name: large.internal}\n    http2: true\n    websocket: true\n"+
			"    max_request_bytes: 2097152\n    path_prefix: /v1\n    host_rewrite: large.internal")
	g.serve(targets)
	g.isReady("https://api.test/")

	t.Run("Envoy takes every resource at once", func(t *testing.T) {
		for _, u := range []string{resource.ClusterType, resource.ListenerType, resource.RouteType, resource.SecretType} {
			if s := g.said(u, u, isAcked); s.GetNacks() > 0 || s.GetAckedVersion() == "" {
				t.Errorf("got %v", s)
			}
		}
	})
	t.Run("a request passes with HTTP/1.1 and HTTP/2 on either side", func(t *testing.T) {
		for _, http2 := range []bool{false, true} {
			client := g.newClient(http2)
			res := g.do(t, client, http.MethodGet, "https://api.test/x", nil)
			if res.status != http.StatusOK || res.body != "the secret body" || res.major != 1 != http2 || res.header.Get("Server") != "a service" {
				t.Errorf("got %+v", res)
			}
			if got := api.last(t); got.proto != "HTTP/1.1" || got.host != "api.test" {
				t.Errorf("got %+v", got)
			}
			if res := g.do(t, client, http.MethodGet, "https://large.test/v1/x", nil); res.status != http.StatusOK {
				t.Errorf("got %v", res)
			}
			if got := large.last(t); got.proto != "HTTP/2.0" || got.host != "large.internal" {
				t.Errorf("got %+v", got)
			}
		}
	})
	t.Run("what the agent says of itself reaches the Check as it is, and the service not at all", func(t *testing.T) {
		g.processor.decide(allow)
		res := g.do(t, g.client, http.MethodGet, "https://api.test/x", nil, with("Authorization", "Bearer token"), with("X-Request-Id", "forged"),
			with("X-Twice", "a", "b"), with("X-Api-Key", "forged"), with("X-Forwarded-For", "10.9.8.7"), with("X-Real-Ip", "10.9.8.7"), with("Forwarded", "for=10.9.8.7"))
		check, header := g.processor.lastCheck(t)
		ids := header["x-request-id"]
		if len(ids) != 1 || len(ids[0]) != 36 || res.header.Get("X-Request-Id") != ids[0] {
			t.Errorf("id %q, answered with %v", ids, res.header)
		}
		if got := header["x-twice"]; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %q", got)
		}
		if e := check.GetContextExtensions(); e[resources.ExtensionTarget] != "api" || e[resources.ExtensionNode] != "edge-1" || len(e[resources.ExtensionRevision]) != 12 {
			t.Errorf("got %v", e)
		}
		got := api.last(t).header
		if h := got["X-Request-Id"]; !slices.Equal(h, ids) {
			t.Errorf("the service has id %q", h)
		}
		if !slices.Equal(got["X-Api-Key"], []string{"the target's"}) || got.Get("Authorization") != "" {
			t.Errorf("got %v", got)
		}
		for name := range got {
			if strings.HasPrefix(name, "X-Envoy") || slices.Contains([]string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"}, name) {
				t.Errorf("the service has %s: %q", name, got[name])
			}
		}
		g.processor.mu.Lock()
		defer g.processor.mu.Unlock()
		if len(g.processor.metadata) != 1 || g.processor.metadata[0].GetFields()["decided"].GetStringValue() != "allow" {
			t.Errorf("ext_proc knows %v", g.processor.metadata)
		}
	})
	t.Run("an agent cannot ask Envoy to send a request twice, or to hurry", func(t *testing.T) {
		before := api.count()
		res := g.do(t, g.client, http.MethodGet, "https://api.test/fail", nil, with("X-Envoy-Retry-On", "5xx"), with("X-Envoy-Max-Retries", "3"), with("X-Envoy-Upstream-Rq-Timeout-Ms", "1"))
		if res.status != http.StatusInternalServerError || api.count() != before+1 {
			t.Errorf("got %v after %d requests", res.status, api.count()-before)
		}
	})
	t.Run("a path is decided as the service gets it, or refused", func(t *testing.T) {
		for path, want := range map[string]string{
			"/a/../b": "/b", "/./a/%2e%2e/b": "/b", "//x": "//x", "/a;b/../c": "/c", "/%61": "/a", "/a?x=/../y": "/a?x=/../y",
			"/a%2fb": "", "/a%2Fb": "", "/a%5cb": "", "/a%00b": "", "/a#f": "",
		} {
			g.processor.decide(allow)
			before := api.count()
			_, _, line := g.raw(t, "GET "+path+" HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
			if want == "" {
				if line != "HTTP/1.1 400 Bad Request" || len(g.processor.seen()) > 0 || api.count() != before {
					t.Errorf("%s: %s after %d Checks", path, line, len(g.processor.seen()))
				}
				continue
			}
			check, _ := g.processor.lastCheck(t)
			if got := check.GetRequest().GetHttp().GetPath(); line != "HTTP/1.1 200 OK" || got != want || api.last(t).uri != want {
				t.Errorf("%s: %s, decided %q, sent %q", path, line, got, api.last(t).uri)
			}
		}
	})
	t.Run("a header that servers read in two ways is refused", func(t *testing.T) {
		g.processor.decide(allow)
		before := api.count()
		// Envoy closes the connection; its own 400 is often lost, since ext_proc is to see that first.
		_, _, line := g.raw(t, "GET / HTTP/1.1\r\nHost: api.test\r\nX_Api_Key: a\r\n\r\n")
		if line != "HTTP/1.1 400 Bad Request" && line != io.EOF.Error() || len(g.processor.seen()) > 0 {
			t.Errorf("%s after %d Checks", line, len(g.processor.seen()))
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		with("X_Api_Key", "a")(req)
		if res, err := g.newClient(true).Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("HTTP/2: %s", res.Status)
			}
		}
		if len(g.processor.seen()) > 0 || api.count() != before {
			t.Error("it was decided")
		}
	})
	t.Run("a host is found with its port and with its dot, and nobody else's is", func(t *testing.T) {
		for host, target := range map[string]string{
			"api.test": "api", "API.test": "api", "api.test.": "api", fmt.Sprintf("api.test:%d", g.port): "api", "api.test:1": "", "other.test": "", "large.test": "",
		} {
			g.processor.decide(allow)
			res := g.do(t, g.client, http.MethodGet, "https://api.test/x", nil, func(r *http.Request) { r.Host = host })
			check, _ := g.processor.lastCheck(t)
			if got := check.GetContextExtensions(); got["target"] != target || got["node"] != "edge-1" {
				t.Errorf("%s: Check of %v", host, got)
			}
			if strings.HasSuffix(check.GetRequest().GetHttp().GetHost(), ".") {
				t.Errorf("decided %q", check.GetRequest().GetHttp().GetHost())
			}
			if found := res.status == http.StatusOK; found != (target != "") || !found && (res.status != http.StatusNotFound || res.body != "") {
				t.Errorf("%s: %d %q", host, res.status, res.body)
			}
		}
	})
	t.Run("a body is decided whole up to the target's limit, and one that is longer shows as longer", func(t *testing.T) {
		for _, tc := range []struct {
			url         string
			limit, over int
		}{
			{"https://api.test/x", mebibyte, 0},
			{"https://api.test/x", mebibyte, 1},
			{"https://api.test/x", mebibyte, 2},
			{"https://api.test/x", mebibyte, 16 << 10},
			{"https://api.test/x", mebibyte, mebibyte},
			{"https://large.test/v1/x", 2 * mebibyte, 0},
			{"https://large.test/v1/x", 2 * mebibyte, 1},
			{"https://large.test/v1/x", 2 * mebibyte, 2},
		} {
			for _, http2 := range []bool{false, true} {
				g.processor.decide(atMost(tc.limit))
				before := api.count() + large.count()
				res := g.do(t, g.newClient(http2), http.MethodPost, tc.url, bytes.NewReader(make([]byte, tc.limit+tc.over)))
				checks, reached := g.processor.seen(), api.count()+large.count() > before
				switch {
				case tc.over == 0 && (res.status != http.StatusOK || !reached || len(checks[0].GetRequest().GetHttp().GetRawBody()) != tc.limit):
					t.Errorf("%d bytes, HTTP/2 %v: %d", tc.limit, http2, res.status)
				case tc.over > 0 && (res.status != http.StatusRequestEntityTooLarge || reached):
					t.Errorf("%d bytes too many, HTTP/2 %v: %d", tc.over, http2, res.status)
				case tc.over == mebibyte && len(checks) > 0:
					t.Errorf("%d bytes too many, HTTP/2 %v: the processor was asked", tc.over, http2)
				}
			}
		}
	})
	t.Run("without an answer of ext_authz it is 503 and nothing reaches the service", func(t *testing.T) {
		g.processor.decide(func(context.Context, *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
			return nil, status.Error(codes.Unavailable, "down")
		})
		before := api.count()
		if res := g.do(t, g.client, http.MethodGet, "https://api.test/x", nil); res.status != http.StatusServiceUnavailable || api.count() != before ||
			res.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(res.body, `"status":503`) || !strings.Contains(res.body, "Sluice does not answer") {
			t.Errorf("%d %q", res.status, res.body)
		}
		// Envoy shows ext_proc its own answers too: the first that the processor sees of the request.
		g.processor.mu.Lock()
		defer g.processor.mu.Unlock()
		if want := fmt.Sprintf("%T", &envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders{}); !slices.Equal(g.processor.firsts, []string{want}) {
			t.Errorf("ext_proc saw %v", g.processor.firsts)
		}
	})
	t.Run("ext_proc that fails lets no byte through", func(t *testing.T) {
		for name, is := range map[string]func(*envoy_service_ext_proc_v3.ProcessingRequest) bool{
			"request headers":  func(r *envoy_service_ext_proc_v3.ProcessingRequest) bool { return r.GetRequestHeaders() != nil },
			"response headers": func(r *envoy_service_ext_proc_v3.ProcessingRequest) bool { return r.GetResponseHeaders() != nil },
			"response body":    func(r *envoy_service_ext_proc_v3.ProcessingRequest) bool { return r.GetResponseBody() != nil },
		} {
			g.processor.decide(allow)
			g.processor.fails(func(r *envoy_service_ext_proc_v3.ProcessingRequest) error {
				if is(r) {
					return status.Error(codes.Aborted, "down")
				}
				return nil
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			before := api.count()
			res, err := g.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusBadGateway {
				if !strings.Contains(string(body), `"status":502`) || !strings.Contains(string(body), "kept back") {
					t.Errorf("%s: no problem details: %q", name, body)
				}
				body = nil // of ours
			}
			if len(body) > 0 || (res.StatusCode != http.StatusBadGateway && err == nil) || (name != "response body" && res.StatusCode != http.StatusBadGateway) {
				t.Errorf("%s: %s %q, %v", name, res.Status, body, err)
			}
			if reached := api.count() > before; reached != (name != "request headers") {
				t.Errorf("%s: reached the service: %v", name, reached)
			}
		}
	})
	t.Run("a Check may take long, and ends with the client", func(t *testing.T) {
		const long = 5 * time.Second
		g.processor.decide(func(ctx context.Context, a *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
			select {
			case <-time.After(long):
				return allow(ctx, a)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		if res := g.do(t, g.client, http.MethodDelete, "https://api.test/x", nil); res.status != http.StatusOK || res.body != "the secret body" {
			t.Errorf("%d %q", res.status, res.body)
		}
		for _, http2 := range []bool{false, true} {
			asked, over := make(chan struct{}), make(chan struct{})
			g.processor.decide(func(ctx context.Context, _ *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
				close(asked)
				<-ctx.Done()
				close(over)
				return nil, ctx.Err()
			})
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.test/x", strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			before := api.count()
			go func() {
				<-asked
				cancel()
			}()
			if res, err := g.newClient(http2).Do(req); err == nil {
				_ = res.Body.Close()
				t.Errorf("got %v", res)
			}
			select {
			case <-over:
			case <-time.After(patience):
				t.Error("the Check goes on without its client")
			}
			if api.count() != before {
				t.Error("it reached the service")
			}
		}
	})
	t.Run("a policy that adds a target closes no connection, not even one with a held request", func(t *testing.T) {
		g.processor.decide(allow)
		const request = "GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n"
		conn, r, _ := g.raw(t, "")
		if line, _ := again(t, conn, r, request); line != "HTTP/1.1 200 OK" {
			t.Fatal(line)
		}
		asked, release := make(chan struct{}), make(chan struct{})
		g.processor.decide(func(ctx context.Context, a *envoy_service_auth_v3.AttributeContext) (*envoy_service_auth_v3.CheckResponse, error) {
			if a.GetRequest().GetHttp().GetMethod() == http.MethodDelete {
				close(asked)
				<-release
			}
			return allow(ctx, a)
		})
		held := make(chan string, 1)
		go func() {
			req, _ := http.NewRequestWithContext(context.Background(), http.MethodDelete, "https://api.test/x", http.NoBody)
			res, err := g.client.Do(req)
			if err != nil {
				held <- err.Error()
				return
			}
			_ = res.Body.Close()
			held <- res.Status
		}()
		<-asked
		before := g.said(resource.ListenerType, "listeners", isAcked).GetAcks()
		targets += g.target("added", api.addr, "hosts: [added.test]\n    max_request_bytes: 33554432\n    tls: {server_name: api.internal}") +
			"rules: [{name: a, on: {targets: [api]}, allow: {}}]\n"
		g.serve(targets)
		g.isReady("https://added.test/")
		time.Sleep(drain + drain/2)
		if line, body := again(t, conn, r, request); line != "HTTP/1.1 200 OK" || body != "the secret body" {
			t.Errorf("%s %q", line, body)
		}
		close(release)
		if got := <-held; got != "200 OK" {
			t.Errorf("the held request got %s", got)
		}
		if after := g.said(resource.ListenerType, "listeners", isAcked).GetAcks(); after != before {
			t.Error("listeners were sent again")
		}
	})
	t.Run("WebSockets pass where the target says so", func(t *testing.T) {
		g.processor.decide(allow)
		const upgrade = "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
		socket := "targets:\n" + g.target("api", api.addr, "hosts: [api.test]\n    tls: {server_name: api.internal, ca: {file: ca.pem}}") +
			g.target("socket", api.addr, "hosts: [socket.test]\n    websocket: true\n    tls: {server_name: api.internal}")
		g.serve(socket)
		g.isReady("https://socket.test/")
		conn, r, line := g.raw(t, fmt.Sprintf(upgrade, "socket.test"))
		if line != "HTTP/1.1 101 Switching Protocols" {
			t.Fatal(line)
		}
		if _, err := textproto.NewReader(r).ReadMIMEHeader(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "a frame\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); got != "echo a frame\n" {
			t.Errorf("got %q, %v", got, err)
		}
		before := api.count()
		if _, _, line := g.raw(t, fmt.Sprintf(upgrade, "api.test")); line != "HTTP/1.1 403 Forbidden" || api.count() != before {
			t.Error(line)
		}
	})
	t.Run("a service is proven by its authority and its name", func(t *testing.T) {
		g.processor.decide(allow)
		elsewhere, err := stack.NewCerts(g.t.TempDir(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.files["other.pem"] = elsewhere.CAFile()
		both := g.service("127.0.0.1", "localhost")
		_, bothPort, _ := net.SplitHostPort(both.addr.String())
		extras := map[string]string{
			"its-name":       "tls: {server_name: api.internal}",
			"letters":        "tls: {server_name: API.Internal}",
			"another-name":   "tls: {server_name: other.internal}",
			"address":        "",
			"chain-alone":    "tls: {mode: VERIFY_CA}",
			"another-chain":  "tls: {mode: VERIFY_CA, ca: {file: other.pem}}",
			"another-signer": "tls: {server_name: api.internal, ca: {file: other.pem}}",
		}
		text := "targets:\n"
		for name, extra := range extras {
			text += g.target(name, api.addr, "hosts: ["+name+".test]\n    "+extra)
		}
		text += strings.Replace(g.target("two-names", both.addr, "hosts: [two-names.test]"), "endpoints: [", "endpoints: [{host: localhost, port: "+bothPort+"}, ", 1)
		text += strings.Replace(g.target("one-name", api.addr, "hosts: [one-name.test]"), "endpoints: [{host: 127.0.0.1", "endpoints: [{host: localhost, port: "+apiPort+"}, {host: 127.0.0.1", 1)
		g.serve(text)
		g.isReady("https://its-name.test/")
		for name, passes := range map[string]bool{
			"its-name": true, "letters": true, "another-name": false, "address": false, "chain-alone": true, "another-chain": false,
			"another-signer": false, "two-names": true, "one-name": false,
		} {
			for range 4 {
				res := g.do(t, g.client, http.MethodGet, "https://"+name+".test/x", nil)
				if (res.status == http.StatusOK) != passes || !passes && res.status != http.StatusServiceUnavailable {
					t.Errorf("%s: %d %q", name, res.status, res.body)
				}
			}
		}
		for _, u := range []string{resource.ClusterType, resource.ListenerType, resource.RouteType, resource.SecretType} {
			if s := g.said(u, u, isAcked); s.GetNacks() > 0 {
				t.Errorf("got %v", s)
			}
		}
	})
	t.Run("a renewed certificate is shown to the next, and drops nobody", func(t *testing.T) {
		const request = "GET /x HTTP/1.1\r\nHost: its-name.test\r\n\r\n"
		conn, r, _ := g.raw(t, "")
		serial := func(c net.Conn) string {
			return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
		}
		g.issue("front", "api.test")
		if err := g.control.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if other, _, _ := g.raw(t, ""); serial(other) != serial(conn) {
				break
			}
			if time.Now().After(end) {
				t.Fatal("still the old one")
			}
		}
		time.Sleep(drain + drain/2)
		if line, _ := again(t, conn, r, request); line != "HTTP/1.1 200 OK" {
			t.Error(line)
		}
	})
	t.Run("a processor that is gone lets nothing through", func(t *testing.T) {
		before := api.count()
		g.processor.stop()
		// ext_authz fails, and ext_proc with Envoy's own answer about that.
		if res := g.do(t, g.client, http.MethodGet, "https://its-name.test/x", nil); res.status != http.StatusBadGateway || !strings.Contains(res.body, "Sluice does not answer") || api.count() != before {
			t.Errorf("%d %q", res.status, res.body)
		}
		g.processor.start(t)
		g.isReady("https://its-name.test/")
	})
}

func TestEnvoyAsksOnlyAProcessor(t *testing.T) {
	for role, answers := range map[string]bool{"process": true, "envoy": false} {
		t.Run(role, func(t *testing.T) {
			g := newHTTPGateway(t, func(certs *stack.Certs) (*configv1.Socket, *configv1.Socket) {
				address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
				issue := func(role, id string) *configv1.Socket {
					f, err := certs.Issue(role+"-"+id, stack.Leaf{Names: []string{"spiffe://example.test/sluice/" + role + "/" + id}})
					if err != nil {
						t.Fatal(err)
					}
					return &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: &configv1.MutualTls{Address: address, Cert: f.Cert, Key: f.Key, Ca: f.CA}}}
				}
				return issue(role, "p1"), issue("envoy", "edge-1")
			})
			api := g.service("api.internal")
			g.serve("targets:\n" + g.target("api", api.addr, "tls: {server_name: api.internal}"))
			if answers {
				g.isReady("https://api.test/")
				return
			}
			g.said(resource.RouteType, "routes", isAcked)
			if res := g.do(t, g.client, http.MethodGet, "https://api.test/", nil); res.status != http.StatusBadGateway || len(g.processor.seen()) > 0 || api.count() > 0 {
				t.Errorf("%d after %d Checks", res.status, len(g.processor.seen()))
			}
		})
	}
}
