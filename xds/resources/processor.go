package resources

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// ProcessorCluster is the name of the cluster to which ingress listeners hand over connections.
const ProcessorCluster = "processor/postgres"

// What stands between ProcessorCluster and processors elsewhere. Envoy's PROXY transport socket writes its header in
// front of the TLS handshake, in the clear, where whoever is on the way could change it. So the header is written into
// a connection within Envoy, and the listener at its other end puts everything into TLS.
const (
	wrapListener = "processor/postgres/wrap"
	wrapCluster  = "processor/postgres/mtls"
)

// processor adds where connections are handed over, each behind a PROXY v2 header.
func (b *builder) processor() error {
	inner, err := rawBuffer()
	if err != nil {
		return err
	}
	c := upstream(ProcessorCluster)
	if c.TransportSocket, err = proxyProtocol(inner); err != nil {
		return err
	}
	m := b.options.Postgres.GetMtls()
	if m == nil {
		c.LoadAssignment = assign(ProcessorCluster, pipe(b.options.Postgres.GetUnix(), 0))
		b.out.Clusters = append(b.out.Clusters, c)
		return nil
	}
	c.LoadAssignment = assign(ProcessorCluster, &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_EnvoyInternalAddress{
		EnvoyInternalAddress: &envoy_config_core_v3.EnvoyInternalAddress{
			AddressNameSpecifier: &envoy_config_core_v3.EnvoyInternalAddress_ServerListenerName{ServerListenerName: wrapListener},
		},
	}})
	wrapped, err := b.wrapped(m)
	if err != nil {
		return err
	}
	chains, err := chain(tcpProxy("processor_postgres", wrapCluster))
	if err != nil {
		return err
	}
	b.out.Clusters = append(b.out.Clusters, c, wrapped)
	b.out.Listeners = append(b.out.Listeners, &envoy_config_listener_v3.Listener{
		Name: wrapListener,
		ListenerSpecifier: &envoy_config_listener_v3.Listener_InternalListener{
			InternalListener: &envoy_config_listener_v3.Listener_InternalListenerConfig{},
		},
		PerConnectionBufferLimitBytes: bytesLimit(),
		FilterChains:                  chains,
	})
	return nil
}

// wrapped is the processors' address with mutual TLS.
func (b *builder) wrapped(m *configv1.MutualTls) (*envoy_config_cluster_v3.Cluster, error) {
	host, port, err := hostPort(m.GetAddress())
	if err != nil {
		return nil, err
	}
	c := upstream(wrapCluster)
	c.UpstreamConnectionOptions = &envoy_config_cluster_v3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
	if _, err := netip.ParseAddr(host); err != nil {
		resolve(c)
	}
	c.LoadAssignment = assign(wrapCluster, socketAddress(host, port))
	c.TransportSocket, err = b.mutualTLS(wrapCluster, m)
	return c, err
}

// upstream is what all clusters have in common: one endpoint that stands in them, and no limits of their own.
func upstream(name string) *envoy_config_cluster_v3.Cluster {
	return &envoy_config_cluster_v3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &envoy_config_cluster_v3.Cluster_Type{Type: envoy_config_cluster_v3.Cluster_STATIC},
		ConnectTimeout:                seconds(connectTimeout),
		PerConnectionBufferLimitBytes: bytesLimit(),
		CircuitBreakers:               breakers(),
	}
}

// resolve has Envoy look up the endpoint's name. The default tries IPv6 alone where a name has both, and a server is
// often on one only.
func resolve(c *envoy_config_cluster_v3.Cluster) {
	c.ClusterDiscoveryType = &envoy_config_cluster_v3.Cluster_Type{Type: envoy_config_cluster_v3.Cluster_STRICT_DNS}
	c.DnsLookupFamily = envoy_config_cluster_v3.Cluster_V4_PREFERRED
}

// pipe is a unix socket; the mode matters where Envoy makes it.
func pipe(path string, mode uint32) *envoy_config_core_v3.Address {
	return &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_Pipe{
		Pipe: &envoy_config_core_v3.Pipe{Path: path, Mode: mode},
	}}
}

// breakers lift the limits of a cluster: how many connections there may be is the listener's to say.
func breakers() *envoy_config_cluster_v3.CircuitBreakers {
	return &envoy_config_cluster_v3.CircuitBreakers{Thresholds: []*envoy_config_cluster_v3.CircuitBreakers_Thresholds{{
		MaxConnections:     wrapperspb.UInt32(breakerLimit),
		MaxPendingRequests: wrapperspb.UInt32(breakerLimit),
		MaxRequests:        wrapperspb.UInt32(breakerLimit),
	}}}
}

func assign(cluster string, a *envoy_config_core_v3.Address) *envoy_config_endpoint_v3.ClusterLoadAssignment {
	return &envoy_config_endpoint_v3.ClusterLoadAssignment{
		ClusterName: cluster,
		Endpoints: []*envoy_config_endpoint_v3.LocalityLbEndpoints{{
			LbEndpoints: []*envoy_config_endpoint_v3.LbEndpoint{{
				HostIdentifier: &envoy_config_endpoint_v3.LbEndpoint_Endpoint{
					Endpoint: &envoy_config_endpoint_v3.Endpoint{Address: a},
				},
			}},
		}},
	}
}

func socketAddress(host string, port uint32) *envoy_config_core_v3.Address {
	return &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_SocketAddress{
		SocketAddress: &envoy_config_core_v3.SocketAddress{
			Address: host, PortSpecifier: &envoy_config_core_v3.SocketAddress_PortValue{PortValue: port},
		},
	}}
}

func hostPort(address string) (string, uint32, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil || host == "" || port == 0 {
		return "", 0, fmt.Errorf("%q is no host:port", address)
	}
	return host, uint32(port), nil
}
