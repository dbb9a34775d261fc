package engine

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/masking"
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
