package record_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
)

// TestManySessionsAtOnceKeepTheirOrder also has two writers in each session, readers meanwhile, little memory and small
// segments, so that cutting early, waiting and rotation all happen.
func TestManySessionsAtOnceKeepTheirOrder(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(o *record.Options) {
		o.MaxMemory = 1 << 20
		o.SegmentsOf(256 << 10)
	})
	rd, err := record.OpenDir(dir) // as somebody else, beside it
	must(t, err)
	defer rd.Close()
	const sessions, statements = 24, 30
	var wg sync.WaitGroup
	for i := range sessions {
		s := begin(t, r, fmt.Sprintf("p1-%d", i))
		wg.Go(func() {
			var writers sync.WaitGroup
			writers.Go(func() {
				for n := range uint64(statements) {
					if err := s.Append(n%4 == 0, statement(n+1, policyv1.Effect_READ, recordv1.Decision_ALLOW)...); err != nil {
						t.Error(err)
					}
				}
			})
			writers.Go(func() {
				for n := range uint64(statements) {
					if err := s.Data(recordv1.Data_TO_AGENT, n+1, bytes.Repeat([]byte{byte(n)}, 20_000), []byte("|")); err != nil {
						t.Error(err)
					}
				}
			})
			writers.Go(func() {
				for range 3 {
					for _, events := range []iter.Seq2[*recordv1.Event, error]{r.Events(context.Background(), s.ID()), rd.Events(context.Background(), s.ID())} {
						next := uint64(0)
						for e, err := range events {
							if err != nil || e.GetSequence() != next {
								t.Error(next, e, err)
								break
							}
							next++
						}
						if next == 0 {
							t.Error("nothing was read")
						}
					}
				}
			})
			writers.Wait()
			if err := s.End(context.Background(), "done"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	closeRecorder(t, r)
	if rep := verifyClean(t, dir); rep.Sessions != sessions || rep.Events != sessions*(statements*4+2) || rep.Size != rep.Chunks {
		t.Fatalf("%d sessions, %d events, %d chunks, %d leaves", rep.Sessions, rep.Events, rep.Chunks, rep.Size)
	}
	for i := range sessions {
		b := data(collect(t, rd.Events(t.Context(), fmt.Sprintf("p1-%d", i))))
		for n := range statements {
			if piece := b[n*20_001 : (n+1)*20_001]; piece[0] != byte(n) || piece[19_999] != byte(n) || piece[20_000] != '|' {
				t.Fatalf("session %d, piece %d is another", i, n)
			}
		}
	}
}

// TestTheJournalIsLetGo: segments go while sessions live on.
func TestTheJournalIsLetGo(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(o *record.Options) { o.SegmentsOf(128 << 10) })
	idle, s := begin(t, r, "p1-IDLE"), begin(t, r, "p1-A")
	for range 40 {
		must(t, s.Data(recordv1.Data_TO_AGENT, 1, make([]byte, 64<<10)))
	}
	segments := func() int {
		e, err := os.ReadDir(filepath.Join(dir, "journal"))
		must(t, err)
		return len(e)
	}
	if n := segments(); n < 5 {
		t.Fatalf("%d segments", n)
	}
	waitFor(t, 10*time.Second, func() bool {
		must(t, idle.Append(false, outcome(1, 0, 0)))
		must(t, s.Append(false, outcome(1, 0, 0)))
		time.Sleep(200 * time.Millisecond)
		return segments() <= 2
	})
	// What is left is enough to end both.
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(copied, os.DirFS(dir)))
	again := open(t, copied)
	for _, id := range []string{"p1-IDLE", "p1-A"} {
		if events := collect(t, again.Events(t.Context(), id)); countEnds(events) != 1 {
			t.Errorf("%s ends %d times", id, countEnds(events))
		}
	}
	closeRecorder(t, again)
	verifyClean(t, copied)
}

// TestIdleSessionsCostLittle: what a session used is given back when its chunk is sealed.
func TestIdleSessionsCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 sessions")
	}
	r := open(t, t.TempDir())
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = 2000
	sessions := make([]*record.Session, n)
	for i := range sessions {
		sessions[i] = begin(t, r, fmt.Sprintf("p1-%d", i))
		must(t, sessions[i].Data(recordv1.Data_TO_AGENT, 1, make([]byte, 3000)))
	}
	time.Sleep(2500 * time.Millisecond)
	runtime.GC() // pools give back in two rounds
	if each := (int64(heap()) - int64(before)) / n; each > 6<<10 {
		t.Errorf("an idle session costs %d bytes", each)
	} else {
		t.Logf("an idle session costs %d bytes", each)
	}
	runtime.KeepAlive(sessions)
}
