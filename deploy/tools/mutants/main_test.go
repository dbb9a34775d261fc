package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain is the stand-in where a test has put it into the place of go.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "go" {
		os.Exit(standIn(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// module writes a module with a package p, of which one branch is never executed.
func module(t *testing.T, test string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":             "module example.org/m\n\ngo 1.26\n",
		"policies/p.go":      "package policies\n\nfunc Less(a, b int) bool {\n\tif a > 1000 {\n\t\treturn a < b\n\t}\n\treturn a < b\n}\n",
		"policies/p_test.go": "package policies\n\nimport \"testing\"\n\n" + test,
		"kittest/k.go":       "package kittest\n\nfunc Less(a, b int) bool { return a < b }\n",
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
}

// fakeGremlins calls go as gremlins does, for the mutants that it is given as sed's commands, and reports what go said.
// A mutant whose change is empty was not tried in time.
func fakeGremlins(t *testing.T, mutants ...string) string {
	t.Helper()
	script := `#!/bin/bash
set -eu
dir=; output=
while [[ $# -gt 0 ]]; do
  case $1 in
    --output) output=$2; shift ;;
    ./*) dir=$1 ;;
  esac
  shift
done
go mod download
go test -cover -coverprofile "$TMPDIR/profile" "$dir/..."
grep -q ':1.1,1000000.1 1 1$' "$TMPDIR/profile"
cd "$dir"
cp p.go "$TMPDIR/p.go"
separator=
printf '{"files":[{"file_name":"p.go","mutations":[' >"$output"
while IFS='|' read -r line column change; do
  status=0
  if [[ -n $change ]]; then
    sed -i "$change" p.go
    go test -timeout 99s -failfast example.org/m/policies || status=$?
    cp "$TMPDIR/p.go" p.go
  else
    status=9
  fi
  case $status in
    0) status=LIVED ;;
    1) status=KILLED ;;
    2) status='NOT VIABLE' ;;
    *) status='TIMED OUT' ;;
  esac
  printf '%s{"type":"CONDITIONALS_BOUNDARY","status":"%s","line":%d,"column":%d}' "$separator" "$status" "$line" "$column" >>"$output"
  separator=,
done <<'END'
` + strings.Join(mutants, "\n") + `
END
printf ']}]}' >>"$output"
`
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	path := filepath.Join(dir, "gremlins")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	// ofEqual notices that < is <= in line 7.
	ofEqual = "func TestLess(t *testing.T) { if Less(1, 1) || !Less(1, 2) { t.Fatal() } }\n"
	// ofLess does not.
	ofLess = "func TestLess(t *testing.T) { if !Less(1, 2) { t.Fatal() } }\n"

	unexecuted   = "5|12|5s/</<=/"
	boundary     = "7|11|7s/</<=/"
	negation     = "7|11|7s/</>=/"
	panics       = "7|11|7s/a < b/a\\/0 == 1/;7s/0/(b-b)/"
	doesNotBuild = "7|11|7s/</+/"
	hangs        = "4|7|"
)

func TestEachMutantHasItsFate(t *testing.T) {
	for name, c := range map[string]struct {
		test    string
		mutants []string
		status  int
		want    []string
	}{
		"all are noticed": {
			test: ofEqual, mutants: []string{boundary, negation},
			want: []string{"policies: 100.0 % of 2\n", "the floor of 88 % holds"},
		},
		"one that no test notices is told with its line": {
			test: ofLess, mutants: []string{boundary, negation}, status: 1,
			want: []string{"policies: 50.0 % of 2\n", "  lived        policies/p.go:7:11  <= for < in: return a < b\n", "the floor of 88 % is missed"},
		},
		"code that no test executes is told apart": {
			test: ofEqual, mutants: []string{unexecuted, negation}, status: 1,
			want: []string{"  not covered  policies/p.go:5:12  <= for < in: return a < b\n"},
		},
		"a panic is noticed": {
			test: ofLess, mutants: []string{panics},
			want: []string{"policies: 100.0 % of 1\n"},
		},
		"what does not compile counts nowhere": {
			test: ofEqual, mutants: []string{doesNotBuild, negation},
			want: []string{"policies: 100.0 % of 1\n"},
		},
		"tests that hang have noticed it, and it is told": {
			test: ofEqual, mutants: []string{hangs},
			want: []string{"policies: 100.0 % of 1\n", "  timed out    policies/p.go:4:7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			module(t, c.test)
			var out, stderr bytes.Buffer
			status := run(context.Background(), &out, &stderr, []string{"-gremlins", fakeGremlins(t, c.mutants...), "./..."})
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not told: %q", want)
				}
			}
			if strings.Contains(out.String(), "kittest") {
				t.Error("a package that helps tests is counted")
			}
			if t.Failed() {
				t.Logf("%s%s", out.String(), stderr.String())
			}
		})
	}
}

func TestNothingIsTriedWithTestsThatFailAnyway(t *testing.T) {
	module(t, "func TestLess(t *testing.T) { t.Fatal(\"why it failed\") }\n")
	var out, stderr bytes.Buffer
	status := run(context.Background(), &out, &stderr, []string{"-gremlins", fakeGremlins(t, negation), "./policies"})
	if status != 1 || !strings.Contains(stderr.String(), "fail without a mutation") || !strings.Contains(stderr.String(), "why it failed") {
		t.Errorf("status %d: %s%s", status, out.String(), stderr.String())
	}
}

func TestNothingToChangeIsNoSuccess(t *testing.T) {
	module(t, ofEqual)
	var out, stderr bytes.Buffer
	status := run(context.Background(), &out, &stderr, []string{"-gremlins", fakeGremlins(t), "./kittest"})
	if status != 1 || !strings.Contains(stderr.String(), "nothing to change in ./kittest") {
		t.Errorf("status %d: %s%s", status, out.String(), stderr.String())
	}
}

// A stand-in that cannot work would make each mutant one that does not compile, and the floor would hold.
func TestAStandInThatCannotWorkEndsTheRun(t *testing.T) {
	module(t, ofEqual)
	gremlins := filepath.Join(t.TempDir(), "gremlins")
	script := "#!/bin/bash\nset -eu\nplace=$(dirname \"$(command -v go)\")\necho damaged >\"$place/setup.json\"\ngo test ./policies || true\n"
	if err := os.WriteFile(gremlins, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	status := run(context.Background(), &out, &stderr, []string{"-gremlins", gremlins, "./policies"})
	if status != 1 || !strings.Contains(stderr.String(), "invalid character") {
		t.Errorf("status %d: %s%s", status, out.String(), stderr.String())
	}
}

func TestAMissingGremlinsIsTold(t *testing.T) {
	module(t, ofEqual)
	var out, stderr bytes.Buffer
	status := run(context.Background(), &out, &stderr, []string{"-gremlins", "no-such-program", "./policies"})
	if status != 1 || !strings.Contains(stderr.String(), "deploy/tools/install gremlins") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

func TestAPositionIsCoveredByTheBlockItIsIn(t *testing.T) {
	c := coverage{"a.go": {
		{3, 10, 5, 3, true},
		{5, 3, 7, 2, false},
		{9, 1, 9, 20, true},
		{9, 5, 9, 10, false}, // one within another, as of a function literal
	}}
	for _, tc := range []struct {
		line, column int
		want         string
	}{
		{3, 9, lived}, // in no block, as a declaration
		{3, 10, lived},
		{4, 1, lived},
		{5, 2, lived},
		{5, 3, notCovered},
		{7, 1, notCovered},
		{7, 2, lived},
		{9, 5, lived}, // the outer was executed
		{20, 1, lived},
	} {
		m := mutant{Status: lived, Line: tc.line, Column: tc.column, file: "a.go"}
		if c.mark(&m); m.Status != tc.want {
			t.Errorf("%d:%d: %s, want %s", tc.line, tc.column, m.Status, tc.want)
		}
	}
	m := mutant{Status: killed, Line: 6, Column: 1, file: "a.go"}
	if c.mark(&m); m.Status != killed {
		t.Errorf("a killed mutant is %s", m.Status)
	}
}
