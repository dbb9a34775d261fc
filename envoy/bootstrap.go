package envoy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_extensions_bootstrap_internal_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_extensions_upstreams_http_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// XDSCluster is the name of the one static cluster: the control plane.
const XDSCluster = "sluice_xds"

const (
	connectTimeout = 5 * time.Second
	// A frozen control plane is seen after these and the stream opened anew, perhaps at another
	// (HTTP/2 PING; envoy.config.core.v3.KeepaliveSettings).
	keepaliveInterval = 30 * time.Second
	keepaliveTimeout  = 5 * time.Second
	// Envoy's default waits up to 30 s before it asks again after a restart of the control plane.
	reconnectFirst = 250 * time.Millisecond
	reconnectMost  = 5 * time.Second
	adminMode      = 0o600
)

// Bootstrap is the configuration from which an Envoy starts: who it is, its admin address, and one
// delta ADS stream to the control plane for everything else. It carries no node metadata: what the
// control plane may rely on is the id, checked against the certificate. It reads no file, clock or
// environment. The error joins a *FieldError per fault of c.
func Bootstrap(c Config) (*envoy_config_bootstrap_v3.Bootstrap, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	cluster, err := xdsCluster(c.XDS)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	// Processors on another host are reached through an internal listener: xds/resources says why.
	internal, err := anypb.New(&envoy_extensions_bootstrap_internal_listener_v3.InternalListener{})
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	b := &envoy_config_bootstrap_v3.Bootstrap{
		BootstrapExtensions: []*envoy_config_core_v3.TypedExtensionConfig{{
			Name: "envoy.bootstrap.internal_listener", TypedConfig: internal,
		}},
		Node: &envoy_config_core_v3.Node{Id: c.NodeID, Cluster: c.Cluster},
		DynamicResources: &envoy_config_bootstrap_v3.Bootstrap_DynamicResources{
			LdsConfig: fromADS(),
			CdsConfig: fromADS(),
			AdsConfig: deltaADS(),
		},
		StaticResources: &envoy_config_bootstrap_v3.Bootstrap_StaticResources{
			Clusters: []*envoy_config_cluster_v3.Cluster{cluster},
		},
		Admin: &envoy_config_bootstrap_v3.Admin{Address: address(c.Admin.Socket, c.Admin.Address, adminMode)},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return b, nil
}

func fromADS() *envoy_config_core_v3.ConfigSource {
	return &envoy_config_core_v3.ConfigSource{
		ResourceApiVersion:    envoy_config_core_v3.ApiVersion_V3,
		ConfigSourceSpecifier: &envoy_config_core_v3.ConfigSource_Ads{Ads: &envoy_config_core_v3.AggregatedConfigSource{}},
	}
}

func deltaADS() *envoy_config_core_v3.ApiConfigSource {
	return &envoy_config_core_v3.ApiConfigSource{
		ApiType:             envoy_config_core_v3.ApiConfigSource_DELTA_GRPC,
		TransportApiVersion: envoy_config_core_v3.ApiVersion_V3,
		GrpcServices: []*envoy_config_core_v3.GrpcService{{
			TargetSpecifier: &envoy_config_core_v3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &envoy_config_core_v3.GrpcService_EnvoyGrpc{
					ClusterName: XDSCluster,
					// Here Envoy reads it; that of GrpcService itself is for other uses.
					RetryPolicy: &envoy_config_core_v3.RetryPolicy{RetryBackOff: &envoy_config_core_v3.BackoffStrategy{
						BaseInterval: durationpb.New(reconnectFirst),
						MaxInterval:  durationpb.New(reconnectMost),
					}},
				},
			},
		}},
	}
}

