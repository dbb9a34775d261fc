package engine

import (
	"encoding/binary"
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

// What the server said before it, in the same read, is in the record as the agent saw it; so is what comes behind.
func TestTheRecordHasNoWordsThatQuoteAnUnreadText(t *testing.T) {
	theirs := func(file string) []byte {
		return encodeBackend(&pgproto3.ErrorResponse{
			Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "22025", Message: "near \"hunter2\"", Detail: "hunter2", Hint: "hunter2", Position: 21, File: file,
		})
	}
	ours := &Refusal{Code: "42601", Message: "syntax error at or near \"hunter2\"", Rule: "grammar", Asks: "bad", Number: 7, Position: 3}
	for name, c := range map[string]struct {
		said, file string
		code       string
		position   int32
		noted      string
	}{
		"the server's":               {"bad", "scan.l", "22025", 7, "22025"},
		"Sluice's":                   {"bad", "elog.c", "42601", 3, ""},
		"about what could be read":   {"forbidden", "elog.c", "42501", 0, ""},
		"Sluice's, within the batch": {"bad in batch", "scan.l", "42601", 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.refuses = func(q *Question) *Refusal {
				if strings.HasPrefix(q.Text, "bad") {
					return ours
				}
				return forbidden(q)
			}
			if strings.HasSuffix(c.said, "batch") {
				s.mustSend(parse("a", "good"))
			} else {
				s.mustSend(query("good"))
			}
			s.mustSend(query(c.said))
			first := join(done("SELECT 0"), ready('I'))
			if strings.HasSuffix(c.said, "batch") {
				first = parsed()
			}
			s.mustAnswer(join(first, theirs(c.file), ready('I'), encodeBackend(&pgproto3.NotificationResponse{Channel: "c", Payload: "later"})))
			if kinds(s.recorded) != kinds(s.agent) || !strings.Contains(string(s.recorded), "later") {
				t.Fatalf("the agent got %q, the record has %q", s.agent, s.recorded)
			}
			var e pgproto3.ErrorResponse
			if err := e.Decode(s.recorded[len(first)+headerSize : len(first)+int(binary.BigEndian.Uint32(s.recorded[len(first)+1:]))+1]); err != nil {
				t.Fatal(err)
			}
			if e.Code != c.code || e.Position != c.position {
				t.Errorf("the record has %+v", e)
			}
			if quotes := strings.HasPrefix(c.said, "bad"); strings.Contains(string(s.recorded), "hunter2") || strings.Contains(string(s.agent), "hunter2") != quotes {
				t.Errorf("the agent got %q, the record has %q", s.agent, s.recorded)
			}
			noted := ""
			for _, n := range s.notes {
				if n.Kind == NoteRefused && n.Number == 7 && !strings.Contains(n.Message, "hunter2") {
					noted = n.Code
				}
			}
			if noted != c.noted {
				t.Errorf("noted %+v", s.notes)
			}
		})
	}
}

// However the server fails, the agent's next message meets what it would have met.
func TestTheRecordHasNoNoticeThatQuotesAnUnreadText(t *testing.T) {
	notice := encodeBackend(&pgproto3.NoticeResponse{
		Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "42622", Message: "identifier \"hunter2\" will be truncated", Detail: "hunter2", ColumnName: "hunter2",
	})
	fails := encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "theirs", File: "scan.l", Position: 20})
	for name, said := range map[string][]byte{"by Query": query("bad"), "by Parse": join(parse("", "bad"), syncMessage())} {
		s := newScript(t)
		s.refuses = func(q *Question) *Refusal {
			return &Refusal{Code: "42601", Message: "ours", Rule: "grammar", Asks: q.Text}
		}
		s.mustSend(said)
		s.mustAnswer(notice, notice, fails, ready('I'))
		if kinds(s.agent) != "NNEZ" || kinds(s.recorded) != "NNEZ" {
			t.Fatalf("%s: the agent got %q, the record has %q", name, s.agent, s.recorded)
		}
		if strings.Count(string(s.agent), "hunter2") != 6 || strings.Contains(string(s.recorded), "hunter2") || !strings.Contains(string(s.recorded), "42622") {
			t.Errorf("%s: the agent got %q, the record has %q", name, s.agent, s.recorded)
		}
	}
	// What is noticed about nothing that was asked is as it was.
	s := newScript(t)
	s.mustSend(query("good"))
	s.mustAnswer(notice, done("SELECT 0"), ready('I'))
	if !strings.Contains(string(s.recorded), "hunter2") {
		t.Errorf("the record has %q", s.recorded)
	}
}

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
