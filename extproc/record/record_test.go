package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/audit"
	"github.com/sluicegate/sluice/extproc/record/index"
)

// open opens a recorder that ends with the test.
func open(t testing.TB, dir string, change ...func(*record.Options)) *record.Recorder {
	t.Helper()
	o := record.Options{Dir: dir, Processor: "p1", Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)), StopFree: 1}
	for _, c := range change {
		c(&o)
	}
	r, err := record.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = r.Close(ctx) // a test that cares closes it itself
	})
	return r
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func closeRecorder(t testing.TB, r *record.Recorder) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func start() *recordv1.SessionStart {
	return &recordv1.SessionStart{
		Principal: &identityv1.Principal{Issuer: "corp", Subject: "agent", Groups: []string{"agents"}},
		Target:    "orders", Database: "orders", Role: "orders_app", ClientAddress: "127.0.0.1:4711",
	}
}

func begin(t testing.TB, r *record.Recorder, id string) *record.Session {
	t.Helper()
	s, err := r.Begin(t.Context(), id, start())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// statement is what a driver appends before it forwards one.
func statement(n uint64, effect policyv1.Effect, verdict recordv1.Decision_Verdict) []*recordv1.Event {
	return []*recordv1.Event{
		{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{
			Number: n, Text: fmt.Sprintf("select %d", n), Protocol: recordv1.Statement_SIMPLE, Commands: []string{"SELECT"},
			Pairs: []*recordv1.Pair{{Effect: effect, Object: "public.orders"}},
		}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{
			Number: n, Verdict: verdict, Rules: []string{"rule"}, BundleVersion: "1",
		}}},
		{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: n, BundleVersion: "1"}}},
	}
}

func outcome(n, rows, size uint64) *recordv1.Event {
	return &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: n, CommandTag: "SELECT 1", Rows: rows, Bytes: size}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func collect(t testing.TB, seq func(func(*recordv1.Event, error) bool)) []*recordv1.Event {
	t.Helper()
	var out []*recordv1.Event
	for e, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if e.GetSequence() != uint64(len(out)) {
			t.Fatalf("event %d came as number %d", e.GetSequence(), len(out))
		}
		out = append(out, e)
	}
	return out
}

// data joins the bytes of a recording's Data.
func data(events []*recordv1.Event) []byte {
	var b []byte
	for _, e := range events {
		b = append(b, e.GetData().GetBytes()...)
	}
	return b
}

func verify(t testing.TB, dir string) *audit.Report {
	t.Helper()
	rep, err := audit.Verify(t.Context(), audit.Options{Dir: dir, LogKey: filepath.Join(dir, "keys", "log.pub")})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func verifyClean(t testing.TB, dir string) *audit.Report {
	t.Helper()
	rep := verify(t, dir)
	for _, f := range rep.Findings {
		t.Errorf("finding: %s: %s", f.Kind, f.Message)
	}
	return rep
}

func TestARecordedSessionReadsBackAsItWas(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s := begin(t, r, "p1-A")
	must(t, s.Append(true, statement(1, policyv1.Effect_READ, recordv1.Decision_ALLOW)...))
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB: several chunks, several events a call
	must(t, s.Data(recordv1.Data_TO_AGENT, 1, []byte("head"), big, nil, []byte("tail")))
	must(t, s.Append(false, outcome(1, 3, 99)))

	check := func(events []*recordv1.Event) {
		t.Helper()
		if got, want := data(events), append(append([]byte("head"), big...), "tail"...); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back, %d were recorded", len(got), len(want))
		}
		if events[0].GetSessionStart().GetRole() != "orders_app" || events[1].GetStatement().GetText() != "select 1" {
			t.Fatal("the first events are not those that were recorded")
		}
		for _, e := range events {
			if d := e.GetData(); d != nil && (d.GetNumber() != 1 || d.GetDirection() != recordv1.Data_TO_AGENT || len(d.GetBytes()) > 256<<10 || e.GetAt() == nil) {
				t.Fatalf("data event: number %d, direction %v, %d bytes", d.GetNumber(), d.GetDirection(), len(d.GetBytes()))
			}
		}
	}
	check(collect(t, r.Events(t.Context(), "p1-A"))) // live: sealed chunks and the open tail
	rd, err := record.OpenDir(dir)
	must(t, err)
	defer rd.Close()
	check(collect(t, rd.Events(t.Context(), "p1-A"))) // somebody else reads while it is live
	must(t, s.End(t.Context(), "client went"))
	must(t, s.End(t.Context(), "again"))
	if err := s.Append(false, outcome(2, 0, 0)); !errors.Is(err, record.ErrEnded) {
		t.Fatalf("append after the end: %v", err)
	}
	events := collect(t, r.Events(t.Context(), "p1-A"))
	check(events)
	closeRecorder(t, r)
	check(collect(t, rd.Events(t.Context(), "p1-A")))
	want := &recordv1.SessionEnd{Reason: "client went", Statements: 1, Rows: 3, Bytes: 99}
	if end := events[len(events)-1].GetSessionEnd(); !proto.Equal(end, want) {
		t.Fatalf("end: %v", end)
	}
	if rep := verifyClean(t, dir); !rep.OK || rep.Sessions != 1 || rep.Chunks < 3 || rep.Events != uint64(len(events)) || len(rep.Tail) != 0 {
		t.Fatalf("report: %+v", rep)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "journal")); err != nil || len(left) != 0 {
		t.Fatalf("journal after a clean close: %v, %v", left, err)
	}
}

