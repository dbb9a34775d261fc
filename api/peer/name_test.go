package peer

import (
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
)

func TestNameOf(t *testing.T) {
	for _, c := range []struct {
		name string
		uris []string
		want Name
	}{
		{"an Envoy", []string{"spiffe://example.org/sluice/envoy/edge-1"}, Name{Envoy, "edge-1"}},
		{"a processor", []string{"spiffe://x/sluice/process/p.1_A"}, Name{Process, "p.1_A"}},
		{"a control plane", []string{"spiffe://x/sluice/control/c"}, Name{Control, "c"}},
		{"no URI", nil, Name{}},
		{"two URIs", []string{"spiffe://x/sluice/envoy/a", "spiffe://x/sluice/process/b"}, Name{}},
		{"another scheme", []string{"https://x/sluice/envoy/a"}, Name{}},
		{"no domain", []string{"spiffe:///sluice/envoy/a"}, Name{}},
		{"a port", []string{"spiffe://x:1/sluice/envoy/a"}, Name{}},
		{"a user", []string{"spiffe://u@x/sluice/envoy/a"}, Name{}},
		{"a query", []string{"spiffe://x/sluice/envoy/a?b"}, Name{}},
		{"an empty query", []string{"spiffe://x/sluice/envoy/a?"}, Name{}},
		{"a fragment", []string{"spiffe://x/sluice/envoy/a#b"}, Name{}},
		{"opaque", []string{"spiffe:x/sluice/envoy/a"}, Name{}},
		{"another part", []string{"spiffe://x/other/envoy/a"}, Name{}},
		{"an unknown role", []string{"spiffe://x/sluice/admin/a"}, Name{}},
		{"a role in capitals", []string{"spiffe://x/sluice/Envoy/a"}, Name{}},
		{"no role", []string{"spiffe://x/sluice//a"}, Name{}},
		{"no id", []string{"spiffe://x/sluice/envoy/"}, Name{}},
		{"no id at all", []string{"spiffe://x/sluice/envoy"}, Name{}},
		{"more behind the id", []string{"spiffe://x/sluice/envoy/a/b"}, Name{}},
		{"a slash behind the id", []string{"spiffe://x/sluice/envoy/a/"}, Name{}},
		{"a slash before it all", []string{"spiffe://x//sluice/envoy/a"}, Name{}},
		{"an escaped slash", []string{"spiffe://x/sluice/envoy/a%2Fb"}, Name{}},
		{"an escaped letter", []string{"spiffe://x/sluice/env%6Fy/a"}, Name{}},
		{"an escaped newline", []string{"spiffe://x/sluice/envoy/a%0Ab"}, Name{}},
		{"a step up", []string{"spiffe://x/sluice/envoy/.."}, Name{}},
		{"a letter of another alphabet", []string{"spiffe://x/sluice/envoy/ä"}, Name{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert := &x509.Certificate{}
			for _, s := range c.uris {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				cert.URIs = append(cert.URIs, u)
			}
			got, err := NameOf(cert)
			if got != c.want || (err == nil) != (c.want != Name{}) || (err != nil && !errors.Is(err, ErrName)) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			if got.Verified() != (c.want != Name{}) {
				t.Errorf("verified: %v", got.Verified())
			}
		})
	}
}
