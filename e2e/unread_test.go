package e2e

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// TestASessionWhoseClientDoesNotReadCanBeEnded: by people, and by the end of the process. All buffers on the way are full.
func TestASessionWhoseClientDoesNotReadCanBeEnded(t *testing.T) {
	s := ownStage(t, stage.Options{})
	deaf := func() {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Wide)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		f := pgproto3.NewFrontend(c, c)
		f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "agent", "application_name": "deaf"}})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := f.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch m.(type) {
			case *pgproto3.AuthenticationCleartextPassword:
				f.Send(&pgproto3.PasswordMessage{Password: mustToken(t, s, "agent")})
			case *pgproto3.ReadyForQuery: // about 100 GB
				f.Send(&pgproto3.Query{String: "select a.name, b.name, c.name from customers a, customers b, customers c"})
				if err := f.Flush(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	type session struct{ ID, State, Application string }
	sessions := func() (all []session) {
		t.Helper()
		out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "-o", "json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &all)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return all
	}
	live := func() string {
		for _, one := range sessions() {
			if one.Application == "deaf" && strings.EqualFold(one.State, "LIVE") {
				return one.ID
			}
		}
		return ""
	}
	deaf()
	id := ""
	waitUntil(t, "its session is not listed", func() bool { id = live(); return id != "" })
	before := -1.0
	waitUntil(t, "the buffers do not fill", func() bool { // nothing is taken any more
		sent := metricOf(t, s, `sluice_postgres_bytes_total{to="agent"}`)
		full := sent == before && sent > 0
		before = sent
		return full
	})
	if out, err := s.Sluice(t.Context(), "alice", "sessions", "end", id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	waitUntil(t, "it goes on", func() bool { return live() == "" })

	deaf()
	waitUntil(t, "its session is not listed", func() bool { return live() != "" })
	began := time.Now()
	s.StopSluice()
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("the process took %s to end", took)
	}
}
