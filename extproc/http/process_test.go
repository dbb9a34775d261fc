package http_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/guard"
	exthttp "github.com/sluicegate/sluice/extproc/http"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httpmask"
	"github.com/sluicegate/sluice/policies/httptag"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: api
  listener: {address: 127.0.0.1, port: 1, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}
  credential: {bearer: {token: {env: T}}}
- name: lax
  listener: {address: 127.0.0.1, port: 2, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}], undecodable: PASS}
  credential: {bearer: {token: {env: T}}}
- name: open
  listener: {address: 127.0.0.1, port: 3, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}
  credential: {bearer: {token: {env: T}}}
masks:
- {name: secrets, on: {targets: [api, lax]}, paths: ["$..password"], headers: [x-secret], redact: {}, except: {groups: [dba]}}
`

// tape is a recording in memory that fails when told to.
type tape struct {
	mu          sync.Mutex
	events      []*recordv1.Event
	body        bytes.Buffer
	fail        error
	panics      bool
	panicsAtEnd bool
	block       chan struct{}
}

func (r *tape) Append(_ bool, events ...*recordv1.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		if r.panicsAtEnd && e.GetOutcome() != nil {
			panic("how it ended")
		}
		r.events = append(r.events, proto.CloneOf(e))
	}
	return nil
}

func (r *tape) AppendData(_ []*recordv1.Event, _ recordv1.Data_Direction, _ uint64, parts ...[]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.block != nil {
		<-r.block
	}
	if r.panics {
		panic("what a service answered, s3cret")
	}
	if r.fail != nil {
		return r.fail
	}
	for _, p := range parts {
		r.body.Write(p)
	}
	return nil
}

func (*tape) End(context.Context, string) error { return nil }

func (r *tape) outcome() *recordv1.Outcome {
	for range 500 {
		r.mu.Lock()
		for _, e := range r.events {
			if o := e.GetOutcome(); o != nil {
				r.mu.Unlock()
				return o
			}
		}
		r.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

func (r *tape) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.events) + r.body.String()
}

// shelf has one exchange.
type shelf struct {
	exchange *check.Exchange
	block    chan struct{}
}

func (s *shelf) Take(ticket, id string) (*check.Exchange, bool) {
	if s.block != nil {
		<-s.block
	}
	if ticket != "t-1" || id != "r-1" {
		return nil, false
	}
	return s.exchange, true
}

// envoy is the other end of one stream.
type envoy struct {
	t      *testing.T
	stream envoy_service_ext_proc_v3.ExternalProcessor_ProcessClient
	tape   *tape
	left   chan struct{}
	cancel context.CancelFunc
}

type options struct {
	target, method string
	groups         []string
	tape           *tape
	patience       time.Duration
	life           context.Context
	still          func() error
	tags           func() httptag.Scope
	block          chan struct{} // tickets cannot be taken until it is closed
}

// compiled is the policy of these tests.
func compiled(t testing.TB) *policies.Policy {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(bundle), b); err != nil {
		t.Fatal(err)
	}
	b.Version = "v1"
	p, err := policies.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// exchangeOf is a request that was let through.
func exchangeOf(p *policies.Policy, o options, leave func()) *check.Exchange {
	if o.still == nil {
		o.still = func() error { return nil }
	}
	who := &identityv1.Principal{Issuer: "corp", Subject: "x", Groups: o.groups}
	return &check.Exchange{
		Admission: &guard.Admission{Principal: who, Target: p.Target(o.target)},
		Policy:    p, Who: who, Masks: []string{"secrets", "more"}, Number: 1, ID: "r-1", Method: o.method, Recording: o.tape, Session: "s", Life: o.life, Still: o.still, Tags: o.tags, Leave: leave, Now: time.Now, Began: time.Now(),
	}
}

func serverOf(s *shelf, patience time.Duration, log slog.Handler) *exthttp.Server {
	return exthttp.NewServer(exthttp.Options{
		Exchanges: s, Views: &httpmask.Cache{}, Patience: patience, Hide: func(b []byte) string { return fmt.Sprintf("‹hidden, %d bytes›", len(b)) }, Metrics: exthttp.NewMetrics(prometheus.NewRegistry()), Logger: slog.New(log),
	})
}

func dial(t *testing.T, o options) *envoy {
	t.Helper()
	if o.target == "" {
		o.target = "api"
	}
	if o.method == "" {
		o.method = "GET"
	}
	if o.tape == nil {
		o.tape = &tape{}
	}
	if o.life == nil {
		o.life = t.Context()
	}
	if o.patience == 0 {
		o.patience = time.Minute
	}
	p := compiled(t)
	left := make(chan struct{}, 1)
	s := &shelf{block: o.block, exchange: exchangeOf(p, o, func() { left <- struct{}{} })}
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.ChainStreamInterceptor(exthttp.NeverOK))
	envoy_service_ext_proc_v3.RegisterExternalProcessorServer(server, serverOf(s, o.patience, slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	stream, err := envoy_service_ext_proc_v3.NewExternalProcessorClient(conn).Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &envoy{t: t, stream: stream, tape: o.tape, left: left, cancel: cancel}
}

func headers(lines ...string) *envoy_config_core_v3.HeaderMap {
	m := &envoy_config_core_v3.HeaderMap{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "= ")
		m.Headers = append(m.Headers, &envoy_config_core_v3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	return m
}

func (e *envoy) send(m *envoy_service_ext_proc_v3.ProcessingRequest) {
	e.t.Helper()
	if err := e.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		e.t.Fatal(err)
	}
}

// ask sends the request's headers with a ticket.
func (e *envoy) ask(ticket string) {
	e.t.Helper()
	m := &envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers("x-request-id= r-1")},
	}}
	if ticket != "" {
		m.MetadataContext = &envoy_config_core_v3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			check.MetadataNamespace: {Fields: map[string]*structpb.Value{check.MetadataTicket: structpb.NewStringValue(ticket)}},
		}}
	}
	e.send(m)
}

func (e *envoy) respond(end bool, lines ...string) {
	e.t.Helper()
	e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers(lines...), EndOfStream: end},
	}})
}

// local is an answer of Envoy's own, or one that comes in its place.
func (e *envoy) local(details string, lines ...string) {
	e.t.Helper()
	m := &envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers(lines...)},
	}}
	if details != "" {
		m.Attributes = map[string]*structpb.Struct{
			"envoy.filters.http.ext_proc": {Fields: map[string]*structpb.Value{"response.code_details": structpb.NewStringValue(details)}},
		}
	}
	e.send(m)
}

func (e *envoy) chunk(text string, end bool) {
	e.t.Helper()
	e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseBody{
		ResponseBody: &envoy_service_ext_proc_v3.HttpBody{Body: []byte(text), EndOfStream: end},
	}})
}

func (e *envoy) receive() *envoy_service_ext_proc_v3.ProcessingResponse {
	e.t.Helper()
	m, err := e.stream.Recv()
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

// body is what Envoy would pass on, until the end or an error.
func (e *envoy) body() (string, error) {
	var out strings.Builder
	for {
		m, err := e.stream.Recv()
		if err != nil {
			return out.String(), err
		}
		if m.GetResponseTrailers() != nil {
			return out.String(), nil
		}
		s := m.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse()
		out.Write(s.GetBody())
		if s.GetEndOfStream() {
			return out.String(), nil
		}
	}
}

// start brings a stream to its response headers and gives the change of them.
func (e *envoy) start(end bool, lines ...string) *envoy_service_ext_proc_v3.ProcessingResponse {
	e.t.Helper()
	e.ask("t-1")
	if e.receive().GetRequestHeaders() == nil {
		e.t.Fatal("the request was not let through")
	}
	e.respond(end, lines...)
	return e.receive()
}

// ended checks that the stream never ends well.
func (e *envoy) ended() {
	e.t.Helper()
	_ = e.stream.CloseSend() // Envoy is done
	if _, err := e.stream.Recv(); err == nil || errors.Is(err, io.EOF) || status.Code(err) == codes.OK {
		e.t.Errorf("the stream ended with %v", err)
	}
}

func TestABodyIsMaskedAndRecorded(t *testing.T) {
	e := dial(t, options{})
	change := e.start(false, ":status= 200", "content-type= application/json", "content-length= 99", "etag= x", "x-secret= s3cret", "x-plain= p").GetResponseHeaders().GetResponse().GetHeaderMutation()
	if got := fmt.Sprint(change.GetRemoveHeaders()); !strings.Contains(got, "content-length") || !strings.Contains(got, "etag") {
		t.Errorf("removed %s", got)
	}
	if got := settings(change); got != "x-secret: [masked]\nvary: authorization\n" {
		t.Errorf("set %s", got)
	}
	e.chunk(`{"id": 1, "pass`, false)
	e.chunk(`word": "s3cr`, false)
	e.chunk(`et", "n": 2}`, false)
	e.chunk("", true)
	want := `{"id": 1, "password": "[masked]", "n": 2}`
	if got, err := e.body(); err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	e.ended()
	if o := e.tape.outcome(); o.GetCode() != "200 OK" || o.GetMessage() != "" || o.GetBytes() != uint64(len(want)) {
		t.Errorf("outcome %v", o)
	}
	<-e.left
	if text := e.tape.text(); strings.Contains(text, "s3cr") || !strings.Contains(text, want) || strings.Contains(text, "etag") || !strings.Contains(text, "x-plain") {
		t.Errorf("recorded: %s", text)
	}
}

