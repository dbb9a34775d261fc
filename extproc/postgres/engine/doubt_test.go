package engine

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// A function outside the pure list can open a cursor of a portal's name, or prepare another statement of a known name:
// from then on only what the server describes counts.
func TestPortalsAndStatementsAreDescribedAnewAfterACall(t *testing.T) {
	open := func(s *script) {
		s.mustSend(join(query("begin"), parse("s", "x"), bind("p", "s"), execute("p")))
		s.mustAnswer(done("BEGIN"), ready('T'), parsed(), bound(), ofNames(), values("ann"), message('s', nil))
	}
	for name, c := range map[string]struct {
		call, then []byte
		want       string // what the server gets of then
		answers    [][]byte
	}{
		"an open portal": {
			query("select f()"), execute("p"), "DE",
			[][]byte{passwords(), values("1", hidden), done("SELECT 1")},
		},
		"a new portal of a known statement": {
			query("select f()"), join(bind("q", "s"), execute("q")), "BDDE", // for Bind, and for Execute
			[][]byte{bound(), passwords(), passwords(), values("1", hidden), done("SELECT 1")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := untouched(t)
			open(s)
			s.facts = calling
			s.mustSend(join(c.call))
			s.mustAnswer(done("SELECT 0"), ready('T'))
			s.facts, s.server = plainFacts, nil
			for i := range 2 { // each time
				s.server = nil
				s.mustSend(c.then)
				if got := kinds(s.server); got != c.want {
					t.Fatalf("time %d: the server got %s", i, got)
				}
				s.mustAnswer(c.answers...)
				if i == 0 && strings.HasPrefix(c.want, "B") {
					s.mustSend(message('C', []byte("Pq\x00")))
					s.mustAnswer(closed())
				}
			}
			if s.sees() != "" {
				t.Errorf("sent %q", s.agent)
			}
		})
	}
}

