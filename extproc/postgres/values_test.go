package postgres

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

func TestAParameterIsShownWhateverItsBytesAre(t *testing.T) {
	for _, oid := range []uint32{0, pgtype.TextOID, pgtype.VarcharOID, pgtype.UnknownOID, pgtype.NameOID, pgtype.JSONOID, pgtype.XMLOID, pgtype.ByteaOID, pgtype.QCharOID} {
		for _, format := range []int16{pgtype.TextFormatCode, pgtype.BinaryFormatCode} {
			if got := valueText(oid, format, []byte("a\xff")); got != `\x61ff` {
				t.Errorf("type %d, format %d: %q", oid, format, got)
			}
		}
	}
	if got := valueText(pgtype.TextOID, pgtype.BinaryFormatCode, []byte("ä")); got != "ä" {
		t.Errorf("text: %q", got)
	}
}

func TestWhatIsShownOfAStatementIsBounded(t *testing.T) {
	view := masking.NewView(policies.MaskSet{}, nil)
	facts := &sqlfacts.Facts{Statements: []sqlfacts.Statement{{}}}
	b := &engine.Bind{Formats: []int16{1}}
	for range 255 {
		b.Values = append(b.Values, bytes.Repeat([]byte{0xff}, longestParameter))
	}
	total := 0
	for _, p := range parametersOf(b, facts, view, nil) {
		if !utf8.ValidString(p.GetValue()) {
			t.Fatalf("%.40q is no UTF-8", p.GetValue())
		}
		total += len(p.GetValue())
	}
	if total > 2*shownInAll {
		t.Errorf("%d bytes of parameters are shown", total)
	}
	s := &scribe{hide: func([]byte) string { return strings.Repeat("h", 60) }}
	var list strings.Builder
	for range sqlfacts.MaxText / 4 {
		facts.Statements[0].Literals = append(facts.Statements[0].Literals, sqlfacts.Literal{Start: list.Len(), End: list.Len() + 2, Meets: sqlfacts.Meets{Secret: true}})
		list.WriteString("'', ")
	}
	if got := s.describe(&engine.Question{Text: list.String()}, facts, view).text; len(got) > 2*shownInAll || strings.Contains(got, "''") {
		t.Errorf("%d bytes of the text are shown", len(got))
	}
}
