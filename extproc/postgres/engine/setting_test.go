package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// setting takes every text for set_config, those with "masked" for one of a value that is masked.
func setting(sql string) *sqlfacts.Facts {
	st := sqlfacts.Statement{Text: sql, Relations: []*sqlfacts.Relation{customers}}
	st.Operation.Pairs = []policies.Pair{{Effect: policyv1.Effect_SESSION, Object: "application_name"}}
	if strings.Contains(sql, "masked") {
		st.Uses = []sqlfacts.ColumnUse{{Relation: customers, Column: "password", Where: "an expression"}}
	}
	return &sqlfacts.Facts{Statements: []sqlfacts.Statement{st}}
}

func TestTheRecordHasNoSettingThatCameOfWhatIsMasked(t *testing.T) {
	for _, name := range []string{"application_name", "TimeZone", "search_path"} {
		status := encodeBackend(&pgproto3.ParameterStatus{Name: name, Value: hidden})
		for how, c := range map[string]struct {
			send    []byte
			answers [][]byte
		}{
			"Query":           {query("masked"), [][]byte{done("SELECT 1"), status, ready('I')}},
			"Query, at once":  {query("masked"), [][]byte{status, done("SELECT 1"), ready('I')}},
			"behind another":  {join(query("masked"), query("other")), [][]byte{done("SELECT 1"), ready('T'), done("ROLLBACK"), status, ready('I')}},
			"by the protocol": {join(parse("", "masked"), bind("", ""), execute(""), syncMessage()), nil},
		} {
			s := recordHides(t)
			s.facts = setting
			s.mustSend(c.send)
			if c.answers == nil {
				s.mustAnswer(parsed(), bound(), message('n', nil), done("SELECT 1"), status, ready('I'))
			}
			s.mustAnswer(c.answers...)
			if !bytes.Contains(s.agent, []byte(hidden)) || bytes.Contains(s.recorded, []byte(hidden)) {
				t.Errorf("%s, %s: %q is seen by the agent, %q recorded", name, how, s.agent, s.recorded)
			}
		}
	}
	s := recordHides(t)
	s.facts = setting
	s.mustSend(query("other"))
	s.mustAnswer(done("SELECT 1"), encodeBackend(&pgproto3.ParameterStatus{Name: "application_name", Value: "mine"}), ready('I'))
	if !bytes.Contains(s.recorded, []byte("mine")) {
		t.Errorf("recorded %q", s.recorded)
	}
}
