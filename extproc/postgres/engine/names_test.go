package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// asKind takes a text for one statement of a kind about a name.
func asKind(kind sqlfacts.Kind, name string) func(string) *sqlfacts.Facts {
	return func(sql string) *sqlfacts.Facts {
		return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Kind: kind, Name: name}}}
	}
}

// What SQL does to names of the protocol, by what a later message of that name gets.
func TestStatementsThatEndNames(t *testing.T) {
	const gone, there = "gone", "there"
	for name, c := range map[string]struct {
		kind         sqlfacts.Kind
		name, tag    string
		a, b         string // the prepared statements
		portA, portB string // the portals
	}{
		"DEALLOCATE of one":  {sqlfacts.Deallocate, "a", "DEALLOCATE", gone, there, there, there},
		"DEALLOCATE ALL":     {sqlfacts.Deallocate, "", "DEALLOCATE ALL", gone, gone, there, there},
		"DISCARD ALL":        {sqlfacts.Discard, "", "DISCARD ALL", gone, gone, gone, gone},
		"DISCARD PLANS":      {sqlfacts.Discard, "", "DISCARD PLANS", there, there, there, there},
		"CLOSE of one":       {sqlfacts.CloseCursor, "a", "CLOSE CURSOR", there, there, gone, there},
		"CLOSE ALL":          {sqlfacts.CloseCursor, "", "CLOSE CURSOR ALL", there, there, gone, gone},
		"one that ends none": {sqlfacts.Plain, "", "SELECT 1", there, there, there, there},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.mustSend(join(query("begin"), parse("a", "x"), parse("b", "x"), bind("a", "a"), bind("b", "b")))
			s.mustAnswer(done("BEGIN"), ready('T'), parsed(), parsed(), bound(), bound())
			s.facts = asKind(c.kind, c.name)
			s.mustSend(join(parse("ends", "x"), bind("ends", "ends"), execute("ends")))
			s.mustAnswer(parsed(), bound(), done(c.tag))
			s.facts = plainFacts
			for message, want := range map[string]string{
				string(bind("new", "a")): c.a, string(bind("new", "b")): c.b, string(execute("a")): c.portA, string(execute("b")): c.portB,
			} {
				asked := len(s.asked)
				s.mustSend([]byte(message))
				got := there
				if len(s.asked) == asked {
					got = gone
				}
				if got != want {
					t.Errorf("%q: %s, want %s", message, got, want)
				}
				s.engine.client.skipping = false // each for itself
			}
		})
	}
}

// A Parse of an earlier batch may still fail: a Bind to it waits, whatever ended that batch.
func TestABindWaitsForAParseOfAnEarlierBatch(t *testing.T) {
	for name, between := range map[string][]byte{
		"Sync":             syncMessage(),
		"Sync and Query":   join(syncMessage(), query("x")),
		"and Sync":         join(syncMessage(), query("x"), syncMessage()),
		"a refused Query":  join(syncMessage(), query("forbidden")),
		"a function call":  join(syncMessage(), message('F', nil)),
		"Query in a batch": query("x"),
	} {
		s := newScript(t)
		s.mustSend(join(parse("a", "x"), between, bind("", "a")))
		if !s.stalled {
			t.Errorf("%s: it does not wait", name)
		}
	}
	s := newScript(t)
	s.mustSend(join(syncMessage(), parse("a", "x"), bind("", "a")))
	if s.stalled {
		t.Error("in one batch: it waits")
	}
}

func TestAFunctionCallIsRefusedAndEndsNoName(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "x"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	s.mustSend(message('F', []byte("whatever")))
	s.mustAnswer(failure("42601", "syntax error", ""), ready('I'))
	if got := errorsIn(s.agent); len(got) != 1 || !strings.HasPrefix(got[0], "0A000") || bytes.Contains(s.server, []byte("whatever")) {
		t.Errorf("got %q", got)
	}
	s.mustSend(bind("", ""))
	if got := s.asked[len(s.asked)-1]; got != "bind x" {
		t.Errorf("asked %q", got)
	}
}

func TestWhatDoesNotRunIsNoted(t *testing.T) {
	s := newScript(t)
	describe := appendDescribePortal(nil, nil)
	s.mustSend(join(parse("", "x"), bind("", ""), describe, describe, describe, execute(""), closeStatement("y"), syncMessage()))
	run := s.notes[0].Run
	s.notes = nil
	s.mustAnswer(failure("42P01", "no such table", ""), ready('I'))
	if len(s.notes) != 2 { // of Bind and of Execute
		t.Fatalf("noted %+v", s.notes)
	}
	for _, n := range s.notes {
		if n.Kind != NoteOutcome || n.Run != run || n.Code != "25P02" {
			t.Errorf("noted %+v", n)
		}
	}
}

func TestWhetherSomethingRuns(t *testing.T) {
	isCopy := func(r *Grant) bool { return r.Facts.Statements[0].Kind == sqlfacts.CopyIn }
	s := newScript(t)
	if s.engine.Running(isCopy) || !s.engine.Idle() || !s.engine.Answered() {
		t.Error("at first: something runs")
	}
	s.mustSend(join(syncMessage(), parse("", "x"), bind("", ""), execute(""), syncMessage(), query("copy in")))
	if !s.engine.Running(isCopy) || s.engine.Idle() || s.engine.Answered() {
		t.Error("a COPY behind a SELECT: nothing runs")
	}
	s.mustAnswer(ready('I'), parsed(), bound(), done("SELECT 0"), ready('I'))
	if !s.engine.Running(isCopy) || s.engine.Running(func(r *Grant) bool { return !isCopy(r) }) {
		t.Error("the SELECT has ended, the COPY has not")
	}
	s.mustAnswer(failure("42501", "no", ""))
	if s.engine.Idle() || s.engine.Answered() {
		t.Error("the COPY is not over yet")
	}
	s.mustAnswer(ready('I'))
	if s.engine.Running(isCopy) || !s.engine.Idle() || !s.engine.Answered() {
		t.Error("in the end: something runs")
	}
	s.mustSend(query("begin"))
	s.mustAnswer(done("BEGIN"), ready('T'))
	if s.engine.Idle() || !s.engine.Answered() {
		t.Error("a transaction is open, and nothing is asked")
	}
	// Without facts nothing is known of it.
	s.facts = func(string) *sqlfacts.Facts { return nil }
	s.mustSend(query("do"))
	if s.engine.Running(func(*Grant) bool { return true }) {
		t.Error("something without facts has them")
	}
}

// PostgreSQL has dropped the unnamed statement, so nothing is asked about it.
func TestAQueryEndsTheUnnamedStatement(t *testing.T) {
	for name, text := range map[string]string{"a query": "y", "a refused one": "forbidden"} {
		s := newScript(t)
		s.mustSend(join(parse("", "x"), syncMessage()))
		s.mustAnswer(parsed(), ready('I'))
		s.mustSend(query(text))
		if text == "forbidden" {
			s.mustAnswer(failure("42601", "syntax error", ""))
		}
		s.mustAnswer(ready('I'))
		s.agent = nil
		asked := len(s.asked)
		s.mustSend(bind("", ""))
		if len(s.asked) != asked || !refusedWith(s, "26000") {
			t.Errorf("%s: asked %q, got %q", name, s.asked[asked:], errorsIn(s.agent))
		}
	}
}
