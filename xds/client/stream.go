package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc_status "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/resources"
)

const (
	// A frozen control plane is seen after these (HTTP/2 PING).
	pingInterval = 30 * time.Second
	pingTimeout  = 5 * time.Second
	// acceptTimeout is how long the control plane may take to accept a stream, connecting included.
	acceptTimeout = 15 * time.Second
	// maxMessage bounds a response, in bytes: a bundle and what is around it.
	maxMessage = resources.MaxBundle + 64<<10
)

var errSilent = errors.New("the control plane does not accept the stream in time")

// stream keeps one stream until it ends. up says whether it was ever accepted.
func (c *Client) stream(ctx context.Context) (up bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := c.connect()
	if err != nil {
		return false, err
	}
	defer conn.Close()

	overdue := time.AfterFunc(acceptTimeout, func() { cancel(errSilent) })
	defer overdue.Stop()
	str, err := envoy_service_discovery_v3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return false, c.reason(ctx, err)
	}
	// Nothing is said of versions that are known: an unchanged bundle comes again, which proves that it is current.
	if err := str.Send(&envoy_service_discovery_v3.DeltaDiscoveryRequest{
		Node: &envoy_config_core_v3.Node{
			Id: c.options.NodeID, UserAgentName: "sluice",
			UserAgentVersionType: &envoy_config_core_v3.Node_UserAgentVersion{UserAgentVersion: c.options.Build},
		},
		TypeUrl:                resources.BundleType(),
		ResourceNamesSubscribe: []string{resources.Stable},
	}); err != nil {
		_, err = str.Recv() // the status, where Send has EOF only
		return false, c.reason(ctx, err)
	}
	// The header is sent once the control plane knows who asks. Without one the stream has ended.
	if header, err := str.Header(); err != nil || header == nil {
		_, err = str.Recv()
		return false, c.reason(ctx, err)
	}
	if !overdue.Stop() {
		return false, errSilent
	}
	now := c.options.Now()
	c.seen.Store(&now)
	c.setUp(true)
	defer c.setUp(false)
	c.options.Logger.InfoContext(ctx, "subscribed to the policy")
	for {
		res, err := str.Recv()
		if err != nil {
			return true, c.reason(ctx, err)
		}
		if err := str.Send(c.answer(ctx, res)); err != nil {
			_, err = str.Recv()
			return true, c.reason(ctx, err)
		}
	}
}

// reason is why ctx ended, if that is why err came.
func (c *Client) reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("xds stream: %w", err)
}

func (c *Client) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///control",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := c.dial(ctx)
			if err != nil {
				return nil, err
			}
			return &witness{Conn: conn, client: c}, nil
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // dial does what is needed
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	)
}

// answer takes a response and says whether it was good.
func (c *Client) answer(ctx context.Context, res *envoy_service_discovery_v3.DeltaDiscoveryResponse) *envoy_service_discovery_v3.DeltaDiscoveryRequest {
	out := &envoy_service_discovery_v3.DeltaDiscoveryRequest{TypeUrl: res.GetTypeUrl(), ResponseNonce: res.GetNonce()}
	if err := c.take(ctx, res); err != nil {
		c.options.Logger.ErrorContext(ctx, "policy refused, the last good one stays",
			slog.String("version", res.GetSystemVersionInfo()), slog.Any("error", err))
		out.ErrorDetail = &rpc_status.Status{Code: int32(codes.InvalidArgument), Message: clip(err.Error())}
	}
	return out
}

// clip bounds the text of a refusal, in bytes, and says that it did.
func clip(s string) string {
	const enough = 4000
	if len(s) > enough {
		s = fmt.Sprintf("%s… (%d bytes)", s[:enough], len(s))
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func (c *Client) take(ctx context.Context, res *envoy_service_discovery_v3.DeltaDiscoveryResponse) error {
	if res.GetTypeUrl() != resources.BundleType() {
		return fmt.Errorf("%q was not asked for", res.GetTypeUrl())
	}
	if slices.Contains(res.GetRemovedResources(), resources.Stable) {
		return fmt.Errorf("%s: a policy can be replaced, not removed", resources.Stable)
	}
	for _, r := range res.GetResources() {
		if r.GetName() != resources.Stable {
			continue
		}
		b := &policyv1.Bundle{}
		if err := r.GetResource().UnmarshalTo(b); err != nil {
			return fmt.Errorf("%s: %w", resources.Stable, err)
		}
		if b.GetVersion() == "" {
			return fmt.Errorf("%s: the bundle has no version", resources.Stable)
		}
		var before *policyv1.Bundle
		if old := c.state.Load(); old != nil {
			before = old.bundle
		}
		if err := c.apply(b, state{up: true}); err != nil {
			return fmt.Errorf("%s: %w", resources.Stable, err)
		}
		c.options.Logger.InfoContext(ctx, "policy in force", slog.String("version", b.GetVersion()), slog.Any("changes", policies.Changes(before, b)))
	}
	return nil
}
