package engine

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestANameThatIsNoUTF8IsRefusedAndTheSessionLives(t *testing.T) {
	for name, msg := range map[string][]byte{
		"Parse": parse("\xffn", "select 1"), "Bind to a portal": bind("\xffn", "s"), "Bind of a statement": bind("", "\xffn"),
		"Describe": message('D', []byte("S\xffn\x00")), "Execute": execute("\xffn"), "Close": closeStatement("\xffn"),
	} {
		s := newScript(t)
		s.mustSend(join(msg, syncMessage()))
		s.mustAnswer(encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42601", Message: "syntax error"}), ready('I'))
		if got := errorsIn(s.agent); !slices.Equal(got, []string{`22021 invalid byte sequence for encoding "UTF8": 0xff`}) {
			t.Errorf("%s: %q", name, got)
		}
		s.agent = nil
		s.mustSend(query("select 1"))
		s.mustAnswer(done("SELECT 1"), ready('I'))
		if got := kinds(s.agent); got != "CZ" {
			t.Errorf("%s: then %q", name, got)
		}
	}
}
