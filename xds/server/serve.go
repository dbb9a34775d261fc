package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/api/peer/peergrpc"
)

const (
	// handshakeTimeout is how long a peer may take to show who it is.
	handshakeTimeout = 10 * time.Second
	// A frozen peer is seen after these; peers may ping as often as pingMost.
	pingInterval = 30 * time.Second
	pingTimeout  = 5 * time.Second
	pingMost     = 10 * time.Second
	// maxRequest bounds a message of a peer, in bytes: names of resources and the text of a refusal.
	maxRequest = 4 << 20
	// maxStreams bounds one connection: a peer needs one stream.
	maxStreams = 8
	// stopTimeout is how long streams may take to end.
	stopTimeout = 5 * time.Second
)

// Serve answers at l, which package peer made, until ctx ends: then it ends all streams and returns nil. Envoys and
// processors go on with what they have. It may be called for several listeners.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := grpc.NewServer(
		grpc.Creds(told{peergrpc.Credentials(peer.Envoy, peer.Process), s}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMost, PermitWithoutStream: true}),
	)
	envoy_service_discovery_v3.RegisterAggregatedDiscoveryServiceServer(g, &ads{server: s, ctx: ctx})
	stopped := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(stopped)
		force := time.AfterFunc(stopTimeout, g.Stop)
		defer force.Stop()
		g.GracefulStop()
	})
	err := g.Serve(l)
	if release() { // ctx still lives: the listener failed
		g.Stop()
		return fmt.Errorf("xds server: %w", err)
	}
	<-stopped
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("xds server: %w", err)
	}
	return nil
}
