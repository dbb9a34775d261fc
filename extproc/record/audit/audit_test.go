package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *record.Recorder {
	t.Helper()
	// A deterministic key: the vectors' sizes stay as they are when they are made again.
	r, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p1", StopFree: 1, Rand: rand.NewChaCha8([32]byte{1})})
	must(t, err)
	t.Cleanup(func() { _ = r.Close(context.Background()) }) // a test that cares closes it itself
	return r
}

// write records sessions, each with that many chunks.
func write(t testing.TB, r *record.Recorder, sessions, chunks int) {
	t.Helper()
	var live []*record.Session
	for i := range sessions {
		s, err := r.Begin(t.Context(), fmt.Sprintf("p1-%016d", i), &recordv1.SessionStart{Target: "orders"})
		must(t, err)
		live = append(live, s)
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for range chunks - 1 {
		for _, s := range live {
			b := make([]byte, 1<<20)
			for i := range 2000 {
				b[i*500] = byte(noise.Uint32())
			}
			must(t, s.Data(recordv1.Data_TO_AGENT, 1, b))
		}
	}
	for _, s := range live {
		must(t, s.End(t.Context(), "done"))
	}
}

func recording(t testing.TB, sessions, chunks int) string {
	t.Helper()
	dir := t.TempDir()
	r := open(t, dir)
	write(t, r, sessions, chunks)
	must(t, r.Close(context.Background()))
	return dir
}

func verify(t testing.TB, dir string, change ...func(*audit.Options)) *audit.Report {
	t.Helper()
	o := audit.Options{Dir: dir, LogKey: filepath.Join(dir, "keys", "log.pub")}
	for _, c := range change {
		c(&o)
	}
	rep, err := audit.Verify(t.Context(), o)
	must(t, err)
	if rep.OK != (len(rep.Findings) == 0) {
		t.Fatalf("OK is %v with %d findings", rep.OK, len(rep.Findings))
	}
	return rep
}

// expect wants findings of one kind about one chunk.
func expect(t testing.TB, rep *audit.Report, kind audit.Kind, session string, chunk uint64) {
	t.Helper()
	for _, f := range rep.Findings {
		if f.Kind == kind && f.Session == session && f.Chunk != nil && *f.Chunk == chunk {
			return
		}
	}
	t.Errorf("no finding %s of chunk %d of session %s, but: %s", kind, chunk, session, show(rep))
}

func show(rep *audit.Report) string {
	b, err := json.MarshalIndent(rep, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

func chunkFile(dir, session string, n int) string {
	return filepath.Join(dir, "chunks", session, fmt.Sprintf("%08d.chunk", n))
}

func TestDamageIsFoundAndNamed(t *testing.T) {
	good := recording(t, 2, 4)
	const a, b = "p1-0000000000000000", "p1-0000000000000001"
	if rep := verify(t, good); !rep.OK || len(rep.Tail) != 0 || len(rep.Notes) != 0 || rep.Sessions != 2 || rep.Chunks != rep.Size {
		t.Fatalf("good: %s", show(rep))
	}
	move := func(t *testing.T, from, to string) { t.Helper(); must(t, os.Rename(from, to)) }
	for name, c := range map[string]struct {
		damage  func(t *testing.T, dir string)
		kind    audit.Kind
		session string
		chunk   uint64
	}{
		"a chunk in the middle is removed": {func(t *testing.T, dir string) { must(t, os.Remove(chunkFile(dir, a, 1))) }, audit.Removed, a, 1},
		"the last chunk is removed":        {func(t *testing.T, dir string) { must(t, os.Remove(chunkFile(dir, b, 3))) }, audit.Removed, b, 3},
		"a session is removed":             {func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "chunks", a))) }, audit.Removed, a, 0},
		"two chunks of a session are swapped": {func(t *testing.T, dir string) {
			move(t, chunkFile(dir, a, 1), chunkFile(dir, a, 9))
			move(t, chunkFile(dir, a, 2), chunkFile(dir, a, 1))
			move(t, chunkFile(dir, a, 9), chunkFile(dir, a, 2))
		}, audit.Reordered, a, 1},
		"two sessions' chunks are swapped": {func(t *testing.T, dir string) {
			move(t, chunkFile(dir, a, 1), chunkFile(dir, a, 9))
			move(t, chunkFile(dir, b, 1), chunkFile(dir, a, 1))
			move(t, chunkFile(dir, a, 9), chunkFile(dir, b, 1))
		}, audit.Reordered, b, 1},
		"a chunk is added at the end": {func(t *testing.T, dir string) {
			must(t, os.Link(chunkFile(dir, a, 3), chunkFile(dir, a, 4)))
		}, audit.Added, a, 4},
		"a session is added": {func(t *testing.T, dir string) {
			must(t, os.CopyFS(filepath.Join(dir, "chunks", "p1-NEW"), os.DirFS(filepath.Join(dir, "chunks", a))))
		}, audit.Added, "p1-NEW", 0},
		"a chunk is cut short": {func(t *testing.T, dir string) { must(t, os.Truncate(chunkFile(dir, b, 2), 700)) }, audit.Truncated, b, 2},
		"a chunk is emptied":   {func(t *testing.T, dir string) { must(t, os.Truncate(chunkFile(dir, b, 2), 0)) }, audit.Truncated, b, 2},
		"a chunk is continued": {func(t *testing.T, dir string) {
			f, err := os.OpenFile(chunkFile(dir, b, 2), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString("x")
			must(t, errors.Join(err, f.Close()))
		}, audit.Changed, b, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, good)
			c.damage(t, dir)
			rep := verify(t, dir)
			expect(t, rep, c.kind, c.session, c.chunk)
		})
	}
	t.Run("a strange file beside chunks is added", func(t *testing.T) {
		dir := copyDir(t, good)
		must(t, os.WriteFile(filepath.Join(dir, "chunks", a, "1.chunk"), nil, 0o600))
		if rep := verify(t, dir); len(rep.Findings) != 1 || rep.Findings[0].Kind != audit.Added || rep.Findings[0].Session != a {
			t.Fatal(show(rep))
		}
	})
	t.Run("a log without a checkpoint proves nothing", func(t *testing.T) {
		dir := copyDir(t, good)
		must(t, os.Remove(filepath.Join(dir, "log", "checkpoint")))
		if rep := verify(t, dir); rep.OK || rep.Findings[0].Kind != audit.Removed {
			t.Fatal(show(rep))
		}
	})
	t.Run("another key's log is no proof", func(t *testing.T) {
		other := "sluice/p1+e6dd2ee0+ATQzEwd1Q6Vf4xZ1g0nTPVSyoTfYsXgDjlRAJl0Hqf8L" // malformed for sure: its hash is another's
		if _, err := audit.Verify(t.Context(), audit.Options{Dir: good, LogKey: other}); err == nil {
			t.Fatal("a key whose hash is wrong was taken")
		}
		keys := t.TempDir()
		r, err := record.Open(t.Context(), record.Options{Dir: keys, Processor: "p1", StopFree: 1})
		must(t, err)
		must(t, r.Close(context.Background()))
		rep := verify(t, good, func(o *audit.Options) { o.LogKey = filepath.Join(keys, "keys", "log.pub") })
		if rep.OK || rep.Findings[0].Kind != audit.Changed {
			t.Fatal(show(rep))
		}
	})
}

