package envoy

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Version is the Envoy release that Sluice is built and tested against. deploy/tools/versions.env
// installs the same one; a test compares them.
const Version = "1.40.0"

// PostgresProxy is the name of the network filter that only Envoy's contrib builds have, as a
// node reports it.
const PostgresProxy = "envoy.filters.network.postgres_proxy"

// versionLine is the middle of `envoy --version`: commit/version/state/build/TLS library.
var versionLine = regexp.MustCompile(`version: [0-9a-f]+/([0-9]+\.[0-9]+\.[0-9]+)[^/]*/`)

// VersionOf asks the binary at path which release it is, such as "1.40.0". The error is that of
// running it, or says that the answer was not Envoy's.
func VersionOf(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version: not an Envoy: %q", path, firstLine(out))
	}
	return string(m[1]), nil
}

func firstLine(out []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	const enough = 120
	return line[:min(len(line), enough)]
}

// HasExtension says whether node reports the extension of this name as built in and not disabled
// (envoy.config.core.v3.Node.extensions, Extension.disabled). What a node does not report it
// does not have.
func HasExtension(node *envoy_config_core_v3.Node, name string) bool {
	for _, e := range node.GetExtensions() {
		if e.GetName() == name && !e.GetDisabled() {
			return true
		}
	}
	return false
}
