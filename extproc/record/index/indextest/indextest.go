// Package indextest is the conformance suite of index.Store: every driver runs it.
package indextest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/index"
)

// Run runs the suite. Open makes an empty store that is closed when its test ends.
func Run(t *testing.T, open func(t *testing.T) index.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, index.Store){
		"a session reads back as it was put":            readsBack,
		"an ended session stays ended":                  staysEnded,
		"a list is newest first and pages without gaps": pages,
		"filters select":                                filters,
		"a page token of nobody is refused":             badTokens,
		"what is known of a statement adds up":          statementsAddUp,
		"statements are listed in order":                statementsInOrder,
		"clear forgets one processor's sessions":        clears,
		"a batch is all or nothing for readers":         concurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func session(id string, start int64, change ...func(*sessionv1.Session)) *sessionv1.Session {
	s := &sessionv1.Session{
		Id: id, State: sessionv1.State_LIVE, Target: "orders", Processor: "p1", ClientAddress: "192.0.2.1:4711",
		Principal: &identityv1.Principal{Issuer: "corp", Subject: "agent", Groups: []string{"agents"}},
		StartedAt: timestamppb.New(time.Unix(start, 5)),
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func ended(s *sessionv1.Session) {
	s.State, s.EndReason, s.EndedAt = sessionv1.State_ENDED, "bye", timestamppb.New(time.Unix(99, 0))
}

func ids(sessions []*sessionv1.Session) []string {
	out := []string{}
	for _, s := range sessions {
		out = append(out, s.GetId())
	}
	return out
}

func readsBack(t *testing.T, st index.Store) {
	if _, err := st.GetSession(t.Context(), "none"); !errors.Is(err, index.ErrNotFound) {
		t.Fatalf("unknown: %v", err)
	}
	s := session("a", 1)
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{s}))
	s.Statements, s.Rows = 7, 1<<40
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{s}))
	got, err := st.GetSession(t.Context(), "a")
	if err != nil || !proto.Equal(got, s) {
		t.Fatalf("got %v, %v", got, err)
	}
	must(t, st.PutSessions(t.Context(), nil))
	must(t, st.PutStatements(t.Context(), nil))
}

func staysEnded(t *testing.T, st index.Store) {
	end, late := session("a", 1, ended), session("a", 1)
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{end}))
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{late}))
	if got, err := st.GetSession(t.Context(), "a"); err != nil || !proto.Equal(got, end) {
		t.Fatalf("got %v, %v", got, err)
	}
	end.Statements = 9
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{end}))
	if got, err := st.GetSession(t.Context(), "a"); err != nil || got.GetStatements() != 9 {
		t.Fatalf("got %v, %v", got, err)
	}
}

func pages(t *testing.T, st index.Store) {
	var want []string
	var all []*sessionv1.Session
	for i := range 25 {
		s := session(fmt.Sprintf("s%02d", i), int64(i/3)) // three begin at the same time
		all, want = append(all, s), append(want, s.GetId())
	}
	slices.Reverse(want)
	must(t, st.PutSessions(t.Context(), all))
	for _, size := range []int{1, 4, 25, 1000} {
		var got []string
		for token, first := "", true; first || token != ""; first = false {
			page, next, err := st.ListSessions(t.Context(), index.Filter{}, index.Page{Size: size, Token: token})
			must(t, err)
			if len(page) > size {
				t.Fatalf("a page of %d has %d", size, len(page))
			}
			got, token = append(got, ids(page)...), next
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d: %v", size, got)
		}
	}
	if page, next, err := st.ListSessions(t.Context(), index.Filter{}, index.Page{}); err != nil || len(page) != 25 || next != "" {
		t.Fatalf("default page: %d, %q, %v", len(page), next, err)
	}
}

func filters(t *testing.T, st index.Store) {
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{
		session("a", 1),
		session("b", 2, ended),
		session("c", 3, func(s *sessionv1.Session) { s.Target = "other" }),
		session("d", 4, func(s *sessionv1.Session) { s.Principal.Subject = "alice" }),
		session("e", 5, func(s *sessionv1.Session) { s.Processor = "p2" }),
	}))
	live, end := sessionv1.State_LIVE, sessionv1.State_ENDED
	for _, c := range []struct {
		f    index.Filter
		want []string
	}{
		{index.Filter{}, []string{"e", "d", "c", "b", "a"}},
		{index.Filter{States: []sessionv1.State{end}}, []string{"b"}},
		{index.Filter{States: []sessionv1.State{live, end}, Target: "orders"}, []string{"e", "d", "b", "a"}},
		{index.Filter{Principal: "corp:alice"}, []string{"d"}},
		{index.Filter{Owner: "https://old.example alice"}, nil},
		{index.Filter{Principal: "corp:agent", Processor: "p1", States: []sessionv1.State{live}}, []string{"c", "a"}},
		{index.Filter{Target: "' OR 1=1 --"}, []string{}},
	} {
		got, _, err := st.ListSessions(t.Context(), c.f, index.Page{})
		if err != nil || !slices.Equal(ids(got), c.want) {
			t.Errorf("%+v: %v, %v", c.f, ids(got), err)
		}
	}
}

