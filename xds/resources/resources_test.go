package resources_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"buf.build/go/protoyaml"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/envoy"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/resources"
)

var update = flag.Bool("update", false, "write the golden files")

func unix() resources.Options {
	return resources.Options{
		Postgres:  &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/run/sluice/postgres.sock"}},
		EgressDir: "/run/sluice/egress",
	}
}

func mtls(address string) resources.Options {
	o := unix()
	o.Postgres = &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: &configv1.MutualTls{
		Address: address, Cert: "/etc/sluice/envoy.pem", Key: "/etc/sluice/envoy.key", Ca: "/etc/sluice/ca.pem",
	}}}
	return o
}

func bundle(t *testing.T, text string) *policyv1.Bundle {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		node    resources.Node
		options resources.Options
	}{
		"unix":         {resources.Node{ID: "envoy-1"}, unix()},
		"mtls_address": {resources.Node{ID: "envoy-1"}, mtls("192.0.2.1:9443")},
		"mtls_name":    {resources.Node{ID: "envoy-1"}, mtls("processors.internal:9443")},
		"contrib":      {resources.Node{ID: "envoy-1", PostgresProxy: true}, unix()},
		"contrib_tls":  {resources.Node{ID: "envoy-1", PostgresProxy: true}, unix()},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, tc.node, tc.options) })
	}
}

// golden builds testdata/NAME.in.yaml and compares with NAME.out.yaml.
func golden(t *testing.T, name string, node resources.Node, options resources.Options) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := resources.Build(bundle(t, string(text)), node, options)
	if err != nil {
		t.Fatal(err)
	}
	got, path := render(t, s), filepath.Join("testdata", name+".out.yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := s.Cache(); err != nil {
		t.Errorf("inconsistent: %v", err)
	}
}

// render writes a snapshot as YAML; protojson's own spacing differs from run to run.
func render(t *testing.T, s *resources.Snapshot) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, m := range messages(s) {
		if v, ok := m.(interface{ ValidateAll() error }); !ok || v.ValidateAll() != nil {
			t.Errorf("Envoy's own rules refuse %v", m)
		}
		text, err := (protojson.MarshalOptions{UseProtoNames: true}).Marshal(named(m))
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(map[string]any{string(proto.MessageName(m).Name()): tree}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func messages(s *resources.Snapshot) []proto.Message {
	var all []proto.Message
	for _, m := range s.Listeners {
		all = append(all, m)
	}
	for _, m := range s.Clusters {
		all = append(all, m)
	}
	for _, m := range s.Endpoints {
		all = append(all, m)
	}
	for _, m := range s.Routes {
		all = append(all, m)
	}
	for _, m := range s.Secrets {
		all = append(all, m)
	}
	return all
}

func encode(t *testing.T, s *resources.Snapshot) []byte {
	t.Helper()
	var out []byte
	for _, m := range messages(s) {
		data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data...)
	}
	return out
}

const target = `
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
`

func build(t *testing.T, text string) *resources.Snapshot {
	t.Helper()
	s, err := resources.Build(bundle(t, text), resources.Node{ID: "envoy-1"}, unix())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPolicyNeverTouchesAListener: what is not structure leaves every byte as it was.
func TestPolicyNeverTouchesAListener(t *testing.T) {
	want := encode(t, build(t, target))
	for name, text := range map[string]string{
		"again":          target,
		"a version":      "version: other\n" + target,
		"an issuer":      "issuers: [{name: corp, url: \"https://idp.example\", audiences: [x]}]" + target,
		"a rule":         target + "rules: [{name: a, on: {targets: [orders]}, allow: {}}]",
		"a mask":         target + "masks: [{name: m, on: {targets: [orders]}, columns: [\"*.*.*\"], redact: {}}]",
		"access":         target + "access: [{who: {groups: [x]}, may: [audit_read]}]",
		"a credential":   strings.ReplaceAll(target, "{username: app, password: {env: PW}}", "{username: other, password: {file: pw}}"),
		"a database":     strings.ReplaceAll(target, "database: orders", "database: other"),
		"upstream TLS":   strings.ReplaceAll(target, "database: orders", "database: orders, tls: {mode: VERIFY_CA}"),
		"holds":          strings.ReplaceAll(target, "database: orders", "database: orders, hold_in_transaction: DENY"),
		"plaintext":      strings.ReplaceAll(target, "port: 15432", "port: 15432, allow_plaintext: true"),
		"the default":    strings.ReplaceAll(target, "port: 15432", "port: 15432, max_connections: 1000"),
		"via as default": strings.ReplaceAll(target, "database: orders", "database: orders, via: ENVOY"),
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Equal(want, encode(t, build(t, text))) {
				t.Error("the resources changed")
			}
		})
	}
}

