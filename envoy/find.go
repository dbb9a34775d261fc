package envoy

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// EnvBinary names the environment variable with the path of the Envoy binary to use.
const EnvBinary = "SLUICE_ENVOY"

const modulePath = "github.com/sluicegate/sluice"

// NotFoundError says that no Envoy of the pinned version is on this machine.
type NotFoundError struct {
	// Tried holds each place that was looked at, with what was wrong there.
	Tried []string
}

// Error implements error; it says how to get one.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("Envoy %s was not found: run `make tools`, or set %s to its binary (looked at: %s)",
		Version, EnvBinary, strings.Join(e.Tried, "; "))
}

// Find returns the path of an Envoy binary: the one that SLUICE_ENVOY names, of any version, since
// that was asked for; else one of Version: from .tools/ of the checkout around the working
// directory, from the cache that `make tools` fills, or from PATH. The error is a *NotFoundError.
func Find(ctx context.Context) (string, error) {
	s := search{getenv: os.Getenv, lookPath: exec.LookPath, versionOf: VersionOf}
	// Without these, there is one place less to look at.
	s.workDir, _ = os.Getwd()
	s.cacheDir, _ = os.UserCacheDir()
	return s.find(ctx)
}

// search is what Find asks of its surroundings.
type search struct {
	getenv            func(string) string
	workDir, cacheDir string
	lookPath          func(string) (string, error)
	versionOf         func(context.Context, string) (string, error)
}

func (s search) find(ctx context.Context) (string, error) {
	if path := s.getenv(EnvBinary); path != "" {
		if err := executable(path); err != nil {
			// Another Envoy than the one asked for would be a surprise.
			return "", &NotFoundError{Tried: []string{EnvBinary + ": " + err.Error()}}
		}
		return path, nil
	}
	var candidates, tried []string
	if root, ok := Checkout(s.workDir); ok {
		candidates = append(candidates, filepath.Join(root, ".tools", "bin", "envoy"))
	}
	if s.cacheDir != "" {
		candidates = append(candidates, filepath.Join(s.cacheDir, "sluice", "tools", "envoy-"+Version, "bin", "envoy"))
	}
	for _, path := range candidates {
		err := executable(path)
		if err == nil {
			return path, nil
		}
		tried = append(tried, err.Error())
	}
	path, err := s.lookPath("envoy")
	if err != nil {
		return "", &NotFoundError{Tried: append(tried, "PATH: "+err.Error())}
	}
	version, err := s.versionOf(ctx, path)
	switch {
	case err != nil:
		return "", &NotFoundError{Tried: append(tried, err.Error())}
	case version != Version:
		return "", &NotFoundError{Tried: append(tried, fmt.Sprintf("%s is version %s", path, version))}
	}
	return path, nil
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is no executable file", path)
	}
	return nil
}

// Checkout is the nearest directory, from dir upwards, that holds a clone of this module; false if
// there is none. The .tools of anything else is not ours to run.
func Checkout(dir string) (string, bool) {
	for dir != "" {
		if isModule(filepath.Join(dir, "go.mod")) {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
	return "", false
}

func isModule(goMod string) bool {
	f, err := os.Open(goMod) //nolint:gosec // a go.mod above the working directory, read for one line
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); ok {
			return strings.TrimSpace(name) == modulePath
		}
	}
	return false
}