// Some events are encoded by hand, others by the library: an append may have both.
func TestEventsOfBothEncodersStandInOrder(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s := begin(t, r, "p1-A")
	var want []*recordv1.Event
	for _, text := range []string{"select 1", "select '" + strings.Repeat("x", 40<<10) + "'", "select 2"} {
		batch := []*recordv1.Event{
			{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 1, Text: text, Commands: []string{"SELECT"}}}},
			{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: 1}}},
			outcome(1, 1, 8),
		}
		must(t, s.Append(false, batch...))
		want = append(want, batch...)
	}
	got := collect(t, r.Events(t.Context(), "p1-A"))[1:]
	if len(got) != len(want) {
		t.Fatalf("%d events, %d were recorded", len(got), len(want))
	}
	for i, e := range got {
		if at := e.GetAt().AsTime(); time.Since(at) > time.Minute || time.Until(at) > time.Minute {
			t.Errorf("event %d is of %s", i, at)
		}
		w := proto.CloneOf(want[i])
		w.Sequence, w.At = e.GetSequence(), e.GetAt()
		if !proto.Equal(e, w) {
			t.Errorf("event %d: %v, want %v", i, e, w)
		}
	}
}

func TestAnUnknownSessionIsNotFound(t *testing.T) {
	r := open(t, t.TempDir())
	for _, id := range []string{"p1-NONE", "../keys", ""} {
		for _, err := range r.Events(t.Context(), id) {
			if !errors.Is(err, record.ErrNotFound) {
				t.Fatalf("%q: %v", id, err)
			}
		}
	}
}

func TestAChunkIsSealedASecondAfterItsFirstByte(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	begin(t, r, "p1-A")
	file := filepath.Join(dir, "chunks", "p1-A", "00000000.chunk")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("sealed at once: %v", err)
	}
	waitFor(t, 2*time.Second, func() bool { _, err := os.Stat(file); return err == nil })
}

func waitFor(t testing.TB, within time.Duration, done func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v", within)
		}
	}
}

func TestALiveSessionIsListedWithinASecond(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s := begin(t, r, "p1-A")
	list := func(st sessionv1.State) []*sessionv1.Session {
		got, _, err := r.Index().ListSessions(t.Context(), index.Filter{States: []sessionv1.State{st}, Principal: "corp:agent"}, index.Page{})
		must(t, err)
		return got
	}
	waitFor(t, time.Second, func() bool { return len(list(sessionv1.State_LIVE)) == 1 })
	must(t, s.Append(false, statement(1, policyv1.Effect_READ, recordv1.Decision_ALLOW)...))
	must(t, s.Append(false, statement(2, policyv1.Effect_DELETE, recordv1.Decision_DENY)[:2]...))
	must(t, s.Append(false, outcome(1, 7, 70)))
	must(t, s.End(t.Context(), "bye"))
	waitFor(t, time.Second, func() bool { return len(list(sessionv1.State_ENDED)) == 1 })
	row := list(sessionv1.State_ENDED)[0]
	if row.GetStatements() != 2 || row.GetDenied() != 1 || row.GetRows() != 7 || row.GetBytes() != 70 || row.GetEndReason() != "bye" || row.GetProcessor() != "p1" {
		t.Fatalf("row: %v", row)
	}
	var live []index.Statement
	waitFor(t, time.Second, func() bool {
		var err error
		live, err = r.Index().ListStatements(t.Context(), "p1-A", 0, 10)
		must(t, err)
		return len(live) == 1
	})
	if live[0].Number != 2 || live[0].Verdict != recordv1.Decision_DENY || live[0].Text != "select 2" {
		t.Fatalf("statements: %+v", live)
	}
	closeRecorder(t, r)

	// The index is a projection: made again from the chunks it is the same, whether at a start or offline.
	must(t, os.Remove(filepath.Join(dir, "index.sqlite")))
	again := open(t, dir)
	waitFor(t, 2*time.Second, func() bool {
		got, err := again.Index().GetSession(t.Context(), "p1-A")
		return err == nil && proto.Equal(got, row)
	})
	must(t, record.Rebuild(t.Context(), dir, again.Index()))
	if got, err := again.Index().GetSession(t.Context(), "p1-A"); err != nil || !proto.Equal(got, row) {
		t.Fatalf("rebuilt: %v, %v", got, err)
	}
	if got, err := again.Index().ListStatements(t.Context(), "p1-A", 0, 10); err != nil || len(got) != 1 || got[0].Text != "select 2" {
		t.Fatalf("rebuilt: %v, %v", got, err)
	}
	closeRecorder(t, again)
}

func TestOnlyOneProcessRecordsIntoADirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p2"})
	locked, ok := errors.AsType[*record.LockedError](err)
	if !ok || locked.PID != os.Getpid() {
		t.Fatalf("second open: %v", err)
	}
}

func TestBeginRefuses(t *testing.T) {
	r := open(t, t.TempDir())
	s := begin(t, r, "p1-A")
	must(t, s.End(t.Context(), "done"))
	for id, want := range map[string]error{"p1-A": record.ErrExists, "../x": nil, "": nil, strings.Repeat("a", 65): nil} {
		_, err := r.Begin(t.Context(), id, start())
		if _, ok := errors.AsType[*record.Error](err); !ok || want != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v", id, err)
		}
	}
	closeRecorder(t, r)
	if _, err := r.Begin(t.Context(), "p1-B", start()); !errors.Is(err, record.ErrClosed) {
		t.Fatalf("begin after close: %v", err)
	}
}

func TestAnEventThatIsTooLargeIsRefusedAndTheSessionGoesOn(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s := begin(t, r, "p1-A")
	huge := &recordv1.Event{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 1, Text: strings.Repeat("x", 17<<20)}}}
	err := s.Append(true, huge)
	if large, ok := errors.AsType[*record.TooLargeError](err); !ok || large.Max != 16<<20 {
		t.Fatalf("append: %v", err)
	}
	huge.GetStatement().Text = strings.Repeat("x", 15<<20)
	must(t, s.Append(true, huge))
	must(t, s.Append(true, outcome(1, 0, 0)))
	must(t, s.End(t.Context(), "done"))
	if events := collect(t, r.Events(t.Context(), "p1-A")); len(events) != 4 {
		t.Fatalf("%d events", len(events))
	}
	closeRecorder(t, r)
	verifyClean(t, dir)
}

func TestHiddenValuesAreKeyedAndStable(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	a, b := r.Hide([]byte("hunter2hunt2")), r.Hide([]byte("hunter2hunt3"))
	if !strings.HasPrefix(a, "‹hidden, 12 bytes, ") || len(a) != len("‹hidden, 12 bytes, ›")+16 || a == b {
		t.Fatalf("%q, %q", a, b)
	}
	closeRecorder(t, r)
	if again := open(t, dir).Hide([]byte("hunter2hunt2")); again != a {
		t.Fatalf("after a restart %q, before %q", again, a)
	}
	if other := open(t, t.TempDir()).Hide([]byte("hunter2hunt2")); other == a {
		t.Fatal("another key gives the same")
	}
}

func TestSessionIDsAreCrockfordBase32(t *testing.T) {
	id, err := record.NewSessionID("node-1", bytes.NewReader(bytes.Repeat([]byte{0xff}, 10)))
	if err != nil || id != "node-1-ZZZZZZZZZZZZZZZZ" {
		t.Fatalf("%q, %v", id, err)
	}
	if _, err := record.NewSessionID("node-1", bytes.NewReader(nil)); err == nil {
		t.Fatal("an id without randomness")
	}
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	open(t, dir)
	for name, mode := range map[string]fs.FileMode{".": 0o700, "keys": 0o700, "keys/log.key": 0o600, "keys/hmac.key": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}
