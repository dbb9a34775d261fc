package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// TestAShutdownRecordsTheEndOfEachSession: of idle ones, of one that waits for people, and of HTTP, which has no end of its own.
func TestAShutdownRecordsTheEndOfEachSession(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL})
	for _, as := range []string{"agent", "alice"} {
		if _, err := connect(t, s, as).Exec(t.Context(), "select 1"); err != nil {
			t.Fatal(err)
		}
		if a := mustCall(t, s, as, "GET", "/customers/7"); a.StatusCode != 200 {
			t.Fatal(a.Status)
		}
	}
	holding := connect(t, s, "agent")
	done := inBackground(t.Context(), holding, "delete from work where id = 7")
	held(t, s, "id = 7")
	s.StopSluice()
	if err := wait(t, done); err == nil {
		t.Error("the held statement ran")
	}
	if err := s.StartSluice(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := s.Sluice(t.Context(), "carol", "sessions", "list", "-o", "json")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all []struct {
		ID     string `json:"id"`
		State  string `json:"state"`
		Reason string `json:"end_reason"`
		Target string `json:"target"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, one := range all {
		seen[one.Target]++
		ready := one.Reason == "the client closed the connection" // the stage's own first query
		if !strings.EqualFold(one.State, "ENDED") || !ready && !strings.Contains(one.Reason, "shutting down") {
			t.Errorf("%+v", one)
		}
	}
	if seen["orders"] < 3 || seen["shop"] != 2 {
		t.Errorf("sessions: %v", seen)
	}
	if out, err := s.Sluice(t.Context(), "carol", "audit", "verify", s.Recordings); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