// What was sent in one batch with a call is not answered yet when it is doubted.
func TestAPortalOfTheSameBatchAsACallIsDoubtedToo(t *testing.T) {
	s := untouched(t)
	s.mustSend(join(query("begin"), parse("f", "select f()"), parse("s", "x")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed(), parsed())
	s.mustSend(join(bind("p", "s"), execute("p")))
	s.facts = calling
	s.mustSend(join(parse("", "select f()"), bind("", ""), execute("")))
	s.server = nil
	s.mustSend(execute("p"))
	if got := kinds(s.server); got != "DE" {
		t.Errorf("the server got %s", got)
	}
}

// Without a view there is nothing to doubt.
func TestACallWithoutAView(t *testing.T) {
	s := newScript(t)
	s.view = nil
	s.mustSend(join(query("begin"), parse("s", "x"), bind("p", "s")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed(), bound())
	s.facts = calling
	s.mustSend(query("select f()"))
	s.mustAnswer(done("SELECT 0"), ready('T'))
	s.mustSend(execute("p"))
	s.mustAnswer(message('n', nil), done("SELECT 0"))
	if got := kinds(s.agent); got != "CZ12CZC" {
		t.Errorf("the agent got %s", got)
	}
}

// A policy that changes between executions changes the portal that is executed, from then on, and no other.
func TestAnotherGrantIsForItsPortalAndStays(t *testing.T) {
	s := maskedScript(t)
	masked, inClear := s.view, unmasked()
	s.view = inClear
	var next *masking.View
	s.again = func(run *Run, _ uint32) *Grant {
		if next == nil {
			return nil
		}
		return &Grant{Number: run.Number, Facts: run.Facts, Agent: next, Record: next}
	}
	s.mustSend(join(query("begin"), parse("s", "x"), bind("p", "s"), bind("q", "s")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed(), bound(), bound())
	fetch := func(portal, want string) {
		t.Helper()
		s.server, s.agent, s.recorded = nil, nil, nil
		s.mustSend(execute(portal))
		if strings.HasPrefix(kinds(s.server), "D") {
			s.mustAnswer(passwords())
		}
		s.mustAnswer(values("1", hidden), message('s', nil))
		if got := s.sees(); got != want {
			t.Errorf("of %s, seen by %q, want %q", portal, got, want)
		}
	}
	fetch("p", "agent record")
	next = masked
	fetch("p", "")
	next = nil
	fetch("p", "")
	fetch("q", "agent record")
}

// A call may have left something that runs later, such as a deferred trigger: at COMMIT, at SET CONSTRAINTS, or where a Sync
// ends a transaction. What was prepared before that may be something else behind it.
func TestNamesAreDoubtedWhereWhatWasPutOffRuns(t *testing.T) {
	asCommand := func(command string) func(string) *sqlfacts.Facts {
		return func(sql string) *sqlfacts.Facts {
			return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Operation: policies.Operation{Command: command}}}}
		}
	}
	begun := func(s *script) {
		s.mustSend(query("begin"))
		s.mustAnswer(done("BEGIN"), ready('T'))
	}
	call := func(s *script) {
		s.facts = calling
		s.mustSend(join(parse("", "select f()"), bind("", ""), execute("")))
		s.facts = plainFacts
	}
	called := [][]byte{parsed(), bound(), ofNames(), ofNames(), done("SELECT 0")}
	for name, c := range map[string]struct {
		run  func(s *script)
		want string // what the server gets of a Bind
	}{
		"COMMIT": {func(s *script) {
			begun(s)
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed(), ready('T'))...)
			s.facts = asKind(sqlfacts.Commit, "")
			s.mustSend(query("commit"))
		}, "BD"},
		"COMMIT where nothing was called": {func(s *script) {
			begun(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(parsed(), ready('T'))
			s.facts = asKind(sqlfacts.Commit, "")
			s.mustSend(query("commit"))
			s.mustAnswer(done("COMMIT"), ready('I'))
		}, "B"},
		"SET CONSTRAINTS": {func(s *script) {
			begun(s)
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed(), ready('T'))...)
			s.facts = asCommand("SET CONSTRAINTS")
			s.mustSend(query("set constraints all immediate"))
		}, "BD"},
		"another command": {func(s *script) {
			begun(s)
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed(), ready('T'))...)
			s.facts = asCommand("SET")
			s.mustSend(query("set a = b"))
		}, "B"},
		"a Sync that ends a transaction": {func(s *script) {
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed())...)
		}, "BD"},
		"a Sync within one": {func(s *script) {
			begun(s)
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed())...)
		}, "B"},
		"a Sync behind the end of one": {func(s *script) {
			begun(s)
			s.facts = asKind(sqlfacts.Rollback, "")
			s.mustSend(query("rollback"))
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(append([][]byte{done("ROLLBACK"), ready('I')}, called...), parsed())...)
		}, "BD"},
		"its end, as the server says": {func(s *script) {
			begun(s)
			call(s)
			s.mustSend(join(parse("s", "x"), syncMessage()))
			s.mustAnswer(append(called, parsed(), ready('I'))...)
		}, "BD"},
	} {
		t.Run(name, func(t *testing.T) {
			s := untouched(t)
			c.run(s)
			s.facts, s.server = plainFacts, nil
			s.mustSend(bind("", "s"))
			if got := kinds(s.server); got != c.want {
				t.Errorf("the server got %s, want %s", got, c.want)
			}
		})
	}
}

// What runs by a catalog that only the session sees may call anything, and replace any name.
func TestWhatRunsByAnUncertainCatalogIsDoubted(t *testing.T) {
	s := untouched(t)
	s.mustSend(join(query("begin"), parse("s", "x")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed())
	s.uncertain = true
	s.mustSend(query("insert into t values (1)"))
	s.uncertain = false
	s.mustAnswer(done("INSERT 0 1"), ready('T'))
	s.server = nil
	s.mustSend(bind("", "s"))
	if got := kinds(s.server); got != "BD" {
		t.Errorf("the server got %s", got)
	}
}
