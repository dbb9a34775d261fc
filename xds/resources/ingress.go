package resources

import (
	"fmt"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_extensions_filters_network_connection_limit_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	envoy_extensions_filters_network_tcp_proxy_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// DefaultMaxConnections is a listener's limit if the target names none.
const DefaultMaxConnections = 1000

// TLVs that processors need with each connection (extproc/wire reads them).
const (
	tlvTarget   = 0xE0
	tlvNode     = 0xE1
	tlvRevision = 0xE2
)

// revisionLength is how much of a listener's hash its connections carry, in characters.
const revisionLength = 12

// IngressListener is the name of the listener in front of a target.
func IngressListener(target string) string { return "postgres/" + target }

// ingress is the listener that agents connect to. It connects to the processor at once: the processor's
// own startup timer must see clients that say nothing.
func ingress(t *policyv1.Target, n Node) (*envoy_config_listener_v3.Listener, error) {
	name := IngressListener(t.GetName())
	limit := connectionLimit("postgres_"+t.GetName(), t.GetListener())
	proxy := tcpProxy("postgres_"+t.GetName(), ProcessorCluster)
	proxy.ProxyProtocolTlvs = []*envoy_config_core_v3.TlvEntry{
		{Type: tlvTarget, Value: []byte(t.GetName())},
		{Type: tlvNode, Value: []byte(n.ID)},
	}
	l := &envoy_config_listener_v3.Listener{
		Name:                          name,
		Address:                       socketAddress(t.GetListener().GetAddress(), t.GetListener().GetPort()),
		PerConnectionBufferLimitBytes: bytesLimit(),
		SocketOptions:                 downstreamKeepalive(),
	}
	var err error
	if l.FilterChains, err = chain(limit, proxy); err != nil {
		return nil, err
	}
	// The revision is over the listener without it.
	revision, err := digest(revisionLength, l)
	if err != nil {
		return nil, err
	}
	proxy.ProxyProtocolTlvs = append(proxy.ProxyProtocolTlvs, &envoy_config_core_v3.TlvEntry{Type: tlvRevision, Value: []byte(revision)})
	l.FilterChains, err = chain(limit, proxy)
	return l, err
}

func connectionLimit(prefix string, l *policyv1.Listener) *envoy_extensions_filters_network_connection_limit_v3.ConnectionLimit {
	most := uint64(l.GetMaxConnections())
	if most == 0 {
		most = DefaultMaxConnections
	}
	return &envoy_extensions_filters_network_connection_limit_v3.ConnectionLimit{
		StatPrefix: prefix, MaxConnections: wrapperspb.UInt64(most),
	}
}

// tcpProxy passes bytes on. An idle session lives on: a held statement is silent for as long as people need. There is
// one attempt to connect, since the other end is one socket.
func tcpProxy(prefix, cluster string) *envoy_extensions_filters_network_tcp_proxy_v3.TcpProxy {
	return &envoy_extensions_filters_network_tcp_proxy_v3.TcpProxy{
		StatPrefix:         prefix,
		ClusterSpecifier:   &envoy_extensions_filters_network_tcp_proxy_v3.TcpProxy_Cluster{Cluster: cluster},
		IdleTimeout:        seconds(0),
		MaxConnectAttempts: wrapperspb.UInt32(1),
	}
}

// chain is the one filter chain of a listener.
func chain(filters ...proto.Message) ([]*envoy_config_listener_v3.FilterChain, error) {
	out := &envoy_config_listener_v3.FilterChain{}
	for _, f := range filters {
		config, err := packed(f)
		if err != nil {
			return nil, err
		}
		name, err := filterName(f)
		if err != nil {
			return nil, err
		}
		out.Filters = append(out.Filters, &envoy_config_listener_v3.Filter{
			Name: name, ConfigType: &envoy_config_listener_v3.Filter_TypedConfig{TypedConfig: config},
		})
	}
	return []*envoy_config_listener_v3.FilterChain{out}, nil
}

func filterName(m proto.Message) (string, error) {
	switch m.(type) {
	case *envoy_extensions_filters_network_connection_limit_v3.ConnectionLimit:
		return "envoy.filters.network.connection_limit", nil
	case *envoy_extensions_filters_network_tcp_proxy_v3.TcpProxy:
		return "envoy.filters.network.tcp_proxy", nil
	case *hcm:
		return "envoy.filters.network.http_connection_manager", nil
	case *statistics:
		return statisticsFilter, nil
	}
	return "", fmt.Errorf("no filter has a configuration of %s", proto.MessageName(m))
}

// Linux's numbers: SOL_SOCKET and SO_KEEPALIVE (asm-generic/socket.h), IPPROTO_TCP and TCP_KEEP* (linux/tcp.h).
const (
	solSocket    = 1
	soKeepalive  = 9
	ipprotoTCP   = 6
	tcpKeepidle  = 4
	tcpKeepintvl = 5
	tcpKeepcnt   = 6
)

// downstreamKeepalive is set on the listening socket; accepted ones inherit it.
func downstreamKeepalive() []*envoy_config_core_v3.SocketOption {
	option := func(description string, level, name, value int64) *envoy_config_core_v3.SocketOption {
		return &envoy_config_core_v3.SocketOption{
			Description: description, Level: level, Name: name,
			Value: &envoy_config_core_v3.SocketOption_IntValue{IntValue: value},
			State: envoy_config_core_v3.SocketOption_STATE_PREBIND,
		}
	}
	return []*envoy_config_core_v3.SocketOption{
		option("SO_KEEPALIVE", solSocket, soKeepalive, 1),
		option("TCP_KEEPIDLE", ipprotoTCP, tcpKeepidle, keepaliveIdle),
		option("TCP_KEEPINTVL", ipprotoTCP, tcpKeepintvl, keepaliveInterval),
		option("TCP_KEEPCNT", ipprotoTCP, tcpKeepcnt, keepaliveProbes),
	}
}
