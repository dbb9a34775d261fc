package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestAQueryIsForwardedOnceItIsGranted(t *testing.T) {
	s := newScript(t)
	s.mustSend(query("select 1"))
	if diff := cmp.Diff([]string{"query select 1"}, s.asked); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(s.server, query("select 1")) {
		t.Errorf("the server got %q", s.server)
	}
	s.mustAnswer(columns(pgproto3.FieldDescription{Name: []byte("x")}), values("1"), done("SELECT 1"), ready('I'))
	if got := kinds(s.agent); got != "TDCZ" {
		t.Errorf("the agent got %s", got)
	}
	last := s.notes[len(s.notes)-1]
	if last.Kind != NoteOutcome || last.Tag != "SELECT 1" || last.Rows != 1 {
		t.Errorf("noted %+v", last)
	}
}

func TestARefusedQueryFailsAtTheServerAndTellsTheAgentWhy(t *testing.T) {
	for _, status := range []byte{'I', 'T'} {
		s := newScript(t)
		s.mustSend(query("forbidden"))
		if bytes.Contains(s.server, []byte("forbidden")) {
			t.Fatal("a refused text reached the server")
		}
		if got := kinds(s.server); got != "Q" {
			t.Fatalf("the server got %s", got)
		}
		after := map[byte]byte{'I': 'I', 'T': 'E'}[status]
		s.mustAnswer(failure("42601", "syntax error", ""), ready(after))
		if diff := cmp.Diff([]string{"42501 refused: forbidden"}, errorsIn(s.agent)); diff != "" {
			t.Error(diff)
		}
		if got := kinds(s.agent); got != "EZ" || s.engine.Status() != after {
			t.Errorf("got %s, status %c", got, s.engine.Status())
		}
	}
}

func TestARefusalInAPipelineEndsTheBatchWithOneError(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(
		parse("", "insert 1"), bind("", ""), execute(""),
		parse("", "forbidden"), bind("", ""), execute(""),
		parse("", "insert 2"), bind("", ""), execute(""),
		syncMessage(),
	))
	if bytes.Contains(s.server, []byte("forbidden")) || bytes.Contains(s.server, []byte("insert 2")) {
		t.Fatalf("the server got what was refused or skipped: %q", s.server)
	}
	if got := kinds(s.server); got != "PBEPS" {
		t.Fatalf("the server got %s", got)
	}
	s.mustAnswer(parsed(), bound(), done("INSERT 0 1"), failure("42601", "syntax error", ""), ready('I'))
	if got := kinds(s.agent); got != "12CEZ" {
		t.Errorf("the agent got %s", got)
	}
	if diff := cmp.Diff([]string{"42501 refused: forbidden"}, errorsIn(s.agent)); diff != "" {
		t.Error(diff)
	}
	// The session goes on.
	s.mustSend(join(parse("", "select 3"), bind("", ""), execute(""), syncMessage()))
	s.mustAnswer(parsed(), bound(), done("SELECT 0"), ready('I'))
	if s.engine.shared.queue.len != 0 {
		t.Error("something is still awaited")
	}
}

func TestAnErrorBeforeARefusalIsTheOneThatTheAgentSees(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "a"), bind("", ""), execute(""), parse("", "forbidden"), syncMessage()))
	s.mustAnswer(parsed(), bound(), failure("22012", "division by zero", ""), ready('I'))
	if diff := cmp.Diff([]string{"22012 division by zero"}, errorsIn(s.agent)); diff != "" {
		t.Error(diff)
	}
	if s.engine.shared.queue.len != 0 {
		t.Error("something is still awaited")
	}
}

