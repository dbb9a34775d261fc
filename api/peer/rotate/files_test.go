package rotate

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// word is a file whose content is good unless it is "bad".
type word struct {
	t     *testing.T
	path  string
	log   bytes.Buffer
	files *Files[string]
}

func newWord(t *testing.T) *word {
	t.Helper()
	w := &word{t: t, path: filepath.Join(t.TempDir(), "word")}
	w.write("one")
	var err error
	w.files, err = Open("part", slog.New(slog.NewTextHandler(&w.log, nil)), func() (Loaded[string], error) {
		text, err := os.ReadFile(w.path)
		if err == nil && string(text) == "bad" {
			err = errors.New("it is bad")
		}
		return Loaded[string]{Value: string(text), Attrs: []any{slog.Int("length", len(text))}}, err
	}, w.path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *word) write(text string) {
	w.t.Helper()
	next := w.path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(next, w.path); err != nil {
		w.t.Fatal(err)
	}
}

// sees looks and wants the value, the error, and this many lines that have the words.
func (w *word) sees(value string, faulty bool, words string, lines int) {
	w.t.Helper()
	w.files.Look(w.t.Context())
	w.files.Look(w.t.Context())
	if got := w.files.Get(); got != value {
		w.t.Errorf("got %q, want %q", got, value)
	}
	if err := w.files.Err(); (err != nil) != faulty {
		w.t.Errorf("Err is %v", err)
	}
	if got := strings.Count(w.log.String(), words); got != lines {
		w.t.Errorf("%d lines have %q, want %d:\n%s", got, words, lines, w.log.String())
	}
}

func TestAReplacedFileIsReadAgainAndToldOnce(t *testing.T) {
	w := newWord(t)
	w.sees("one", false, "rotation", 0)
	w.write("two")
	w.sees("two", false, "rotation done", 1)
	if !strings.Contains(w.log.String(), "part=part") || !strings.Contains(w.log.String(), "length=3") {
		t.Errorf("the line says neither which part nor what: %s", w.log.String())
	}
}

func TestWhatCannotBeUsedLeavesTheLastGoodAndIsToldOnce(t *testing.T) {
	w := newWord(t)
	w.write("bad")
	w.sees("one", true, "rotation failed", 1)
	w.write("three")
	w.sees("three", false, "rotation done", 1)
}

func TestAFileThatIsGoneComesBack(t *testing.T) {
	w := newWord(t)
	if err := os.Rename(w.path, w.path+".away"); err != nil {
		t.Fatal(err)
	}
	w.sees("one", true, "rotation failed", 1)
	if err := os.Rename(w.path+".away", w.path); err != nil {
		t.Fatal(err)
	}
	w.sees("one", false, "rotation taken back", 1)
}

func TestASwappedLinkIsSeen(t *testing.T) {
	w := newWord(t)
	other := filepath.Join(filepath.Dir(w.path), "other")
	if err := os.WriteFile(other, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := w.path + ".link"
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, w.path); err != nil {
		t.Fatal(err)
	}
	w.sees("two", false, "rotation done", 1)
}

func TestAFileOfTheSameSizeAndTimeIsAnotherOne(t *testing.T) {
	w := newWord(t)
	when := time.Now().Add(-time.Hour)
	if err := os.Chtimes(w.path, when, when); err != nil {
		t.Fatal(err)
	}
	w.files.Look(t.Context())
	next := w.path + ".next"
	if err := os.WriteFile(next, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(next, when, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, w.path); err != nil {
		t.Fatal(err)
	}
	w.files.Look(t.Context())
	if got := w.files.Get(); got != "two" {
		t.Errorf("got %q", got)
	}
}
