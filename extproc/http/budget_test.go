package http

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonmask"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// kept is a body that is read from memory, and kept by a server's budget.
type kept struct {
	*body
	io.Reader
}

func (k kept) Read(p []byte) (int, error) { return k.Reader.Read(p) }

func TestWhatIsKeptOfAllBodiesHasALimit(t *testing.T) {
	s := NewServer(Options{})
	path, err := jsonpath.Compile("$..password")
	if err != nil {
		t.Fatal(err)
	}
	view := jsonmask.NewView([]jsonmask.Field{{Path: path, Rule: &policies.MaskRule{Text: "[masked]"}}}, nil, nil)
	read := func(text string) (*body, error) {
		b := &body{c: &conversation{server: s}}
		out := jsonmask.Output{View: view, Write: func([]byte) error { return nil }}
		return b, jsonmask.Copy(jsonmask.JSON, kept{b, strings.NewReader(text)}, out)
	}
	long := `"` + strings.Repeat("a", 1<<20) + `"`
	b, err := read(long)
	if err != nil || b.kept < 1<<20 || int64(b.kept) != s.kept.used.Load() {
		t.Errorf("%v: %d kept of %d", err, b.kept, s.kept.used.Load())
	}
	s.kept.used.Store(maxKept)
	if _, err := read(long); !errors.Is(err, errKept) {
		t.Errorf("a long string without room: %v", err)
	}
	if _, err := read("[" + strings.Repeat(`"short",`, 1<<17) + "0]"); err != nil {
		t.Errorf("short strings need no room: %v", err)
	}
	if s.kept.used.Load() != maxKept {
		t.Errorf("%d are kept", s.kept.used.Load())
	}
}