func TestWhatChangesAListenerChangesItsRevisionAndNoOther(t *testing.T) {
	more := target + "- {name: shop, listener: {address: 127.0.0.1, port: 2}, postgres: {endpoints: [{host: h, port: 1}], database: d}, credential: {static: {username: u, password: {env: P}}}}\n"
	one, two := build(t, target), build(t, more)
	if !proto.Equal(one.Listeners[1], two.Listeners[2]) || one.Listeners[1].GetName() != "postgres/orders" {
		t.Error("another target changed this one's listener")
	}
	changed := build(t, strings.ReplaceAll(target, "port: 15432", "port: 15432, max_connections: 7"))
	other, err := resources.Build(bundle(t, target), resources.Node{ID: "envoy-2"}, unix())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, s := range map[string]*resources.Snapshot{"one": one, "changed": changed, "of another node": other} {
		r := revision(t, s)
		if len(r) != 12 || seen[r] != "" {
			t.Errorf("revision %q of %q and %q", r, name, seen[r])
		}
		seen[r] = name
	}
}

// revision is what the listener's connections carry in TLV 0xE2.
func revision(t *testing.T, s *resources.Snapshot) string {
	t.Helper()
	for _, f := range s.Listeners[len(s.Listeners)-1].GetFilterChains()[0].GetFilters() {
		m, err := f.GetTypedConfig().UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := m.(interface {
			GetProxyProtocolTlvs() []*envoy_config_core_v3.TlvEntry
		}); ok {
			return string(p.GetProxyProtocolTlvs()[2].GetValue())
		}
	}
	t.Fatal("no tcp_proxy")
	return ""
}

func TestVersionsAreOfTheContent(t *testing.T) {
	listener, cluster := "type.googleapis.com/envoy.config.listener.v3.Listener", "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpoint := "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	versions := func(text string) map[string]string {
		c, err := build(t, text).Cache()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, u := range []string{listener, cluster, endpoint} {
			if out[u] = c.GetVersion(u); len(out[u]) != 16 {
				t.Errorf("version %q of %s", out[u], u)
			}
		}
		return out
	}
	first, again := versions(target), versions(target+"rules: [{name: a, on: {targets: [orders]}, allow: {}}]")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	moved := versions(strings.ReplaceAll(target, "15999", "16000"))
	if moved[listener] != first[listener] || moved[cluster] != first[cluster] || moved[endpoint] == first[endpoint] {
		t.Errorf("another port of an address is an EDS change alone: %v, was %v", moved, first)
	}
}

func TestFaultsNameTheField(t *testing.T) {
	dir := "/" + strings.Repeat("d", envoy.MaxSocketPath-len("/orders.0"))
	for name, tc := range map[string]struct {
		text   string
		change func(*resources.Options)
		field  string
	}{
		"no egress directory":  {target, func(o *resources.Options) { o.EgressDir = "" }, "targets[0].postgres.via"},
		"a path of 108 bytes":  {target, func(o *resources.Options) { o.EgressDir = dir }, "targets[0].name"},
		"a zone of an address": {strings.ReplaceAll(target, "host: 127.0.0.1", `host: "fe80::1%eth0"`), func(*resources.Options) {}, "targets[0].postgres.endpoints[0].host"},
	} {
		t.Run(name, func(t *testing.T) {
			o := unix()
			tc.change(&o)
			s, err := resources.Build(bundle(t, tc.text), resources.Node{ID: "e"}, o)
			var faults policies.Faults
			if s != nil || !errors.As(err, &faults) || len(faults) != 1 || faults[0].Field != tc.field {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
	o := unix()
	o.EgressDir = dir[:len(dir)-1]
	if _, err := resources.Build(bundle(t, target), resources.Node{ID: "e"}, o); err != nil {
		t.Errorf("a path of 107 bytes: %v", err)
	}
}

func TestAPlaceThatIsNotSetUp(t *testing.T) {
	for name, change := range map[string]func(*resources.Options){
		"control.postgres:":             func(o *resources.Options) { o.Postgres = nil },
		"control.postgres.unix:":        func(o *resources.Options) { o.Postgres.Address = &configv1.Socket_Unix{Unix: "relative"} },
		"control.postgres.mtls.address": func(o *resources.Options) { *o = mtls("host-without-port") },
		"control.egress_dir:":           func(o *resources.Options) { o.EgressDir = "egress" },
	} {
		o := unix()
		change(&o)
		if _, err := resources.Build(bundle(t, target), resources.Node{ID: "e"}, o); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s got %v", name, err)
		}
	}
}

func TestEgressSocketsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"a", "a-1", "a1", "1"} {
		for i := range 16 {
			p := resources.EgressSocket("/run", name, i)
			if seen[p] || p != fmt.Sprintf("/run/%s.%d", name, i) {
				t.Errorf("%s", p)
			}
			seen[p] = true
		}
	}
}

func TestANodeHasWhatItReports(t *testing.T) {
	n := &envoy_config_core_v3.Node{Id: "e", Extensions: []*envoy_config_core_v3.Extension{{Name: envoy.PostgresProxy}}}
	if got := resources.NodeOf(n); got != (resources.Node{ID: "e", PostgresProxy: true}) {
		t.Errorf("got %+v", got)
	}
	n.Extensions[0].Disabled = true
	if resources.NodeOf(n).PostgresProxy {
		t.Error("a disabled filter was taken")
	}
}
