package record_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record"
)

const childSessions = 4

// recordUntilKilled is the test binary as a process of its own: it records, and prints what each session has been told
// is in the journal, until it is killed. One session is idle all the time; another ends.
func recordUntilKilled(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	r, err := record.Open(context.Background(), record.Options{Dir: dir, Processor: "p1", StopFree: 1})
	fail(err)
	_, err = r.Begin(context.Background(), "p1-IDLE", start())
	fail(err)
	ended, err := r.Begin(context.Background(), "p1-ENDED", start())
	fail(err)
	fail(ended.End(context.Background(), "done"))
	var mu sync.Mutex // lines are whole
	for i := range childSessions {
		s, err := r.Begin(context.Background(), fmt.Sprintf("p1-%d", i), start())
		fail(err)
		go func() {
			for n := uint64(1); ; n++ {
				fail(s.Append(n%16 == 0, statement(n, policyv1.Effect_UPDATE, recordv1.Decision_ALLOW)...))
				fail(s.Data(recordv1.Data_TO_AGENT, n, bytes.Repeat([]byte{byte(n)}, int(n%1000)*50)))
				fail(s.Append(false, outcome(n, 1, 1)))
				mu.Lock()
				fmt.Printf("%s %d\n", s.ID(), n)
				mu.Unlock()
				time.Sleep(time.Millisecond) // it is about where the kill hits, not about volume
			}
		}()
	}
	select {}
}

// killed runs a child for a while, kills it, and returns the last statement that each session was told is recorded.
func killed(t *testing.T, dir string, after time.Duration) map[string]uint64 {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "SLUICE_RECORD_CHILD="+dir)
	cmd.Stdout, cmd.Stderr = &out, testWriter{t}
	must(t, cmd.Start())
	time.Sleep(after)
	must(t, cmd.Process.Signal(syscall.SIGKILL))
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child: %v", err)
	}
	told := map[string]uint64{}
	for line := range strings.Lines(out.String()) {
		id, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(number, 10, 64); ok && err == nil && strings.HasSuffix(line, "\n") {
			told[id] = max(told[id], n)
		}
	}
	return told
}

func TestWhatWasToldToBeRecordedSurvivesKillMinus9(t *testing.T) {
	for _, after := range []time.Duration{300 * time.Millisecond, 1200 * time.Millisecond, 2700 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			dir := t.TempDir()
			told := killed(t, dir, after)
			if len(told) != childSessions {
				t.Fatalf("told %v", told)
			}
			rep := verify(t, dir)
			for _, f := range rep.Findings {
				t.Errorf("before recovery: %s: %s", f.Kind, f.Message)
			}
			if len(rep.Tail) == 0 {
				t.Error("before recovery there is no tail")
			}
			// Everything is read from the dead directory, before and after recovery.
			rd, err := record.OpenDir(dir)
			must(t, err)
			defer rd.Close()
			before := map[string]int{}
			for id, n := range told {
				events := collect(t, rd.Events(t.Context(), id))
				before[id] = len(events)
				if got := lastOutcome(events); got < n {
					t.Errorf("%s: recorded to %d, told %d", id, got, n)
				}
			}
			r := open(t, dir)
			for id, n := range told {
				events := collect(t, r.Events(t.Context(), id))
				if got := lastOutcome(events); got < n || len(events) != before[id]+1 {
					t.Errorf("%s: recovered to %d with %d events, told %d, before %d", id, got, len(events), n, before[id])
				}
				checkEnd(t, r, id, events, "recorder restarted")
			}
			checkEnd(t, r, "p1-IDLE", collect(t, r.Events(t.Context(), "p1-IDLE")), "recorder restarted")
			checkEnd(t, r, "p1-ENDED", collect(t, r.Events(t.Context(), "p1-ENDED")), "done")
			// The log signs once a second; on a slow disk it takes its time.
			rep = verifyClean(t, dir)
			for range 150 {
				if len(rep.Tail) == 0 {
					break
				}
				time.Sleep(100 * time.Millisecond)
				rep = verifyClean(t, dir)
			}
			if len(rep.Tail) != 0 || rep.Sessions != childSessions+2 {
				t.Errorf("after recovery: %d sessions, a tail of %d", rep.Sessions, len(rep.Tail))
			}
			begin(t, r, "p1-NEXT")
			closeRecorder(t, r)
			if rep := verifyClean(t, dir); rep.Size != rep.Chunks {
				t.Errorf("%d leaves for %d chunks", rep.Size, rep.Chunks)
			}
		})
	}
}

func lastOutcome(events []*recordv1.Event) (n uint64) {
	for _, e := range events {
		n = max(n, e.GetOutcome().GetNumber())
	}
	return n
}

func checkEnd(t *testing.T, r *record.Recorder, id string, events []*recordv1.Event, reason string) {
	t.Helper()
	if end := events[len(events)-1].GetSessionEnd(); end.GetReason() != reason || end.GetRows() != countOutcomes(events) {
		t.Errorf("%s: end %v, %d outcomes", id, end, countOutcomes(events))
	}
	row, err := r.Index().GetSession(t.Context(), id)
	if err != nil || row.GetState() != sessionv1.State_ENDED || row.GetEndReason() != reason || row.GetRows() != countOutcomes(events) || row.GetTarget() != "orders" {
		t.Errorf("%s: row %v, %v", id, row, err)
	}
}

func countOutcomes(events []*recordv1.Event) (n uint64) {
	for _, e := range events {
		if e.GetOutcome() != nil {
			n++
		}
	}
	return n
}

// TestRecoveryCanBeCutOff kills a recovery's results at each of its stages: what an earlier one did is taken up.
func TestRecoveryCanBeCutOff(t *testing.T) {
	dir := t.TempDir()
	killed(t, dir, 1500*time.Millisecond)
	dead := filepath.Join(t.TempDir(), "dead")
	must(t, os.CopyFS(dead, os.DirFS(dir)))
	closeRecorder(t, open(t, dir)) // a whole recovery
	ids := []string{"p1-IDLE", "p1-0", "p1-1", "p1-2", "p1-3"}
	// Some of the chunks that it wrote, none of the leaves, and the journal still there.
	for n := range len(ids) + 1 {
		cut := filepath.Join(t.TempDir(), "cut")
		must(t, os.CopyFS(cut, os.DirFS(dead)))
		for _, id := range ids[:n] {
			must(t, os.RemoveAll(filepath.Join(cut, "chunks", id)))
			must(t, os.CopyFS(filepath.Join(cut, "chunks", id), os.DirFS(filepath.Join(dir, "chunks", id))))
		}
		if rep := verifyClean(t, cut); len(rep.Tail) == 0 {
			t.Errorf("%d sealed: no tail", n)
		}
		r := open(t, cut)
		for _, id := range ids {
			events := collect(t, r.Events(t.Context(), id))
			checkEnd(t, r, id, events, "recorder restarted")
			if got := countEnds(events); got != 1 {
				t.Errorf("%d sealed: %s ends %d times", n, id, got)
			}
		}
		closeRecorder(t, r)
		if rep := verifyClean(t, cut); len(rep.Tail) != 0 || rep.Size != rep.Chunks {
			t.Errorf("%d sealed: %d leaves, %d chunks, tail %v", n, rep.Size, rep.Chunks, rep.Tail)
		}
	}
}

func countEnds(events []*recordv1.Event) (n int) {
	for _, e := range events {
		if e.GetSessionEnd() != nil {
			n++
		}
	}
	return n
}