// settings are the headers that a mutation sets.
func settings(m *envoy_service_ext_proc_v3.HeaderMutation) string {
	var out strings.Builder
	for _, h := range m.GetSetHeaders() {
		fmt.Fprintf(&out, "%s: %s\n", h.GetHeader().GetKey(), h.GetHeader().GetRawValue())
	}
	return out.String()
}

// Caches must not give one agent what another may see, and need not know who is excepted where nothing is masked.
func TestCachesAreToldWhereAgentsSeeDifferentThings(t *testing.T) {
	for target, want := range map[string]string{"api": "vary: authorization\n", "open": ""} {
		e := dial(t, options{target: target, groups: []string{"dba"}})
		if got := settings(e.start(true, ":status= 204").GetResponseHeaders().GetResponse().GetHeaderMutation()); got != want {
			t.Errorf("%s: set %q", target, got)
		}
		e.ended()
	}
}

func TestWhoIsExceptedSeesAllAndTheRecordDoesNot(t *testing.T) {
	for name, c := range map[string]struct{ kind, body, record string }{
		"JSON":         {"application/json", `{"password": "s3cret"}`, `{"password": "[masked]"}`},
		"no JSON":      {"application/json", `{"password": "s3cret", oops`, "‹not shown, "},
		"another type": {"image/png", "\x89s3cret", "‹not shown, 7 bytes, sha256 "},
	} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, options{groups: []string{"dba"}})
			if m := e.start(false, ":status= 200", "content-type= "+c.kind, "content-length= 22", "x-secret= s3cret").GetResponseHeaders().GetResponse().GetHeaderMutation(); settings(m) != "vary: authorization\n" || len(m.GetRemoveHeaders()) > 0 {
				t.Errorf("changed: %v", m)
			}
			half := len(c.body) / 2
			e.chunk(c.body[:half], false)
			e.chunk(c.body[half:], true)
			if got, err := e.body(); err != nil || got != c.body {
				t.Errorf("got %q, %v", got, err)
			}
			e.ended()
			<-e.left
			if text := e.tape.text(); strings.Contains(text, "s3cret") || !strings.Contains(text, c.record) {
				t.Errorf("recorded: %s", text)
			}
		})
	}
}

