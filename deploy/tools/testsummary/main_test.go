package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module whose package p holds the test file, and runs testsummary on it.
func module(t *testing.T, body string, noSkip bool) (output string, status int) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":      "module example.org/m\n\ngo 1.26\n",
		"p/p.go":      "package p\n",
		"p/p_test.go": "package p\n\n" + body,
		"none/n.go":   "package none\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	var out, stderr bytes.Buffer
	status = run(context.Background(), &out, &stderr, []string{"--", "./..."}, noSkip)
	return out.String() + stderr.String(), status
}

func TestSummary(t *testing.T) {
	const imports = "import (\"os\"; \"testing\"; \"time\")\nvar _ = os.Exit; var _ = time.Now\n"
	for name, tc := range map[string]struct {
		body   string
		noSkip bool
		status int
		want   []string
		absent string
	}{
		"everything passes": {
			body:   imports + "func TestA(t *testing.T) { t.Log(\"quiet\") }\nfunc TestB(t *testing.T) { t.Run(\"x\", func(*testing.T) {}); t.Run(\"y\", func(*testing.T) {}) }",
			want:   []string{"ok    example.org/m/p", "3 passed, 0 failed, 0 skipped"},
			absent: "quiet",
		},
		"a failure shows its output and counts once": {
			body:   imports + "func TestA(t *testing.T) { t.Run(\"x\", func(t *testing.T) { t.Error(\"why it failed\") }) }",
			status: 1,
			want:   []string{"why it failed", "FAIL  example.org/m/p", "failed: example.org/m/p TestA/x", "0 passed, 1 failed, 0 skipped"},
		},
		"a skip is told with its reason": {
			body: imports + "func TestA(t *testing.T) { t.Log(\"before\"); t.Skip(\"no envoy: here\") }",
			want: []string{"skipped: example.org/m/p TestA: no envoy: here\n", "0 passed, 0 failed, 1 skipped"},
		},
		"a skip is a failure where skips are not allowed": {
			body:   imports + "func TestA(t *testing.T) { t.Skip(\"no envoy\") }",
			noSkip: true, status: 1,
			want: []string{"no envoy", "a skip is a failure"},
		},
		"a package that does not build": {
			body:   imports + "func TestA(t *testing.T) { undefinedName() }",
			status: 1,
			want:   []string{"undefined: undefinedName", "failed: example.org/m/p", "0 passed, 1 failed"},
		},
		"a test that ends the process": {
			body:   imports + "func TestA(t *testing.T) { os.Exit(3) }",
			status: 1,
			want:   []string{"failed: example.org/m/p TestA", "0 passed, 1 failed"},
		},
		"a package whose exit status fails after its tests passed": {
			body:   imports + "func TestMain(m *testing.M) { m.Run(); os.Exit(1) }\nfunc TestA(*testing.T) {}",
			status: 1,
			want:   []string{"failed: example.org/m/p\n", "1 passed, 1 failed"},
		},
		"a panic": {
			body:   imports + "func TestA(*testing.T) { panic(\"the cause\") }\nfunc TestB(*testing.T) {}",
			status: 1,
			want:   []string{"the cause", "failed: example.org/m/p TestA"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			output, status := module(t, tc.body, tc.noSkip)
			if status != tc.status {
				t.Errorf("status %d, want %d", status, tc.status)
			}
			for _, want := range tc.want {
				if !strings.Contains(output, want) {
					t.Errorf("not told: %q", want)
				}
			}
			if tc.absent != "" && strings.Contains(output, tc.absent) {
				t.Errorf("told: %q", tc.absent)
			}
			if t.Failed() {
				t.Log(output)
			}
		})
	}
}

func TestAGoTestThatCannotRunIsAFailure(t *testing.T) {
	var out, stderr bytes.Buffer
	if status := run(context.Background(), &out, &stderr, []string{"--", "-nosuchflag"}, false); status != 1 {
		t.Errorf("status %d\n%s", status, out.String())
	}
	if status := run(context.Background(), &out, &stderr, []string{"./..."}, false); status != 2 {
		t.Errorf("arguments without --: status %d", status)
	}
}
