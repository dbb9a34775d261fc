package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// A portal that is read on, without a Sync in between, is shown under the masks of that moment.
func TestASuspendedPortalIsReadOnUnderTheMasksOfThatMoment(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	agent := connect(t, s, "agent").PgConn()
	f := agent.Frontend()
	rows := func(described bool) []string {
		t.Helper()
		if !described {
			f.SendParse(&pgproto3.Parse{Query: "select id, name from customers order by id"})
			f.SendBind(&pgproto3.Bind{})
		}
		f.SendExecute(&pgproto3.Execute{MaxRows: 2})
		f.Send(&pgproto3.Flush{})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		var names []string
		for {
			m, err := f.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *pgproto3.DataRow:
				names = append(names, string(m.Values[1]))
			case *pgproto3.PortalSuspended:
				return names
			case *pgproto3.ErrorResponse:
				t.Fatalf("%s %s", m.Code, m.Message)
			}
		}
	}
	if got := rows(false); len(got) != 2 || strings.Contains(fmt.Sprint(got), "[masked]") {
		t.Fatalf("got %q: nothing masks names yet", got)
	}
	policyFile(t, s, "90-names.yaml", "masks:\n- {name: names, on: {targets: [orders]}, columns: [public.customers.name], redact: {}}\n")
	for range 2 {
		if got := rows(true); fmt.Sprint(got) != "[[masked] [masked]]" {
			t.Errorf("got %q", got)
		}
	}
	policyFile(t, s, "90-names.yaml", "")
	if got := rows(true); len(got) != 2 || strings.Contains(fmt.Sprint(got), "[masked]") {
		t.Errorf("got %q: nothing masks names any more", got)
	}
}

// Who is no longer vouched for loses open sessions, idle ones too; and an ended session's token opens nothing else.
func TestSessionsEndWithTheirIssuerAndTheirToken(t *testing.T) {
	s := ownStage(t, stage.Options{})
	idle := connect(t, s, "agent")
	issuers := filepath.Join(s.PolicyDir, "10-issuers.yaml")
	text, err := os.ReadFile(issuers)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) { // nobody of that issuer could ask whether it is served
		t.Helper()
		if err := os.WriteFile(issuers, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("issuers:\n- {name: other, url: \"https://idp.invalid\", audiences: [sluice]}\n")
	waitUntil(t, "the session of the removed issuer has ended", func() bool {
		_ = idle.PgConn().Conn().SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		m, err := idle.PgConn().Frontend().Receive()
		return err == nil && codeOf(m) == "57P01" || err != nil && !pgconn.Timeout(err)
	})
	write(string(text))
	waitUntil(t, "the issuer is accepted again", func() bool {
		_, err := s.Psql(t.Context(), "agent", "select 1")
		return err == nil
	})

	token, err := s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	withToken := func(c *pgx.ConnConfig) { c.Password = token }
	first := connectWith(t, s, "agent", withToken)
	if err := first.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := one[string](t, s, "select application_name from pg_stat_activity where pid = $1", first.PgConn().PID())
	id := name[strings.LastIndex(name, "/")+1:]
	if out, err := s.Sluice(t.Context(), "alice", "sessions", "end", id, "--reason", "enough"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if again, err := pgx.ConnectConfig(t.Context(), first.Config().Copy()); err == nil {
		_ = again.Close(t.Context())
		t.Error("the ended session's token opened another one")
	}
}