func TestWithoutATicketNothingPasses(t *testing.T) {
	for name, ticket := range map[string]string{"none": "", "another": "t-2"} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, options{})
			e.ask(ticket)
			if m := e.receive().GetImmediateResponse(); m.GetStatus().GetCode() != 403 {
				t.Errorf("got %v", m)
			}
			e.ended()
		})
	}
}

// An answer of ext_authz's own comes without its request.
func TestADenialPasses(t *testing.T) {
	e := dial(t, options{})
	e.local("ext_authz_denied", ":status= 403", "content-type= application/problem+json")
	if m := e.receive().GetResponseHeaders(); m == nil || m.GetResponse() != nil {
		t.Errorf("got %v", m)
	}
	e.chunk(`{"title": `, false)
	e.chunk(`"no"}`, true)
	if got, err := e.body(); err != nil || got != `{"title": "no"}` {
		t.Errorf("got %s, %v", got, err)
	}
	e.ended()
}

func TestAnAnswerOfTheServiceWithoutItsRequestIsRefused(t *testing.T) {
	for name, details := range map[string]string{"of the service": "via_upstream", "of nobody knows whom": ""} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, options{})
			e.local(details, ":status= 200", "content-type= application/json")
			if m := e.receive().GetImmediateResponse(); m.GetStatus().GetCode() != 403 {
				t.Errorf("got %v", m)
			}
			e.ended()
		})
	}
}

