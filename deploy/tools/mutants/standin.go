package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// baselineForGremlins is how long gremlins believes the tests to take. It multiplies that by a
	// whole number, and that is its limit for a run.
	baselineForGremlins = time.Second
	// maxMemory is the address space of a run, in bytes: mutants of loops allocate without end.
	maxMemory = 8 << 30

	// The exit statuses that gremlins knows.
	exitLived       = 0
	exitKilled      = 1
	exitNotCompiled = 2

	setupName = "setup.json"
	faultName = "fault"
)

// setup is what the stand-in needs to know. It stands beside the program.
type setup struct {
	Go    string   // the real one
	Path  string   // PATH without the stand-in
	Files []string // of the package, by import path
	Flags []string // of the tests
}

// install puts the stand-in into a directory, which comes first in the PATH of gremlins.
func (s *setup) install(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, setupName), text, 0o600),
		os.Symlink(self, filepath.Join(dir, "go")))
}

// build makes a test binary. Without its path and its debug information it links faster, and what
// it depends on is taken from the cache wherever the module is copied to.
func (s *setup) build(ctx context.Context, dir, binary, pkg string, more ...string) ([]byte, error) {
	args := append([]string{"test", "-c", "-trimpath", "-ldflags=-s -w", "-o", binary}, more...)
	cmd := exec.CommandContext(ctx, s.Go, append(args, pkg)...) //nolint:gosec // the real go
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

// standIn is this program in place of `go`, as gremlins calls it. Gremlins takes any status for a fate of the mutant, so
// what goes wrong here is left beside the setup, and ends the run.
func standIn(args []string) int {
	// LookPath finds what gremlins found; os.Executable would follow the link.
	self, err := exec.LookPath("go")
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return exitNotCompiled
	}
	dir := filepath.Dir(self)
	status, err := answer(dir, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", errors.Join(err, os.WriteFile(filepath.Join(dir, faultName), []byte(err.Error()), 0o600))) //nolint:gosec // beside the setup
		return exitNotCompiled
	}
	return status
}

func answer(dir string, args []string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, setupName)) //nolint:gosec // a file of ours
	if err != nil {
		return 0, err
	}
	var s setup
	if err := json.Unmarshal(text, &s); err != nil {
		return 0, err
	}
	return s.answer(args)
}

// fault is what went wrong in a stand-in, nil if nothing did.
func fault(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, faultName)) //nolint:gosec // a file of ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, errors.New(string(text)))
}

// answer does what gremlins wants: to download modules, to measure coverage, or to test a mutant.
func (s *setup) answer(args []string) (int, error) {
	if err := os.Setenv("PATH", s.Path); err != nil {
		return 0, err
	}
	profile := slices.Index(args, "-coverprofile") + 1
	switch {
	case len(args) == 0 || args[0] != "test": // mod download: they are there, the tests have run
		return 0, nil
	case profile > 0 && profile < len(args):
		time.Sleep(baselineForGremlins)
		return 0, os.WriteFile(args[profile], s.everything(), 0o600) //nolint:gosec // where gremlins wants it
	default:
		return s.try(args[len(args)-1])
	}
}

// everything is a profile in which all is covered.
func (s *setup) everything() []byte {
	var b strings.Builder
	b.WriteString("mode: set\n")
	for _, f := range s.Files {
		fmt.Fprintf(&b, "%s:1.1,1000000.1 1 1\n", f)
	}
	return []byte(b.String())
}

// try tests the mutant in the current directory. When its time is up, gremlins kills this process,
// and the kernel the tests.
func (s *setup) try(pkg string) (int, error) {
	const binary = "./mutant.test" // in gremlins' copy of the module; the next one takes its place
	if _, err := s.build(context.Background(), "", binary, pkg); err != nil {
		return exitNotCompiled, nil //nolint:nilerr // a mutant that does not compile
	}
	limit := syscall.Rlimit{Cur: maxMemory, Max: maxMemory}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return 0, fmt.Errorf("the limit of memory: %w", err)
	}
	// The tests die with the thread that started them.
	runtime.LockOSThread()
	cmd := exec.CommandContext(context.Background(), binary, s.Flags...) //nolint:gosec // built above
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	switch _, failed := errors.AsType[*exec.ExitError](err); {
	case failed:
		return exitKilled, nil
	case err != nil:
		return 0, err
	}
	return exitLived, nil
}
