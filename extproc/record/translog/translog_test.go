package translog_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/sluicegate/sluice/extproc/record/translog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func root(t testing.TB, dir string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

func key(t testing.TB, dir string) (note.Signer, note.Verifier) {
	t.Helper()
	s, v, err := translog.LoadKey(root(t, dir), "sluice/p1", rand.Reader)
	must(t, err)
	return s, v
}

func leaf(n int) translog.Leaf {
	return translog.Leaf{Session: "p1-A", Sequence: uint64(n), Digest: [32]byte{byte(n), 1}, Previous: [32]byte{2}}
}

func TestLeavesAreInTheLogInOrderAndSigned(t *testing.T) {
	dir := t.TempDir()
	r := root(t, dir)
	signer, verifier := key(t, dir)
	next := 0
	for range 3 { // opened again, it goes on
		l, err := translog.Open(t.Context(), translog.Options{Root: r, Signer: signer, Verifier: verifier})
		must(t, err)
		if l.Size() != uint64(next) {
			t.Fatalf("size %d", l.Size())
		}
		done := make(chan int, 300)
		for range 130 {
			n := next
			l.Add(t.Context(), leaf(n), func(err error) {
				if err != nil {
					t.Error(err)
				}
				done <- n
			})
			next++
		}
		must(t, l.Close(context.Background()))
		for want := next - 130; want < next; want++ {
			if got := <-done; got != want {
				t.Fatalf("leaf %d was done in the place of %d", got, want)
			}
		}
		l.Add(t.Context(), leaf(0), func(err error) {
			if err == nil {
				t.Error("a closed log takes leaves")
			}
		})
	}
	raw, err := translog.ReadCheckpoint(r)
	must(t, err)
	cp, err := translog.ParseCheckpoint(raw, verifier)
	if err != nil || cp.Size != uint64(next) || cp.Origin != "sluice/p1" {
		t.Fatalf("%+v, %v", cp, err)
	}
	for _, from := range []uint64{0, 255, 256, 389, 390, 1000} {
		n := from
		must(t, translog.Leaves(r, from, func(i uint64, l translog.Leaf, err error) error {
			if i != n || l != leaf(int(n)) || err != nil {
				return fmt.Errorf("leaf %d: %+v, %w", i, l, err)
			}
			n++
			return nil
		}))
		if n != max(from, uint64(next)) {
			t.Fatalf("leaves from %d end at %d", from, n)
		}
	}
}

// TestWhatABatchLeftWhenCutOffIsRemoved: files past the tree would stand beside those of the next batch.
func TestWhatABatchLeftWhenCutOffIsRemoved(t *testing.T) {
	dir := t.TempDir()
	r := root(t, dir)
	signer, verifier := key(t, dir)
	open := func() *translog.Log {
		l, err := translog.Open(t.Context(), translog.Options{Root: r, Signer: signer, Verifier: verifier})
		must(t, err)
		return l
	}
	l := open()
	for n := range 5 {
		l.Add(t.Context(), leaf(n), func(error) {})
	}
	must(t, l.Close(context.Background()))
	left := []string{"log/tile/entries/000.p/9", "log/tile/0/000.p/9", "log/tile/entries/000", "log/tile/0/000.p/51234567"}
	for _, name := range left {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("cut off"), 0o600))
	}
	must(t, open().Close(context.Background()))
	for _, name := range left {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "log/tile/entries/000.p/5")); err != nil {
		t.Error(err)
	}
}

func TestALeafHasOneText(t *testing.T) {
	good := string(leaf(7).Marshal())
	if l, err := translog.ParseLeaf([]byte(good)); err != nil || l != leaf(7) {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, bad := range []string{
		"", good[:len(good)-1], good + "\n", strings.Replace(good, "\n7\n", "\n07\n", 1), strings.Replace(good, "\n7\n", "\n+7\n", 1),
		strings.Replace(good, "chunk 1", "chunk 2", 1), strings.ToUpper(good), strings.Replace(good, "0701", "0701 ", 1), strings.Replace(good, "0701", "701", 1),
	} {
		if l, err := translog.ParseLeaf([]byte(bad)); !errors.Is(err, translog.ErrLeaf) {
			t.Errorf("%q: %+v, %v", bad, l, err)
		}
	}
}

func TestKeysStayAsTheyWereMade(t *testing.T) {
	dir := t.TempDir()
	_, first := key(t, dir)
	_, again := key(t, dir)
	if first.KeyHash() != again.KeyHash() {
		t.Fatal("another key")
	}
	file := filepath.Join(dir, "log.pub")
	text, err := os.ReadFile(file)
	must(t, err)
	for _, from := range []string{file, string(text)} {
		if v, err := translog.ParseKey(from); err != nil || v.KeyHash() != first.KeyHash() {
			t.Errorf("%q: %v", from, err)
		}
	}
	if _, err := translog.ParseKey("nothing"); !errors.Is(err, translog.ErrKey) {
		t.Errorf("%v", err)
	}
	other := t.TempDir()
	key(t, other)
	must(t, os.Rename(filepath.Join(other, "log.pub"), file))
	if _, _, err := translog.LoadKey(root(t, dir), "sluice/p1", rand.Reader); err == nil {
		t.Error("halves of two keys were taken")
	}
}

func TestTilesHaveOneName(t *testing.T) {
	for name, want := range map[string]bool{
		"log/tile/0/000": true, "log/tile/entries/001.p/17": true, "log/tile/2/x001/x234/067": true, "log/tile/0/000.p/0": false,
		"log/tile/0/000.p/256": false, "log/tile/0/0001234567": false, "log/tile/entries/000.p/51234567": false, "log/tile/0/x000/001": false,
		"log/tile/00/000": false, "log/checkpoint": false, "log/tile/x/000": false, "log/tile/0/000.p/+1": false,
	} {
		if tile, ok := translog.ParseTile(name); ok != want {
			t.Errorf("%s: %+v, %v", name, tile, ok)
		}
	}
}

// FuzzParseLeaf: what is taken is written the same.
func FuzzParseLeaf(f *testing.F) {
	f.Add(leaf(3).Marshal())
	f.Add([]byte("sluice chunk 1\n\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := translog.ParseLeaf(b); err == nil && string(l.Marshal()) != string(b) {
			t.Fatal("two texts of one leaf")
		}
	})
}

// FuzzParseCheckpoint: nothing but the very bytes that were signed is taken.
func FuzzParseCheckpoint(f *testing.F) {
	dir := f.TempDir()
	signer, verifier := key(f, dir)
	good, err := note.Sign(&note.Note{Text: "sluice/p1\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}, signer)
	must(f, err)
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), "A=\n", "B=\n", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := translog.ParseCheckpoint(b, verifier); err == nil && string(b) != string(good) {
			t.Fatalf("%q was taken", b)
		}
	})
}
