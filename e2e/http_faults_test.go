package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	exthttp "github.com/sluicegate/sluice/extproc/http"
)

// deserter is a processor that masks every body, and ends its stream well after some messages: what a bug in one would
// do, or a library that takes an end for one.
type deserter struct {
	envoy_service_auth_v3.UnimplementedAuthorizationServer
	envoy_service_ext_proc_v3.UnimplementedExternalProcessorServer
	after int
}

func (*deserter) Check(ctx context.Context, r *envoy_service_auth_v3.CheckRequest) (*envoy_service_auth_v3.CheckResponse, error) {
	return allow(ctx, r.GetAttributes())
}

func (d *deserter) Process(s envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer) error {
	for n := 0; ; n++ {
		in, err := s.Recv()
		if err != nil || n == d.after {
			return nil
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
						Body: []byte(strings.Repeat("m", len(m.ResponseBody.GetBody()))), EndOfStream: m.ResponseBody.GetEndOfStream(),
					}},
				}},
			}}
		}
		if err := s.Send(out); err != nil {
			return nil
		}
	}
}

// serve listens where Envoy asks, with or without the guard of ours against good ends.
func (d *deserter) serve(t *testing.T, g *httpGateway, guarded bool) (stop func()) {
	t.Helper()
	var options []grpc.ServerOption
	if guarded {
		options = append(options, grpc.ChainStreamInterceptor(exthttp.NeverOK))
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", g.processor.socket.GetUnix())
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	envoy_service_auth_v3.RegisterAuthorizationServer(s, d)
	envoy_service_ext_proc_v3.RegisterExternalProcessorServer(s, d)
	go func() { _ = s.Serve(l) }()
	return s.Stop
}

// Envoy takes a good end of a stream for leave to pass the rest as it is (FACTS 4). None of ours ends well.
func TestAProcessorThatEndsEarlyLeaksNothing(t *testing.T) {
	g := newHTTPGateway(t, nil)
	const secret = "SECRET"
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 10 {
			_, _ = io.WriteString(w, strings.Repeat(secret, 100)+"\n")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}))
	pair := g.issue("upstream", "127.0.0.1")
	upstream.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	g.serve("targets:\n" + g.target("api", upstream.Listener.Addr(), "tls: {ca: {file: ca.pem}}"))
	g.isReady("https://api.test/")
	g.processor.stop()

	leaks := 0
	for _, guarded := range []bool{true, false} {
		for after := range 7 {
			d := &deserter{after: after}
			stop := d.serve(t, g, guarded)
			secrets := 0
			for range 2 {
				secrets += countSecrets(t, g, secret)
			}
			stop()
			if guarded && secrets > 0 {
				t.Errorf("after %d messages: %d secrets reached the client", after, secrets)
			}
			if !guarded {
				leaks += secrets
			}
		}
	}
	if leaks == 0 {
		t.Error("without the guard nothing leaks either: this test does not show what it should")
	}
}

func countSecrets(t *testing.T, g *httpGateway, secret string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body) // it may be cut
	return strings.Count(string(body), secret) + strings.Count(fmt.Sprint(res.Header), secret)
}

// A processor that is frozen passes nothing, and what it held goes on masked once it thaws, or is cut.
func TestAFrozenProcessorLeaksNothing(t *testing.T) {
	s := ownStage(t, stage.Options{})
	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/export?mb=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := apiClient(t, s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	buf := make([]byte, 1<<20)
	if _, err := io.ReadFull(res.Body, buf); err != nil || hasSecret(string(buf)) {
		t.Fatalf("before: %v", err)
	}
	if err := syscall.Kill(s.SluicePID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	thaw := time.AfterFunc(3*time.Second, func() { _ = syscall.Kill(s.SluicePID(), syscall.SIGCONT) })
	defer thaw.Stop()
	rest, err := io.ReadAll(res.Body)
	if hasSecret(string(rest)) {
		t.Error("a secret reached the client")
	}
	if err == nil && !strings.HasSuffix(string(rest), "]\n") {
		t.Error("a body that was cut looks whole")
	}
	if len(rest) == 0 {
		t.Error("nothing came after it thawed")
	}
}
