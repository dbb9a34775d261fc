package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// Exchanges gives what ext_authz let through.
type Exchanges interface {
	Take(ticket, requestID string) (*check.Exchange, bool)
}

// Options are what a server needs from its process.
type Options struct {
	Exchanges Exchanges
	Views     *httpmask.Cache
	// Patience is how long one step of ours may take before the response is given up: without it, a processor that
	// hangs would hang the agent.
	Patience time.Duration
	// Hide stands for a value that must not be kept: its length and a keyed digest.
	Hide    func(value []byte) string
	Metrics *Metrics
	Logger  *slog.Logger
}

// Server answers Envoy. It is safe for concurrent use.
type Server struct {
	envoy_service_ext_proc_v3.UnimplementedExternalProcessorServer
	o    Options
	kept budget
}

// NewServer makes one.
func NewServer(o Options) *Server { return &Server{o: o} }

// errHung ends a response on which a step of ours took too long.
var errHung = errors.New("the processor hangs")

// Process implements ext_proc: one response. It never returns nil.
func (s *Server) Process(stream envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer) error {
	c := &conversation{server: s, stream: stream, watch: newWatch(s.o.Patience)}
	defer c.watch.stop()
	done := make(chan error, 1)
	go func() { done <- guard.Safely(c.run) }()
	var err error
	select {
	case err = <-done:
	case err = <-c.watch.fired:
	}
	var refused *refusedError
	switch {
	case err == nil || stream.Context().Err() != nil:
	case errors.As(err, &refused):
		s.o.Logger.Info("a response was kept back", slog.String("request", c.requestID()), slog.String("reason", refused.detail))
	default:
		s.o.Metrics.failures.Inc()
		s.o.Logger.Warn("a response was given up", slog.String("request", c.requestID()), slog.Any("error", err))
	}
	return failure(err)
}

// failure is never nil, and never OK.
func failure(err error) error {
	if err == nil {
		return status.Error(codes.Aborted, "the stream ends")
	}
	if code := status.Code(err); code != codes.OK && code != codes.Unknown {
		return err
	}
	return status.Error(codes.Aborted, "the response was given up")
}

// NeverOK turns every good end of a stream into an error: Envoy takes a good end for leave to pass the rest of a
// response as it is. Install it on each gRPC server that serves ext_proc.
func NeverOK(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Error(codes.Internal, fmt.Sprintf("%s: panic", info.FullMethod))
		}
		if err == nil {
			err = status.Error(codes.Aborted, "the stream ends")
		}
	}()
	return handler(server, stream)
}

// quietEnd reports whether an error is only that Envoy has ended the stream.
func quietEnd(ctx context.Context, err error) bool {
	return ctx.Err() != nil || status.Code(err) == codes.Canceled
}
