package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"time"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/api/peer/peergrpc"
	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	exthttp "github.com/sluicegate/sluice/extproc/http"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/policies/httpmask"
	"github.com/sluicegate/sluice/policies/httptag"
)

const (
	// maxStreams is how many requests one connection of Envoy's may have under way: held ones wait here.
	maxStreams = 1 << 20
	// maxMessage takes a request with the longest body that a target may allow, in bytes.
	maxMessage = 36 << 20
	// patience is how long a step of ours may take before a response is given up.
	patience = 30 * time.Second
)

// httpServer is what Envoy asks about HTTP: ext_authz and ext_proc, on one socket.
type httpServer struct {
	check    *check.Server
	grpc     *grpc.Server
	listener net.Listener
}

func (p *processRole) serveHTTP(ctx context.Context, i *instance, g *guard.Guard, credentials *credential.Broker) (*httpServer, error) {
	if err := makeSocketDir(p.config.GetHttp()); err != nil {
		return nil, err
	}
	listener, err := peer.ListenAs(ctx, "process.http", p.config.GetHttp(), i.logger)
	if err != nil {
		return nil, err
	}
	views := &httpmask.Cache{}
	tags, err := tagKey(p.recorder.Hide)
	if err != nil {
		return nil, err
	}
	h := &httpServer{listener: listener}
	h.check = check.NewServer(check.Options{
		Processor: p.config.GetId(), Guard: g, Credentials: credentials, Recorder: httpRecorder{p.recorder},
		Tags:      tags,
		Shown:     exthttp.Shown{Views: views, Hide: p.recorder.Hide},
		SessionID: func() (string, error) { return record.NewSessionID(p.config.GetId(), rand.Reader) },
		Metrics:   check.NewMetrics(i.metrics), Told: i.told, Now: time.Now, Random: rand.Reader, Logger: i.logger,
	})
	h.grpc = grpc.NewServer(
		grpc.Creds(peergrpc.Credentials(peer.Envoy)), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxRecvMsgSize(maxMessage),
		grpc.ChainStreamInterceptor(exthttp.NeverOK),
		grpc.WaitForHandlers(true), // what is cut at the end is recorded as such, while there is a recorder
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	envoy_service_auth_v3.RegisterAuthorizationServer(h.grpc, h.check)
	envoy_service_ext_proc_v3.RegisterExternalProcessorServer(h.grpc, exthttp.NewServer(exthttp.Options{
		Exchanges: h.check, Views: views, Patience: patience, Hide: p.recorder.Hide, Metrics: exthttp.NewMetrics(i.metrics), Logger: i.logger,
	}))
	i.goes(ctx, "http", func(context.Context) error {
		if err := h.grpc.Serve(listener); err != nil {
			return err
		}
		return context.Canceled // it was stopped
	})
	return h, nil
}

// tagKey is the key of entity tags, from the recorder's own: so a tag that an agent kept is good after a restart, too.
func tagKey(hide func([]byte) string) (*httptag.Key, error) {
	secret := sha256.New()
	for i := range 8 { // 64 bits each
		_, _ = io.WriteString(secret, hide(fmt.Appendf(nil, "sluice: entity tags, part %d", i))) // a hash never fails
	}
	return httptag.New(secret.Sum(nil))
}

// drain lets requests that are under way end, and withdraws what is held.
func (h *httpServer) drain(ctx context.Context) {
	_ = h.listener.Close() // Envoy finds nobody there, and says so to new requests
	h.check.Drain(ctx)
}

func (h *httpServer) stop(ctx context.Context) {
	h.grpc.Stop()
	h.check.Close(ctx)
}

// httpRecorder is the record as package check sees it.
type httpRecorder struct{ *record.Recorder }

// Begin implements check.Recorder.
func (r httpRecorder) Begin(ctx context.Context, id string, start *recordv1.SessionStart) (check.Recording, error) {
	s, err := r.Recorder.Begin(ctx, id, start)
	if err != nil {
		return nil, err
	}
	return s, nil
}
