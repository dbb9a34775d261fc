package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// pkg is a package as `go list -json` tells it.
type pkg struct {
	ImportPath, Dir                    string
	Module                             struct{ Path, Dir string }
	GoFiles, CgoFiles                  []string
	TestGoFiles, XTestGoFiles          []string
	TestImports, XTestImports, Imports []string
}

func list(ctx context.Context, patterns []string) ([]*pkg, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-json", "--"}, patterns...)...) //nolint:gosec // what the caller asks for
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	var found []*pkg
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &pkg{}
		err := packages.Decode(p)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		found = append(found, p)
	}
}

// name is the path of the package below its module's.
func (p *pkg) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
}

// helpsTests: a package of fixtures or of a suite for several drivers holds tests of others, like a
// file of tests.
func (p *pkg) helpsTests() bool { return strings.HasSuffix(p.name(), "test") && !p.hasTests() }

func (p *pkg) hasTests() bool { return len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 }

// flags make a run of the tests short and the same each time.
func (p *pkg) flags() []string {
	flags := []string{"-test.short", "-test.failfast"}
	if slices.Contains(slices.Concat(p.TestImports, p.XTestImports), "pgregory.net/rapid") {
		// The same cases for each mutant, none from the failures of the mutant before, and no time
		// for making a failure small.
		flags = append(flags, "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	}
	if p.name() == "extproc/postgres/engine" {
		flags = append(flags, "-model.steps=5000")
	}
	return flags
}
