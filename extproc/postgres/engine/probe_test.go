package engine

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func probed(t *testing.T, s *script) <-chan State {
	t.Helper()
	var out Output
	answer := s.engine.Probe(&out)
	s.take(&out)
	return answer
}

// stateRow is an answer to the probe; its last columns may be empty or NULL.
func stateRow(encoding []byte) []byte {
	return encodeBackend(&pgproto3.DataRow{Values: [][]byte{
		[]byte("none/app"), []byte(""), []byte("12345"), []byte("d"), []byte("3000"), []byte("[]"), []byte("on"), encoding,
	}})
}

func TestAProbeTellsWhatTheServerSays(t *testing.T) {
	want := State{
		Role: "none/app", TempSchema: "12345", Database: "d", IdleTimeout: "3000", Path: "[]", StandardStrings: "on", Encoding: "UTF8", Status: 'I',
	}
	for name, c := range map[string]struct {
		last []byte
		want string
	}{"a value": {[]byte("UTF8"), "UTF8"}, "an empty one": {[]byte{}, ""}, "NULL": {nil, ""}} {
		s := newScript(t)
		answer := probed(t, s)
		s.mustAnswer(closed(), parsed(), bound(), stateRow(c.last), done("SELECT 1"), closed(), closed(), ready('I'))
		want.Encoding = c.want
		if got := <-answer; got != want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestAnAnswerToAProbeThatIsNotWholeEndsTheSession(t *testing.T) {
	row := stateRow([]byte("UTF8"))
	bad := misshapen(row)
	bad = bad[:len(bad)-1] // bytes behind the last column harm nobody
	other := encodeBackend(&pgproto3.DataRow{Values: [][]byte{[]byte("app")}})
	for _, b := range append(bad, other) {
		s := newScript(t)
		probed(t, s)
		s.mustAnswer(closed(), parsed(), bound())
		if err := s.answer(b); !isViolation(err, "server") {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestAProbeWithoutARowHasNoAnswer(t *testing.T) {
	s := newScript(t)
	answer := probed(t, s)
	s.mustAnswer(closed(), parsed(), bound(), done("SELECT 0"), closed(), closed(), ready('I'))
	if st := <-answer; !st.Skipped {
		t.Errorf("got %+v", st)
	}
}

// What the server says while it answers the engine's own question is nothing to the agent.
func TestWhatComesDuringAProbeIsNotTheAgents(t *testing.T) {
	s := newScript(t)
	answer := probed(t, s)
	notice := encodeBackend(&pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: "of the probe"})
	s.mustAnswer(notice, failure("57014", "canceling statement", ""), notice, ready('I'))
	if st := <-answer; !st.Skipped {
		t.Errorf("got %+v", st)
	}
	if len(s.agent) != 0 {
		t.Errorf("the agent got %s", kinds(s.agent))
	}
	s.mustAnswer(notice)
	if got := kinds(s.agent); got != "N" {
		t.Errorf("behind it, the agent got %s", got)
	}
}

// A probe within a batch is over with its own answers, whatever was sent behind it.
func TestAProbeIsOverBeforeWhatWasSentBehindIt(t *testing.T) {
	s := newScript(t)
	s.mustSend(parse("", "x"))
	answer := probed(t, s)
	s.mustSend(bind("", ""))
	s.mustAnswer(parsed(), closed(), parsed(), bound(), stateRow([]byte("UTF8")), done("SELECT 1"), closed())
	select {
	case st := <-answer:
		t.Fatalf("it is over too early: %+v", st)
	default:
	}
	s.mustAnswer(closed())
	select {
	case st := <-answer:
		if st.Skipped || !st.InBatch || st.Database != "d" {
			t.Errorf("got %+v", st)
		}
	default:
		t.Error("it waits for the Bind")
	}
}
