package envoy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/envoy"
)

var update = flag.Bool("update", false, "write the golden files anew")

func mutualTLS(address string) envoy.XDS {
	return envoy.XDS{Address: address, TLS: &envoy.TLS{
		Certificate: "/etc/sluice/envoy.pem", Key: "/etc/sluice/envoy.key", CA: "/etc/sluice/ca.pem",
	}}
}

func uriSAN() envoy.XDS {
	x := mutualTLS("10.0.0.7:9443")
	x.TLS.ServerSAN = "spiffe://sluice/control/a"
	return x
}

func readAgain() envoy.XDS {
	x := mutualTLS("control.internal:9443")
	x.TLS.SecretsDir = "/etc/sluice"
	return x
}

func TestSecretsAreGoldens(t *testing.T) {
	files, err := envoy.Secrets(envoy.Config{NodeID: "edge-1", Cluster: "edge", XDS: readAgain(), Admin: envoy.Default().Admin})
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for name, got := range files {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("differs from %s:\n%s", path, cmp.Diff(string(want), string(got)))
		}
	}
	for _, x := range []envoy.XDS{mutualTLS("control.internal:9443"), envoy.Default().XDS} {
		if files, err := envoy.Secrets(envoy.Config{NodeID: "edge-1", Cluster: "edge", XDS: x, Admin: envoy.Default().Admin}); err != nil || len(files) != 0 {
			t.Errorf("%v, %v", files, err)
		}
	}
}

func TestBootstrapGoldens(t *testing.T) {
	loopback := envoy.Admin{Address: "127.0.0.1:9901"}
	for name, c := range map[string]envoy.Config{
		// The ready file of this package is the golden of the defaults.
		"bootstrap.yaml":                 envoy.Default(),
		"testdata/mtls_by_name.yaml":     {NodeID: "edge-1", Cluster: "edge", XDS: mutualTLS("control.internal:9443"), Admin: loopback},
		"testdata/mtls_by_ip.yaml":       {NodeID: "edge-1", Cluster: "edge", XDS: mutualTLS("[fd00::7]:9443"), Admin: envoy.Admin{Address: "[::1]:9901"}},
		"testdata/mtls_uri_san.yaml":     {NodeID: "edge-1", Cluster: "edge", XDS: uriSAN(), Admin: loopback},
		"testdata/mtls_read_again.yaml":  {NodeID: "edge-1", Cluster: "edge", XDS: readAgain(), Admin: loopback},
		"testdata/id_like_a_number.yaml": {NodeID: "1.0", Cluster: "true", XDS: envoy.Default().XDS, Admin: loopback},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := envoy.Bootstrap(c)
			if err != nil {
				t.Fatal(err)
			}
			got, err := envoy.YAML(b)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s; if that is right, run go test ./envoy -update\n%s", name, cmp.Diff(string(want), string(got)))
			}
			if back := parse(t, got); !proto.Equal(b, back) {
				t.Errorf("the YAML reads back as something else:\n%v", back)
			}
		})
	}
}

// parse reads YAML as Envoy does: as the JSON of the proto.
func parse(t *testing.T, doc []byte) *envoy_config_bootstrap_v3.Bootstrap {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal(doc, &tree); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	var b envoy_config_bootstrap_v3.Bootstrap
	if err := protojson.Unmarshal(text, &b); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	return &b
}

