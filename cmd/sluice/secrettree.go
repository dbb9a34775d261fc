package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/policies/source"
)

// judgeEvery is how often a tree that does not count is looked at again.
const judgeEvery = time.Second

// secretTree reads files below a directory that may be a link to one tree after another. A tree counts if the policy in it
// is in force, or if it holds none: the files of a policy that was refused never do. Until another counts, files are
// those of the last that did.
type secretTree struct {
	dir    string
	logger *slog.Logger
	// versions are those of policies whose files count now; none: none is in force yet.
	versions func() []string

	mu      sync.Mutex
	counts  string // the tree that counts, links followed; empty: none yet
	refused string // the tree that was judged not to
	looked  time.Time
}

// readFile is os.ReadFile for the files below the directory, and any other.
func (t *secretTree) readFile(path string) ([]byte, error) {
	below, ok := strings.CutPrefix(path, filepath.Clean(t.dir)+string(filepath.Separator))
	if !ok {
		return os.ReadFile(path) //nolint:gosec // the policy names it
	}
	base, err := t.base()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(base, below)) //nolint:gosec // likewise
}

func (t *secretTree) base() (string, error) {
	tree, err := filepath.EvalSymlinks(t.dir)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && t.counts != "":
		return t.counts, nil // a link that is being swapped
	case err != nil:
		return "", err
	case tree == t.counts:
		t.refused = ""
		return tree, nil
	case tree == t.refused && time.Since(t.looked) < judgeEvery:
		if t.counts == "" {
			return tree, nil
		}
		return t.counts, nil
	}
	versions := t.versions()
	if t.counts == "" && len(versions) == 0 {
		return tree, nil // nothing is in force: what is read now is for what may come
	}
	why := t.judge(tree, versions)
	if why == "" || t.counts == "" {
		if why != "" && tree != t.refused {
			t.logger.Warn("secrets are of a tree whose policy is not in force: there is no other", slog.String("dir", tree), slog.String("reason", why))
		}
		if why == "" {
			t.counts, t.refused = tree, ""
		} else {
			t.refused, t.looked = tree, time.Now()
		}
		return tree, nil
	}
	if tree != t.refused {
		t.logger.Warn("secrets of a tree whose policy is not in force do not count: those of the last one that was do",
			slog.String("dir", tree), slog.String("counts", t.counts), slog.String("reason", why))
	}
	t.refused, t.looked = tree, time.Now()
	return t.counts, nil
}

// judge says why a tree does not count; nothing if it does.
func (t *secretTree) judge(dir string, versions []string) string {
	if !holdsPolicy(dir) {
		return ""
	}
	b, _, err := source.Load(context.Background(), dir)
	switch {
	case err != nil:
		return err.Error()
	case !slices.Contains(versions, b.GetVersion()):
		return fmt.Sprintf("its version is %.12s", b.GetVersion())
	}
	return ""
}

// holdsPolicy: files that package source would read.
func holdsPolicy(dir string) bool {
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) > 0 {
			return true
		}
	}
	return false
}
