package engine

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A server looks names up at Parse and at Describe: whoever changes them waits for that as for what runs.
func TestAParseAndItsDescriptionAreOnTheirWayUntilTheyAreAnswered(t *testing.T) {
	s := newScript(t)
	describe := frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"})
	runs := func() bool { return s.engine.Running(func(g *Grant) bool { return g.Facts.Statements[0].Text == "x" }) }
	described := [][]byte{encodeBackend(&pgproto3.ParameterDescription{}), message('n', nil)}
	s.mustSend(join(parse("s", "x"), describe, syncMessage()))
	if !runs() {
		t.Error("Parse is on its way")
	}
	s.mustAnswer(parsed())
	if !runs() {
		t.Error("Describe is on its way")
	}
	s.mustAnswer(append(described, ready('I'))...)
	if runs() {
		t.Error("all was answered")
	}
	s.mustSend(join(describe, syncMessage()))
	if !runs() {
		t.Error("another Describe is on its way")
	}
	s.mustAnswer(append(described, ready('I'))...)
	s.mustSend(join(frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "nothing"}), syncMessage()))
	if s.engine.Running(func(*Grant) bool { return true }) {
		t.Error("nothing of that name is known")
	}
}

func TestABindKnowsWhetherTheNameWasDescribedSinceItsParseWasAnswered(t *testing.T) {
	describe := frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"})
	described := join(encodeBackend(&pgproto3.ParameterDescription{}), message('n', nil))
	for name, c := range map[string]struct {
		sends, answers [][]byte
		looked         bool
	}{
		"never":               {[][]byte{join(parse("s", "x"), syncMessage())}, [][]byte{join(parsed(), ready('I'))}, false},
		"behind the Parse":    {[][]byte{join(parse("s", "x"), describe, syncMessage())}, [][]byte{join(parsed(), described, ready('I'))}, false},
		"later":               {[][]byte{join(parse("s", "x"), syncMessage()), join(describe, syncMessage())}, [][]byte{join(parsed(), ready('I')), join(described, ready('I'))}, true},
		"later, in the batch": {[][]byte{parse("s", "x"), join(describe, syncMessage())}, [][]byte{parsed(), join(described, ready('I'))}, true},
		"before it was made anew": {
			[][]byte{join(parse("s", "x"), syncMessage()), join(describe, closeStatement("s"), parse("s", "x"), syncMessage())},
			[][]byte{join(parsed(), ready('I')), join(described, closed(), parsed(), ready('I'))},
			false,
		},
	} {
		s := newScript(t)
		for i := range c.sends {
			s.mustSend(c.sends[i])
			s.mustAnswer(c.answers[i])
		}
		asked := questions(s)
		s.mustSend(bind("", "s"))
		if q := (*asked)[0]; q.Stage != AtBind || q.Looked != c.looked {
			t.Errorf("%s: %+v", name, q)
		}
	}
}

// What ran in a batch is committed by its Sync, not by its answers.
func TestATransactionEndsWithTheSyncOfItsBatch(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "x"), bind("", ""), execute("")))
	if s.engine.Idle() || !s.engine.Committed() {
		t.Error("something is on its way, and nothing has run")
	}
	s.mustAnswer(parsed(), bound(), done("INSERT 0 1"))
	if s.engine.Idle() || s.engine.Committed() || !s.engine.Answered() {
		t.Error("it has run, and there was no Sync")
	}
	s.mustSend(syncMessage())
	if s.engine.Idle() || s.engine.Committed() {
		t.Error("the Sync was not answered")
	}
	s.mustAnswer(ready('I'))
	if !s.engine.Idle() || !s.engine.Committed() {
		t.Error("it is over")
	}
	s.mustSend(join(parse("", "x"), bind("", ""), execute("")))
	s.mustAnswer(parsed(), bound(), done("INSERT 0 1"))
	s.mustSend(query("select 1")) // which ends the transaction of the batch as well
	s.mustAnswer(done("SELECT 1"))
	if s.engine.Idle() || s.engine.Committed() {
		t.Error("the query was not answered to its end")
	}
	s.mustAnswer(ready('I'))
	if !s.engine.Idle() || !s.engine.Committed() {
		t.Error("behind a query it is over too")
	}
	s.mustSend(query("begin"))
	s.mustAnswer(done("BEGIN"), ready('T'))
	if s.engine.Idle() || s.engine.Committed() {
		t.Error("a transaction is open")
	}
}

func TestAnExecuteIsAskedWithItsText(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "x"), bind("", ""), execute("")))
	if got := s.asked[2]; got != "execute x" {
		t.Errorf("asked %q", got)
	}
}
