package journal_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sluicegate/sluice/extproc/record/journal"
)

// signed is a journal of several small segments whose head is signed.
func signed(t *testing.T) (dir string, w *journal.Writer, check func() []journal.Fault) {
	t.Helper()
	dir = t.TempDir()
	private, public, err := note.GenerateKey(rand.Reader, "p1")
	must(t, err)
	signer, err := note.NewSigner(private)
	must(t, err)
	key, err := note.NewVerifier(public)
	must(t, err)
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { _ = root.Close() })
	w, err = journal.Open(journal.Options{Root: root, LogSize: func() uint64 { return 7 }, SegmentSize: 300, Signer: signer}, 0)
	must(t, err)
	return dir, w, func() []journal.Fault {
		t.Helper()
		faults, err := journal.Check(root, key, true)
		must(t, err)
		return faults
	}
}

func TestSegmentsAreChainedAndEachIsMissed(t *testing.T) {
	dir, w, check := signed(t)
	s := journal.NewSession(1, []byte("session 1"))
	holds := make([]journal.Hold, 12)
	for i := range holds {
		b := journal.Reserve(nil)
		b = append(b, make([]byte, 100)...)
		journal.Finish(b, journal.KindEvents, 1, uint64(i), 1)
		_, err := w.Append(s, b, uint64(i), journal.State{}, &holds[i], false)
		must(t, err)
		must(t, w.Sync())
		if faults := check(); len(faults) > 0 {
			t.Fatalf("after record %d: %v", i, faults)
		}
	}
	segments, err := filepath.Glob(filepath.Join(dir, "journal", "*"))
	must(t, err)
	if len(segments) < 4 {
		t.Fatalf("%v", segments)
	}
	for i, path := range segments {
		whole, err := os.ReadFile(path)
		must(t, err)
		if i > 0 { // the first may have been let go
			must(t, os.Remove(path))
			if len(check()) == 0 {
				t.Errorf("segment %d is gone, and not missed", i)
			}
		}
		if i+1 < len(segments) { // what is whole but for its last record
			must(t, os.WriteFile(path, whole[:len(whole)-132], 0o600))
			if len(check()) == 0 {
				t.Errorf("the last record of segment %d is gone, and not missed", i)
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
	}
	if faults := check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	for i := range holds[:8] {
		w.Release(&holds[i])
	}
	must(t, w.Collect())
	if faults := check(); len(faults) > 0 {
		t.Errorf("what was let go is missed: %v", faults)
	}
	must(t, w.Close())
	if faults := check(); len(faults) > 0 {
		t.Errorf("after a close: %v", faults)
	}
}
