package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

// TestWhatIsPinnedTwiceIsPinnedTheSame compares deploy/tools/versions.env with the places that
// cannot read it.
func TestWhatIsPinnedTwiceIsPinnedTheSame(t *testing.T) {
	pinned := assignments(t, "deploy/tools/versions.env")
	modules := readFile(t, "go.mod")
	required := func(module string) string {
		m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` (\S+)`).FindStringSubmatch(modules)
		if m == nil {
			t.Fatalf("go.mod does not require %s", module)
		}
		return m[1]
	}
	for name, want := range map[string]string{
		"ENVOY_VERSION":                 envoy.Version,
		"PROTOC_GEN_GO_VERSION":         required("google.golang.org/protobuf"),
		"PROTOC_GEN_CONNECT_GO_VERSION": required("connectrpc.com/connect"),
	} {
		if pinned[name] != want {
			t.Errorf("%s is %q in deploy/tools/versions.env, %q elsewhere", name, pinned[name], want)
		}
	}
}

func assignments(t *testing.T, name string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z0-9_]+)=(\S+)$`).FindAllStringSubmatch(readFile(t, name), -1) {
		found[m[1]] = m[2]
	}
	return found
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
