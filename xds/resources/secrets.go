package resources

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// maxSecret is the longest file of certificates or keys that is sent, in bytes. Those of the system's authorities have
// 200 KiB.
const maxSecret = 1 << 20

// Protocols in TLS (RFC 7301).
const (
	alpnHTTP2 = "h2"
	alpnHTTP1 = "http/1.1"
)

// certificate adds a server's certificate with its key. What Envoy would refuse is a fault, so that the policy's author
// sees it; a fault never tells of the content.
func (b *builder) certificate(name string, c *policyv1.Certificate, field string) {
	if b.options.NoSecrets {
		return
	}
	chain, chainOK := b.read(c.GetChain(), field+".chain")
	key, keyOK := b.read(c.GetKey(), field+".key")
	if !chainOK || !keyOK {
		return
	}
	if _, all := certificates(chain); !all {
		b.fault(field+".chain", "it is no list of certificates in PEM, and of nothing else")
		return
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		b.fault(field+".key", "it is no private key in PEM that belongs to the first certificate of the chain")
		return
	}
	b.secret(&envoy_extensions_transport_sockets_tls_v3.Secret{
		Name: name,
		Type: &envoy_extensions_transport_sockets_tls_v3.Secret_TlsCertificate{
			TlsCertificate: &envoy_extensions_transport_sockets_tls_v3.TlsCertificate{CertificateChain: inline(chain), PrivateKey: inline(key)},
		},
	})
}

// authorities adds those that sign a target's certificates and returns the secret's name. The system's are shared.
func (b *builder) authorities(t httpTarget) string {
	field := t.field + ".http.tls.ca"
	if b.options.NoSecrets {
		return RootsSecret
	}
	if ca := t.GetHttp().GetTls().GetCa(); ca != nil {
		name := CASecret(t.GetName())
		if data, ok := b.read(ca, field); ok {
			b.trust(name, data, field)
		}
		return name
	}
	if b.rootsAsked {
		return RootsSecret
	}
	if b.options.Roots == nil {
		b.fault(field, "the system's authorities are not known here: name a ca")
		return RootsSecret
	}
	b.rootsAsked = true
	if data, ok := b.content(b.options.Roots, field); ok {
		b.trust(RootsSecret, data, field)
	}
	return RootsSecret
}

// trust leaves out what is no certificate: less is trusted then, and a system's list may have an odd one.
func (b *builder) trust(name string, data []byte, field string) {
	list, _ := certificates(data)
	if len(list) == 0 {
		b.fault(field, "there is no certificate in PEM in it")
		return
	}
	b.secret(&envoy_extensions_transport_sockets_tls_v3.Secret{
		Name: name,
		Type: &envoy_extensions_transport_sockets_tls_v3.Secret_ValidationContext{
			ValidationContext: &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{TrustedCa: inline(list)},
		},
	})
}

func (b *builder) secret(s *envoy_extensions_transport_sockets_tls_v3.Secret) {
	b.out.Secrets = append(b.out.Secrets, s)
}

func (b *builder) read(source *policyv1.DataSource, field string) ([]byte, bool) {
	if b.options.Read == nil {
		b.fault(field, "nothing is read here")
		return nil, false
	}
	return b.content(func() ([]byte, error) { return b.options.Read(source) }, field)
}

func (b *builder) content(read func() ([]byte, error), field string) ([]byte, bool) {
	data, err := read()
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("it has %d bytes, at most %d can be sent", len(data), maxSecret)
	}
	if err != nil {
		b.fault(field, "it cannot be used: %v", err)
		return nil, false
	}
	return data, true
}

// certificates are those in PEM data, without what stands between them; all says that there are some and that there is
// no other block.
func certificates(data []byte) (list []byte, all bool) {
	all = true
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return list, all && len(list) > 0
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			all = false
			continue
		}
		list = append(list, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
}

func inline(data []byte) *envoy_config_core_v3.DataSource {
	return &envoy_config_core_v3.DataSource{Specifier: &envoy_config_core_v3.DataSource_InlineBytes{InlineBytes: data}}
}

func secretOverADS(name string) *envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig {
	return &envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig{Name: name, SdsConfig: overADS()}
}

func tls12() *envoy_extensions_transport_sockets_tls_v3.TlsParameters {
	return &envoy_extensions_transport_sockets_tls_v3.TlsParameters{
		TlsMinimumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_2,
		TlsMaximumProtocolVersion: envoy_extensions_transport_sockets_tls_v3.TlsParameters_TLSv1_3,
	}
}
