package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
)

func TestEachVoteIsALineAndACount(t *testing.T) {
	o := open(t)
	o.told = oplogtest.New(time.Now)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(2, "corp:dba"))
	decide := func(who string) {
		t.Helper()
		if _, err := client(who).Decide(t.Context(), approve(h.ID())); err != nil {
			t.Fatal(err)
		}
	}
	decide("alice")
	decide("alice") // the answer was lost: no other vote
	decide("bob")
	lines := o.told.Lines(t, "vote")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), o.told.Text())
	}
	for i, want := range []map[string]any{
		{"approval": h.ID(), "principal": "corp:alice", "choice": "approve", "state": "pending"},
		{"approval": h.ID(), "principal": "corp:bob", "choice": "approve", "state": "approved"},
	} {
		for name, value := range want {
			if lines[i][name] != value {
				t.Errorf("vote %d: %s is %v, want %v", i, name, lines[i][name], value)
			}
		}
	}
}

// TestAVoteThatIsNotTakenIsALineToo: whoever tries to approve what they asked for themselves.
func TestAVoteThatIsNotTakenIsALineToo(t *testing.T) {
	o := open(t)
	o.told = oplogtest.New(time.Now)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba", "corp:agents"))
	for _, who := range []string{"agent", "robot", "carol"} {
		if _, err := client(who).Decide(t.Context(), reject(h.ID(), "open sesame")); err == nil {
			t.Errorf("%s decided", who)
		}
	}
	lines := o.told.Lines(t, "vote refused")
	if len(lines) != 3 || lines[0]["principal"] != "corp:agent" || lines[0]["state"] != "refused" || lines[0]["level"] != "WARN" {
		t.Errorf("%d lines: %s", len(lines), o.told.Text())
	}
	if strings.Contains(o.told.Text(), "sesame") {
		t.Error("people's words stand in the log")
	}
}