// The batch that redefines the unnamed statement fails before the server reads the new one: the server still has the
// old one, and a later Bind must not run it under the new one's decision.
func TestABindWaitsForADefinitionOfAnEarlierBatch(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "old"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	s.mustSend(join(execute("nope"), parse("", "new"), syncMessage())) // the refused Execute fails the batch
	s.mustSend(join(bind("", ""), execute(""), syncMessage()))
	if s.stalled {
		t.Fatal("the unnamed statement was not redefined: the batch was skipped")
	}
	last := s.asked[len(s.asked)-2]
	if last != "bind old" {
		t.Errorf("asked %q, the server has the old statement", last)
	}

	s = newScript(t)
	s.mustSend(join(parse("a", "first"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	s.mustSend(join(bind("", "a"), execute(""), parse("", "new"), syncMessage())) // may fail at Execute
	s.mustSend(join(bind("", ""), syncMessage()))
	if !s.stalled {
		t.Fatal("a Bind went ahead of the answer that says what it runs")
	}
	s.mustAnswer(bound(), failure("22012", "division by zero", ""), ready('I'))
	if err := s.pump(); err != nil {
		t.Fatal(err)
	}
	if got := errorsAfter(s); got != "26000" {
		t.Errorf("got %q, the unnamed statement does not exist", got)
	}
}

// errorsAfter answers the pending refusal and gives its code.
func errorsAfter(s *script) string {
	s.agent = nil
	s.mustAnswer(failure("42601", "syntax error", ""), ready('I'))
	found := errorsIn(s.agent)
	if len(found) != 1 {
		return strings.Join(found, "; ")
	}
	return found[0][:5]
}

func TestParseOverAnExistingNameKeepsTheOldMeaning(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("s", "old"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	s.mustSend(join(parse("s", "new"), syncMessage()))
	s.mustAnswer(failure("42P05", "prepared statement \"s\" already exists", ""), ready('I'))
	s.mustSend(join(bind("", "s"), execute(""), syncMessage()))
	if got := s.asked[len(s.asked)-2]; got != "bind old" {
		t.Errorf("asked %q", got)
	}
}

func TestClosedAndUnknownNamesAreRefused(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("s", "x"), closeStatement("s"), bind("", "s"), syncMessage()))
	if got := kinds(s.server); got != "PCPS" {
		t.Fatalf("the server got %s", got)
	}
	s.mustAnswer(parsed(), closed(), failure("42601", "syntax error", ""), ready('I'))
	if got := errorsIn(s.agent); len(got) != 1 || !strings.HasPrefix(got[0], "26000") {
		t.Errorf("got %q", got)
	}
}

func TestReservedNamesAreRefused(t *testing.T) {
	for _, m := range [][]byte{parse("_sluice_probe", "x"), bind("_sluice_p", ""), closeStatement("_sluice_probe"), appendDescribePortal(nil, []byte("_sluice_probe"))} {
		s := newScript(t)
		s.mustSend(m)
		if len(s.asked) != 0 || kinds(s.server) != "P" {
			t.Errorf("%q: asked %q, sent %s", m, s.asked, kinds(s.server))
		}
	}
}

func TestAMaskedStatementStaysMaskedWithoutDescribe(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(join(parse("s", "select"), syncMessage()))
	s.mustAnswer(parsed(), ready('I'))
	description := columns(
		pgproto3.FieldDescription{Name: []byte("id"), TableOID: 100, TableAttributeNumber: 1, DataTypeOID: 23},
		pgproto3.FieldDescription{Name: []byte("password"), TableOID: 100, TableAttributeNumber: 3, DataTypeOID: 25},
	)
	for i := range 10 {
		s.server, s.agent = nil, nil
		s.mustSend(join(bind("", "s"), execute(""), syncMessage()))
		if got := kinds(s.server); got != "BDES" {
			t.Fatalf("execution %d: the server got %s", i, got)
		}
		s.mustAnswer(bound(), description, values("1", "hunter2"), done("SELECT 1"), ready('I'))
		if got := kinds(s.agent); got != "2DCZ" {
			t.Fatalf("execution %d: the agent got %s", i, got)
		}
		if bytes.Contains(s.agent, []byte("hunter2")) || !bytes.Contains(s.agent, []byte("[masked]")) {
			t.Fatalf("execution %d: %q", i, s.agent)
		}
	}
}

func TestARowWithoutADescriptionEndsTheSession(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(query("select"))
	if err := s.answer(values("hunter2")); err == nil || bytes.Contains(s.agent, []byte("hunter2")) {
		t.Errorf("got %v, sent %q", err, s.agent)
	}
}

func TestAnUnknownOriginIsMasked(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(query("select"))
	s.mustAnswer(columns(pgproto3.FieldDescription{Name: []byte("x"), TableOID: 999, TableAttributeNumber: 1, DataTypeOID: 25}), values("hunter2"))
	if bytes.Contains(s.agent, []byte("hunter2")) {
		t.Errorf("sent %q", s.agent)
	}
}

func TestErrorsThatCouldCarryAValueAreWithheld(t *testing.T) {
	for _, c := range []struct {
		name, code string
		shown      bool
	}{
		{"invalid text names the value", "22P02", false},
		{"a duplicate names the key", "23505", false},
		{"an unknown column is of class 42", "42703", true},
		{"a cancel is of class 57", "57014", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := maskedScript(t)
			s.mustSend(query("select"))
			s.mustAnswer(failure(c.code, "about hunter2", "the value is hunter2"), ready('I'))
			if got := bytes.Contains(s.agent, []byte("hunter2")); got != c.shown {
				t.Errorf("shown: %v, %q", got, s.agent)
			}
			if got := errorsIn(s.agent); len(got) != 1 || got[0][:5] != c.code {
				t.Errorf("the code is lost: %q", got)
			}
		})
	}
}

func TestNotificationsLoseTheirPayload(t *testing.T) {
	s := maskedScript(t)
	s.mustSend(query("select"))
	s.mustAnswer(encodeBackend(&pgproto3.NotificationResponse{PID: 7, Channel: "c", Payload: "hunter2"}))
	if bytes.Contains(s.agent, []byte("hunter2")) || !bytes.Contains(s.agent, []byte("c\x00")) {
		t.Errorf("sent %q", s.agent)
	}
}

func TestCopyInIgnoresTheSyncThatTheServerIgnores(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "copy in"), bind("", ""), execute(""), syncMessage()))
	s.mustAnswer(parsed(), bound(), encodeBackend(&pgproto3.CopyInResponse{}))
	data, end := []byte("d\x00\x00\x00\x06x\n"), []byte{'c', 0, 0, 0, 4}
	s.mustSend(join(data, end, syncMessage()))
	s.mustAnswer(done("COPY 1"))
	if err := s.pump(); err != nil { // the Sync waited for the end of the COPY
		t.Fatal(err)
	}
	s.mustAnswer(ready('I'))
	if s.engine.shared.queue.len != 0 || !bytes.Contains(s.server, data) {
		t.Errorf("awaited %d, sent %q", s.engine.shared.queue.len, s.server)
	}
	// Data that nobody reads is dropped, as a server does.
	s.server = nil
	s.mustSend(data)
	if len(s.server) != 0 {
		t.Errorf("sent %q", s.server)
	}
}

