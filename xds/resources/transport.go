package resources

import (
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_proxy_protocol_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	envoy_extensions_transport_sockets_raw_buffer_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	"google.golang.org/protobuf/proto"
)

// proxyProtocol writes the PROXY v2 header with all TLVs: without the match they vanish silently.
func proxyProtocol(inner *envoy_config_core_v3.TransportSocket) (*envoy_config_core_v3.TransportSocket, error) {
	return socket("envoy.transport_sockets.upstream_proxy_protocol", &envoy_extensions_transport_sockets_proxy_protocol_v3.ProxyProtocolUpstreamTransport{
		Config: &envoy_config_core_v3.ProxyProtocolConfig{
			Version: envoy_config_core_v3.ProxyProtocolConfig_V2,
			PassThroughTlvs: &envoy_config_core_v3.ProxyProtocolPassThroughTLVs{
				MatchType: envoy_config_core_v3.ProxyProtocolPassThroughTLVs_INCLUDE_ALL,
			},
		},
		TransportSocket: inner,
	})
}

func rawBuffer() (*envoy_config_core_v3.TransportSocket, error) {
	return socket("envoy.transport_sockets.raw_buffer", &envoy_extensions_transport_sockets_raw_buffer_v3.RawBuffer{})
}

// tlsSocket is the name of Envoy's TLS, on both sides.
const tlsSocket = "envoy.transport_sockets.tls"

func socket(name string, config proto.Message) (*envoy_config_core_v3.TransportSocket, error) {
	typed, err := packed(config)
	return &envoy_config_core_v3.TransportSocket{
		Name: name, ConfigType: &envoy_config_core_v3.TransportSocket_TypedConfig{TypedConfig: typed},
	}, err
}
