package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// ofNames describes one column that nothing hides.
func ofNames() []byte {
	return columns(pgproto3.FieldDescription{Name: []byte("name"), TableOID: 100, TableAttributeNumber: 2, DataTypeOID: 25})
}

// untouched has masks that concern nothing of what its statements say.
func untouched(t *testing.T) *script {
	s := maskedScript(t)
	s.facts = plainFacts
	return s
}

func TestAPreparedStatementIsDescribedOnceForEachPairOfViews(t *testing.T) {
	s := untouched(t)
	a, b := maskedScript(t).view, maskedScript(t).view
	s.mustSend(join(parse("s", "x"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	for i, c := range []struct {
		agent, record *masking.View
		asks          string
	}{
		{a, a, "BDES"},
		{a, a, "BES"},
		{b, b, "BDES"},
		{b, b, "BES"},
		{a, b, "BDES"},
		{a, b, "BES"},
		{b, a, "BDES"},
		{a, a, "BDES"},
	} {
		s.view, s.record, s.server = c.agent, c.record, nil
		s.mustSend(join(bind("", "s"), execute(""), syncMessage()))
		if got := kinds(s.server); got != c.asks {
			t.Fatalf("execution %d: the server got %s, want %s", i, got, c.asks)
		}
		s.mustAnswer(bound())
		if strings.Contains(c.asks, "D") {
			s.mustAnswer(ofNames())
		}
		s.mustAnswer(values("ann"), done("SELECT 1"), ready('I'))
	}
}

func TestNothingIsDescribedWhereNothingCanBeHidden(t *testing.T) {
	for name, begin := range map[string]func() *script{
		"without masks": func() *script { return newScript(t) },
		"without a view": func() *script {
			s := newScript(t)
			s.view = nil
			return s
		},
		"an empty text": func() *script {
			s := untouched(t)
			s.facts = func(string) *sqlfacts.Facts { return &sqlfacts.Facts{} }
			return s
		},
		"without facts": func() *script {
			s := untouched(t)
			s.facts = func(string) *sqlfacts.Facts { return nil }
			return s
		},
	} {
		s := begin()
		s.mustSend(join(parse("", "x"), bind("", ""), execute(""), syncMessage()))
		if got := kinds(s.server); got != "PBES" {
			t.Errorf("%s: the server got %s", name, got)
		}
		s.mustAnswer(parsed(), bound(), message('I', nil), ready('I'))
		if got := kinds(s.agent); got != "12IZ" {
			t.Errorf("%s: the agent got %s", name, got)
		}
		if n := s.notes[len(s.notes)-1]; n.Kind != NoteOutcome || n.Tag != "" || n.Rows != 0 {
			t.Errorf("%s: noted %+v", name, n)
		}
	}
}

// A portal that the agent itself has described needs no second description.
func TestADescriptionThatTheAgentAskedForCounts(t *testing.T) {
	s := untouched(t)
	s.mustSend(join(parse("", "x"), bind("", ""), appendDescribePortal(nil, nil), execute(""), syncMessage()))
	if got := kinds(s.server); got != "PBDES" {
		t.Fatalf("the server got %s", got)
	}
	s.mustAnswer(parsed(), bound(), ofNames(), values("ann"), done("SELECT 1"), ready('I'))
	if got := kinds(s.agent); got != "12TDCZ" {
		t.Errorf("the agent got %s", got)
	}
}

func TestARowMustBeAsItWasDescribed(t *testing.T) {
	for name, begin := range map[string]func() (*script, []byte){
		"in which something is hidden": func() (*script, []byte) { return maskedScript(t), passwords() },
		"in which nothing is":          func() (*script, []byte) { return untouched(t), columns(ofName("a"), ofName("b")) },
	} {
		for _, row := range [][]byte{values(), values("1"), values("1", "2", "3"), message('D', nil), message('D', []byte{0})} {
			s, description := begin()
			s.mustSend(query("select"))
			s.mustAnswer(description)
			s.agent = nil
			err := s.answer(row)
			if v, ok := errors.AsType[*ProtocolError](err); !ok || v.Code != "XX000" || len(s.agent) != 0 {
				t.Errorf("%s, %q: %v, sent %q", name, row, err, s.agent)
			}
		}
		s, description := begin()
		s.mustSend(query("select"))
		if err := s.answer(values("1", "2")); err == nil {
			t.Errorf("%s: a row without a description was taken", name)
		}
		s, _ = begin()
		s.mustSend(query("select"))
		s.mustAnswer(description, values("1", "2"), values("3", "4"), done("SELECT 2"), ready('I'))
		n := s.notes[len(s.notes)-1]
		if n.Rows != 2 || n.Bytes != uint64(2*len(values("1", "2"))) {
			t.Errorf("%s: noted %+v", name, n)
		}
	}
}

func ofName(name string) pgproto3.FieldDescription {
	return pgproto3.FieldDescription{Name: []byte(name), TableOID: 100, TableAttributeNumber: 2, DataTypeOID: 25}
}

// PostgreSQL has tables without columns, and rows of them.
func TestRowsWithoutColumnsPassHoweverTheyAreCut(t *testing.T) {
	row := values()
	for n := range len(row) + 1 {
		s := untouched(t)
		s.mustSend(query("select"))
		s.mustAnswer(columns())
		var out Output
		consumed, need, err := s.engine.Server(row[:n], &out)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if n >= headerSize && n < len(row) && (consumed != 0 || need != len(row)) {
			t.Errorf("%d bytes: consumed %d, need %d", n, consumed, need)
		}
		s.take(&out)
		s.mustAnswer(row[consumed:], done("SELECT 1"), ready('I'))
		if got := kinds(s.agent); got != "TDCZ" {
			t.Errorf("%d bytes: the agent got %s", n, got)
		}
	}
}

// Once it has begun, a row in clear passes as it comes.
func TestALongRowIsNotHeld(t *testing.T) {
	s := untouched(t)
	s.mustSend(query("select"))
	s.mustAnswer(ofNames())
	row := values(strings.Repeat("x", 1000))
	var out Output
	for i, n := range []int{7, 8, 500, len(row)} {
		from := []int{0, 7, 8, 500}[i]
		consumed, need, err := s.engine.Server(row[from:n], &out)
		if consumed != n-from || need != 0 || err != nil {
			t.Fatalf("from %d to %d: consumed %d, need %d, %v", from, n, consumed, need, err)
		}
		if whole := n == len(row); s.engine.Whole() != whole {
			t.Errorf("%d bytes: whole %v", n, !whole)
		}
	}
	s.agent = nil
	s.take(&out)
	if !bytes.Equal(s.agent, row) {
		t.Errorf("got %d bytes", len(s.agent))
	}
}

func TestRowsOfAStatementThatGivesNoneEndTheSession(t *testing.T) {
	for kind, gives := range map[sqlfacts.Kind]bool{
		sqlfacts.Plain: true, sqlfacts.Show: true, sqlfacts.Explain: true, sqlfacts.Execute: true, sqlfacts.Fetch: true,
		sqlfacts.Set: false, sqlfacts.Begin: false, sqlfacts.CopyIn: false, sqlfacts.CopyOut: false, sqlfacts.Deallocate: false,
	} {
		s := untouched(t)
		s.facts = asKind(kind, "")
		s.mustSend(query("x"))
		if err := s.answer(ofNames()); (err == nil) != gives {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
	// One more result than there are statements.
	s := untouched(t)
	s.mustSend(query("x"))
	s.mustAnswer(done("SELECT 0"))
	if err := s.answer(ofNames()); err == nil {
		t.Error("a second result of one statement was taken")
	}
}

// Each statement of a string is hidden by its own description.
func TestEachStatementOfAStringHasItsOwnDescription(t *testing.T) {
	s := maskedScript(t)
	s.facts = func(sql string) *sqlfacts.Facts {
		one := sqlfacts.Statement{Text: sql, ReadOnly: true, Relations: []*sqlfacts.Relation{customers}}
		return &sqlfacts.Facts{Statements: []sqlfacts.Statement{one, one, one}}
	}
	s.mustSend(query("x;y;z"))
	s.mustAnswer(passwords(), values("1", hidden), done("SELECT 1"))
	if err := s.answer(values("1", hidden)); err == nil || s.sees() != "" {
		t.Fatalf("a row by the description of another statement: %v", err)
	}
	s = maskedScript(t)
	s.facts = func(sql string) *sqlfacts.Facts {
		one := sqlfacts.Statement{Text: sql, ReadOnly: true}
		return &sqlfacts.Facts{Statements: []sqlfacts.Statement{one, one}}
	}
	s.mustSend(query("x;y"))
	s.mustAnswer(ofNames(), values("ann"), done("SELECT 1"))
	if err := s.answer(values("ann")); err == nil {
		t.Error("a row in clear by the description of another statement")
	}
}

func TestAPortalThatIsFetchedInPartsStaysMasked(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(join(parse("", "x"), bind("p", ""), execute("p"), execute("p"), syncMessage()))
	if got := kinds(s.server); got != "PBDEES" {
		t.Fatalf("the server got %s", got)
	}
	s.mustAnswer(parsed(), bound(), passwords(), values("1", hidden), message('s', nil), values("2", hidden), done("SELECT 1"), ready('I'))
	if got := kinds(s.agent); got != "12DsDCZ" || s.sees() != "" {
		t.Errorf("the agent got %s, seen by %q", got, s.sees())
	}
	var tags []string
	for _, n := range s.notes {
		if n.Kind == NoteOutcome {
			tags = append(tags, n.Tag)
		}
	}
	if got := strings.Join(tags, ", "); got != "PORTAL SUSPENDED, SELECT 1" || len(s.notes) != 3 {
		t.Errorf("noted %s in %d notes", got, len(s.notes))
	}
}
