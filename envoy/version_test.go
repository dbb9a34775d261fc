package envoy_test

import (
	"os"
	"path/filepath"
	"testing"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sluicegate/sluice/envoy"
)

func TestHasExtensionBelievesOnlyWhatIsReportedAndEnabled(t *testing.T) {
	node := &envoy_config_core_v3.Node{Extensions: []*envoy_config_core_v3.Extension{
		{Name: "envoy.filters.network.tcp_proxy"},
		{Name: "envoy.filters.network.off", Disabled: true},
	}}
	for name, want := range map[string]bool{
		"envoy.filters.network.tcp_proxy": true,
		"envoy.filters.network.off":       false,
		envoy.PostgresProxy:               false,
		"":                                false,
	} {
		if got := envoy.HasExtension(node, name); got != want {
			t.Errorf("HasExtension(%q) = %v, want %v", name, got, want)
		}
	}
	if envoy.HasExtension(nil, envoy.PostgresProxy) {
		t.Error("no node has an extension")
	}
}

func TestVersionOfReadsOnlyEnvoysAnswer(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"a release":      {`echo; echo "envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL"`, "1.40.0"},
		"a development":  {`echo "envoy  version: 9e55/1.41.0-dev/Modified/DEBUG/BoringSSL"`, "1.41.0"},
		"something else": {`echo "nginx version: 1.40.0"`, ""},
		"a failure":      {`echo "envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL"; exit 3`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := envoy.VersionOf(t.Context(), script(t, tc.script))
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// script is an executable of the test's own, to see how others than Envoy are treated.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
