package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/e2e/stack"
)

const (
	module   = "github.com/sluicegate/sluice"
	sqlFacts = module + "/policies/sqlfacts"
	pgQuery  = "github.com/pganalyze/pg_query_go"
)

// mayImport is the table of imports, which go down only: the folders of ours that packages of a folder may
// import, besides their own. It holds for their tests too.
func mayImport() map[string][]string {
	return map[string][]string{
		"api":      {},
		"envoy":    {},
		"policies": {"api"},
		"xds":      {"policies", "api", "envoy"},
		"authz":    {"policies", "api"},
		"extproc":  {"authz", "policies", "api"},
		"cmd":      {"extproc", "authz", "xds", "policies", "api", "envoy"},
		"deploy":   {"cmd", "extproc", "authz", "xds", "policies", "api", "envoy", "e2e"},
		"e2e":      {"cmd", "extproc", "authz", "xds", "policies", "api", "envoy", "deploy"},
	}
}

// withoutC are the packages that must build without the C parser, their tests aside: it takes a
// minute to compile, and an Envoy's or a client's tools have no use for it.
func withoutC() []string {
	return []string{"api", "envoy", "authz/identity", "extproc/wire", "xds/client", "cmd/sluice/internal/cli"}
}

// goPackage is what this test reads of `go list -json`.
type goPackage struct {
	ImportPath, Name                   string
	GoFiles, CgoFiles                  []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
	Error                              *struct{ Err string }
}

// below is the import path within the module, without a test variant's mark; empty for the root.
func (p goPackage) below() string { return inModule(p.ImportPath) }

func inModule(importPath string) string {
	if importPath == module {
		return ""
	}
	rest, _ := strings.CutPrefix(importPath, module+"/")
	return rest
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

func folder(importPath string) string {
	first, _, _ := strings.Cut(inModule(importPath), "/")
	return first
}

func generated(p goPackage) bool { return isBelow(p.below(), "api/gen") }

func isBelow(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

func (p goPackage) everyImport() []string {
	return slices.Concat(p.Imports, p.TestImports, p.XTestImports)
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			if len(all) == 0 {
				t.Fatal("go list found nothing")
			}
			return all
		case err != nil:
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		all = append(all, p)
	}
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, fault := range floorFaults(packages(t)) {
		t.Error(fault)
	}
}

func floorFaults(all []goPackage) (faults []string) {
	table := mayImport()
	for _, p := range all {
		from := folder(p.ImportPath)
		allowed, known := table[from]
		if !known {
			faults = append(faults, p.ImportPath+": its folder is not in mayImport")
			continue
		}
		for _, i := range p.everyImport() {
			if to := folder(i); ours(i) && to != from && !slices.Contains(allowed, to) {
				faults = append(faults, p.ImportPath+" imports "+i+": "+from+" may import only itself and "+strings.Join(allowed, ", "))
			}
		}
	}
	return faults
}

func TestPackagesAreNamedForWhatTheyOwn(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range []string{p.Name, path.Base(p.ImportPath)} {
			switch name {
			case "util", "utils", "common", "helper", "helpers", "types", "model", "models":
				t.Errorf("%s: %q says nothing about what it owns", p.ImportPath, name)
			}
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || generated(p) || slices.Contains(p.GoFiles, "doc.go") {
			continue
		}
		t.Errorf("%s has no doc.go", p.ImportPath)
	}
}

func TestTheCParserStaysInOnePackage(t *testing.T) {
	for _, fault := range parserFaults(packages(t)) {
		t.Error(fault)
	}
}

func parserFaults(all []goPackage) (faults []string) {
	for _, p := range all {
		if len(p.CgoFiles) > 0 {
			faults = append(faults, p.ImportPath+" has C of its own: "+strings.Join(p.CgoFiles, ", "))
		}
		for _, i := range p.everyImport() {
			if strings.HasPrefix(i, pgQuery) && !isBelow(p.below(), inModule(sqlFacts)) {
				faults = append(faults, p.ImportPath+" imports "+i+": only policies/sqlfacts may")
			}
		}
		if slices.ContainsFunc(withoutC(), func(dir string) bool { return isBelow(p.below(), dir) }) &&
			slices.ContainsFunc(p.Deps, func(dep string) bool { return strings.HasPrefix(dep, pgQuery) }) {
			faults = append(faults, p.ImportPath+" depends on the C parser")
		}
	}
	return faults
}

// The rules themselves are tried, so that a change cannot switch them off unseen.
func TestTheImportRulesFindWhatTheyForbid(t *testing.T) {
	imports := func(from, to string) goPackage {
		return goPackage{ImportPath: module + "/" + from, Imports: []string{to}}
	}
	for name, p := range map[string]goPackage{
		"api imports policies":        imports("api/gen/x", module+"/policies"),
		"envoy imports api":           imports("envoy", module+"/api"),
		"policies imports authz":      imports("policies", module+"/authz/guard"),
		"policies imports envoy":      imports("policies/source", module+"/envoy"),
		"authz imports xds":           imports("authz/check", module+"/xds/client"),
		"xds imports authz":           imports("xds/server", module+"/authz/identity"),
		"extproc imports xds":         imports("extproc/http", module+"/xds/client"),
		"cmd imports e2e":             imports("cmd/sluice", module+"/e2e/stack"),
		"a folder of no floor":        imports("pkg/x", "fmt"),
		"only a test imports upwards": {ImportPath: module + "/api", XTestImports: []string{module + "/xds/server"}},
	} {
		if len(floorFaults([]goPackage{p})) != 1 {
			t.Errorf("not found: %s", name)
		}
	}
	for name, p := range map[string]goPackage{
		"a second user of the parser": imports("policies/masking", pgQuery+"/v6"),
		"C of our own":                {ImportPath: module + "/extproc/ssh", CgoFiles: []string{"x.go"}},
		"the parser below identity":   {ImportPath: module + "/authz/identity", Deps: []string{pgQuery + "/v6"}},
	} {
		if len(parserFaults([]goPackage{p})) != 1 {
			t.Errorf("not found: %s", name)
		}
	}
	for name, p := range map[string]goPackage{
		"extproc imports down":     imports("extproc/postgres", module+"/policies"),
		"its own folder":           imports("authz/check", module+"/authz/guard"),
		"sqlfacts uses the parser": imports("policies/sqlfacts", pgQuery+"/v6"),
	} {
		if faults := slices.Concat(floorFaults([]goPackage{p}), parserFaults([]goPackage{p})); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

// What guards and what asks people knows no protocol: a word of one there would be the beginning of knowing more.
func TestGuardAndApprovalKnowNoProtocol(t *testing.T) {
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`(?i)\b(sql|http|postgres\w*|psql|statements?|search_path|database|role|transaction|headers?|url|method|rows?|columns?)\b`)
	for _, dir := range []string{"authz/guard", "authz/approval"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if found := words.FindAllString(string(text), -1); found != nil {
				t.Errorf("%s has %q", name, found)
			}
		}
	}
}
