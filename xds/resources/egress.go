package resources

import (
	"fmt"
	"net/netip"
	"path/filepath"

	xds_type_v3 "github.com/cncf/xds/go/xds/type/v3"
	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/envoy"
)

// egressMode is the mode of egress sockets: whoever can open one reaches the database's port.
const egressMode = 0o600

// EgressSocket is the path at which Envoy listens for the processor that wants endpoint i of a target. A target's name
// holds no dot, so that no two endpoints share a path.
func EgressSocket(dir, target string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("%s.%d", target, i))
}

// EgressListener is the name of the listener behind EgressSocket.
func EgressListener(target string, i int) string { return fmt.Sprintf("egress/%s/%d", target, i) }

// TargetCluster is the name of the cluster that holds endpoint i of a target. Each endpoint has its own, since the
// processor chooses: a cancel must reach the same server.
func TargetCluster(target string, i int) string { return fmt.Sprintf("target/%s/%d", target, i) }

func (b *builder) endpoint(t *policyv1.Target, i int, e *policyv1.Endpoint, field string) error {
	path := EgressSocket(b.options.EgressDir, t.GetName(), i)
	if len(path) > envoy.MaxSocketPath {
		b.fault(field+".name", "the egress socket %s has a path of %d bytes, at most %d are possible: use a shorter name or control.egress_dir",
			path, len(path), envoy.MaxSocketPath)
		return nil
	}
	if addr, err := netip.ParseAddr(e.GetHost()); err == nil && addr.Zone() != "" {
		b.fault(fmt.Sprintf("%s.postgres.endpoints[%d].host", field, i), "Envoy knows no zones of addresses; via: DIRECT does")
		return nil
	}
	// Statistics can be read only where the wire is in the clear.
	plain := t.GetPostgres().GetTls().GetMode() == policyv1.UpstreamTls_DISABLE
	l, err := egress(t.GetName(), i, path, plain && b.node.PostgresProxy)
	if err != nil {
		return err
	}
	b.out.Listeners = append(b.out.Listeners, l)
	c, endpoints := targetCluster(t.GetName(), i, e)
	b.out.Clusters = append(b.out.Clusters, c)
	if endpoints != nil {
		b.out.Endpoints = append(b.out.Endpoints, endpoints)
	}
	return nil
}

func egress(target string, i int, path string, withStatistics bool) (*envoy_config_listener_v3.Listener, error) {
	prefix := fmt.Sprintf("egress_%s_%d", target, i)
	var filters []proto.Message
	if withStatistics {
		s, err := postgresStatistics(prefix)
		if err != nil {
			return nil, err
		}
		filters = append(filters, s)
	}
	filters = append(filters, tcpProxy(prefix, TargetCluster(target, i)))
	chains, err := chain(filters...)
	return &envoy_config_listener_v3.Listener{
		Name:                          EgressListener(target, i),
		Address:                       pipe(path, egressMode),
		PerConnectionBufferLimitBytes: bytesLimit(),
		FilterChains:                  chains,
	}, err
}

// targetCluster is one endpoint. An address comes by EDS, so that its change closes nothing; a name is resolved by
// Envoy.
func targetCluster(target string, i int, e *policyv1.Endpoint) (*envoy_config_cluster_v3.Cluster, *envoy_config_endpoint_v3.ClusterLoadAssignment) {
	name := TargetCluster(target, i)
	c := upstream(name)
	c.UpstreamConnectionOptions = &envoy_config_cluster_v3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
	assignment := assign(name, socketAddress(e.GetHost(), e.GetPort()))
	if _, err := netip.ParseAddr(e.GetHost()); err != nil {
		resolve(c)
		c.LoadAssignment = assignment
		return c, nil
	}
	c.ClusterDiscoveryType = &envoy_config_cluster_v3.Cluster_Type{Type: envoy_config_cluster_v3.Cluster_EDS}
	c.EdsClusterConfig = &envoy_config_cluster_v3.Cluster_EdsClusterConfig{EdsConfig: overADS()}
	return c, assignment
}

// overADS says that a resource comes over the stream that Envoy has already.
func overADS() *envoy_config_core_v3.ConfigSource {
	return &envoy_config_core_v3.ConfigSource{
		ResourceApiVersion:    envoy_config_core_v3.ApiVersion_V3,
		ConfigSourceSpecifier: &envoy_config_core_v3.ConfigSource_Ads{Ads: &envoy_config_core_v3.AggregatedConfigSource{}},
	}
}

// statistics is the configuration of the contrib filter, whose schema is in another module.
type statistics = xds_type_v3.TypedStruct

const (
	statisticsFilter = envoy.PostgresProxy
	statisticsType   = "type.googleapis.com/envoy.extensions.filters.network.postgres_proxy.v3alpha.PostgresProxy"
)

// postgresStatistics counts messages and errors. It does not parse SQL: that is ours to do.
func postgresStatistics(prefix string) (*statistics, error) {
	value, err := structpb.NewStruct(map[string]any{"stat_prefix": prefix, "enable_sql_parsing": false})
	return &statistics{TypeUrl: statisticsType, Value: value}, err
}
