package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_extensions_filters_network_tcp_proxy_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/resources"
)

func TestARuleIsPushedToProcessorsAndTouchesNoEnvoy(t *testing.T) {
	h := start(t, options())
	first := h.set(orders)
	envoy, processor, other := h.envoy("edge", "orders"), h.processor("p1"), h.processor("p2")
	processor.wantBundle(first)
	other.wantBundle(first)

	second := h.set(orders + rule)
	processor.wantBundle(second)
	other.wantBundle(second)
	envoy.wantQuiet()
	h.subscription("p1", resources.BundleType(), func(s *controlv1.Subscription) bool {
		return s.GetAckedVersion() == second.GetVersion() && s.GetAcks() == 2 && s.GetState() == controlv1.Subscription_ACKED
	})

	// The same bundle again is no news for anybody.
	h.set(orders + rule)
	processor.wantQuiet()
}

func TestATargetThatComesAndGoesSendsItsOwnResourcesAlone(t *testing.T) {
	h := start(t, options())
	h.set(orders)
	envoy := h.envoy("edge", "orders")
	h.set(orders + shop)
	envoy.ack(envoy.want(resource.ClusterType, "target/shop/0"))
	envoy.ack(envoy.want(resource.ListenerType, "egress/shop/0", "postgres/shop"))
	h.set(orders)
	envoy.ack(envoy.want(resource.ClusterType, "-target/shop/0"))
	envoy.ack(envoy.want(resource.ListenerType, "-egress/shop/0", "-postgres/shop"))
	envoy.wantQuiet()
}

func TestAMovedEndpointIsAnEndpointChangeAlone(t *testing.T) {
	h := start(t, options())
	h.set(orders)
	envoy := h.envoy("edge-2", "orders")
	h.set(strings.ReplaceAll(orders, "15999", "16000"))
	envoy.ack(envoy.want(resource.EndpointType, "target/orders/0"))
	envoy.wantQuiet()
}

func TestWhoConnectsBeforeThePolicyGetsItWhenItComes(t *testing.T) {
	h := start(t, options())
	envoy, processor := h.dial(), h.processor("p1")
	envoy.subscribe("edge", resource.ListenerType)
	envoy.wantQuiet()
	processor.wantQuiet()
	b := h.set(orders)
	processor.wantBundle(b)
	envoy.want(resource.ListenerType, "egress/orders/0", "postgres/orders")
}

func TestEachEnvoyGetsItsOwnName(t *testing.T) {
	h := start(t, options())
	h.set(orders)
	for _, id := range []string{"edge-1", "edge-2"} {
		c := h.dial()
		c.subscribe(id, resource.ListenerType)
		res := c.want(resource.ListenerType, "egress/orders/0", "postgres/orders")
		found := ""
		for _, r := range res.GetResources() {
			if r.GetName() != "postgres/orders" {
				continue
			}
			var l envoy_config_listener_v3.Listener
			var p envoy_extensions_filters_network_tcp_proxy_v3.TcpProxy
			if err := errors.Join(r.GetResource().UnmarshalTo(&l), l.GetFilterChains()[0].GetFilters()[1].GetTypedConfig().UnmarshalTo(&p)); err != nil {
				t.Fatal(err)
			}
			found = string(p.GetProxyProtocolTlvs()[1].GetValue())
		}
		if found != id {
			t.Errorf("node %q hands over connections as of %q", id, found)
		}
	}
}

func TestWhatAnEnvoyHasIsNotSentAgain(t *testing.T) {
	h := start(t, options())
	h.set(orders)
	first := h.envoy("edge", "orders")
	again := h.dial()
	again.known = first.known
	again.subscribe("edge", resource.ListenerType)
	again.want(resource.ListenerType) // the first answer ends Envoy's start, even if it is empty
}

