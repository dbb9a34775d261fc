package source_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	head = `issuers:
- {name: corp, url: "http://127.0.0.1:9", audiences: [sluice]}
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {file: secrets/password}}}
`
	ruleA = "rules:\n- {name: a, on: {targets: [orders]}, allow: {}}\n"
	ruleB = "rules:\n- {name: b, on: {targets: [orders]}, deny: {}}\n"
)

func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBrokenPolicies compares every fault of a directory with the golden report beside it.
func TestBrokenPolicies(t *testing.T) {
	cases, err := filepath.Glob("testdata/broken/*")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(path), func(t *testing.T) {
			bundle, policy, err := source.Load(t.Context(), filepath.Join(path, "in"))
			var faults *source.Faults
			if !errors.As(err, &faults) || bundle != nil || policy != nil {
				t.Fatalf("got %v, %v, %v; want faults alone", bundle, policy, err)
			}
			got, golden := faults.Error()+"\n", filepath.Join(path, "errors.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesArePutTogetherInTheOrderOfTheirNames(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"10-b.yml": ruleB, "00-head.yaml": head, "05-a.yaml": ruleA, "notes.yaml": "# nothing but a comment\n",
		".hidden.yaml": "nonsense: [", "old/a.yaml": "nonsense: [",
	})
	bundle, policy, err := source.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range bundle.GetRules() {
		names = append(names, r.GetName())
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Error(diff)
	}
	if policy.Version() != bundle.GetVersion() || len(bundle.GetVersion()) != 64 {
		t.Errorf("version %q, of the policy %q", bundle.GetVersion(), policy.Version())
	}
	if got := bundle.GetTargets()[0].GetCredential().GetStatic().GetPassword().GetFile(); got != "secrets/password" {
		t.Errorf("the data source became %q", got)
	}
}

func TestTheVersionIsOfTheContentAlone(t *testing.T) {
	one := write(t, t.TempDir(), map[string]string{"a.yaml": head + ruleA})
	split := write(t, t.TempDir(), map[string]string{"a.yaml": "# a comment\n" + head, "b.yaml": ruleA})
	other := write(t, t.TempDir(), map[string]string{"a.yaml": head + ruleB})
	versions := map[string]string{}
	for name, dir := range map[string]string{"one": one, "split": split, "other": other} {
		bundle, _, err := source.Load(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		versions[name] = bundle.GetVersion()
		again, err := source.Version(bundle)
		if err != nil || again != bundle.GetVersion() {
			t.Errorf("the version of a bundle with its version is %q, %v", again, err)
		}
	}
	if versions["one"] != versions["split"] || versions["one"] == versions["other"] {
		t.Errorf("got %v", versions)
	}
}

func TestBounds(t *testing.T) {
	many := map[string]string{}
	for i := range source.MaxFiles + 1 {
		many[fmt.Sprintf("%04d.yaml", i)] = "# nothing\n"
	}
	big := "# " + strings.Repeat("x", source.MaxFile-2)
	total := map[string]string{}
	for i := range source.MaxTotal/source.MaxFile + 1 {
		total[fmt.Sprintf("%d.yaml", i)] = big
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a file of 1 MiB and a byte": {map[string]string{"a.yaml": big + "x"}, "a.yaml: is larger than 1048576 bytes"},
		"1001 files":                 {many, "policy directory: more than 1000 files"},
		"8 MiB and a byte":           {total, "policy directory: the files hold more than 8388608 bytes together"},
		"deep nesting":               {map[string]string{"a.yaml": strings.Repeat("[", 1<<19)}, "exceeded max depth"},
		"more faults than are told":  {map[string]string{"a.yaml": "rules:\n" + strings.Repeat("- x\n", 500)}, "and 400 more"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := source.Load(t.Context(), write(t, t.TempDir(), tc.files))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %.300v", err)
			}
		})
	}
	if _, _, err := source.Load(t.Context(), write(t, t.TempDir(), map[string]string{"0.yaml": head, "a.yaml": big})); err != nil {
		t.Errorf("a file of 1 MiB: %v", err)
	}
}

func TestWhatIsNoFileIsAFaultAndNotWaitedFor(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a.yaml": head})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	_, _, err := source.Load(t.Context(), dir)
	want := "link.yaml: no such file or directory\npipe.yaml: is no regular file"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, _, err := source.Load(t.Context(), filepath.Join(dir, "gone")); err == nil || err.Error() != "policy directory: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := source.Load(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/broken/*/in/*.yaml")
	if err != nil || len(cases) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range cases {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte(ruleB))
	}
	f.Add([]byte(head+ruleA), []byte(ruleB))
	f.Add([]byte("rules:\n-\n"), []byte("?"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		dir := write(t, t.TempDir(), map[string]string{"a.yaml": string(a), "b.yaml": string(b)})
		bundle, policy, err := source.Load(t.Context(), dir)
		if err == nil {
			if _, err := policies.Compile(bundle); err != nil || policy == nil {
				t.Fatalf("loaded what does not compile: %v", err)
			}
			return
		}
		var faults *source.Faults
		if !errors.As(err, &faults) || len(faults.Faults) == 0 {
			t.Fatalf("no faults: %v", err)
		}
		for _, one := range faults.Faults {
			if one.Message == "" || strings.ContainsAny(one.String(), "\n\r\x1b") {
				t.Fatalf("bad fault %q", one)
			}
			if one.File != "" && one.Line > strings.Count(string(a), "\n")+strings.Count(string(b), "\n")+2 {
				t.Fatalf("a line that is not there: %q", one)
			}
		}
	})
}
