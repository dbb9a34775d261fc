package postgres

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// endOnly keeps the reason that a recording ended with.
type endOnly struct{ reason string }

func (*endOnly) Append(bool, ...*recordv1.Event) error { return nil }

func (*endOnly) AppendData([]*recordv1.Event, recordv1.Data_Direction, uint64, ...[]byte) error {
	return nil
}

func (e *endOnly) End(_ context.Context, reason string) error {
	e.reason = reason
	return nil
}

func (e *endOnly) Begin(context.Context, string, *recordv1.SessionStart) (Recording, error) {
	return e, nil
}

func (*endOnly) Hide([]byte) string { return "hidden" }

// A session without an engine panics at its first byte, whichever side that comes from.
func TestAFaultOfOursEndsItsSessionOnly(t *testing.T) {
	for _, side := range []string{"agent", "server"} {
		t.Run(side, func(t *testing.T) {
			var log strings.Builder
			agent, agentEnd := net.Pipe()
			up, upEnd := net.Pipe()
			rec := &endOnly{}
			o := &Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Recorder: rec}
			one := newExchange(o, "p1-1", agentEnd, upEnd, nil, nil, nil, newClaims(), &allowance{pool: newMemory()})
			one.scribe.rec, one.pipes.whole = rec, true
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = one.scribe.end(t.Context(), one.run(t.Context())) // it has no error
			}()
			go func() { _, _ = io.Copy(io.Discard, agent) }() // it ends with the session
			go func() { _, _ = io.Copy(io.Discard, up) }()
			from := map[string]net.Conn{"agent": agent, "server": up}[side]
			if _, err := from.Write([]byte("Q\x00\x00\x00\x04")); err != nil {
				t.Fatal(err)
			}
			<-ended
			if rec.reason != "internal error" || !strings.Contains(log.String(), "nil pointer") {
				t.Errorf("recorded %q, logged %s", rec.reason, log.String())
			}
		})
	}
}
