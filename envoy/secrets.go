package envoy

import (
	"fmt"
	"path/filepath"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Names of the files within TLS.SecretsDir, and of the secrets in them. Envoy takes one secret from a file.
const (
	CertificateFile = "sluice-xds-certificate.yaml"
	AuthorityFile   = "sluice-xds-ca.yaml"

	certificateSecret = "sluice_xds_certificate" //nolint:gosec // G101: a name
	authoritySecret   = "sluice_xds_ca"          //nolint:gosec // G101: a name
)

// Secrets are the files that belong into TLS.SecretsDir, by name. They hold paths, and no secret: Envoy watches only
// those files that a secret names, so that a bootstrap alone cannot have a certificate read again. The error joins a
// *FieldError per fault of c; without TLS.SecretsDir there are none.
func Secrets(c Config) (map[string][]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("envoy secrets: %w", err)
	}
	t := c.XDS.TLS
	if t == nil || t.SecretsDir == "" {
		return nil, nil
	}
	out := map[string][]byte{}
	for name, s := range map[string]*envoy_extensions_transport_sockets_tls_v3.Secret{
		CertificateFile: {
			Name: certificateSecret,
			Type: &envoy_extensions_transport_sockets_tls_v3.Secret_TlsCertificate{
				TlsCertificate: &envoy_extensions_transport_sockets_tls_v3.TlsCertificate{
					CertificateChain: file(t.Certificate), PrivateKey: file(t.Key), WatchedDirectory: directory(t.Certificate),
				},
			},
		},
		AuthorityFile: {
			Name: authoritySecret,
			Type: &envoy_extensions_transport_sockets_tls_v3.Secret_ValidationContext{
				ValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{
					TrustedCa: file(t.CA), WatchedDirectory: directory(t.CA),
				},
			},
		},
	} {
		resource, err := anypb.New(s)
		if err != nil {
			return nil, fmt.Errorf("envoy secrets: %w", err)
		}
		var response proto.Message = &envoy_service_discovery_v3.DiscoveryResponse{Resources: []*anypb.Any{resource}}
		if out[name], err = document(response); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readOnce names the files in the bootstrap: Envoy reads them at its start.
func readOnce(c *envoy_extensions_transport_sockets_tls_v3.CommonTlsContext, t *TLS, names []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher) {
	c.TlsCertificates = []*envoy_extensions_transport_sockets_tls_v3.TlsCertificate{{
		CertificateChain: file(t.Certificate),
		PrivateKey:       file(t.Key),
	}}
	c.ValidationContextType = &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_ValidationContext{
		ValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{
			TrustedCa:                 file(t.CA),
			MatchTypedSubjectAltNames: names,
		},
	}
}

// readAgain names the secrets that name the files.
func readAgain(c *envoy_extensions_transport_sockets_tls_v3.CommonTlsContext, t *TLS, names []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher) {
	c.TlsCertificateSdsSecretConfigs = []*envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig{
		secretIn(certificateSecret, filepath.Join(t.SecretsDir, CertificateFile)),
	}
	c.ValidationContextType = &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{MatchTypedSubjectAltNames: names},
			ValidationContextSdsSecretConfig: secretIn(authoritySecret, filepath.Join(t.SecretsDir, AuthorityFile)),
		},
	}
}

func secretIn(name, path string) *envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig {
	return &envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig{
		Name: name,
		SdsConfig: &envoy_config_core_v3.ConfigSource{
			ResourceApiVersion: envoy_config_core_v3.ApiVersion_V3,
			ConfigSourceSpecifier: &envoy_config_core_v3.ConfigSource_PathConfigSource{
				PathConfigSource: &envoy_config_core_v3.PathConfigSource{Path: path},
			},
		},
	}
}

func file(name string) *envoy_config_core_v3.DataSource {
	return &envoy_config_core_v3.DataSource{Specifier: &envoy_config_core_v3.DataSource_Filename{Filename: name}}
}

// directory is that of a file: a rename into it, or of its ..data link (Kubernetes), has the file read again.
func directory(name string) *envoy_config_core_v3.WatchedDirectory {
	return &envoy_config_core_v3.WatchedDirectory{Path: filepath.Dir(name)}
}
