package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// found is of GitHub's form, put together here so that nobody takes this file for a leak.
var found = "ghp_" + strings.Repeat("a1B2", 9)

// tokens describes one column of text, public.customers.name.
func tokens() []byte {
	return columns(pgproto3.FieldDescription{Name: []byte("name"), TableOID: 100, TableAttributeNumber: 2, DataTypeOID: 25})
}

func TestASearchedStatementIsSearchedWithoutDescribe(t *testing.T) {
	s := searchingScript(t)
	s.mustSend(join(parse("s", "select"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	for i := range 3 {
		s.server, s.agent = nil, nil
		s.mustSend(join(bind("", "s"), execute(""), syncMessage()))
		if got := kinds(s.server); got != "BDES" {
			t.Fatalf("execution %d: the server got %s", i, got)
		}
		s.mustAnswer(bound(), tokens(), values("see "+found), values("nothing"), done("SELECT 2"), ready('I'))
		if want := join(bound(), values("see [masked]"), values("nothing"), done("SELECT 2"), ready('I')); !bytes.Equal(s.agent, want) {
			t.Fatalf("execution %d: the agent got %q", i, s.agent)
		}
	}
}

// passed reports whether bytes go to the agent from the buffer that they came in.
func passed(t *testing.T, s *script, msg []byte) bool {
	t.Helper()
	var out Output
	if _, _, err := s.engine.Server(msg, &out); err != nil {
		t.Fatal(err)
	}
	return len(out.ToAgent.Parts) == 1 && &out.ToAgent.Parts[0][0] == &msg[0] && out.ToAgent.Size == len(msg)
}

func TestRowsInWhichNothingIsFoundAreNotCopied(t *testing.T) {
	s := searchingScript(t)
	s.mustSend(query("select"))
	s.mustAnswer(tokens())
	if !passed(t, s, values("nothing")) {
		t.Error("the row is copied")
	}
	if passed(t, s, values(found)) {
		t.Error("the row passes")
	}
}

// copyOut begins a COPY of so many columns.
func copyOut(columns byte) []byte {
	return append([]byte{'H', 0, 0, 0, 7 + 2*columns, 0, 0, columns}, make([]byte, 2*columns)...)
}

func copyData(text string) []byte { return encodeBackend(&pgproto3.CopyData{Data: []byte(text)}) }

func TestCopyIsSearched(t *testing.T) {
	relation := &sqlfacts.Copy{Relation: customers, Columns: customers.Columns, Delimiter: '\t', Null: `\N`}
	for _, c := range []struct {
		name    string
		copy    *sqlfacts.Copy
		columns byte
		row     string
	}{
		{"a table", relation, 3, "1\t@\tx\n"},
		{"a table that has another column by now", relation, 4, "1\t2\t@\tx\n"},
		{"a query", &sqlfacts.Copy{Delimiter: '\t', Null: `\N`}, 2, "@\tx\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := searchingScript(t)
			s.facts = func(sql string) *sqlfacts.Facts {
				return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Kind: sqlfacts.CopyOut, Copy: c.copy}}}
			}
			s.mustSend(query("copy"))
			s.mustAnswer(copyOut(c.columns))
			if clean := copyData(strings.Replace(c.row, "@", "nothing", 1)); !passed(t, s, clean) {
				t.Error("a row in which nothing is found is copied")
			}
			s.agent = nil
			s.mustAnswer(copyData(strings.Replace(c.row, "@", found, 1)))
			if want := copyData(strings.Replace(c.row, "@", "[masked]", 1)); !bytes.Equal(s.agent, want) {
				t.Errorf("got %q", s.agent)
			}
		})
	}
}

func TestASearchWithholdsNoError(t *testing.T) {
	s := searchingScript(t)
	s.mustSend(query("select"))
	s.mustAnswer(failure("22P02", "invalid input: x", "a detail"))
	if got := errorsIn(s.agent); len(got) != 1 || got[0] != "22P02 invalid input: x" || !bytes.Contains(s.agent, []byte("a detail")) {
		t.Errorf("got %q", got)
	}
}

func TestAPortalThatMayBeAnotherIsSearchedAnew(t *testing.T) {
	s := scriptWith(t, &policyv1.Mask{Columns: []string{"public.customers.name"}, Detect: []string{"github-token"}})
	run := newRun(Grant{Facts: plainFacts("select"), Agent: s.view, Record: s.view})
	if run.inspects() {
		t.Error("what touches nothing is described")
	}
	d := run.doubted()
	if !d.inspects() {
		t.Fatal("it is not described anew")
	}
	if err := d.describe('T', columns(pgproto3.FieldDescription{DataTypeOID: 25})[headerSize:]); err != nil || d.agent.plan == nil || d.record.plan == nil {
		t.Errorf("what it may be by now is not searched: %v", err)
	}
}
