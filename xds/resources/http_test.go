package resources_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_route_v3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	envoy_extensions_filters_http_ext_authz_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/resources"
)

func TestHTTPGolden(t *testing.T) {
	f := newFiles(t)
	elsewhere := f.options()
	elsewhere.HTTP = &configv1.Socket{Address: &configv1.Socket_Mtls{Mtls: &configv1.MutualTls{
		Address: "processors.internal:9444", Cert: "/etc/sluice/envoy.pem", Key: "/etc/sluice/envoy.key", Ca: "/etc/sluice/ca.pem",
	}}}
	for name, o := range map[string]resources.Options{
		"http_unix": f.options(), "http_mtls": elsewhere, "http_shared_listener": f.options(), "http_plaintext": f.options(),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, resources.Node{ID: "envoy-1"}, o) })
	}
}

// service is a target in YAML; extra goes into http.
func service(name, extra string) string {
	return fmt.Sprintf(`
- name: %s
  listener: {address: 127.0.0.1, port: 8443}
  http: {endpoints: [{host: 127.0.0.1, port: 443}], certificate: {chain: {file: front.pem}, key: {file: front.key}}, tls: {ca: {file: ca.pem}}%s}
  credential: {bearer: {token: {env: TOKEN}}}
`, name, extra)
}

func buildWith(t *testing.T, text string, o resources.Options) *resources.Snapshot {
	t.Helper()
	b := bundle(t, text)
	if _, err := policies.Compile(b); err != nil {
		t.Fatal(err)
	}
	s, err := resources.Build(b, resources.Node{ID: "envoy-1"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPolicyNeverTouchesAnHTTPResource(t *testing.T) {
	o := newFiles(t).options()
	one := "targets:" + service("api", "")
	want := encode(t, buildWith(t, one, o))
	issuer := "issuers: [{name: corp, url: \"https://idp.example\", audiences: [x]}]\n"
	for name, text := range map[string]string{
		"again":         one,
		"a version":     "version: other\n" + one,
		"an issuer":     issuer + one,
		"a rule":        one + "rules: [{name: a, on: {targets: [api], http: {methods: [GET], paths: [/x]}}, allow: {}}]",
		"a mask":        one + "masks: [{name: m, on: {targets: [api]}, paths: [$..password], headers: [x-token], redact: {}}]",
		"access":        issuer + one + "access: [{who: {groups: [x]}, may: [audit_read]}]",
		"a credential":  strings.ReplaceAll(one, "{bearer: {token: {env: TOKEN}}}", "{header: {name: x-api-key, value: {file: key}}}"),
		"undecodable":   strings.ReplaceAll(one, "http: {", "http: {undecodable: PASS, "),
		"a default":     strings.ReplaceAll(one, "http: {", "http: {path_prefix: /, max_request_bytes: 1048576, "),
		"another limit": strings.ReplaceAll(one, "port: 8443", "port: 8443, max_connections: 1000"),
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Equal(want, encode(t, buildWith(t, text, o))) {
				t.Error("the resources changed")
			}
		})
	}
}

func TestATargetAtASharedListenerChangesRoutesAndClustersAlone(t *testing.T) {
	o := newFiles(t).options()
	one := buildWith(t, "targets:"+service("api", ", hosts: [api.example.com]"), o)
	two := buildWith(t, "targets:"+service("api", ", hosts: [api.example.com]")+
		strings.Replace(service("big", ", hosts: [big.example.com], max_request_bytes: 33554432, websocket: true, http2: true"), "{ca: {file: ca.pem}}", "{mode: DISABLE}", 1), o)
	same := func(what string, x, y []byte) {
		if !bytes.Equal(x, y) {
			t.Errorf("%s changed", what)
		}
	}
	same("the listener", encode(t, &resources.Snapshot{Listeners: one.Listeners}), encode(t, &resources.Snapshot{Listeners: two.Listeners}))
	same("the secrets", encode(t, &resources.Snapshot{Secrets: one.Secrets}), encode(t, &resources.Snapshot{Secrets: two.Secrets}))
	if len(two.Clusters) != len(one.Clusters)+1 {
		t.Errorf("%d clusters, were %d", len(two.Clusters), len(one.Clusters))
	}
	for _, c := range one.Clusters {
		if !slices.ContainsFunc(two.Clusters, func(o *envoy_config_cluster_v3.Cluster) bool { return proto.Equal(c, o) }) {
			t.Errorf("cluster %s changed", c.GetName())
		}
	}
	before, after := extensions(t, one.Routes[0])["api"], extensions(t, two.Routes[0])
	if diff := cmp.Diff(before, after["api"]); diff != "" || after["big"] == nil {
		t.Errorf("what comes with Checks of the first changed, or none come of the second: %s", diff)
	}
}

func TestTheOrderOfTargetsIsNothing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "http_shared_listener.in.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	b := bundle(t, string(text))
	o := newFiles(t).options()
	s, err := resources.Build(b, resources.Node{ID: "e"}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := encode(t, s)
	slices.Reverse(b.GetTargets())
	if s, err = resources.Build(b, resources.Node{ID: "e"}, o); err != nil || !bytes.Equal(want, encode(t, s)) {
		t.Errorf("other resources: %v", err)
	}
}

// extensions are what comes with Checks, by target; "" for those that no target takes.
func extensions(t *testing.T, c *envoy_config_route_v3.RouteConfiguration) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	for _, h := range c.GetVirtualHosts() {
		for _, r := range h.GetRoutes() {
			p := &envoy_extensions_filters_http_ext_authz_v3.ExtAuthzPerRoute{}
			if err := r.GetTypedPerFilterConfig()["envoy.filters.http.ext_authz"].UnmarshalTo(p); err != nil {
				t.Fatal(err)
			}
			e := p.GetCheckSettings().GetContextExtensions()
			out[e[resources.ExtensionTarget]] = e
		}
	}
	return out
}