func TestProbeWithinABatchFlushesAndOutsideSyncs(t *testing.T) {
	row := encodeBackend(&pgproto3.DataRow{Values: [][]byte{[]byte("app"), []byte("public"), []byte("0"), []byte("d"), []byte("0"), []byte(`["pg_catalog", "public"]`), []byte("on"), []byte("UTF8")}})
	s := newScript(t)
	var out Output
	answer := s.engine.Probe(&out)
	s.take(&out)
	if got := kinds(s.server); got != "CPBECCS" {
		t.Fatalf("sent %s", got)
	}
	s.mustAnswer(closed(), parsed(), bound(), row, done("SELECT 1"), closed(), closed(), ready('T'))
	if st := <-answer; st.Skipped || st.Role != "app" || st.SearchPath != "public" || st.Database != "d" {
		t.Errorf("got %+v", st)
	}
	if len(s.agent) != 0 || s.engine.Status() != 'T' {
		t.Errorf("the agent got %s", kinds(s.agent))
	}

	s = newScript(t)
	s.mustSend(join(parse("", "x"), bind("", "")))
	answer = s.engine.Probe(&out)
	s.take(&out)
	if got := kinds(s.server); got != "PBCPBECCH" {
		t.Fatalf("sent %s", got)
	}
	s.mustAnswer(parsed(), bound(), closed(), parsed(), bound(), row, done("SELECT 1"), closed(), closed())
	if st := <-answer; st.Skipped || !st.InBatch {
		t.Errorf("got %+v", st)
	}
	if got := kinds(s.agent); got != "12" {
		t.Errorf("the agent got %s", got)
	}
}

// A batch that has only prepared statements, all of it answered, may be synced: what may run in no transaction can run behind the
// question.
func TestAProbeBehindWhatIsOnlyPreparedLeavesNoTransaction(t *testing.T) {
	for name, c := range map[string]struct {
		said     []byte
		answers  [][]byte
		prepares bool
		sent     string
	}{
		"prepared":                 {parse("", "x"), [][]byte{parsed()}, true, "CPBECCS"},
		"prepared and described":   {join(parse("a", "x"), message('D', []byte("Sa\x00"))), [][]byte{parsed(), message('t', []byte{0, 0}), message('n', nil)}, true, "CPBECCS"},
		"not answered yet":         {parse("", "x"), nil, true, "CPBECCH"},
		"rejected":                 {parse("", "x"), [][]byte{failure("42601", "syntax error", "")}, true, "CPBECCH"},
		"bound":                    {join(parse("", "x"), bind("", "")), [][]byte{parsed(), bound()}, false, "CPBECCH"},
		"in a transaction":         {join(query("begin"), parse("", "x")), [][]byte{done("BEGIN"), ready('T'), parsed()}, false, "CPBECCH"},
		"behind a Query":           {join(query("y"), parse("", "x")), [][]byte{done("SELECT 0"), ready('I'), parsed()}, true, "CPBECCS"},
		"a Query within it":        {join(parse("a", "x"), query("y"), parse("", "x")), [][]byte{parsed(), done("SELECT 0"), ready('I'), parsed()}, false, "CPBECCH"},
		"nothing":                  {nil, nil, false, "CPBECCS"},
		"what was synced, then so": {join(parse("", "x"), bind("", ""), syncMessage(), parse("", "y")), [][]byte{parsed(), bound(), ready('I'), parsed()}, true, "CPBECCS"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.mustSend(c.said)
			s.mustAnswer(c.answers...)
			s.server = nil
			if got := s.engine.Prepares(); got != c.prepares {
				t.Errorf("prepares %v", got)
			}
			var out Output
			s.engine.Probe(&out)
			s.take(&out)
			if got := kinds(s.server); got != c.sent {
				t.Errorf("sent %s", got)
			}
		})
	}
}

