package server

import (
	"context"
	"errors"

	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluicegate/sluice/api/peer/peergrpc"
)

// ads is the aggregated discovery service, delta only: with the other variant each push would send everything.
type ads struct {
	envoy_service_discovery_v3.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
	ctx    context.Context // of Serve
}

// DeltaAggregatedResources serves one peer until it goes, misbehaves, or must be asked again.
func (a *ads) DeltaAggregatedResources(str envoy_service_discovery_v3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	name, ok := peergrpc.NameOf(str.Context())
	if !ok {
		return status.Error(codes.Unauthenticated, "the connection says nothing of its peer")
	}
	ctx, cancel := context.WithCancelCause(str.Context())
	defer cancel(nil)
	release := context.AfterFunc(a.ctx, func() { cancel(errors.New("the control plane stops")) })
	defer release()

	s := newStream(a.server, ctx, name, cancel, func() error { return str.SendHeader(metadata.MD{}) })
	// A server of its own for each stream: go-control-plane ends a stream by the server's context only.
	err := delta.NewServer(ctx, a.server.mux, s).DeltaStreamHandler(str, resource.AnyType)
	if err == nil && ctx.Err() != nil && str.Context().Err() == nil {
		return status.Error(codes.Unavailable, context.Cause(ctx).Error())
	}
	return err
}