func TestABadBundleNeverReplacesAGoodOne(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		field string
	}{
		"it does not compile": {orders + "rules: [{name: a, on: {targets: [orders]}, when: \"1 +\", allow: {}}]", "rules[0].when"},
		"it is invalid":       {orders + "rules: [{name: a}]", "rules[0]"},
		"it cannot be built":  {strings.ReplaceAll(orders, "name: orders", "name: "+strings.Repeat("o", 63)), "targets[0].name"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Resources.EgressDir = "/" + strings.Repeat("d", 60)
			h := start(t, o)
			good := h.set(orders)
			processor := h.processor("p1")
			processor.wantBundle(good)

			err := h.SetBundle(t.Context(), bundle(t, tc.text), nil)
			var faults policies.Faults
			if !errors.As(err, &faults) || !strings.HasPrefix(faults[0].Field, tc.field) {
				t.Fatalf("got %v", err)
			}
			processor.wantQuiet()
			s := h.Status()
			if s.GetBundleVersion() != good.GetVersion() || h.Bundle() != good {
				t.Error("the last good one is gone")
			}
			if diff := cmp.Diff(strings.Split(err.Error(), "\n"), s.GetPolicyFaults()); diff != "" {
				t.Error(diff)
			}
			h.set(orders)
			if got := h.Status().GetPolicyFaults(); len(got) > 0 {
				t.Errorf("faults that were mended are still shown: %v", got)
			}
		})
	}
}

func TestFaultsOfTheSourceAreShownAndNothingIsServed(t *testing.T) {
	h := start(t, options())
	if err := h.SetBundle(t.Context(), nil, errRefused); !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if s := h.Status(); s.GetBundleVersion() != "" || s.GetBundleAt() != nil || s.GetPolicyFaults()[0] != errRefused.Error() {
		t.Errorf("got %v", s)
	}
	b := bundle(t, orders)
	b.Version = ""
	if err := h.SetBundle(t.Context(), b, nil); err == nil {
		t.Error("a bundle without a version was taken")
	}
	if err := h.SetBundle(t.Context(), nil, nil); err == nil {
		t.Error("no bundle was taken")
	}
}

func TestARefusalIsKeptAndTriedAgain(t *testing.T) {
	o := options()
	o.RetryFirst, o.RetryMost = 300*time.Millisecond, 600*time.Millisecond
	h := start(t, o)
	h.set(orders + shop)
	connect := func(known map[string]map[string]string) *rawClient {
		c := h.dial()
		c.known = known
		c.subscribe("edge", resource.ListenerType)
		return c
	}
	all := []string{"egress/orders/0", "egress/shop/0", "postgres/orders", "postgres/shop"}
	detail := "Error adding/updating listener(s) postgres/shop: cannot bind '127.0.0.1:15433': Address already in use"
	c := connect(map[string]map[string]string{})
	refused := c.want(resource.ListenerType, all...)
	began := time.Now() // before the refusal: however slow the machine is, it is asked again later than that and the wait
	c.nack(refused, detail)
	s := h.subscription("edge", resource.ListenerType, inState(controlv1.Subscription_NACKED))
	if s.GetNackDetail() != detail || s.GetNacks() != 1 || s.GetNackedAt() == nil || s.GetAckedVersion() != "" {
		t.Errorf("got %v", s)
	}
	// Those that the text does not name may be live or not.
	if diff := cmp.Diff([]string{"egress/orders/0", "egress/shop/0", "postgres/orders"}, s.GetInDoubt()); diff != "" {
		t.Error(diff)
	}
	c.wantEnd(codes.Unavailable, "asked again")
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("asked again after %v", took)
	}

	// The second time it waits longer, and a push that others accept does not hide the refusal.
	c = connect(c.known)
	refused = c.want(resource.ListenerType, all...)
	began = time.Now()
	c.nack(refused, detail)
	h.set(strings.Replace(orders, "port: 15432", "port: 15439", 1) + shop)
	c.ack(c.want(resource.ListenerType, "postgres/orders"))
	s = h.subscription("edge", resource.ListenerType, func(s *controlv1.Subscription) bool { return s.GetAcks() == 1 })
	if diff := cmp.Diff([]string{"egress/orders/0", "egress/shop/0"}, s.GetInDoubt()); s.GetState() != controlv1.Subscription_NACKED || diff != "" {
		t.Errorf("%v: %s", s.GetState(), diff)
	}
	c.wantEnd(codes.Unavailable, "asked again")
	if took := time.Since(began); took < 600*time.Millisecond {
		t.Errorf("asked again after %v", took)
	}

	// Mended: what is accepted on a new stream is all that there is.
	c = connect(c.known)
	c.ack(c.want(resource.ListenerType, "egress/orders/0", "egress/shop/0", "postgres/shop"))
	s = h.subscription("edge", resource.ListenerType, inState(controlv1.Subscription_ACKED))
	if len(s.GetInDoubt()) > 0 || s.GetNacks() != 2 || s.GetAcks() != 2 || s.GetAckedVersion() != s.GetSentVersion() {
		t.Errorf("got %v", s)
	}
	time.Sleep(700 * time.Millisecond)
	c.wantQuiet()
}