// TestEveryFlippedByteIsFound flips one byte at a time, of each kind of file.
func TestEveryFlippedByteIsFound(t *testing.T) {
	dir := recording(t, 2, 2)
	flipAll(t, dir, func(name string, size int) int {
		if strings.HasPrefix(name, "chunks") {
			return max(1, size/25)
		}
		return 3
	})
}

// TestEveryFlippedByteOfALargerLogIsFound has full bundles and tiles of two levels.
func TestEveryFlippedByteOfALargerLogIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("300 sessions")
	}
	dir := recording(t, 300, 1)
	flipAll(t, dir, func(name string, size int) int {
		if strings.HasPrefix(name, "chunks") {
			return size // the first byte only
		}
		return 1499
	})
}

func flipAll(t *testing.T, dir string, step func(name string, size int) int) {
	t.Helper()
	flips := 0
	for _, sub := range []string{"chunks", "log/tile", "log/checkpoint"} {
		must(t, filepath.WalkDir(filepath.Join(dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			must(t, err)
			if strings.HasPrefix(name, "chunks") && flips > 400 {
				return nil
			}
			b, err := os.ReadFile(path)
			must(t, err)
			for i := 0; i < len(b); i += step(name, len(b)) {
				bad := slices.Clone(b)
				bad[i] ^= 1 << (i % 8)
				must(t, os.WriteFile(path, bad, 0o600))
				if rep := verify(t, dir); rep.OK {
					t.Errorf("byte %d of %s was flipped, and nothing was found", i, name)
				}
				flips++
			}
			return os.WriteFile(path, b, 0o600)
		}))
	}
	if rep := verify(t, dir); !rep.OK {
		t.Fatal(show(rep))
	}
	t.Logf("%d flips", flips)
}