// Behind messages without a Sync the server may be ignoring what comes before the next, a Query in between or not: a Sync of
// ours would end that.
func TestAProbeEndsNoBatchThatTheAgentHasNotEnded(t *testing.T) {
	for name, said := range map[string][]byte{
		"a Query behind a batch":      join(parse("", "x"), query("y")),
		"two Queries behind a batch":  join(parse("", "x"), query("y"), query("z")),
		"a refused one behind":        join(parse("", "x"), query("forbidden")),
		"a batch behind a Query":      join(query("y"), parse("", "x")),
		"a batch, a Query and a Bind": join(parse("", "x"), query("y"), parse("a", "z")),
	} {
		s := newScript(t)
		s.mustSend(said)
		s.server = nil
		var out Output
		s.engine.Probe(&out)
		s.take(&out)
		if got := kinds(s.server); got != "CPBECCH" {
			t.Errorf("%s: sent %s", name, got)
		}
	}
}

func TestProbeBehindAnErrorIsSkipped(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(parse("", "x"), bind("", ""), execute("")))
	var out Output
	answer := s.engine.Probe(&out)
	s.take(&out)
	s.mustAnswer(parsed(), bound(), failure("22012", "division by zero", ""))
	if st := <-answer; !st.Skipped {
		t.Errorf("got %+v", st)
	}
	s.mustSend(syncMessage())
	s.mustAnswer(ready('I'))
	if got := kinds(s.agent); got != "12EZ" {
		t.Errorf("the agent got %s", got)
	}
}

// In a batch the server's error for a question of ours ends the batch: the agent hears of it, unless its transaction had
// failed before, of which it has heard.
func TestAFailedProbeTakesNothingWithItUnheard(t *testing.T) {
	for _, c := range []struct{ code, agent, status string }{
		{"25P02", "1Z", "failed"}, {"57014", "1EZ", ""}, {"57P01", "1EZ", ""},
	} {
		s := newScript(t)
		s.mustSend(parse("", "rollback"))
		var out Output
		answer := s.engine.Probe(&out)
		s.take(&out)
		s.mustAnswer(parsed(), failure(c.code, "no answer", ""))
		st := <-answer
		if !st.Skipped || st.Failed != (c.status == "failed") {
			t.Errorf("%s: %+v", c.code, st)
		}
		if st.Failed {
			s.engine.Resume(&out)
			s.take(&out)
			s.mustAnswer(ready('E')) // swallowed
		}
		s.mustSend(syncMessage())
		s.mustAnswer(ready('E'))
		if got := kinds(s.agent); got != c.agent || !s.engine.Answered() {
			t.Errorf("%s: the agent got %s", c.code, got)
		}
	}
}

func TestMalformedMessagesEndTheSession(t *testing.T) {
	for name, b := range map[string][]byte{
		"negative length":      {'Q', 0xff, 0xff, 0xff, 0xff},
		"length below itself":  {'Q', 0, 0, 0, 3},
		"unknown type":         {'!', 0, 0, 0, 4},
		"Query without end":    {'Q', 0, 0, 0, 5, 'x'},
		"Bind cut short":       {'B', 0, 0, 0, 6, 0, 0},
		"Sync with a body":     {'S', 0, 0, 0, 5, 0},
		"Describe of nothing":  {'D', 0, 0, 0, 6, 'X', 0},
		"password after login": {'p', 0, 0, 0, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newScript(t).send(b); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestAStatementThatIsTooLongIsRefusedAndTheSessionLives(t *testing.T) {
	s := newScript(t)
	s.mustSend(query(strings.Repeat("x", maxQuery)))
	s.mustAnswer(failure("42601", "syntax error", ""), ready('I'))
	if got := errorsIn(s.agent); len(got) != 1 || !strings.HasPrefix(got[0], "54000") {
		t.Fatalf("got %q", got)
	}
	s.mustSend(query("select 1"))
	if s.asked[len(s.asked)-1] != "query select 1" {
		t.Errorf("asked %q", s.asked)
	}
}
