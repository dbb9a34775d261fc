package record_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/index"
)

func request(n uint64, method string, v recordv1.Decision_Verdict) []*recordv1.Event {
	return []*recordv1.Event{
		{Kind: &recordv1.Event_HttpRequest{HttpRequest: &recordv1.HttpRequest{Number: n, Method: method, Scheme: "https", Host: "api", Path: "/x"}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: n, Verdict: v, Rules: []string{"rule"}, Code: "403", Message: "no"}}},
	}
}

func TestARebuiltIndexEqualsTheLiveOneForHTTPToo(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	s := begin(t, r, "p1-A")
	must(t, s.Append(false, request(1, "GET", recordv1.Decision_DENY)...))
	must(t, s.Append(false, request(2, "DELETE", recordv1.Decision_ALLOW)...))
	must(t, s.Append(false, outcome(2, 0, 7)))
	must(t, s.Append(false, request(3, "GET", recordv1.Decision_ALLOW)...)) // a read alone has no row
	must(t, s.Append(false, outcome(3, 0, 7)))
	must(t, s.Append(false, request(4, "GET", recordv1.Decision_HOLD)...))
	must(t, s.Append(false, statement(5, 0, recordv1.Decision_DENY)[:2]...))
	must(t, s.End(t.Context(), "bye"))
	list := func(store index.Store) []index.Statement {
		got, err := store.ListStatements(t.Context(), "p1-A", 0, 10)
		must(t, err)
		return got
	}
	waitFor(t, 2*time.Second, func() bool { return len(list(r.Index())) == 4 })
	live := list(r.Index())
	for _, st := range live {
		if st.Text == "" || st.At.IsZero() {
			t.Errorf("the live one lacks something: %+v", st)
		}
	}
	closeRecorder(t, r)
	must(t, os.Remove(filepath.Join(dir, "index.sqlite")))
	again := open(t, dir)
	defer closeRecorder(t, again)
	must(t, record.Rebuild(t.Context(), dir, again.Index()))
	if diff := cmp.Diff(live, list(again.Index())); diff != "" {
		t.Errorf("live and rebuilt differ:\n%s", diff)
	}
}

func TestWhatIsShownIsWhatWasLogged(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	for _, id := range []string{"p1-A", "p1-B"} {
		s := begin(t, r, id)
		must(t, s.Append(false, statement(1, 0, recordv1.Decision_ALLOW)...))
		must(t, s.End(t.Context(), "bye"))
	}
	closeRecorder(t, r)
	again := open(t, dir)
	defer closeRecorder(t, again)
	if _, err := again.Start(t.Context(), "p1-A"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "chunks", "p1-*", "*"))
	must(t, err)
	slices.Sort(files)
	if len(files) != 2 {
		t.Fatalf("%v", files)
	}
	other, err := os.ReadFile(files[1])
	must(t, err)
	must(t, os.WriteFile(files[0], other, 0o600)) // B's, whole and well formed, in A's place
	if _, err := again.Start(t.Context(), "p1-A"); !errors.Is(err, record.ErrNotAsLogged) {
		t.Errorf("who began: %v", err)
	}
	for _, err := range again.Events(t.Context(), "p1-A") {
		if !errors.Is(err, record.ErrNotAsLogged) {
			t.Errorf("replay: %v", err)
		}
	}
	if _, err := again.Start(t.Context(), "p1-C"); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
}
