package engine

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestARefusalTellsAllThatHelps(t *testing.T) {
	r := &Refusal{Code: "42501", Message: "refused", Detail: "for a reason", Hint: "ask somebody", Position: 7}
	if got := r.Error(); got != "refused (SQLSTATE 42501)" {
		t.Error(got)
	}
	for severity, b := range map[string][]byte{"ERROR": r.append(nil), "FATAL": Fatal(r)} {
		var e pgproto3.ErrorResponse
		if err := e.Decode(b[headerSize:]); err != nil {
			t.Fatal(err)
		}
		if e.Severity != severity || e.SeverityUnlocalized != severity || e.Code != r.Code || e.Message != r.Message ||
			e.Detail != r.Detail || e.Hint != r.Hint || e.Position != 7 {
			t.Errorf("%s: %+v", severity, e)
		}
	}
	var n pgproto3.NoticeResponse
	notice := Notice(r)
	if len(notice) == 0 || n.Decode(notice[headerSize:]) != nil || n.Severity != "NOTICE" || n.Message != r.Message || n.Hint != r.Hint {
		t.Errorf("%q", notice)
	}
}

// Whoever reads the server's log sees the rule, and nothing that could end the text or begin another.
func TestTheServersLogNamesTheRuleAndNothingElse(t *testing.T) {
	for rule, want := range map[string]string{
		"deny-pii":                     "deny-pii",
		"a`z{0/9:-; drop'\"\\A\x00":    "az09-drop",
		strings.Repeat("r", 100) + "s": strings.Repeat("r", 63),
		"":                             "",
	} {
		if got := (&Refusal{Rule: rule}).statement(); got != "SLUICE REFUSED (rule: "+want+")" {
			t.Errorf("%q: %s", rule, got)
		}
	}
}
