package resources_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/xds/resources"
)

// files are what a policy may name.
type files map[string][]byte

func newFiles(t *testing.T) files {
	t.Helper()
	cert, key := selfSigned(t)
	other, _ := selfSigned(t)
	return files{
		"front.pem": cert, "front.key": key, "ca.pem": other,
		"both.pem": append(append([]byte{}, cert...), key...), "no.pem": []byte("a secret that is no PEM"),
		"noisy.pem": append([]byte("# comment\n"), append(append([]byte{}, other...), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...)...),
		"huge.pem":  make([]byte, 1<<20+1),
	}
}

func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func (f files) read(s *policyv1.DataSource) ([]byte, error) {
	if data, ok := f[s.GetFile()]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("open %s: no such file", s.GetFile())
}

// options are those of a place with HTTP on a unix socket.
func (f files) options() resources.Options {
	o := unix()
	o.HTTP = &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/run/sluice/http.sock"}}
	o.Read = f.read
	o.Roots = func() ([]byte, error) { return f["ca.pem"], nil }
	return o
}

// named is a message that stands in a golden file: what is made anew in each test has its kind and length class there.
func named(m proto.Message) proto.Message {
	s, ok := proto.Clone(m).(*envoy_extensions_transport_sockets_tls_v3.Secret)
	if !ok {
		return m
	}
	for _, d := range []*envoy_config_core_v3.DataSource{
		s.GetTlsCertificate().GetCertificateChain(), s.GetTlsCertificate().GetPrivateKey(), s.GetValidationContext().GetTrustedCa(),
	} {
		if block, _ := pem.Decode(d.GetInlineBytes()); block != nil {
			d.Specifier = &envoy_config_core_v3.DataSource_InlineString{InlineString: block.Type}
		}
	}
	return s
}
