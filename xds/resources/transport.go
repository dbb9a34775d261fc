package resources

import (
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_proxy_protocol_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	envoy_extensions_transport_sockets_raw_buffer_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// processorSAN matches the name of a processor, whatever its id (api/peer).
const processorSAN = `spiffe://[^/]+/sluice/process/[^/]+`

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

// mutualTLS shows Envoy's certificate to a processor and takes only one of that role: the authority signs Envoys too.
// alpn are the protocols to offer, if there is a choice.
func mutualTLS(m *configv1.MutualTls, alpn ...string) (*envoy_config_core_v3.TransportSocket, error) {
	return socket(tlsSocket, &envoy_extensions_transport_sockets_tls_v3.UpstreamTlsContext{
		CommonTlsContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext{
			TlsParams: &envoy_extensions_transport_sockets_tls_v3.TlsParameters{
				TlsMinimumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
				TlsMaximumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
			},
			AlpnProtocols: alpn,
			TlsCertificates: []*envoy_extensions_transport_sockets_tls_v3.TlsCertificate{{
				CertificateChain: pemFile(m.GetCert()), PrivateKey: pemFile(m.GetKey()),
			}},
			ValidationContextType: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_ValidationContext{
				ValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{
					TrustedCa: pemFile(m.GetCa()),
					MatchTypedSubjectAltNames: []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher{{
						SanType: envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_URI,
						Matcher: &envoy_type_matcher_v3.StringMatcher{MatchPattern: &envoy_type_matcher_v3.StringMatcher_SafeRegex{
							SafeRegex: &envoy_type_matcher_v3.RegexMatcher{Regex: processorSAN},
						}},
					}},
				},
			},
		},
	})
}

func pemFile(name string) *envoy_config_core_v3.DataSource {
	return &envoy_config_core_v3.DataSource{Specifier: &envoy_config_core_v3.DataSource_Filename{Filename: name}}
}

func socket(name string, config proto.Message) (*envoy_config_core_v3.TransportSocket, error) {
	typed, err := packed(config)
	return &envoy_config_core_v3.TransportSocket{
		Name: name, ConfigType: &envoy_config_core_v3.TransportSocket_TypedConfig{TypedConfig: typed},
	}, err
}
