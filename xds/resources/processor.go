package resources

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// ProcessorCluster is the name of the cluster of processors that speak PostgreSQL.
const ProcessorCluster = "processor/postgres"

// processorCluster is where connections are handed over, each behind a PROXY v2 header.
func processorCluster(s *configv1.Socket) (*envoy_config_cluster_v3.Cluster, error) {
	c := &envoy_config_cluster_v3.Cluster{
		Name:                          ProcessorCluster,
		ClusterDiscoveryType:          &envoy_config_cluster_v3.Cluster_Type{Type: envoy_config_cluster_v3.Cluster_STATIC},
		ConnectTimeout:                seconds(connectTimeout),
		PerConnectionBufferLimitBytes: bytesLimit(),
		CircuitBreakers:               breakers(),
	}
	var inner *envoy_config_core_v3.TransportSocket
	var err error
	if m := s.GetMtls(); m != nil {
		host, port, err := hostPort(m.GetAddress())
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err != nil {
			c.ClusterDiscoveryType = &envoy_config_cluster_v3.Cluster_Type{Type: envoy_config_cluster_v3.Cluster_STRICT_DNS}
			c.DnsLookupFamily = envoy_config_cluster_v3.Cluster_V4_PREFERRED
		}
		c.LoadAssignment = assign(c.GetName(), socketAddress(host, port))
		// Linux has these options for TCP only.
		c.UpstreamConnectionOptions = &envoy_config_cluster_v3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
		if inner, err = mutualTLS(m); err != nil {
			return nil, err
		}
	} else {
		c.LoadAssignment = assign(c.GetName(), &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_Pipe{
			Pipe: &envoy_config_core_v3.Pipe{Path: s.GetUnix()},
		}})
		if inner, err = rawBuffer(); err != nil {
			return nil, err
		}
	}
	c.TransportSocket, err = proxyProtocol(inner)
	return c, err
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