func TestChecksCarryTargetNodeAndRevision(t *testing.T) {
	o := newFiles(t).options()
	revision := func(id, extra string) string {
		s, err := resources.Build(bundle(t, "targets:"+service("api", extra)), resources.Node{ID: id}, o)
		if err != nil {
			t.Fatal(err)
		}
		e := extensions(t, s.Routes[0])
		if got := e["api"]; got["target"] != "api" || got["node"] != id || len(got["revision"]) != 12 || len(got) != 3 {
			t.Errorf("got %v", got)
		}
		return e["api"]["revision"]
	}
	seen := map[string]bool{}
	for _, r := range []string{
		revision("a", ""), revision("b", ""), revision("a", ", path_prefix: /v1"), revision("a", ", max_request_bytes: 7"),
		revision("a", ", websocket: true"), revision("a", ", host_rewrite: h"),
	} {
		if seen[r] {
			t.Errorf("%s stands for two routes", r)
		}
		seen[r] = true
	}
	if !seen[revision("a", "")] {
		t.Error("the same route has another revision")
	}
	s := buildWith(t, "targets:"+service("api", ", hosts: [api.example.com]"), o)
	if diff := cmp.Diff(map[string]string{"node": "envoy-1"}, extensions(t, s.Routes[0])[""]); diff != "" {
		t.Error(diff)
	}
}

func TestHTTPFaultsNameTheFieldAndNoContent(t *testing.T) {
	f := newFiles(t)
	with := func(old, replacement string) string {
		return strings.ReplaceAll("targets:"+service("api", ""), old, replacement)
	}
	twice := "targets:" + service("api", ", hosts: [a.example.com]") + service("b", `, hosts: ["a.example.com:8443"]`)
	for name, tc := range map[string]struct {
		text   string
		change func(*resources.Options)
		field  string
		text2  string
	}{
		"no control.http":           {with("", ""), func(o *resources.Options) { o.HTTP = nil }, "http", "control.http is not set in the configuration"},
		"nothing reads":             {with("", ""), func(o *resources.Options) { o.Read = nil }, "http.tls.ca", "nothing is read here"},
		"a file that is not there":  {with("front.pem", "gone.pem"), nil, "http.certificate.chain", "open gone.pem: no such file"},
		"a key that is not there":   {with("front.key", "gone.key"), nil, "http.certificate.key", "open gone.key: no such file"},
		"no certificate":            {with("front.pem", "no.pem"), nil, "http.certificate.chain", "in PEM"},
		"a chain with the key":      {with("front.pem", "both.pem"), nil, "http.certificate.chain", "nothing else"},
		"a key of another":          {with("front.pem", "ca.pem"), nil, "http.certificate.key", "belongs to"},
		"no key":                    {with("front.key", "no.pem"), nil, "http.certificate.key", "belongs to"},
		"no authority":              {with("{file: ca.pem}", "{file: no.pem}"), nil, "http.tls.ca", "no certificate"},
		"a file that is too long":   {with("{file: ca.pem}", "{file: huge.pem}"), nil, "http.tls.ca", "1048577 bytes"},
		"no roots":                  {with(", tls: {ca: {file: ca.pem}}", ""), func(o *resources.Options) { o.Roots = nil }, "http.tls.ca", "name a ca"},
		"roots that cannot be read": {with(", tls: {ca: {file: ca.pem}}", ""), func(o *resources.Options) { o.Roots = func() ([]byte, error) { return nil, errors.New("no file") } }, "http.tls.ca", "no file"},
		"a zone":                    {with("host: 127.0.0.1", `host: "fe80::1%eth0"`), nil, "http.endpoints[0].host", "zones"},
		"steps in a prefix":         {with("http: {", "http: {path_prefix: /a/../b, "), nil, "http.path_prefix", "steps"},
		"a host in other words":     {twice, nil, "http", `"api" takes a.example.com:8443 below /`},
	} {
		t.Run(name, func(t *testing.T) {
			o := f.options()
			if tc.change != nil {
				tc.change(&o)
			}
			s, err := resources.Build(bundle(t, tc.text), resources.Node{ID: "e"}, o)
			var faults policies.Faults
			if s != nil || !errors.As(err, &faults) {
				t.Fatalf("got %v, %v", s, err)
			}
			at := fmt.Sprintf("targets[%d].%s", strings.Count(tc.text, "- name")-1, tc.field)
			if faults[0].Field != at || !strings.Contains(faults[0].Message, tc.text2) {
				t.Errorf("got %v", faults)
			}
			for _, secret := range []string{"a secret", "BEGIN", strings.Split(string(f["front.key"]), "\n")[1]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q tells of the content", err)
				}
			}
		})
	}
}

