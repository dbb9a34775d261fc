package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/audit"
)

var update = flag.Bool("update", false, "make the vectors again")

const vectors = "testdata/vectors"

// expected is what a vector's report must say: the class of each failure, and where.
type expected struct {
	Findings []finding `json:"findings"`
	Tail     int       `json:"tail"`
	Chunks   uint64    `json:"chunks"`
}

type finding struct {
	Kind      audit.Kind `json:"kind"`
	Session   string     `json:"session,omitempty"`
	Chunk     *uint64    `json:"chunk,omitempty"`
	Statement uint64     `json:"statement,omitempty"`
}

// TestVectors checks recordings that were sealed once and are committed: a format that changes breaks old recordings.
// Votes are not what they are about: every approval counts as good.
func TestVectors(t *testing.T) {
	if *update {
		makeVectors(t)
	}
	dirs, err := filepath.Glob(vectors + "/*/expect.json")
	must(t, err)
	if len(dirs) != len(vectorDamages)+3 {
		t.Fatalf("%d vectors", len(dirs))
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			must(t, err)
			var want expected
			must(t, json.Unmarshal(raw, &want))
			got := summary(check(t, dir))
			checkClass(t, filepath.Base(dir), got)
			if a, b := marshal(t, got), marshal(t, want); !bytes.Equal(a, b) {
				t.Errorf("got %s\nwant %s", a, b)
			}
		})
	}
}

// checkClass holds a vector to its name, so that making them again cannot agree to anything.
func checkClass(t *testing.T, name string, e expected) {
	t.Helper()
	class, _, damaged := strings.Cut(name, "-")
	kind := audit.Kind(class)
	switch {
	case class == "swapped":
		kind = audit.Reordered
	case kind == audit.Unapproved:
		damaged = true
	}
	found := slices.ContainsFunc(e.Findings, func(f finding) bool { return f.Kind == kind })
	if found != damaged || !damaged && len(e.Findings) > 0 || (name == "tail") != (e.Tail > 0) {
		t.Errorf("%s: %+v", name, e)
	}
}

func check(t *testing.T, dir string) *audit.Report {
	t.Helper()
	return verify(t, dir, func(o *audit.Options) {
		o.LogKey = filepath.Join(vectors, "log.pub")
		o.Quorum = func(*approvalv1.Approval) error { return nil }
	})
}

func summary(rep *audit.Report) expected {
	e := expected{Findings: []finding{}, Tail: len(rep.Tail), Chunks: rep.Chunks}
	for _, f := range rep.Findings {
		e.Findings = append(e.Findings, finding{f.Kind, f.Session, f.Chunk, f.Statement})
	}
	return e
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	must(t, err)
	return append(b, '\n')
}

const (
	vectorA = "p1-A"
	vectorB = "p1-B"
)

// vectorDamages are the bad vectors, each made from the good one.
var vectorDamages = map[string]func(t *testing.T, dir string){
	"changed-chunk":      func(t *testing.T, dir string) { flip(t, chunkFile(dir, vectorA, 1), 60) },
	"changed-entry":      func(t *testing.T, dir string) { flip(t, last(t, dir, "log/tile/entries/000.p/*"), 100) },
	"changed-tile":       func(t *testing.T, dir string) { flip(t, last(t, dir, "log/tile/0/000.p/*"), 40) },
	"changed-checkpoint": func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "log", "checkpoint"), 11) },
	"removed-chunk":      func(t *testing.T, dir string) { must(t, os.Remove(chunkFile(dir, vectorA, 1))) },
	"removed-end":        func(t *testing.T, dir string) { must(t, os.Remove(chunkFile(dir, vectorB, 2))) },
	"removed-tile":       func(t *testing.T, dir string) { must(t, os.Remove(last(t, dir, "log/tile/0/000.p/*"))) },
	"added-chunk": func(t *testing.T, dir string) {
		must(t, os.CopyFS(filepath.Join(dir, "chunks", "p1-C"), os.DirFS(filepath.Join(dir, "chunks", vectorA))))
	},
	"truncated-chunk": func(t *testing.T, dir string) { must(t, os.Truncate(chunkFile(dir, vectorB, 1), 40)) },
	"swapped-chunks": func(t *testing.T, dir string) {
		tmp := filepath.Join(dir, "swap")
		must(t, os.Rename(chunkFile(dir, vectorA, 1), tmp))
		must(t, os.Rename(chunkFile(dir, vectorB, 1), chunkFile(dir, vectorA, 1)))
		must(t, os.Rename(tmp, chunkFile(dir, vectorB, 1)))
	},
}