func TestAnEarlierCheckpointMustHaveGrownIntoTheLog(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	write(t, r, 3, 1)
	must(t, r.Close(context.Background()))
	since := filepath.Join(t.TempDir(), "checkpoint")
	old, err := os.ReadFile(filepath.Join(dir, "log", "checkpoint"))
	must(t, err)
	must(t, os.WriteFile(since, old, 0o600))
	withSince := func(o *audit.Options) { o.Since = since }

	fork := copyDir(t, dir) // somebody with the log's key writes another past
	must(t, os.RemoveAll(filepath.Join(fork, "chunks")))
	must(t, os.RemoveAll(filepath.Join(fork, "log")))
	shorter := copyDir(t, fork)

	r = open(t, dir)
	s, err := r.Begin(t.Context(), "p1-LATER", &recordv1.SessionStart{})
	must(t, err)
	must(t, s.End(t.Context(), "done"))
	must(t, r.Close(context.Background()))
	if rep := verify(t, dir, withSince); !rep.OK {
		t.Fatal(show(rep))
	}
	for want, c := range map[audit.Kind]struct {
		dir string
		n   int
	}{audit.Forked: {fork, 5}, audit.Truncated: {shorter, 2}} {
		r := open(t, c.dir)
		write(t, r, c.n, 1)
		must(t, r.Close(context.Background()))
		rep := verify(t, c.dir, withSince)
		if len(rep.Findings) != 1 || rep.Findings[0].Kind != want {
			t.Errorf("%s: %s", want, show(rep))
		}
		if rep := verify(t, c.dir); !rep.OK {
			t.Errorf("without the earlier checkpoint nobody can know: %s", show(rep))
		}
	}
}

// TestADirectoryInUseIsNoDamage audits while sessions begin, record and end.
func TestADirectoryInUseIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			s, err := r.Begin(context.Background(), fmt.Sprintf("p1-%d", i), &recordv1.SessionStart{})
			if err == nil {
				err = s.Data(recordv1.Data_TO_AGENT, 1, make([]byte, 300_000*(i%8)))
			}
			if err == nil && i%3 > 0 {
				err = s.End(context.Background(), "done")
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	tails := 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		rep := verify(t, dir)
		if !rep.OK {
			t.Fatal(show(rep))
		}
		tails += len(rep.Tail)
	}
	close(stop)
	must(t, <-done)
	must(t, r.Close(context.Background()))
	if rep := verify(t, dir); !rep.OK || len(rep.Tail) != 0 {
		t.Fatal(show(rep))
	}
	if tails == 0 {
		t.Fatal("no tail was seen: the test shows nothing")
	}
}

func TestAnOpenSessionWithoutAJournalIsTruncated(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s, err := r.Begin(t.Context(), "p1-A", &recordv1.SessionStart{})
	must(t, err)
	must(t, s.Append(true, &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{}}}))
	deadline := time.Now().Add(5 * time.Second)
	for verify(t, dir).Chunks == 0 || verify(t, dir).Size == 0 {
		if time.Now().After(deadline) {
			t.Fatal("not logged")
		}
		time.Sleep(50 * time.Millisecond)
	}
	live := copyDir(t, dir)
	rep := verify(t, live)
	if !rep.OK || len(rep.Tail) != 1 || rep.Tail[0].Session != "p1-A" {
		t.Fatal(show(rep))
	}
	must(t, os.RemoveAll(filepath.Join(live, "journal")))
	rep = verify(t, live)
	// Both that the journal is gone, and whose end is gone with it.
	if !slices.ContainsFunc(rep.Findings, func(f audit.Finding) bool { return f.Kind == audit.Truncated && f.Session == "p1-A" }) ||
		!slices.ContainsFunc(rep.Findings, func(f audit.Finding) bool { return strings.HasPrefix(f.File, "journal/") }) {
		t.Fatal(show(rep))
	}
}