func badTokens(t *testing.T, st index.Store) {
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{session("a", 1)}))
	for _, token := range []string{"x", "!!!", "MQ", "' OR 1=1"} {
		if _, _, err := st.ListSessions(t.Context(), index.Filter{}, index.Page{Token: token}); !errors.Is(err, index.ErrPageToken) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func statementsAddUp(t *testing.T, st index.Store) {
	at := time.Unix(5, 6).UTC()
	head := index.Statement{
		Session: "a", Number: 3, At: at, Text: "delete from orders", Commands: []string{"DELETE"},
		Verdict: recordv1.Decision_HOLD, Rules: []string{"writes", "all"}, ApprovalID: "X",
	}
	tail := index.Statement{Session: "a", Number: 3, CommandTag: "DELETE 3", Rows: 3, Bytes: 12, Took: time.Second}
	must(t, st.PutStatements(t.Context(), []index.Statement{head}))
	must(t, st.PutStatements(t.Context(), []index.Statement{tail}))
	want := head
	want.CommandTag, want.Rows, want.Bytes, want.Took = tail.CommandTag, tail.Rows, tail.Bytes, tail.Took
	got, err := st.ListStatements(t.Context(), "a", 0, 10)
	if err != nil || len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	must(t, st.PutStatements(t.Context(), []index.Statement{{Session: "a", Number: 3, Code: "42501", Message: "no"}}))
	if got, err := st.ListStatements(t.Context(), "a", 0, 10); err != nil || got[0].Code != "42501" || got[0].Message != "no" || got[0].Text != head.Text {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func statementsInOrder(t *testing.T, st index.Store) {
	var all []index.Statement
	for _, n := range []uint64{10, 2, 33, 1} {
		all = append(all, index.Statement{Session: "a", Number: n, Text: "x"}, index.Statement{Session: "b", Number: n, Text: "y"})
	}
	must(t, st.PutStatements(t.Context(), all))
	got, err := st.ListStatements(t.Context(), "a", 1, 2)
	if err != nil || len(got) != 2 || got[0].Number != 2 || got[1].Number != 10 || got[0].Text != "x" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func clears(t *testing.T, st index.Store) {
	other := session("b", 2, func(s *sessionv1.Session) { s.Processor = "p2" })
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{session("a", 1, ended), other}))
	must(t, st.PutStatements(t.Context(), []index.Statement{{Session: "a", Number: 1, Text: "x"}, {Session: "b", Number: 1, Text: "y"}}))
	must(t, st.Clear(t.Context(), "p1"))
	if got, _, err := st.ListSessions(t.Context(), index.Filter{}, index.Page{}); err != nil || !slices.Equal(ids(got), []string{"b"}) {
		t.Fatalf("sessions: %v, %v", ids(got), err)
	}
	for id, want := range map[string]int{"a": 0, "b": 1} {
		if got, err := st.ListStatements(t.Context(), id, 0, 10); err != nil || len(got) != want {
			t.Fatalf("statements of %s: %v, %v", id, got, err)
		}
	}
	must(t, st.PutSessions(t.Context(), []*sessionv1.Session{session("a", 1)})) // made again, it may be live again
	if got, err := st.GetSession(t.Context(), "a"); err != nil || got.GetState() != sessionv1.State_LIVE {
		t.Fatalf("got %v, %v", got, err)
	}
}

func concurrent(t *testing.T, st index.Store) {
	done := make(chan error, 1)
	go func() {
		var err error
		for n := uint64(1); n <= 20 && err == nil; n++ {
			a, b := session("a", 1), session("b", 1)
			a.Statements, b.Statements = n, n
			err = st.PutSessions(t.Context(), []*sessionv1.Session{a, b})
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
		got, _, err := st.ListSessions(t.Context(), index.Filter{}, index.Page{})
		must(t, err)
		if len(got) != 0 && (len(got) != 2 || got[0].GetStatements() != got[1].GetStatements()) {
			t.Fatalf("half of a batch: %v", got)
		}
	}
}
