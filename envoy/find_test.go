package envoy

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// surroundings is a machine on which nothing is installed.
type surroundings struct {
	search
	root string
}

func newSurroundings(t *testing.T) *surroundings {
	t.Helper()
	root := t.TempDir()
	s := &surroundings{root: root}
	s.workDir, s.cacheDir = filepath.Join(root, "clone", "a", "b"), filepath.Join(root, "cache")
	s.getenv = func(string) string { return "" }
	s.lookPath = func(string) (string, error) { return "", exec.ErrNotFound }
	s.versionOf = func(context.Context, string) (string, error) { return Version, nil }
	return s
}

func (s *surroundings) write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindPrefersTheVariableThenTheCloneThenTheCacheThenPATH(t *testing.T) {
	s := newSurroundings(t)
	want := func(path string) {
		t.Helper()
		if got, err := s.find(t.Context()); got != path || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, path)
		}
	}
	onPath := s.write(t, "usr/bin/envoy", "", 0o700)
	s.lookPath = func(string) (string, error) { return onPath, nil }
	want(onPath)
	cached := s.write(t, "cache/sluice/tools/envoy-"+Version+"/bin/envoy", "", 0o700)
	want(cached)
	tool := s.write(t, "clone/.tools/bin/envoy", "", 0o700)
	want(cached) // a directory that is not this module's
	s.write(t, "clone/go.mod", "// comment\nmodule "+modulePath+"\n", 0o600)
	want(tool)
	other := s.write(t, "other/envoy", "", 0o700)
	s.getenv = func(name string) string { return map[string]string{EnvBinary: other}[name] }
	want(other)
}

func TestFindTakesNothingOfAnotherModule(t *testing.T) {
	s := newSurroundings(t)
	s.write(t, "clone/.tools/bin/envoy", "", 0o700)
	s.write(t, "clone/go.mod", "module example.org/other\n", 0o600)
	wantNotFound(t, s)
}

func TestFindRefusesWhatCannotBeRunOrIsAnotherVersion(t *testing.T) {
	t.Run("the variable names no executable", func(t *testing.T) {
		s := newSurroundings(t)
		s.write(t, "cache/sluice/tools/envoy-"+Version+"/bin/envoy", "", 0o700)
		plain := s.write(t, "envoy", "", 0o600)
		s.getenv = func(string) string { return plain }
		wantNotFound(t, s)
	})
	t.Run("PATH has another version", func(t *testing.T) {
		s := newSurroundings(t)
		s.lookPath = func(string) (string, error) { return "/usr/bin/envoy", nil }
		s.versionOf = func(context.Context, string) (string, error) { return "1.39.0", nil }
		if text := wantNotFound(t, s); !strings.Contains(text, "1.39.0") {
			t.Errorf("the version found is not told: %s", text)
		}
	})
	t.Run("PATH has something that gives no version", func(t *testing.T) {
		s := newSurroundings(t)
		s.lookPath = func(string) (string, error) { return "/usr/bin/envoy", nil }
		s.versionOf = func(context.Context, string) (string, error) { return "", errors.New("no version") }
		wantNotFound(t, s)
	})
	t.Run("nothing is installed", func(t *testing.T) {
		if text := wantNotFound(t, newSurroundings(t)); !strings.Contains(text, "make tools") {
			t.Errorf("the error does not say how to get one: %s", text)
		}
	})
}

func wantNotFound(t *testing.T, s *surroundings) string {
	t.Helper()
	path, err := s.find(t.Context())
	notFound, ok := errors.AsType[*NotFoundError](err)
	if !ok || len(notFound.Tried) == 0 {
		t.Fatalf("got %q, %v; want a NotFoundError with what was tried", path, err)
	}
	return err.Error()
}
