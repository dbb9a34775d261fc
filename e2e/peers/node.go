package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// nodePostgres is the suite of a checkout of node-postgres: the integration tests of the client in JavaScript. A test is a
// file, as it is for its makers.
type nodePostgres struct {
	dir string
	// copy is where it is installed and built: nothing is written into the checkout.
	copy string
}

func (*nodePostgres) name() string { return "node-postgres" }

func (*nodePostgres) bound() bool { return false }

func (*nodePostgres) apart() []apart {
	return []apart{{regexp.MustCompile(`gh-issues/130-tests`), otherDatabase}}
}

func (*nodePostgres) slower() []apart {
	return []apart{{regexp.MustCompile(`gh-issues/1105-tests`), bySmallWrites}}
}

func (n *nodePostgres) prepare(ctx context.Context, dir string) error {
	if n.dir == "" {
		return &notRun{"set NODE_PG_DIR to a checkout of node-postgres' repository"}
	}
	for _, program := range []string{"node", "npm", "npx"} {
		if _, err := exec.LookPath(program); err != nil {
			return &notRun{program + " is missing: install Node.js"}
		}
	}
	n.copy = dir
	for _, part := range []string{"package.json", "tsconfig.json", "packages"} {
		if out, err := exec.CommandContext(ctx, "cp", "-R", filepath.Join(n.dir, part), dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	install := []string{"npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--include-workspace-root=false"}
	for _, part := range []string{"pg", "pg-protocol", "pg-pool", "pg-connection-string", "pg-cursor", "pg-query-stream"} {
		install = append(install, "--workspace=packages/"+part)
	}
	for _, command := range [][]string{install, {"npx", "tsc", "--build", "packages/pg-protocol", "packages/pg-cloudflare"}} {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command[:2], " "), err, tail(out))
		}
	}
	return nil
}

func (n *nodePostgres) run(ctx context.Context, s server, only []string) (map[string]outcome, error) {
	root := filepath.Join(n.copy, "packages", "pg")
	if only == nil {
		var err error
		if only, err = testFiles(root); err != nil {
			return nil, err
		}
	}
	found := map[string]outcome{}
	for _, file := range only {
		o, err := runFile(ctx, root, file, s)
		if err != nil {
			return nil, err
		}
		found[file] = o
	}
	return found, nil
}

func testFiles(root string) (files []string, err error) {
	err = fs.WalkDir(os.DirFS(root), "test/integration", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "-tests.js") {
			files = append(files, path)
		}
		return err
	})
	slices.Sort(files)
	return files, err
}

func runFile(ctx context.Context, root, file string, s server) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", file)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), s.variables()...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	o := outcome{passed: err == nil, took: took}
	if err != nil {
		o.why = nodeError(string(out))
	}
	return o, nil
}

var nodeSaid = regexp.MustCompile(`(?im)^\s*(?:message: |\w*error: ).*$`)

func nodeError(out string) string {
	if m := nodeSaid.FindString(out); m != "" {
		return strings.TrimSpace(m)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
