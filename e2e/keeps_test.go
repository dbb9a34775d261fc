package e2e

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// residentOf is the memory of the sluice process, in bytes.
func residentOf(t *testing.T, s *stage.Stage) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.SluicePID()))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n << 10
}

// keptMost is by how much the process may grow by what one session has it keep, in bytes, garbage included. Without a
// bound each of the ways takes more than twice as much, most of them far more.
const keptMost = 500 << 20

// TestWhatASessionHasSluiceKeepIsBounded: by what a client sends, or by what is found about that. The server bounds neither.
func TestWhatASessionHasSluiceKeepIsBounded(t *testing.T) {
	s := ownStage(t, stage.Options{})
	megabyte := strings.Repeat("x", 1_000_000)
	numbers := strings.Repeat("1,", 500_000)
	types := make([]uint32, 65_535)
	for i := range types {
		types[i] = 23
	}
	for name, way := range map[string]struct {
		begins []pgproto3.FrontendMessage
		times  int
		one    func(i int) pgproto3.FrontendMessage
	}{
		"names of 1 MB": {nil, 1000, func(i int) pgproto3.FrontendMessage {
			return parse(strconv.Itoa(i)+megabyte, "select 1")
		}},
		"texts of 1 MB": {nil, 1000, func(i int) pgproto3.FrontendMessage {
			return parse(strconv.Itoa(i), "select '"+strconv.Itoa(i)+megabyte+"'")
		}},
		"types of parameters": {nil, 4000, func(i int) pgproto3.FrontendMessage {
			return &pgproto3.Parse{Name: strconv.Itoa(i), Query: "select " + strconv.Itoa(i), ParameterOIDs: types}
		}},
		"what is known of constants": {nil, 60, func(i int) pgproto3.FrontendMessage {
			return parse(strconv.Itoa(i), "select "+strconv.Itoa(i)+" from customers where id in ("+numbers+"1)")
		}},
		"how rows are hidden": {[]pgproto3.FrontendMessage{
			&pgproto3.Query{String: "begin"}, parse("wide", "select "+strings.Repeat("password,", 1500)+"id from customers"), sync3(),
		}, 9000, func(i int) pgproto3.FrontendMessage {
			return bind(strconv.Itoa(i), "wide", 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			calm := residentOf(t, s)
			c := wide(t, s).PgConn()
			raw(t.Context(), c, way.begins...)
			var refused bool
			for i := 0; i < way.times && !refused; i++ {
				c.Frontend().Send(way.one(i))
				if i%20 == 19 || i == way.times-1 {
					refused = answeredTooMuch(t, c.Frontend(), c.Conn())
				}
			}
			if !refused {
				t.Error("all of it was taken")
			}
			grown := residentOf(t, s) - calm
			t.Logf("it grew by %d MiB", grown>>20)
			if grown > keptMost {
				t.Errorf("that is more than %d", keptMost>>20)
			}
		})
	}
	if _, err := wide(t, s).Exec(t.Context(), "select 1"); err != nil {
		t.Error(err)
	}
}

// answeredTooMuch ends a batch, and reports whether something in it was refused because of its size.
func answeredTooMuch(t *testing.T, f *pgproto3.Frontend, c net.Conn) (refused bool) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	f.Send(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		switch m, err := f.Receive(); m := m.(type) {
		case nil:
			t.Fatal(err)
		case *pgproto3.ErrorResponse:
			if m.Code != "54000" && m.Code != "42622" {
				t.Fatal(m.Code, m.Message)
			}
			refused = true
		case *pgproto3.ReadyForQuery:
			return refused
		}
	}
}