// trailers are those of the request.
func (e *envoy) trailers(lines ...string) {
	e.t.Helper()
	e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_RequestTrailers{
		RequestTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers(lines...)},
	}})
}

func TestTrailersOfARequestAreTakenAwayWheneverTheyCome(t *testing.T) {
	e := dial(t, options{})
	e.start(false, ":status= 200", "content-type= application/json")
	e.trailers("x-api-key= forged", "x-other= o")
	if m := e.receive().GetRequestTrailers().GetHeaderMutation(); !slices.Equal(m.GetRemoveHeaders(), []string{"x-api-key", "x-other"}) {
		t.Errorf("got %v", m)
	}
	e.chunk(`{"a": 1}`, true)
	if got, err := e.body(); err != nil || got != `{"a": 1}` {
		t.Errorf("got %s, %v", got, err)
	}
	e.ended()
}

func TestTrailersWithoutARequestAreRefused(t *testing.T) {
	e := dial(t, options{})
	e.trailers("x-api-key= forged")
	e.ended()
}

func TestWhatCannotBeMaskedIsKeptBack(t *testing.T) {
	for name, c := range map[string]struct {
		lines  []string
		method string
		words  string
	}{
		"gzip":        {lines: []string{":status= 200", "content-type= application/json", "content-encoding= gzip"}, words: "compressed"},
		"gzip behind": {lines: []string{":status= 200", "content-type= application/json", "content-encoding= identity", "content-encoding= gzip"}, words: "compressed"},
		"two types":   {lines: []string{":status= 200", "content-type= application/json", "content-type= text/html"}, words: "type"},
		"html":        {lines: []string{":status= 200", "content-type= text/html"}, words: "text/html"},
		"no type":     {lines: []string{":status= 200"}, words: "type"},
		"UTF-16":      {lines: []string{":status= 200", "content-type= application/json; charset=utf-16"}, words: "type"},
		"a part":      {lines: []string{":status= 206", "content-type= application/json"}, words: "206"},
		"a WebSocket": {lines: []string{":status= 101", "upgrade= websocket"}, words: "WebSocket"},
	} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, options{method: c.method})
			m := e.start(false, c.lines...).GetImmediateResponse()
			if m.GetStatus().GetCode() != 502 || !strings.Contains(string(m.GetBody()), c.words) || !strings.Contains(string(m.GetBody()), `"status":502`) ||
				!strings.Contains(string(m.GetBody()), "the masks secrets, more") || !strings.Contains(m.GetHeaders().String(), "no-store") {
				t.Errorf("got %v", m)
			}
			e.ended()
			if o := e.tape.outcome(); o.GetCode() != "502 Bad Gateway" || o.GetMessage() == "" {
				t.Errorf("outcome %v", o)
			}
		})
		t.Run(name+", and the target lets it pass", func(t *testing.T) {
			e := dial(t, options{target: "lax"})
			if m := e.start(false, c.lines...); m.GetResponseHeaders() == nil {
				t.Fatalf("got %v", m)
			}
			e.chunk("\x1f\x8b s3cret", true)
			if got, err := e.body(); err != nil || got != "\x1f\x8b s3cret" {
				t.Errorf("got %q, %v", got, err)
			}
			e.ended()
			<-e.left
			if text := e.tape.text(); strings.Contains(text, "s3cret") {
				t.Errorf("recorded: %s", text)
			}
		})
	}
}

func TestResponsesWithoutABodyPass(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		lines  []string
	}{
		"HEAD":              {"HEAD", []string{":status= 200", "content-type= text/html", "content-length= 5"}},
		"204":               {"DELETE", []string{":status= 204"}},
		"304":               {"GET", []string{":status= 304", "etag= x"}},
		"an empty answer":   {"GET", []string{":status= 200", "content-length= 0"}},
		"101 without masks": {"GET", []string{":status= 101"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := "api"
			if strings.HasPrefix(name, "101") {
				target = "open"
			}
			e := dial(t, options{method: c.method, target: target})
			if m := e.start(true, c.lines...); m.GetResponseHeaders() == nil {
				t.Fatalf("got %v", m)
			}
			e.ended()
			if o := e.tape.outcome(); o.GetMessage() != "" {
				t.Errorf("outcome %v", o)
			}
		})
	}
}

