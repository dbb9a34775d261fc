package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// calling takes every text for one that calls a function outside the pure list.
func calling(sql string) *sqlfacts.Facts {
	return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Calls: []sqlfacts.Call{{Function: "public.f", Output: true}}}}}
}

// detailed is an error with all that an error can have.
func detailed(code string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "message", Detail: "detail", Hint: "hint", Where: "where",
		Position: 7, InternalPosition: 8, InternalQuery: "internal", SchemaName: "public", TableName: "t", ColumnName: "c",
		DataTypeName: "d", ConstraintName: "n", File: "f.c", Line: 9, Routine: "r",
	}
}

func TestAWithheldErrorKeepsWhatCarriesNoValue(t *testing.T) {
	withoutText := func(e *pgproto3.ErrorResponse) *pgproto3.ErrorResponse {
		e.Message = "the database reported SQLSTATE " + e.Code + "; its text is withheld, since masks apply to you here and it could carry a value"
		e.Detail, e.Hint, e.Where, e.InternalPosition, e.InternalQuery = "", "", "", 0, ""
		return e
	}
	withoutNames := func(e *pgproto3.ErrorResponse) *pgproto3.ErrorResponse {
		e.SchemaName, e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName = "", "", "", "", ""
		return e
	}
	for name, c := range map[string]struct {
		facts func(string) *sqlfacts.Facts
		code  string
		want  *pgproto3.ErrorResponse
	}{
		"the server worded it":               {nil, "23505", withoutText(detailed("23505"))},
		"a function could have worded it":    {calling, "23505", withoutNames(withoutText(detailed("23505")))},
		"and chosen the class":               {calling, "42703", withoutNames(withoutText(detailed("42703")))},
		"a code of a class that has no text": {nil, "42703", detailed("42703")},
		"a code that is none":                {nil, "4270", withoutText(detailed("4270"))},
	} {
		t.Run(name, func(t *testing.T) {
			s := maskedScript(t)
			if c.facts != nil {
				s.facts = c.facts
			}
			s.mustSend(query("select"))
			s.mustAnswer(encodeBackend(detailed(c.code)), ready('I'))
			var got pgproto3.ErrorResponse
			if err := got.Decode(s.agent[headerSize : len(s.agent)-6]); err != nil {
				t.Fatal(err)
			}
			c.want.UnknownFields = got.UnknownFields
			if diff := cmp.Diff(c.want, &got); diff != "" {
				t.Error(diff)
			}
			note := s.notes[len(s.notes)-1]
			if note.Kind != NoteOutcome || note.Code != c.code || note.Message != c.want.Message {
				t.Errorf("noted %+v", note)
			}
		})
	}
}

// A definition that checks what is there, such as a new constraint, quotes it in errors of any class.
func TestAnErrorOfADefinitionOverMaskedValuesIsWithheld(t *testing.T) {
	for name, c := range map[string]struct {
		reads bool
		code  string
		shown bool
	}{
		"it reads values":                {true, "42804", false},
		"it does not":                    {false, "42804", true},
		"of a class that quotes nothing": {true, "57014", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := maskedScript(t)
			facts := s.facts
			s.facts = func(sql string) *sqlfacts.Facts {
				f := facts(sql)
				f.Statements[0].ReadsValues = c.reads
				return f
			}
			s.mustSend(query("alter table"))
			s.mustAnswer(failure(c.code, hidden, ""))
			if got := strings.Contains(string(s.agent), hidden); got != c.shown {
				t.Errorf("shown: %v", got)
			}
		})
	}
}

