package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A mutant that makes the tests run longer than limit is killed: the tests hang. The limit leaves a
// machine that is slower by a multiple room, so that it is the mutant that hangs and not the machine.
const (
	limitAtLeast = 30 * time.Second
	limitTimes   = 8
)

// gremlins runs the program of that name.
type gremlins struct {
	program  string
	workers  int
	dryRun   bool
	progress io.Writer // nil: none
}

// result is what gremlins writes with --output.
type result struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []mutant
	} `json:"files"`
}

// mutant is one change of one token.
type mutant struct {
	Type, Status string
	Line, Column int
	file         string // in the directory of the package
}

// unleash tries all mutants of one package.
func (g *gremlins) unleash(ctx context.Context, p *pkg) ([]mutant, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &setup{Path: os.Getenv("PATH"), Flags: p.flags()}
	if s.Go, err = exec.LookPath("go"); err != nil {
		return nil, err
	}
	for _, f := range append(p.GoFiles, p.CgoFiles...) {
		s.Files = append(s.Files, p.ImportPath+"/"+f)
	}
	profile := filepath.Join(dir, "profile")
	took, err := s.baseline(ctx, p, dir, profile)
	if err != nil {
		return nil, err
	}
	covered, err := readProfile(profile, p.ImportPath)
	if err != nil {
		return nil, err
	}
	mutants, err := g.call(ctx, p, s, dir, limitAtLeast+limitTimes*took)
	for i := range mutants {
		if !p.hasTests() {
			mutants[i].Status = notCovered
		}
		covered.mark(&mutants[i])
	}
	return mutants, err
}

// baseline runs the tests without a mutation, for their coverage and their time.
func (s *setup) baseline(ctx context.Context, p *pkg, dir, profile string) (time.Duration, error) {
	if !p.hasTests() {
		return 0, os.WriteFile(profile, []byte("mode: set\n"), 0o600)
	}
	binary := filepath.Join(dir, "baseline.test")
	if out, err := s.build(ctx, p.Dir, binary, ".", "-cover"); err != nil {
		return 0, fmt.Errorf("the tests do not compile: %w\n%s", err, out)
	}
	begun := time.Now()
	cmd := exec.CommandContext(ctx, binary, append(s.Flags, "-test.coverprofile="+profile)...) //nolint:gosec // built above
	cmd.Dir = p.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("the tests fail without a mutation: %w\n%s", err, out)
	}
	return time.Since(begun), nil
}

// call runs gremlins with this program in place of `go`.
func (g *gremlins) call(ctx context.Context, p *pkg, s *setup, dir string, limit time.Duration) ([]mutant, error) {
	place := filepath.Join(dir, "bin")
	if err := s.install(place); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(g.program)
	if err != nil {
		return nil, fmt.Errorf("%w: run deploy/tools/install gremlins", err)
	}
	output := filepath.Join(dir, "result.json")
	args := []string{
		"unleash", "--output", output, "--workers", strconv.Itoa(g.workers),
		// The unit is the second that the stand-in lets gremlins measure.
		"--timeout-coefficient", strconv.Itoa(int(limit/baselineForGremlins) + 1),
		// Directories below are packages of their own.
		"--exclude-files", "/",
	}
	if g.dryRun || !p.hasTests() {
		args = append(args, "--dry-run")
	}
	cmd := exec.CommandContext(ctx, program, append(args, "./"+p.name())...) //nolint:gosec // the pinned tool
	cmd.Dir = p.Module.Dir
	cmd.Env = append(os.Environ(), "PATH="+place+string(os.PathListSeparator)+s.Path)
	// It removes its copies of the module before it ends.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if g.progress != nil {
		cmd.Stdout = io.MultiWriter(&out, g.progress)
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gremlins: %w\n%s", err, out.Bytes())
	}
	if err := errors.Join(ctx.Err(), fault(place)); err != nil {
		return nil, err
	}
	return read(output)
}

// read takes gremlins' result; there is none where there are no mutants.
func read(name string) ([]mutant, error) {
	text, err := os.ReadFile(name) //nolint:gosec // a file of ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("the result of gremlins: %w", err)
	}
	var mutants []mutant
	for _, f := range r.Files {
		for _, m := range f.Mutations {
			m.file = f.Name
			mutants = append(mutants, m)
		}
	}
	return mutants, nil
}