func TestBootstrapRefusesWithTheFieldNamed(t *testing.T) {
	long := "/" + strings.Repeat("x", envoy.MaxSocketPath)
	for name, tc := range map[string]struct {
		change func(*envoy.Config)
		fields []string
	}{
		"no node id":                   {func(c *envoy.Config) { c.NodeID = "" }, []string{"node_id"}},
		"node id with a space":         {func(c *envoy.Config) { c.NodeID = "a b" }, []string{"node_id"}},
		"node id of a missing TLV":     {func(c *envoy.Config) { c.NodeID = "-" }, []string{"node_id"}},
		"node id of 129 bytes":         {func(c *envoy.Config) { c.NodeID = strings.Repeat("n", 129) }, []string{"node_id"}},
		"no cluster":                   {func(c *envoy.Config) { c.Cluster = "" }, []string{"cluster"}},
		"no control plane":             {func(c *envoy.Config) { c.XDS = envoy.XDS{} }, []string{"xds.socket"}},
		"two control planes":           {func(c *envoy.Config) { c.XDS.Address = "a:1" }, []string{"xds.address"}},
		"xds socket of 108 bytes":      {func(c *envoy.Config) { c.XDS.Socket = long }, []string{"xds.socket"}},
		"relative xds socket":          {func(c *envoy.Config) { c.XDS.Socket = "xds.sock" }, []string{"xds.socket"}},
		"abstract xds socket":          {func(c *envoy.Config) { c.XDS.Socket = "@xds" }, []string{"xds.socket"}},
		"line break in a path":         {func(c *envoy.Config) { c.XDS.Socket = "/run/\nxds" }, []string{"xds.socket"}},
		"TLS on a socket":              {func(c *envoy.Config) { c.XDS.TLS = &envoy.TLS{} }, []string{"xds.tls"}},
		"plaintext TCP":                {func(c *envoy.Config) { c.XDS = envoy.XDS{Address: "127.0.0.1:9443"} }, []string{"xds.tls"}},
		"xds address without port":     {func(c *envoy.Config) { c.XDS = mutualTLS("control") }, []string{"xds.address"}},
		"xds address with port 0":      {func(c *envoy.Config) { c.XDS = mutualTLS("control:0") }, []string{"xds.address"}},
		"xds address without host":     {func(c *envoy.Config) { c.XDS = mutualTLS(":9443") }, []string{"xds.address"}},
		"xds port over 65535":          {func(c *envoy.Config) { c.XDS = mutualTLS("control:65536") }, []string{"xds.address"}},
		"TLS without files":            {func(c *envoy.Config) { c.XDS = envoy.XDS{Address: "a:1", TLS: &envoy.TLS{}} }, []string{"xds.tls.certificate", "xds.tls.key", "xds.tls.ca"}},
		"no admin":                     {func(c *envoy.Config) { c.Admin = envoy.Admin{} }, []string{"admin.socket"}},
		"two admins":                   {func(c *envoy.Config) { c.Admin.Address = "127.0.0.1:1" }, []string{"admin.address"}},
		"admin socket of 108 bytes":    {func(c *envoy.Config) { c.Admin.Socket = long }, []string{"admin.socket"}},
		"admin on all addresses":       {func(c *envoy.Config) { c.Admin = envoy.Admin{Address: "0.0.0.0:9901"} }, []string{"admin.address"}},
		"admin on an address outside":  {func(c *envoy.Config) { c.Admin = envoy.Admin{Address: "192.0.2.1:9901"} }, []string{"admin.address"}},
		"admin on a name":              {func(c *envoy.Config) { c.Admin = envoy.Admin{Address: "localhost:9901"} }, []string{"admin.address"}},
		"admin on the xds socket":      {func(c *envoy.Config) { c.Admin.Socket = c.XDS.Socket }, []string{"admin.socket"}},
		"several faults, all together": {func(c *envoy.Config) { *c = envoy.Config{} }, []string{"node_id", "cluster", "xds.socket", "admin.socket"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := envoy.Default()
			tc.change(&c)
			b, err := envoy.Bootstrap(c)
			if b != nil {
				t.Error("a bootstrap came with the error")
			}
			if diff := cmp.Diff(tc.fields, fieldsOf(err)); diff != "" {
				t.Errorf("fields of %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func fieldsOf(err error) (fields []string) {
	var field *envoy.FieldError
	joined := errors.Unwrap(err)
	if many, ok := joined.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if errors.As(e, &field) {
				fields = append(fields, field.Field)
			}
		}
	}
	return fields
}

func TestBootstrapTakesASocketPathOf107Bytes(t *testing.T) {
	c := envoy.Default()
	c.XDS.Socket = "/" + strings.Repeat("x", envoy.MaxSocketPath-1)
	if _, err := envoy.Bootstrap(c); err != nil {
		t.Error(err)
	}
}