func xdsCluster(x XDS) (*envoy_config_cluster_v3.Cluster, error) {
	http2, err := anypb.New(&envoy_extensions_upstreams_http_v3.HttpProtocolOptions{
		UpstreamProtocolOptions: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &envoy_config_core_v3.Http2ProtocolOptions{
						ConnectionKeepalive: &envoy_config_core_v3.KeepaliveSettings{
							Interval: durationpb.New(keepaliveInterval),
							Timeout:  durationpb.New(keepaliveTimeout),
						},
					},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	c := &envoy_config_cluster_v3.Cluster{
		Name:                 XDSCluster,
		ClusterDiscoveryType: &envoy_config_cluster_v3.Cluster_Type{Type: discovery(x)},
		ConnectTimeout:       durationpb.New(connectTimeout),
		LoadAssignment: &envoy_config_endpoint_v3.ClusterLoadAssignment{
			ClusterName: XDSCluster,
			Endpoints: []*envoy_config_endpoint_v3.LocalityLbEndpoints{{
				LbEndpoints: []*envoy_config_endpoint_v3.LbEndpoint{{
					HostIdentifier: &envoy_config_endpoint_v3.LbEndpoint_Endpoint{
						Endpoint: &envoy_config_endpoint_v3.Endpoint{Address: address(x.Socket, x.Address, 0)},
					},
				}},
			}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
		},
	}
	if x.TLS != nil {
		if c.TransportSocket, err = transportTLS(x); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// discovery is STRICT_DNS only for a name: a resolver has nothing to do for sockets and addresses.
func discovery(x XDS) envoy_config_cluster_v3.Cluster_DiscoveryType {
	if host, _, err := splitHostPort(x.Address); err == nil {
		if _, err := netip.ParseAddr(host); err != nil {
			return envoy_config_cluster_v3.Cluster_STRICT_DNS
		}
	}
	return envoy_config_cluster_v3.Cluster_STATIC
}

func transportTLS(x XDS) (*envoy_config_core_v3.TransportSocket, error) {
	host, _, err := splitHostPort(x.Address)
	if err != nil {
		return nil, err
	}
	san := x.TLS.ServerSAN
	if san == "" {
		san = host
	}
	common := &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext{
		TlsParams: &envoy_extensions_transport_sockets_tls_v3.TlsParameters{
			TlsMinimumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
			TlsMaximumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
		},
		AlpnProtocols: []string{"h2"},
	}
	names := []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher{sanMatcher(san)}
	if x.TLS.SecretsDir == "" {
		readOnce(common, x.TLS, names)
	} else {
		readAgain(common, x.TLS, names)
	}
	tls, err := anypb.New(&envoy_extensions_transport_sockets_tls_v3.UpstreamTlsContext{Sni: serverName(host), CommonTlsContext: common})
	if err != nil {
		return nil, err
	}
	return &envoy_config_core_v3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &envoy_config_core_v3.TransportSocket_TypedConfig{TypedConfig: tls},
	}, nil
}

// serverName is empty for an IP address, which SNI cannot carry (RFC 6066, section 3).
func serverName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

func sanMatcher(san string) *envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher {
	m := &envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher{
		SanType: envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_DNS,
		Matcher: &envoy_type_matcher_v3.StringMatcher{
			MatchPattern: &envoy_type_matcher_v3.StringMatcher_Exact{Exact: san},
		},
	}
	switch _, err := netip.ParseAddr(san); {
	case err == nil:
		m.SanType = envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_IP_ADDRESS
	case strings.Contains(san, "://"):
		m.SanType = envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_URI
	}
	return m
}

// address is of a socket if there is one, or of a hostPort that Validate has seen. The mode matters
// only where Envoy makes the socket.
func address(socket, hostPort string, mode uint32) *envoy_config_core_v3.Address {
	if socket != "" {
		return &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_Pipe{
			Pipe: &envoy_config_core_v3.Pipe{Path: socket, Mode: mode},
		}}
	}
	host, port, err := splitHostPort(hostPort)
	if err != nil {
		return nil
	}
	return &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_SocketAddress{
		SocketAddress: &envoy_config_core_v3.SocketAddress{
			Address:       host,
			PortSpecifier: &envoy_config_core_v3.SocketAddress_PortValue{PortValue: port},
		},
	}}
}
