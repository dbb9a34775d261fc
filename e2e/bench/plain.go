package main

import (
	"context"
	"fmt"
	"path/filepath"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	// The listener names the filter by its type URL.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sluicegate/sluice/e2e/stack"
)

// startPlainEnvoy runs an Envoy that knows nothing of Sluice: one listener to the database, one to the relay.
func startPlainEnvoy(ctx context.Context, dir string, toDatabase, toRelay, database int, relaySocket string) (*stack.Envoy, error) {
	listener := func(name string, port int) string {
		return fmt.Sprintf(`{"name": %q, "address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}},
			"filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {
				"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
				"stat_prefix": %q, "cluster": %q, "idle_timeout": "0s"}}]}]}`, name, port, name, name)
	}
	cluster := func(name, address string) string {
		return fmt.Sprintf(`{"name": %q, "type": "STATIC", "load_assignment": {"cluster_name": %q, "endpoints": [{"lb_endpoints": [
			{"endpoint": {"address": %s}}]}]}}`, name, name, address)
	}
	text := fmt.Sprintf(`{"node": {"id": "bench", "cluster": "bench"},
		"admin": {"address": {"pipe": {"path": %q, "mode": 384}}},
		"static_resources": {"listeners": [%s, %s], "clusters": [%s, %s]}}`, relaySocket+".admin",
		listener("database", toDatabase), listener("relay", toRelay),
		cluster("database", fmt.Sprintf(`{"socket_address": {"address": "127.0.0.1", "port_value": %d}}`, database)),
		cluster("relay", fmt.Sprintf(`{"pipe": {"path": %q}}`, relaySocket)))
	b := &envoy_config_bootstrap_v3.Bootstrap{}
	if err := protojson.Unmarshal([]byte(text), b); err != nil {
		return nil, err
	}
	e, err := stack.StartEnvoy(ctx, stack.EnvoyOptions{Bootstrap: b, LogFile: filepath.Join(dir, "plain-envoy.log")})
	if err != nil {
		return nil, err
	}
	return e, e.Ready(ctx)
}