func flip(t *testing.T, file string, at int) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	b[at] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
}

func last(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	return slices.MaxFunc(files, func(a, b string) int { return len(a)*1000 + int(a[len(a)-1]) - len(b)*1000 - int(b[len(b)-1]) })
}

func makeVectors(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll(vectors))
	dir := t.TempDir()
	r := open(t, dir)
	for _, id := range []string{vectorA, vectorB} {
		vectorSession(t, r, id, "X-"+id)
	}
	must(t, r.Close(context.Background()))
	must(t, os.MkdirAll(vectors, 0o700))
	key, err := os.ReadFile(filepath.Join(dir, "keys", "log.pub"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(vectors, "log.pub"), key, 0o600))
	keep(t, dir, "good", func(string) {})
	for name, damage := range vectorDamages {
		keep(t, dir, name, func(dir string) { damage(t, dir) })
	}

	// The same recorder again, copied while one session is live: sealed but not logged, and in the journal only.
	r = open(t, dir)
	s, err := r.Begin(t.Context(), "p1-LIVE", &recordv1.SessionStart{})
	must(t, err)
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(chunkFile(dir, "p1-LIVE", 0)); err == nil || time.Now().After(deadline) {
			must(t, err)
			break
		}
	}
	must(t, s.Data(recordv1.Data_TO_AGENT, 1, []byte("in the journal only")))
	keep(t, dir, "tail", func(string) {})
	must(t, r.Close(context.Background()))

	// An execution of what was held, without an approval.
	dir = t.TempDir()
	r = open(t, dir)
	vectorSession(t, r, vectorA, "")
	must(t, r.Close(context.Background()))
	keep(t, dir, "unapproved", func(string) {})
}

// vectorSession is a session of three chunks with one held statement.
func vectorSession(t *testing.T, r *record.Recorder, id, approval string) {
	t.Helper()
	s, err := r.Begin(t.Context(), id, &recordv1.SessionStart{Target: "orders"})
	must(t, err)
	a := &approvalv1.Approval{Id: "X-" + id, State: approvalv1.State_CONSUMED, SessionId: id, RecordedDigest: []byte("r")}
	must(t, s.Append(true, append(held(a),
		&recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: 1, Approval: a}}},
		&recordv1.Event{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: 1, ApprovalId: approval}}})...))
	for range 9 {
		must(t, s.Data(recordv1.Data_TO_AGENT, 1, make([]byte, 256<<10)))
	}
	must(t, s.End(t.Context(), "done"))
}

// keep copies what an audit needs of a recording, damages it, and notes what is found.
func keep(t *testing.T, dir, name string, damage func(dir string)) {
	t.Helper()
	to := filepath.Join(vectors, name)
	for _, part := range []string{"chunks", "log/tile", "journal"} {
		must(t, os.CopyFS(filepath.Join(to, part), os.DirFS(filepath.Join(dir, part))))
	}
	cp, err := os.ReadFile(filepath.Join(dir, "log", "checkpoint"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, "log", "checkpoint"), cp, 0o600))
	damage(to)
	must(t, os.WriteFile(filepath.Join(to, "expect.json"), marshal(t, summary(check(t, to))), 0o600))
}
