package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxStreams is as many as sluice allows (cmd/sluice, serve_http.go).
	maxStreams = 1 << 20
	// maxPiece is the greatest piece that Envoy gets of a body at once, in bytes (FACTS 4), as extproc/http sends it.
	maxPiece = 64 << 10
	// heldPath begins the paths of requests that are held: by the no-op processor for ever, by sluice until people decide.
	heldPath = "/held/"
)

// noopProcessor is the least that Envoy can be answered: yes, and what came. What Sluice does is measured against it.
type noopProcessor struct {
	envoy_service_auth_v3.UnimplementedAuthorizationServer
	envoy_service_ext_proc_v3.UnimplementedExternalProcessorServer
}

func serveNoop(ctx context.Context, l net.Listener) error {
	s := grpc.NewServer(grpc.MaxConcurrentStreams(maxStreams))
	envoy_service_auth_v3.RegisterAuthorizationServer(s, noopProcessor{})
	envoy_service_ext_proc_v3.RegisterExternalProcessorServer(s, noopProcessor{})
	ended := context.AfterFunc(ctx, s.Stop)
	defer ended()
	if err := s.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// Check implements ext_authz.
func (noopProcessor) Check(ctx context.Context, r *envoy_service_auth_v3.CheckRequest) (*envoy_service_auth_v3.CheckResponse, error) {
	if strings.HasPrefix(r.GetAttributes().GetRequest().GetHttp().GetPath(), heldPath) {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return &envoy_service_auth_v3.CheckResponse{
		Status:       status.New(codes.OK, "").Proto(),
		HttpResponse: &envoy_service_auth_v3.CheckResponse_OkResponse{OkResponse: &envoy_service_auth_v3.OkHttpResponse{}},
	}, nil
}

// Process implements ext_proc. It never ends well: Envoy would pass the rest (FACTS 4).
func (noopProcessor) Process(s envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer) error {
	for {
		in, err := s.Recv()
		if err != nil {
			return status.Error(codes.Aborted, "the stream ends")
		}
		switch m := in.GetRequest().(type) {
		case *envoy_service_ext_proc_v3.ProcessingRequest_RequestHeaders:
			err = s.Send(&envoy_service_ext_proc_v3.ProcessingResponse{
				Response: &envoy_service_ext_proc_v3.ProcessingResponse_RequestHeaders{RequestHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}},
			})
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders:
			err = s.Send(&envoy_service_ext_proc_v3.ProcessingResponse{
				Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}},
			})
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseBody:
			err = echo(s, m.ResponseBody)
		case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers:
			err = s.Send(&envoy_service_ext_proc_v3.ProcessingResponse{
				Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &envoy_service_ext_proc_v3.TrailersResponse{}},
			})
		default:
			return status.Error(codes.Internal, fmt.Sprintf("%T was not asked for", m))
		}
		if err != nil {
			return err
		}
	}
}

func echo(s envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer, body *envoy_service_ext_proc_v3.HttpBody) error {
	for rest := body.GetBody(); ; {
		piece := rest[:min(len(rest), maxPiece)]
		rest = rest[len(piece):]
		err := s.Send(&envoy_service_ext_proc_v3.ProcessingResponse{
			Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseBody{ResponseBody: &envoy_service_ext_proc_v3.BodyResponse{
				Response: &envoy_service_ext_proc_v3.CommonResponse{BodyMutation: &envoy_service_ext_proc_v3.BodyMutation{
					Mutation: &envoy_service_ext_proc_v3.BodyMutation_StreamedResponse{StreamedResponse: &envoy_service_ext_proc_v3.StreamedBodyResponse{
						Body: piece, EndOfStream: body.GetEndOfStream() && len(rest) == 0,
					}},
				}},
			}},
		})
		if err != nil || len(rest) == 0 {
			return err
		}
	}
}
