package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// askingServer refuses every text with "bad" in it, and asks the server about it.
func askingServer(t *testing.T) *script {
	s := newScript(t)
	s.refuses = func(q *Question) *Refusal {
		if strings.Contains(q.Text, "bad") {
			return &Refusal{Code: "42601", Message: "ours", Rule: "grammar", Asks: q.Text}
		}
		return nil
	}
	return s
}

// The server's words go to the agent where its parser has raised them, and nothing else of what it says.
func TestWhatTheServersParserSaysOfATextIsTold(t *testing.T) {
	parserError := func(change func(*pgproto3.ErrorResponse)) []byte {
		e := &pgproto3.ErrorResponse{
			Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "22025", Message: "invalid Unicode escape",
			Hint: "Unicode escapes must be \\uXXXX or \\UXXXXXXXX.", Position: 21, File: "scan.l", Routine: "base_yylex",
		}
		change(e)
		return encodeBackend(e)
	}
	for name, c := range map[string]struct {
		change   func(*pgproto3.ErrorResponse)
		code     string
		position int32
	}{
		"of the lexer":              {func(*pgproto3.ErrorResponse) {}, "22025", 7},
		"of the grammar":            {func(e *pgproto3.ErrorResponse) { e.File, e.Code = "gram.y", "0A000" }, "0A000", 7},
		"without a position":        {func(e *pgproto3.ErrorResponse) { e.Position = 0 }, "22025", 0},
		"of several statements":     {func(e *pgproto3.ErrorResponse) { e.File, e.Position = "postgres.c", 0 }, "42601", 0},
		"of who knows what":         {func(e *pgproto3.ErrorResponse) { e.File = "" }, "42601", 0},
		"of a type's input":         {func(e *pgproto3.ErrorResponse) { e.File = "regproc.c" }, "42601", 0},
		"before the text":           {func(e *pgproto3.ErrorResponse) { e.Position = 14 }, "42601", 0},
		"at the end of the session": {func(e *pgproto3.ErrorResponse) { e.Severity, e.SeverityUnlocalized = "FATAL", "FATAL" }, "42601", 0},
	} {
		t.Run(name, func(t *testing.T) {
			for way, said := range map[string][]byte{"by Query": query("bad"), "by Parse": join(parse("a", "bad"), syncMessage())} {
				s := askingServer(t)
				s.mustSend(said)
				if want := "SELECT;SELECT;bad"; kinds(s.server) != "PS" || !strings.Contains(string(s.server), want) {
					t.Fatalf("%s: the server got %q", way, s.server)
				}
				s.mustAnswer(parserError(c.change), ready('I'))
				var e pgproto3.ErrorResponse
				if err := e.Decode(s.agent[headerSize : len(s.agent)-6]); err != nil {
					t.Fatal(err)
				}
				if e.Code != c.code || e.Position != c.position || kinds(s.agent) != "EZ" || strings.Contains(e.Hint, "XXXX") != (c.code != "42601") {
					t.Errorf("%s: the agent got %q", way, s.agent)
				}
			}
		})
	}
}

// However the server fails, the agent's next message meets what it would have met.
func TestAskingAboutATextLeavesTheSessionAsItsErrorWould(t *testing.T) {
	fails := encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "theirs", File: "scan.l"})
	t.Run("a Query takes the unnamed statement", func(t *testing.T) {
		s := askingServer(t)
		s.mustSend(join(parse("", "good"), syncMessage()))
		s.mustAnswer(parsed(), ready('I'))
		s.mustSend(query("bad"))
		s.mustAnswer(fails, ready('I'))
		s.agent, s.server = nil, nil
		s.mustSend(join(bind("", ""), syncMessage()))
		if got := kinds(s.server); got != "PS" { // a Parse that fails, in place of the Bind
			t.Errorf("the server got %q", got)
		}
	})
	t.Run("within a batch a Query is not asked about", func(t *testing.T) {
		s := askingServer(t)
		s.mustSend(join(parse("a", "good"), query("bad")))
		if strings.Contains(string(s.server), "bad") {
			t.Errorf("the server got %q", s.server)
		}
		s.mustAnswer(parsed(), fails, ready('I'))
		if diff := cmp.Diff([]string{"42601 ours"}, errorsIn(s.agent)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a failed batch swallows the question", func(t *testing.T) {
		s := askingServer(t)
		s.mustSend(join(parse("a", "good"), parse("b", "bad"), syncMessage()))
		s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42P01", Message: "first"}), ready('I'))
		if diff := cmp.Diff([]string{"42P01 first"}, errorsIn(s.agent)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a server that takes it ends the session", func(t *testing.T) {
		s := askingServer(t)
		s.mustSend(query("bad"))
		if err := s.answer(parsed()); err == nil {
			t.Error("it goes on")
		}
	})
}
