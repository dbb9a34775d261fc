package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.uber.org/goleak"
	rpc_status "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/policies/source"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// quiet is how long nothing must come for a test to believe that nothing does.
const quiet = 200 * time.Millisecond

// harness is the real builder, caches and gRPC server, on a socket.
type harness struct {
	*server.Server
	t      *testing.T
	socket *configv1.Socket
	stop   func()
}

func options() server.Options {
	return server.Options{
		Resources: resources.Options{
			Postgres:  &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/run/sluice/postgres.sock"}},
			EgressDir: "/run/sluice/egress",
		},
		Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, o server.Options) *harness {
	t.Helper()
	return serve(t, o, &configv1.Socket{Address: &configv1.Socket_Unix{Unix: filepath.Join(t.TempDir(), "x")}})
}

func serve(t *testing.T, o server.Options, socket *configv1.Socket) *harness {
	t.Helper()
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := peer.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	if m := socket.GetMtls(); m != nil {
		m.Address = l.Addr().String()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return &harness{Server: s, t: t, socket: socket, stop: stop}
}

const orders = `
issuers: [{name: corp, url: "https://idp.example", audiences: [sluice]}]
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
`

const shop = `- name: shop
  listener: {address: 127.0.0.1, port: 15433}
  postgres: {endpoints: [{host: shop.internal, port: 5432}], database: shop}
  credential: {static: {username: app, password: {env: PW}}}
`

const rule = "rules: [{name: a, on: {targets: [orders]}, allow: {}}]\n"

func bundle(t *testing.T, text string) *policyv1.Bundle {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.Version, err = source.Version(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func (h *harness) set(text string) *policyv1.Bundle {
	h.t.Helper()
	b := bundle(h.t, text)
	if err := h.SetBundle(h.t.Context(), b, nil); err != nil {
		h.t.Fatal(err)
	}
	return b
}

// rawClient is one raw delta stream.
type rawClient struct {
	t     *testing.T
	str   envoy_service_discovery_v3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	got   chan *envoy_service_discovery_v3.DeltaDiscoveryResponse
	ended chan error
	known map[string]map[string]string // versions, by type and name
}

func (h *harness) dial() *rawClient {
	h.t.Helper()
	return h.dialWith(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", h.socket.GetUnix())
	})
}

func (h *harness) dialWith(dial func(context.Context) (net.Conn, error)) *rawClient {
	h.t.Helper()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	str, err := envoy_service_discovery_v3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		cancel()
		_ = conn.Close()
		h.t.Fatal(err)
	}
	c := &rawClient{
		t: h.t, str: str, got: make(chan *envoy_service_discovery_v3.DeltaDiscoveryResponse, 100),
		ended: make(chan error, 1), known: map[string]map[string]string{},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			res, err := str.Recv()
			if err != nil {
				c.ended <- err
				return
			}
			c.got <- res
		}
	}()
	h.t.Cleanup(func() { cancel(); <-done; _ = conn.Close() })
	return c
}

func (c *rawClient) send(r *envoy_service_discovery_v3.DeltaDiscoveryRequest) {
	c.t.Helper()
	if err := c.str.Send(r); err != nil {
		c.t.Fatal(err)
	}
}

// subscribe asks for a type, in the first message with the node; known versions are told as Envoy tells them.
func (c *rawClient) subscribe(node, typeURL string, names ...string) {
	c.t.Helper()
	r := &envoy_service_discovery_v3.DeltaDiscoveryRequest{
		TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: c.known[typeURL],
	}
	if node != "" {
		r.Node = &envoy_config_core_v3.Node{Id: node, UserAgentName: "envoy", UserAgentVersionType: &envoy_config_core_v3.Node_UserAgentVersion{UserAgentVersion: "test"}}
	}
	c.send(r)
}

func (c *rawClient) recv() *envoy_service_discovery_v3.DeltaDiscoveryResponse {
	c.t.Helper()
	select {
	case res := <-c.got:
		return res
	case err := <-c.ended:
		c.t.Fatalf("the stream ended: %v", err)
	case <-time.After(patience):
		c.t.Fatal("nothing came")
	}
	return nil
}

// want receives a response of a type with these names; removed ones begin with -.
func (c *rawClient) want(typeURL string, names ...string) *envoy_service_discovery_v3.DeltaDiscoveryResponse {
	c.t.Helper()
	res := c.recv()
	got := []string{}
	for _, r := range res.GetResources() {
		got = append(got, r.GetName())
	}
	for _, n := range res.GetRemovedResources() {
		got = append(got, "-"+n)
	}
	slices.Sort(got)
	if res.GetTypeUrl() != typeURL || !slices.Equal(got, names) {
		c.t.Fatalf("got %s %v, want %s %v", res.GetTypeUrl(), got, typeURL, names)
	}
	return res
}

func (c *rawClient) ack(res *envoy_service_discovery_v3.DeltaDiscoveryResponse) {
	c.t.Helper()
	if c.known[res.GetTypeUrl()] == nil {
		c.known[res.GetTypeUrl()] = map[string]string{}
	}
	for _, r := range res.GetResources() {
		c.known[res.GetTypeUrl()][r.GetName()] = r.GetVersion()
	}
	c.send(&envoy_service_discovery_v3.DeltaDiscoveryRequest{TypeUrl: res.GetTypeUrl(), ResponseNonce: res.GetNonce()})
}

func (c *rawClient) nack(res *envoy_service_discovery_v3.DeltaDiscoveryResponse, detail string) {
	c.t.Helper()
	c.send(&envoy_service_discovery_v3.DeltaDiscoveryRequest{
		TypeUrl: res.GetTypeUrl(), ResponseNonce: res.GetNonce(),
		ErrorDetail: &rpc_status.Status{Code: int32(codes.Internal), Message: detail},
	})
}

func (c *rawClient) wantQuiet() {
	c.t.Helper()
	select {
	case res := <-c.got:
		c.t.Fatalf("got %v", res)
	case err := <-c.ended:
		c.t.Fatalf("the stream ended: %v", err)
	case <-time.After(quiet):
	}
}

// wantEnd waits for the end of the stream with a code and a part of its text.
func (c *rawClient) wantEnd(code codes.Code, text string) {
	c.t.Helper()
	select {
	case err := <-c.ended:
		if status.Code(err) != code || !strings.Contains(err.Error(), text) {
			c.t.Fatalf("ended with %v, want %v %q", err, code, text)
		}
	case <-time.After(patience):
		c.t.Fatal("the stream goes on")
	}
}

// subscription finds one in the status once cond holds for it.
func (h *harness) subscription(id, typeURL string, cond func(*controlv1.Subscription) bool) *controlv1.Subscription {
	h.t.Helper()
	var last *controlv1.Subscription
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, n := range h.Status().GetNodes() {
			for _, s := range n.GetSubscriptions() {
				if n.GetId() == id && s.GetTypeUrl() == typeURL {
					if last = s; cond(s) {
						return s
					}
				}
			}
		}
	}
	h.t.Fatalf("the ledger has %v", last)
	return nil
}