func TestWithoutSecretsNothingIsReadAndTheRestIsChecked(t *testing.T) {
	o := newFiles(t).options()
	o.NoSecrets, o.Read, o.Roots = true, nil, nil
	text := "targets:" + service("api", "") + strings.ReplaceAll(service("b", ", hosts: [b.example.com]"), ", tls: {ca: {file: ca.pem}}", "")
	if s := buildWith(t, text, o); len(s.Secrets) != 0 || len(s.Listeners) != 1 {
		t.Errorf("got %d secrets, %d listeners", len(s.Secrets), len(s.Listeners))
	}
	_, err := resources.Build(bundle(t, strings.ReplaceAll(text, "host: 127.0.0.1", `host: "fe80::1%eth0"`)), resources.Node{ID: "e"}, o)
	if err == nil || !strings.Contains(err.Error(), "zones") {
		t.Errorf("got %v", err)
	}
}

func TestAPlaceForHTTPThatIsNotSetUp(t *testing.T) {
	for name, s := range map[string]*configv1.Socket{
		"control.http:":             {},
		"control.http.unix:":        {Address: &configv1.Socket_Unix{Unix: "relative"}},
		"control.http.mtls.address": {Address: &configv1.Socket_Mtls{Mtls: &configv1.MutualTls{Address: "no port"}}},
	} {
		o := unix()
		o.HTTP = s
		if _, err := resources.Build(&policyv1.Bundle{}, resources.Node{ID: "e"}, o); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s got %v", name, err)
		}
	}
}

func TestARenewedCertificateIsASecretAlone(t *testing.T) {
	f := newFiles(t)
	text := "targets:" + service("api", "") + strings.Replace(service("shop", ", path_prefix: /shop"), ", tls: {ca: {file: ca.pem}}", "", 1)
	one := buildWith(t, text, f.options())
	f["front.pem"], f["front.key"] = selfSigned(t)
	two := buildWith(t, text, f.options())
	var names, changed []string
	for i, s := range one.Secrets {
		names = append(names, s.GetName())
		if !proto.Equal(s, two.Secrets[i]) {
			changed = append(changed, s.GetName())
		}
	}
	listener := resources.HTTPListener("127.0.0.1", 8443)
	if diff := cmp.Diff([]string{resources.CertificateSecret(listener), resources.RootsSecret, resources.CASecret("api")}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{resources.CertificateSecret(listener)}, changed); diff != "" {
		t.Error(diff)
	}
	one.Secrets, two.Secrets = nil, nil
	if !bytes.Equal(encode(t, one), encode(t, two)) {
		t.Error("something else changed")
	}
}

func TestSystemRootsAreThoseThatAreNamed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "roots.pem")
	t.Setenv("SSL_CERT_FILE", name)
	if _, err := resources.SystemRoots(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(name, []byte("roots"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := resources.SystemRoots(); err != nil || string(data) != "roots" {
		t.Errorf("got %q, %v", data, err)
	}
}
