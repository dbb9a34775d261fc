package e2e

import (
	"fmt"
	"strings"
	"testing"

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
