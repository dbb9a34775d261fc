package engine

import (
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// orders is a table of which nothing is masked.
var orders = &sqlfacts.Relation{OID: 102, Schema: "public", Name: "orders", Kind: 'r', Columns: []sqlfacts.Column{
	{Number: 1, Name: "id", TypeOID: 23}, {Number: 2, Name: "note", TypeOID: 25},
}}

func TestEachCopyOfAStringIsHiddenByItsOwnTable(t *testing.T) {
	s := maskedScript(t)
	s.facts = func(sql string) *sqlfacts.Facts {
		f := copyFacts(orders, customers, orders)(sql)
		f.Statements = append([]sqlfacts.Statement{{Text: sql, ReadOnly: true}}, f.Statements...)
		return f
	}
	s.mustSend(query("select; copy; copy; copy"))
	s.mustAnswer(done("SELECT 0"))
	end := join(message('c', nil), done("COPY 1"))
	s.mustAnswer(copyOut(2), copyData("1\tnote\n"), message('c', nil), done("COPY 1"))
	s.mustAnswer(copyOut(3), copyData("1\tann\t"+hidden+"\n"), message('c', nil), done("COPY 1"))
	s.mustAnswer(copyOut(2), copyData("2\tnote\n"), message('c', nil), done("COPY 1"), ready('I'))
	want := join(done("SELECT 0"), copyOut(2), copyData("1\tnote\n"), end, copyOut(3), copyData("1\tann\t[masked]\n"), end, copyOut(2), copyData("2\tnote\n"), end, ready('I'))
	if string(s.agent) != string(want) {
		t.Errorf("got %q", s.agent)
	}
	if n := s.notes[len(s.notes)-1]; n.Bytes != uint64(len(copyData("2\tnote\n"))) || n.Tag != "COPY 1" {
		t.Errorf("noted %+v", n)
	}
	if err := s.engine.shared.queue.len; err != 0 {
		t.Errorf("%d are awaited", err)
	}
}

func TestACopyMoreThanThereAreStatementsEndsTheSession(t *testing.T) {
	s := maskedScript(t)
	s.facts = copyFacts(customers)
	s.mustSend(query("copy"))
	s.mustAnswer(copyOut(3), message('c', nil), done("COPY 0"))
	if err := s.answer(copyData("1\tann\t" + hidden + "\n")); err == nil || s.sees() != "" {
		t.Errorf("data behind its end: %v, sent %q", err, s.agent)
	}
	if err := s.answer(copyOut(3)); !isViolation(err, "server") {
		t.Errorf("got %v", err)
	}
}

func TestACopyOfOtherColumnsThanTheCatalogHasEndsTheSession(t *testing.T) {
	for _, n := range []byte{0, 2, 4} {
		s := maskedScript(t)
		s.facts = copyFacts(customers)
		s.mustSend(query("copy"))
		if err := s.answer(copyOut(n)); !isViolation(err, "server") {
			t.Errorf("%d columns: %v", n, err)
		}
	}
	// Nothing is hidden from whom no mask concerns, whatever the catalog knows.
	s := newScript(t)
	s.facts = copyFacts(customers)
	s.mustSend(query("copy"))
	s.mustAnswer(copyOut(4), copyData("1\t2\t3\t4\n"), message('c', nil), done("COPY 1"), ready('I'))
	if got := kinds(s.agent); got != "HdcCZ" {
		t.Errorf("got %s", got)
	}
}

// The driver refuses a query that reads what is masked; what is left passes.
func TestACopyOfAQueryPasses(t *testing.T) {
	for name, c := range map[string]*sqlfacts.Copy{"a query": {Delimiter: '\t', Null: `\N`}, "of which nothing is known": nil} {
		s := maskedScript(t)
		s.facts = func(sql string) *sqlfacts.Facts {
			return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Kind: sqlfacts.CopyOut, Copy: c}}}
		}
		s.mustSend(query("copy"))
		s.mustAnswer(copyOut(2), copyData("1\tx\n"), message('c', nil), done("COPY 1"), ready('I'))
		if got := kinds(s.agent); got != "HdcCZ" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestARowOfACopyMayComeInPieces(t *testing.T) {
	s := maskedScript(t)
	s.facts = copyFacts(customers)
	s.mustSend(query("copy"))
	s.mustAnswer(copyOut(3))
	s.agent = nil
	s.mustAnswer(copyData("1\tann\thun"))
	if len(s.agent) != 0 {
		t.Errorf("a piece of a row: sent %q", s.agent)
	}
	s.mustAnswer(copyData("ter2\n2\tbob"))
	if want := copyData("1\tann\t[masked]\n"); string(s.agent) != string(want) {
		t.Errorf("sent %q", s.agent)
	}
	if err := s.answer(message('c', nil)); !isViolation(err, "server") {
		t.Errorf("data that ends within a row: %v", err)
	}
}

func TestCopyDataThatIsNotInItsFormatEndsTheSession(t *testing.T) {
	s := maskedScript(t)
	s.facts = func(sql string) *sqlfacts.Facts {
		f := copyFacts(customers)(sql)
		f.Statements[0].Copy.Format = sqlfacts.CopyBinary
		return f
	}
	s.mustSend(query("copy"))
	s.mustAnswer(copyOut(3))
	if err := s.answer(copyData("this is no binary COPY, and long enough to say so\n")); !isViolation(err, "server") {
		t.Errorf("got %v", err)
	}
}
