package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// copyInScript has read the response to a COPY … FROM STDIN into a table, some of which the record hides if masked.
func copyInScript(t testing.TB, masked bool) *script {
	s := newScript(t)
	if masked {
		s = maskedScript(t)
	}
	s.engine.HideCopied(func(value []byte) string { return fmt.Sprintf("‹%d›", len(value)) })
	s.facts = func(sql string) *sqlfacts.Facts {
		f := copyFacts(customers)(sql)
		f.Statements[0].Kind = sqlfacts.CopyIn
		return f
	}
	s.mustSend(query("copy"))
	s.mustAnswer(copyIn(byte(len(customers.Columns))))
	s.server = nil
	return s
}

func copyIn(columns byte) []byte {
	out := copyOut(columns)
	out[0] = 'G'
	return out
}

// dataOf is what COPY messages carry.
func dataOf(t testing.TB, b []byte) (out string) {
	for len(b) > 0 {
		_, size, ok := header(b)
		if !ok || b[0] != 'd' || size > len(b) {
			t.Fatalf("%q is no COPY data", b)
		}
		out += string(b[headerSize:size])
		b = b[size:]
	}
	return out
}

func TestTheRecordHasNoSecretsOfCopyIn(t *testing.T) {
	rows := []string{"1\tann\t" + hidden + "\n", "2\tbob\\\tx\t" + hidden + "\\n\n", "3\t\\N\t\\N\n", "4\tdan\t" + hidden}
	want := fmt.Sprintf("1\tann\t‹%d›\n2\tbob\\\tx\t‹%d›\n3\t\\N\t\\N\n4\tdan\t‹%d›", len(hidden), len(hidden)+1, len(hidden))
	rapid.Check(t, func(rt *rapid.T) {
		s := copyInScript(t, true)
		var sent []byte
		for rest := strings.Join(rows, ""); rest != ""; {
			n := rapid.IntRange(0, len(rest)).Draw(rt, "message")
			sent = append(sent, copyData(rest[:n])...)
			rest = rest[n:]
		}
		sent = append(sent, message('c', nil)...)
		for rest := sent; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "piece")
			s.mustSend(rest[:n])
			rest = rest[n:]
		}
		if got := string(s.server); got != string(sent)+string(appendFlush(nil)) {
			rt.Fatalf("the server got %q", got)
		}
		if got := dataOf(t, s.copied); got != want {
			rt.Fatalf("recorded %q", got)
		}
	})
}

func TestTheRecordHasAllOfCopyInWhereNothingIsHidden(t *testing.T) {
	s := copyInScript(t, false)
	sent := join(copyData("1\tann\t"+hidden+"\n"), copyData("2"))
	s.mustSend(sent)
	if string(s.copied) != string(sent) {
		t.Errorf("recorded %q", s.copied)
	}
}

func TestWhatOneCopyLeavesIsNotReadWithTheNext(t *testing.T) {
	s := copyInScript(t, true)
	failed := encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "22P04", Message: "broken"})
	s.mustSend(copyData("1\tann\t" + hidden))
	s.mustAnswer(failed, ready('I'))
	s.mustSend(join(copyData("more"), message('c', nil), query("copy")))
	s.mustAnswer(copyIn(3))
	s.mustSend(join(copyData("2\tbob\tx\n"), message('c', nil)))
	if got, want := dataOf(t, s.copied), fmt.Sprintf("1\tann\t‹%d›2\tbob\t‹1›\n", len(hidden)); got != want {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// Nobody has to end a COPY that has failed.
func TestWhatAFailedCopyLeavesIsRecordedWithWhatComesNext(t *testing.T) {
	for name, next := range map[string][]byte{
		"a query": query("select"), "another COPY": query("copy"), "good-bye": message('X', nil), "a batch": parse("", "select"),
	} {
		s := copyInScript(t, true)
		s.mustSend(copyData("1\tann\t" + hidden))
		s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "stopped"}), ready('I'))
		s.mustSend(join(message('S', nil), message('H', nil)))
		if len(s.copied) > 0 {
			t.Errorf("%s: recorded %q before its row may have ended", name, s.copied)
		}
		s.mustAnswer(ready('I'))
		s.mustSend(next)
		if got, want := dataOf(t, s.copied), fmt.Sprintf("1\tann\t‹%d›", len(hidden)); got != want {
			t.Errorf("%s: recorded %q, want %q", name, got, want)
		}
	}
}

func TestTheRecordHasNoRowThatAnErrorOfCopyInQuotes(t *testing.T) {
	for _, code := range []string{"22P04", "57014", "42501", "53100"} {
		s := copyInScript(t, true)
		s.mustSend(copyData("1\tann\t" + hidden + "\n"))
		s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", Code: code, Message: "stopped", Where: "COPY customers, line 1: \"" + hidden + "\""}), ready('I'))
		if strings.Contains(string(s.recorded), hidden) || strings.Contains(s.notes[len(s.notes)-1].Message, hidden) {
			t.Errorf("%s: recorded %q", code, s.recorded)
		}
	}
	s := copyInScript(t, false)
	s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "stopped", Where: "line 1"}))
	if !strings.Contains(string(s.recorded), "line 1") {
		t.Errorf("recorded %q", s.recorded)
	}
}