func inState(want controlv1.Subscription_State) func(*controlv1.Subscription) bool {
	return func(s *controlv1.Subscription) bool { return s.GetState() == want }
}

// envoy is a stream that has taken what it was sent at the start, as an Envoy does.
func (h *harness) envoy(id string, targets ...string) *rawClient {
	h.t.Helper()
	listeners, clusters, endpoints := []string{}, []string{resources.ProcessorCluster}, []string{}
	for _, name := range targets {
		listeners = append(listeners, resources.EgressListener(name, 0), resources.IngressListener(name))
		clusters = append(clusters, resources.TargetCluster(name, 0))
		if name == "orders" {
			endpoints = append(endpoints, resources.TargetCluster(name, 0))
		}
	}
	slices.Sort(listeners)
	c := h.dial()
	c.subscribe(id, resource.ClusterType)
	c.ack(c.want(resource.ClusterType, clusters...))
	c.subscribe("", resource.EndpointType, endpoints...)
	c.ack(c.want(resource.EndpointType, endpoints...))
	c.subscribe("", resource.ListenerType)
	c.ack(c.want(resource.ListenerType, listeners...))
	return c
}

func (h *harness) processor(id string) *rawClient {
	h.t.Helper()
	c := h.dial()
	c.subscribe(id, resources.BundleType(), resources.Stable)
	return c
}

// wantBundle receives the bundle of a version.
func (c *rawClient) wantBundle(want *policyv1.Bundle) {
	c.t.Helper()
	res := c.want(resources.BundleType(), resources.Stable)
	got := &policyv1.Bundle{}
	if err := res.GetResources()[0].GetResource().UnmarshalTo(got); err != nil {
		c.t.Fatal(err)
	}
	if got.GetVersion() != want.GetVersion() || res.GetSystemVersionInfo() != want.GetVersion() {
		c.t.Fatalf("got version %s as %s", got.GetVersion(), res.GetSystemVersionInfo())
	}
	c.ack(res)
}

var errRefused = errors.New("rules[0].when: no")
