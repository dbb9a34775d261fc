package audit_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/audit"
)

// liveJournal is a copy of a directory as a kill -9 leaves it: a short session is in the journal only.
func liveJournal(t *testing.T) (dir string, segment string) {
	t.Helper()
	live := t.TempDir()
	r := open(t, live)
	_, err := r.Begin(t.Context(), "p1-A", &recordv1.SessionStart{Target: "orders"})
	must(t, err)
	time.Sleep(200 * time.Millisecond) // what is synced is signed for within 50 ms
	short, err := r.Begin(t.Context(), "p1-B", &recordv1.SessionStart{Target: "orders"})
	must(t, err)
	must(t, short.Append(true, &recordv1.Event{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 1, Text: "delete from orders"}}}))
	time.Sleep(200 * time.Millisecond)
	dir = copyDir(t, live)
	must(t, r.Close(context.Background()))
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("%v", names)
	}
	return dir, names[0]
}

// endOf is how many bytes of a segment are records.
func endOf(t *testing.T, segment string) int {
	t.Helper()
	b, err := os.ReadFile(segment)
	must(t, err)
	return len(bytes.TrimRight(b, "\x00"))
}

func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, how(b), 0o600))
}

func TestASessionCannotVanishBeforeItsFirstSealWithoutATrace(t *testing.T) {
	good, segment := liveJournal(t)
	if rep := verify(t, good); !rep.OK || len(rep.Tail) == 0 {
		t.Fatalf("what a kill leaves is no damage: %s", show(rep))
	}
	for name, damage := range map[string]func(t *testing.T, dir, segment string){
		"its last bytes are zeros": func(t *testing.T, _, segment string) {
			end := endOf(t, segment)
			change(t, segment, func(b []byte) []byte { clear(b[end-300:]); return b })
		},
		"the last byte is cut off": func(t *testing.T, _, segment string) {
			must(t, os.Truncate(segment, int64(endOf(t, segment)-1)))
		},
		"all of the segment is zeros": func(t *testing.T, _, segment string) {
			change(t, segment, func(b []byte) []byte { clear(b); return b })
		},
		"the segment is empty":   func(t *testing.T, _, segment string) { must(t, os.Truncate(segment, 0)) },
		"the segment is removed": func(t *testing.T, _, segment string) { must(t, os.Remove(segment)) },
		"the journal is removed": func(t *testing.T, dir, _ string) { must(t, os.RemoveAll(filepath.Join(dir, "journal"))) },
		"its first byte is another": func(t *testing.T, _, segment string) {
			change(t, segment, func(b []byte) []byte { b[0] ^= 1; return b })
		},
		"the end and the head are gone": func(t *testing.T, dir, segment string) {
			end := endOf(t, segment)
			change(t, segment, func(b []byte) []byte { clear(b[end-300:]); return b })
			must(t, os.Remove(filepath.Join(dir, "head")))
		},
		"the head is zeros": func(t *testing.T, dir, _ string) {
			change(t, filepath.Join(dir, "head"), func(b []byte) []byte { clear(b); return b })
		},
		"the head says another number": func(t *testing.T, dir, _ string) {
			change(t, filepath.Join(dir, "head"), func(b []byte) []byte { return bytes.Replace(b, []byte("\n1 "), []byte("\n2 "), 1) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, good)
			segment := filepath.Join(dir, "journal", filepath.Base(segment))
			damage(t, dir, segment)
			rep := verify(t, dir)
			found := false
			for _, f := range rep.Findings {
				found = found || strings.HasPrefix(f.File, "journal/") || f.File == "head"
			}
			if !found {
				t.Errorf("not found: %s", show(rep))
			}
			// A recorder that went on would remove the trace.
			if r, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p1", StopFree: 1}); err == nil {
				must(t, r.Close(context.Background()))
				t.Error("it is continued")
			}
		})
	}
}

func TestABrokenSegmentIsFoundWhenNothingInItIsNeededAnyMore(t *testing.T) {
	live := t.TempDir()
	r := open(t, live)
	s, err := r.Begin(t.Context(), "p1-A", &recordv1.SessionStart{Target: "orders"})
	must(t, err)
	for end := time.Now().Add(10 * time.Second); verify(t, live).Size == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not logged")
		}
	}
	dir := copyDir(t, live) // its chunk is sealed and logged
	must(t, s.End(t.Context(), "done"))
	must(t, r.Close(context.Background()))
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	must(t, err)
	if rep := verify(t, dir); !rep.OK {
		t.Fatal(show(rep))
	}
	for at := range 120 { // the segment's own record, and the session's
		change(t, names[0], func(b []byte) []byte { b[at] ^= 1; return b })
		rep := verify(t, dir)
		if rep.OK || rep.Findings[0].Kind != audit.Changed && rep.Findings[0].Kind != audit.Truncated {
			t.Errorf("byte %d: %s", at, show(rep))
		}
		change(t, names[0], func(b []byte) []byte { b[at] ^= 1; return b })
	}
}

func TestAfterACleanCloseTheHeadIsStillNeeded(t *testing.T) {
	dir := recording(t, 1, 1)
	if rep := verify(t, dir); !rep.OK {
		t.Fatal(show(rep))
	}
	must(t, os.Remove(filepath.Join(dir, "head")))
	if rep := verify(t, dir); rep.OK || rep.Findings[0].Kind != audit.Removed || rep.Findings[0].File != "head" {
		t.Error(show(rep))
	}
}
