package main

import (
	"context"
	"path/filepath"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_config_route_v3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	envoy_extensions_filters_network_http_connection_manager_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/xds/resources"
)

// startPlainEnvoy runs an Envoy that knows nothing of Sluice, but is set up as Sluice sets up its own (xds/resources),
// without xDS: one listener has all filters but the router taken out, the other asks the no-op processor.
func startPlainEnvoy(ctx context.Context, dir, noopSocket string, plainPort, noopPort, servicePort int) (*stack.Envoy, error) {
	target := func(name string, port int) *policyv1.Target {
		return &policyv1.Target{
			Name:     name,
			Listener: &policyv1.Listener{Address: "127.0.0.1", Port: uint32(port), AllowPlaintext: true},
			Protocol: &policyv1.Target_Http{Http: &policyv1.Http{
				Endpoints: []*policyv1.Endpoint{{Host: "127.0.0.1", Port: uint32(servicePort)}},
				Tls:       &policyv1.UpstreamTls{Mode: policyv1.UpstreamTls_DISABLE},
			}},
		}
	}
	socket := &configv1.Socket{Address: &configv1.Socket_Unix{Unix: noopSocket}}
	built, err := resources.Build(
		&policyv1.Bundle{Targets: []*policyv1.Target{target("plain", plainPort), target("noop", noopPort)}},
		resources.Node{ID: "bench"}, resources.Options{Postgres: socket, HTTP: socket},
	)
	if err != nil {
		return nil, err
	}
	for _, l := range built.Listeners {
		bare := l.GetAddress().GetSocketAddress().GetPortValue() == uint32(plainPort)
		if err := settle(l, built.Routes, bare); err != nil {
			return nil, err
		}
	}
	b := &envoy_config_bootstrap_v3.Bootstrap{
		StaticResources: &envoy_config_bootstrap_v3.Bootstrap_StaticResources{Listeners: built.Listeners, Clusters: built.Clusters},
		Node:            &envoy_config_core_v3.Node{Id: "bench", Cluster: "bench"},
		Admin: &envoy_config_bootstrap_v3.Admin{Address: &envoy_config_core_v3.Address{
			Address: &envoy_config_core_v3.Address_Pipe{Pipe: &envoy_config_core_v3.Pipe{Path: noopSocket + ".admin", Mode: 0o600}},
		}},
	}
	e, err := stack.StartEnvoy(ctx, stack.EnvoyOptions{Bootstrap: b, LogFile: filepath.Join(dir, "plain-envoy.log")})
	if err != nil {
		return nil, err
	}
	if err := e.Ready(ctx); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// settle puts a listener's routes into it, and takes out what a bare one does not have.
func settle(l *envoy_config_listener_v3.Listener, routes []*envoy_config_route_v3.RouteConfiguration, bare bool) error {
	filters := l.GetFilterChains()[0].GetFilters()
	last := filters[len(filters)-1]
	manager := &envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager{}
	if err := last.GetTypedConfig().UnmarshalTo(manager); err != nil {
		return err
	}
	var own *envoy_config_route_v3.RouteConfiguration
	for _, r := range routes {
		if r.GetName() == manager.GetRds().GetRouteConfigName() {
			own = r
		}
	}
	if bare {
		manager.HttpFilters = manager.HttpFilters[len(manager.HttpFilters)-1:]
		for _, host := range own.GetVirtualHosts() {
			for _, r := range host.GetRoutes() {
				r.TypedPerFilterConfig = nil
			}
		}
	}
	manager.RouteSpecifier = &envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_RouteConfig{RouteConfig: own}
	config, err := anypb.New(manager)
	if err != nil {
		return err
	}
	last.ConfigType = &envoy_config_listener_v3.Filter_TypedConfig{TypedConfig: config}
	return nil
}
