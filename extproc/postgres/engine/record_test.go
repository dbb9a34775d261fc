package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// unmasked hides nothing.
func unmasked() *masking.View { return masking.NewView(policies.MaskSet{}, nil) }

// recordHides has an agent who may see what the record must not show.
func recordHides(t *testing.T) *script {
	s := maskedScript(t)
	s.record, s.view = s.view, unmasked()
	return s
}

// agentHides has a record that shows what the agent must not see.
func agentHides(t *testing.T) *script {
	s := maskedScript(t)
	s.record = unmasked()
	return s
}

const hidden = "hunter2"

// sees says who of agent and record has what is hidden from the other.
func (s *script) sees() string {
	var who []string
	if bytes.Contains(s.agent, []byte(hidden)) {
		who = append(who, "agent")
	}
	if bytes.Contains(s.recorded, []byte(hidden)) {
		who = append(who, "record")
	}
	return strings.Join(who, " ")
}

func TestAgentAndRecordEachSeeWhatTheyMay(t *testing.T) {
	notification := encodeBackend(&pgproto3.NotificationResponse{PID: 7, Channel: "c", Payload: hidden})
	for name, c := range map[string]struct {
		facts   func(string) *sqlfacts.Facts
		answers [][]byte
	}{
		"a row":          {nil, [][]byte{passwords(), values("1", hidden), done("SELECT 1"), ready('I')}},
		"COPY":           {copyFacts(customers), [][]byte{copyOut(3), copyData("1\tname\t" + hidden + "\n"), message('c', nil), done("COPY 1"), ready('I')}},
		"an error":       {nil, [][]byte{failure("22P02", "about "+hidden, "it is "+hidden), ready('I')}},
		"a notice":       {nil, [][]byte{encodeBackend(&pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: hidden}), done("SELECT 0"), ready('I')}},
		"a notification": {nil, [][]byte{notification, done("SELECT 0"), ready('I')}},
	} {
		for who, begin := range map[string]func(*testing.T) *script{"agent": recordHides, "record": agentHides} {
			t.Run(name+" for the "+who, func(t *testing.T) {
				s := begin(t)
				if c.facts != nil {
					s.facts = c.facts
				}
				s.mustSend(query("select"))
				s.mustAnswer(c.answers...)
				if got := s.sees(); got != who {
					t.Errorf("seen by %q: %q, %q", got, s.agent, s.recorded)
				}
				if kinds(s.agent) != kinds(s.recorded) {
					t.Errorf("the agent got %s, the record %s", kinds(s.agent), kinds(s.recorded))
				}
			})
		}
	}
}

// Once agent and record have differed, the record is made apart for the rest of the session.
func TestTheRecordOfALikeStatementIsWhatTheAgentSaw(t *testing.T) {
	s := recordHides(t)
	s.mustSend(query("select"))
	s.mustAnswer(passwords(), values("1", hidden), done("SELECT 1"), ready('I'))
	s.view, s.agent, s.recorded = s.record, nil, nil
	s.mustSend(join(query("select"), query("forbidden")))
	s.mustAnswer(passwords(), values("1", hidden), done("SELECT 1"), ready('I'), failure("42601", "syntax error", ""), ready('I'))
	if !bytes.Equal(s.agent, s.recorded) || s.sees() != "" || kinds(s.agent) != "TDCZEZ" {
		t.Errorf("the agent got %q, the record %q", s.agent, s.recorded)
	}
}

// Rows that neither of them hides anything of pass into both.
func TestRowsInClearAreRecordedToo(t *testing.T) {
	s := recordHides(t)
	s.mustSend(query("select"))
	s.mustAnswer(done("SELECT 0"), ready('I'))
	s.agent, s.recorded = nil, nil
	s.record = nil
	s.mustSend(query("select"))
	s.mustAnswer(passwords(), values("1", hidden), done("SELECT 1"), ready('I'))
	if s.sees() != "agent record" {
		t.Errorf("seen by %q", s.sees())
	}
}

// An agent that executes on under another policy gets what that shows, and so does the record.
func TestWhatTheRecordHidesMayChangeBetweenExecutions(t *testing.T) {
	for name, c := range map[string]struct {
		next func(s *script) *Grant
		want string
	}{
		"the record hides":       {func(s *script) *Grant { return &Grant{Agent: s.view, Record: s.record} }, "agent"},
		"the agent's view hides": {func(s *script) *Grant { return &Grant{Agent: s.record, Record: s.view} }, "record"},
		"nobody does":            {func(s *script) *Grant { return &Grant{Agent: s.view, Record: s.view} }, "agent record"},
	} {
		t.Run(name, func(t *testing.T) {
			s := recordHides(t)
			masked := s.record
			s.record = nil
			s.again = func(run *Run, _ uint32) *Grant {
				s.record = masked
				g := c.next(s)
				g.Number, g.Facts = run.Number, run.Facts
				return g
			}
			s.mustSend(join(parse("", "x"), bind("", ""), execute(""), syncMessage()))
			s.mustAnswer(parsed(), bound())
			if strings.Contains(kinds(s.server), "D") {
				s.mustAnswer(passwords())
			}
			s.mustAnswer(values("1", hidden), done("SELECT 1"), ready('I'))
			if got := s.sees(); got != c.want {
				t.Errorf("seen by %q, want %q", got, c.want)
			}
		})
	}
}