func TestTrailersAreMasked(t *testing.T) {
	e := dial(t, options{})
	e.start(false, ":status= 200", "content-type= application/json")
	e.chunk(`{"password": 1}`, false)
	e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers("x-secret= s3cret", "x-sum= 1")},
	}})
	var body string
	for {
		m := e.receive()
		if tr := m.GetResponseTrailers(); tr != nil {
			if set := tr.GetHeaderMutation().GetSetHeaders(); len(set) != 1 || string(set[0].GetHeader().GetRawValue()) != "[masked]" {
				t.Errorf("trailers %v", tr)
			}
			break
		}
		s := m.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse()
		if s.GetEndOfStream() {
			t.Error("the body ends the stream before its trailers")
		}
		body += string(s.GetBody())
	}
	if body != `{"password": null}` {
		t.Errorf("got %s", body)
	}
	e.ended()
}

func TestNothingFollowsAFault(t *testing.T) {
	for name, c := range map[string]struct {
		o    options
		body []string
	}{
		"JSON that is cut":    {options{}, []string{`{"a": 1, "password": "s3cret`, ""}},
		"JSON that is broken": {options{}, []string{`{"a": 1, "password": "s3cret" "b"}`}},
		"invalid UTF-8":       {options{}, []string{"{\"a\": \"\xff\", \"password\": \"s3cret\"}"}},
		"a record that fails": {options{tape: &tape{fail: errors.New("the disk is full")}}, []string{`{"a": 1, "password": "s3cret"}`}},
		"a fault of ours":     {options{tape: &tape{panics: true}}, []string{`{"a": 1, "password": "s3cret"}`}},
		"a record that hangs": {options{tape: &tape{block: make(chan struct{})}, patience: 100 * time.Millisecond}, []string{`{"a": 1, "password": "s3cret"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			e := dial(t, c.o)
			e.start(false, ":status= 200", "content-type= application/json")
			for i, text := range c.body {
				e.chunk(text, i == len(c.body)-1)
			}
			got, err := e.body()
			if err == nil || status.Code(err) == codes.OK || strings.Contains(got, "s3cret") {
				t.Errorf("got %q, %v", got, err)
			}
			if b := c.o.tape; b != nil && b.block != nil {
				close(b.block)
			}
			if o := e.tape.outcome(); o.GetMessage() == "" {
				t.Errorf("outcome %v", o)
			}
			<-e.left
		})
	}
}

func TestATicketThatCannotBeTakenInTimeEndsTheStream(t *testing.T) {
	block := make(chan struct{})
	e := dial(t, options{patience: 50 * time.Millisecond, block: block})
	e.ask("t-1")
	if m, err := e.stream.Recv(); err == nil || status.Code(err) == codes.OK {
		t.Errorf("got %v, %v", m, err)
	}
	close(block)
	<-e.left
}

func TestAFaultAtTheEndOfAnExchangeEndsItsStreamOnly(t *testing.T) {
	e := dial(t, options{tape: &tape{panicsAtEnd: true}})
	e.start(true, ":status= 204")
	e.ended()
	<-e.left
}

func TestASessionThatSomebodyEndsTakesItsResponsesWithIt(t *testing.T) {
	life, end := context.WithCancelCause(t.Context())
	e := dial(t, options{life: life})
	e.start(false, ":status= 200", "content-type= application/json")
	e.chunk(`[1,`, false)
	if s := e.receive().GetResponseBody(); s == nil {
		t.Error("nothing came")
	}
	end(errors.New("enough"))
	if _, err := e.body(); err == nil || status.Code(err) == codes.OK {
		t.Errorf("got %v", err)
	}
	<-e.left
}

func TestAnAgentThatGoesAwayEndsTheExchange(t *testing.T) {
	e := dial(t, options{})
	e.start(false, ":status= 200", "content-type= application/json")
	e.chunk(`[1,`, false)
	e.cancel()
	if o := e.tape.outcome(); !strings.Contains(o.GetMessage(), "went away") {
		t.Errorf("outcome %v", o)
	}
	<-e.left
}