func TestARepairingPushEndsTheRetry(t *testing.T) {
	o := options()
	o.RetryFirst = 400 * time.Millisecond
	h := start(t, o)
	h.set(orders)
	p := h.processor("p1")
	p.nack(p.want(resources.BundleType(), resources.Stable), "stable: does not compile here")
	h.subscription("p1", resources.BundleType(), inState(controlv1.Subscription_NACKED))
	p.wantBundle(h.set(orders + rule))
	h.subscription("p1", resources.BundleType(), inState(controlv1.Subscription_ACKED))
	time.Sleep(500 * time.Millisecond)
	p.wantQuiet()
}

func TestAStreamHasOneRole(t *testing.T) {
	for name, types := range map[string][2]string{
		"a processor asks for listeners": {resources.BundleType(), resource.ListenerType},
		"a processor asks for secrets":   {resources.BundleType(), resource.SecretType},
		"an Envoy asks for the bundle":   {resource.ClusterType, resources.BundleType()},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, options())
			h.set(orders)
			c := h.dial()
			c.subscribe("n", types[0], "*")
			c.recv()
			c.subscribe("", types[1], "*")
			c.wantEnd(codes.PermissionDenied, types[1])
		})
	}
}

func TestAStreamHasOneNode(t *testing.T) {
	for name, tc := range map[string]struct {
		messages []*envoy_service_discovery_v3.DeltaDiscoveryRequest
		code     codes.Code
		text     string
	}{
		"no node":                {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{{TypeUrl: resource.ListenerType}}, codes.InvalidArgument, "must name a node"},
		"a name for a lost TLV":  {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{of("-", resource.ListenerType)}, codes.InvalidArgument, "must name a node"},
		"a name of 129 bytes":    {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{of(strings.Repeat("n", 129), resource.ListenerType)}, codes.InvalidArgument, "must name a node"},
		"another node later":     {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{of("a", resource.ListenerType), of("b", resource.ClusterType)}, codes.PermissionDenied, `of node "a", the message of "b"`},
		"a type that is not one": {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{of("a", "type.googleapis.com/x")}, codes.InvalidArgument, "not served"},
		"no type":                {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{of("a", "")}, codes.InvalidArgument, "not served"},
		"an answer to another type": {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{
			of("a", resource.ListenerType), {TypeUrl: resource.ClusterType, ResponseNonce: "1"},
		}, codes.InvalidArgument, "an answer to"},
		"names without end": {[]*envoy_service_discovery_v3.DeltaDiscoveryRequest{{
			Node: &envoy_config_core_v3.Node{Id: "a"}, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: make([]string, 100_001),
		}}, codes.ResourceExhausted, "more than 100000 names"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, options())
			h.set(orders)
			c := h.dial()
			c.send(tc.messages[0])
			for _, m := range tc.messages[1:] {
				c.recv()
				c.send(m)
			}
			c.wantEnd(tc.code, tc.text)
		})
	}
	t.Run("its own node again is fine", func(t *testing.T) {
		h := start(t, options())
		h.set(orders)
		c := h.dial()
		c.send(of("a", resource.ClusterType))
		c.recv()
		c.send(of("a", resource.ListenerType))
		c.recv()
		c.send(&envoy_service_discovery_v3.DeltaDiscoveryRequest{Node: &envoy_config_core_v3.Node{}, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: []string{"target/orders/0"}})
		c.want(resource.EndpointType, "target/orders/0")
	})
}

func of(node, typeURL string) *envoy_service_discovery_v3.DeltaDiscoveryRequest {
	return &envoy_service_discovery_v3.DeltaDiscoveryRequest{Node: &envoy_config_core_v3.Node{Id: node}, TypeUrl: typeURL}
}

func TestTheStopEndsStreams(t *testing.T) {
	h := start(t, options())
	h.set(orders)
	p := h.processor("p1")
	p.wantBundle(h.Bundle())
	h.stop()
	p.wantEnd(codes.Unavailable, "")
	for _, n := range h.Status().GetNodes() {
		if n.GetConnectedAt() != nil {
			t.Errorf("%s is still there", n.GetId())
		}
	}
}