func TestAnErrorOfNoStatementIsShownByItsClass(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		shown bool
	}{"a shutdown": {"57P01", true}, "a right that is gone": {"42501", true}, "anything": {"XX000", false}} {
		s := maskedScript(t)
		s.mustSend(query("select"))
		s.mustAnswer(done("SELECT 0"), ready('I'))
		s.agent = nil
		s.mustAnswer(failure(c.code, "words", ""))
		if got := errorsIn(s.agent); (got[0] == c.code+" words") != c.shown {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// What is not understood has no facts; an error of it is judged by its class.
func TestAnErrorOfAStatementWithoutFacts(t *testing.T) {
	s := maskedScript(t)
	s.facts = func(string) *sqlfacts.Facts { return nil }
	s.mustSend(query("do"))
	s.mustAnswer(failure("42P01", "no such table", ""), ready('I'))
	if got := errorsIn(s.agent); got[0] != "42P01 no such table" {
		t.Errorf("got %q", got)
	}
}

func TestAServerThatSaysFatalHasGivenUp(t *testing.T) {
	for severity, want := range map[string]bool{"ERROR": false, "FATAL": true, "PANIC": true} {
		s := newScript(t)
		s.mustAnswer(encodeBackend(&pgproto3.NoticeResponse{Severity: severity, SeverityUnlocalized: severity, Code: "57P01"}))
		if s.engine.GaveUp() {
			t.Errorf("%s as a notice: it has given up", severity)
		}
		s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "x", SeverityUnlocalized: severity, Code: "57P01"}))
		if s.engine.GaveUp() != want {
			t.Errorf("%s: given up %v", severity, s.engine.GaveUp())
		}
	}
}

func TestWithoutMasksNothingIsWithheld(t *testing.T) {
	notification := encodeBackend(&pgproto3.NotificationResponse{PID: 7, Channel: "c", Payload: "payload"})
	setting := encodeBackend(&pgproto3.ParameterStatus{Name: "application_name", Value: "mine"})
	err := failure("22P02", "message", "detail")
	for name, begin := range map[string]func() *script{
		"before the first statement": func() *script { return newScript(t) },
		"in a statement": func() *script {
			s := newScript(t)
			s.facts = calling
			s.mustSend(query("select"))
			return s
		},
		"for whom there is no view": func() *script {
			s := newScript(t)
			s.facts, s.view = calling, nil
			s.mustSend(query("select"))
			return s
		},
	} {
		s := begin()
		s.mustAnswer(notification, setting, err)
		if want := join(notification, setting, err); string(s.agent) != string(want) {
			t.Errorf("%s: got %q", name, s.agent)
		}
	}
}

func TestANotificationOrNoticeThatIsNotWholeIsDropped(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(query("select"))
	for _, b := range [][]byte{message('A', nil), message('A', []byte{0, 0, 0}), message('A', []byte{0, 0, 0, 7}), message('A', []byte("\x00\x00\x00\x07c")), message('N', []byte("M"))} {
		s.mustAnswer(b)
	}
	if len(s.agent) != 0 {
		t.Errorf("got %q", s.agent)
	}
}

// How texts are read must not change; what any text can be put into is not told where somebody hides values.
func TestSettingsThatTheServerReports(t *testing.T) {
	for name, c := range map[string]struct {
		name, value string
		facts       func(string) *sqlfacts.Facts
		shown       bool
		note        string
	}{
		"the encoding stays":             {"client_encoding", "utf8", nil, true, ""},
		"another encoding":               {"client_encoding", "LATIN1", nil, true, "client_encoding is LATIN1"},
		"strings stay":                   {"standard_conforming_strings", "on", nil, true, ""},
		"strings are read otherwise":     {"standard_conforming_strings", "off", nil, true, "standard_conforming_strings is off"},
		"something else":                 {"is_superuser", "off", calling, true, ""},
		"a name that the agent set":      {"application_name", "mine", nil, true, ""},
		"a name that a function may set": {"application_name", hidden, calling, false, ""},
		"a zone that a function may set": {"TimeZone", hidden, calling, false, ""},
		"a path that a function may set": {"search_path", hidden, calling, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := maskedScript(t)
			if c.facts != nil {
				s.facts = c.facts
			}
			s.mustSend(query("select"))
			s.notes = nil
			s.mustAnswer(encodeBackend(&pgproto3.ParameterStatus{Name: c.name, Value: c.value}))
			if shown := len(s.agent) > 0; shown != c.shown {
				t.Errorf("shown: %v", shown)
			}
			var notes []string
			for _, n := range s.notes {
				if n.Kind == NoteSettings {
					notes = append(notes, n.Message)
				}
			}
			if got := strings.Join(notes, "; "); got != c.note {
				t.Errorf("noted %q", got)
			}
		})
	}
	for _, bad := range [][]byte{message('S', []byte("client_encoding")), message('S', []byte("client_encoding\x00LATIN1"))} {
		s := newScript(t)
		s.mustAnswer(bad)
		if len(s.notes) != 0 {
			t.Errorf("%q: noted %+v", bad, s.notes)
		}
	}
}
