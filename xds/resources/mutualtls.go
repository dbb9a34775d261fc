package resources

import (
	"path/filepath"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// processorSAN matches the name of a processor, whatever its id (api/peer).
const processorSAN = `spiffe://[^/]+/sluice/process/[^/]+`

// mutualTLS shows Envoy's certificate to a processor and takes only one of that role: the authority signs Envoys too.
// alpn are the protocols to offer, if there is a choice.
//
// The files are Envoy's own. They are named by secrets, since Envoy reads only those of secrets again when something is
// moved into their directory; connections that live stay.
func (b *builder) mutualTLS(cluster string, m *configv1.MutualTls, alpn ...string) (*envoy_config_core_v3.TransportSocket, error) {
	certificate, authorities := cluster+"/certificate", cluster+"/ca"
	b.secret(&envoy_extensions_transport_sockets_tls_v3.Secret{
		Name: certificate,
		Type: &envoy_extensions_transport_sockets_tls_v3.Secret_TlsCertificate{
			TlsCertificate: &envoy_extensions_transport_sockets_tls_v3.TlsCertificate{
				CertificateChain: pemFile(m.GetCert()), PrivateKey: pemFile(m.GetKey()), WatchedDirectory: watched(m.GetCert()),
			},
		},
	})
	b.secret(&envoy_extensions_transport_sockets_tls_v3.Secret{
		Name: authorities,
		Type: &envoy_extensions_transport_sockets_tls_v3.Secret_ValidationContext{
			ValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{
				TrustedCa: pemFile(m.GetCa()), WatchedDirectory: watched(m.GetCa()),
			},
		},
	})
	return socket(tlsSocket, &envoy_extensions_transport_sockets_tls_v3.UpstreamTlsContext{
		CommonTlsContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext{
			TlsParams: &envoy_extensions_transport_sockets_tls_v3.TlsParameters{
				TlsMinimumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
				TlsMaximumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
			},
			AlpnProtocols: alpn,
			TlsCertificateSdsSecretConfigs: []*envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig{
				secretOverADS(certificate),
			},
			ValidationContextType: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher{{
							SanType: envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_URI,
							Matcher: &envoy_type_matcher_v3.StringMatcher{MatchPattern: &envoy_type_matcher_v3.StringMatcher_SafeRegex{
								SafeRegex: &envoy_type_matcher_v3.RegexMatcher{Regex: processorSAN},
							}},
						}},
					},
					ValidationContextSdsSecretConfig: secretOverADS(authorities),
				},
			},
		},
	})
}

// watched is the directory of a file of Envoy's: a rename into it, or of its ..data link (Kubernetes), is a rotation.
func watched(file string) *envoy_config_core_v3.WatchedDirectory {
	return &envoy_config_core_v3.WatchedDirectory{Path: filepath.Dir(file)}
}

func pemFile(name string) *envoy_config_core_v3.DataSource {
	return &envoy_config_core_v3.DataSource{Specifier: &envoy_config_core_v3.DataSource_Filename{Filename: name}}
}
