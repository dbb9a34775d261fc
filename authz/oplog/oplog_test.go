package oplog_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
)

var agent = &identityv1.Principal{Issuer: "corp", Subject: "agent"}

func command() *oplog.Command {
	return &oplog.Command{
		Protocol: oplog.Postgres, Target: "orders", Session: "p1-1", Principal: agent, Number: 3, Rule: "never-drop", Rules: []string{"never-drop"}, Policy: "v1",
	}
}

func TestADenialIsOneLineAndOneCount(t *testing.T) {
	b := oplogtest.New(time.Now)
	b.Denied(command(), "42501", []string{"DDL public.orders"})
	line := b.One(t, "denied")
	for name, want := range map[string]any{
		"level": "WARN", "protocol": "postgres", "target": "orders", "principal": "corp:agent", "session": "p1-1", "number": 3.0,
		"verdict": "deny", "rule": "never-drop", "code": "42501", "policy": "v1",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if got := b.Count(t, "sluice_decisions_total{protocol=postgres,rule=never-drop,target=orders,verdict=deny}"); got != 1 {
		t.Errorf("%v are counted", got)
	}
}

func TestWhatIsAllowedIsCountedWithoutALineOrAnAllocation(t *testing.T) {
	b := oplogtest.New(time.Now)
	b.Allowed(oplog.HTTP, "api", "reads")
	if n := testing.AllocsPerRun(1000, func() { b.Allowed(oplog.HTTP, "api", "reads") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := b.Count(t, "sluice_decisions_total{protocol=http,rule=reads,target=api,verdict=allow}"); got != 1002 {
		t.Errorf("%v are counted", got)
	}
	if b.Text() != "" {
		t.Error(b.Text())
	}
}

func TestNoRuleIsCountedAsNone(t *testing.T) {
	b := oplogtest.New(time.Now)
	c := command()
	c.Rule = ""
	b.Denied(c, "42501", nil)
	if got := b.Count(t, "sluice_decisions_total{protocol=postgres,rule=(none),target=orders,verdict=deny}"); got != 1 {
		t.Errorf("%v are counted", got)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	b := oplogtest.New(time.Now)
	for i := range 10_000 {
		b.Allowed(oplog.Postgres, "orders", fmt.Sprintf("rule-%d", i))
	}
	if n := b.Series(t, "sluice_decisions_total"); n > 4097 {
		t.Errorf("%d series", n)
	}
	if got := b.Count(t, "sluice_decisions_total{protocol=postgres,rule=(other),target=(other),verdict=allow}"); got != 10_000-4096 {
		t.Errorf("%v are counted as others", got)
	}
}

func TestManyCountAtTheSameTime(t *testing.T) {
	b := oplogtest.New(time.Now)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				b.Allowed(oplog.Postgres, "orders", fmt.Sprintf("rule-%d", i%50))
			}
		})
	}
	all.Wait()
	for i := range 50 {
		if got := b.Count(t, fmt.Sprintf("sluice_decisions_total{protocol=postgres,rule=rule-%d,target=orders,verdict=allow}", i)); got != 160 {
			t.Errorf("rule %d: %v", i, got)
		}
	}
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	now := time.Unix(1000, 0)
	b := oplogtest.New(func() time.Time { return now })
	flood := func() {
		for range 1000 {
			b.LoginRefused(&oplog.Login{Protocol: oplog.Postgres, Target: "orders", Client: "192.0.2.7:1", Reason: "expired"})
		}
	}
	flood()
	if n := len(b.Lines(t, "login refused")); n != 20 {
		t.Errorf("%d lines in a second, want 20", n)
	}
	// Neither are they in the way of those at another door, or who are known.
	b.LoginRefused(&oplog.Login{Protocol: oplog.HTTP, Target: "api", Reason: "expired"})
	b.LoginRefused(&oplog.Login{Protocol: oplog.Postgres, Target: "orders", Principal: agent, Reason: "forbidden"})
	if n := len(b.Lines(t, "login refused")); n != 22 {
		t.Errorf("%d lines, want 22", n)
	}
	now = now.Add(time.Second)
	flood()
	lines := b.Lines(t, "login refused")
	if n := len(lines); n != 42 {
		t.Fatalf("%d lines, want 42", n)
	}
	if got := lines[22]["untold"]; got != 980.0 {
		t.Errorf("the next line says that %v had none, want 980", got)
	}
	if got := b.Count(t, "sluice_logins_refused_total{protocol=postgres,reason=expired,target=orders}"); got != 2000 {
		t.Errorf("%v are counted", got)
	}
}

func TestRefusedVotesDoNotFillTheLog(t *testing.T) {
	now := time.Unix(1000, 0)
	b := oplogtest.New(func() time.Time { return now })
	v := oplog.Vote{Approval: "A", Target: "orders", Rules: []string{"held"}, Voter: agent, Choice: "approve", State: oplog.Refused}
	for range 300 {
		b.Voted(&v)
	}
	if n := len(b.Lines(t, "vote refused")); n != 200 {
		t.Errorf("%d lines", n)
	}
	v.State = "approved"
	b.Voted(&v)
	if line := b.One(t, "vote"); line["approval"] != "A" || line["rule"] != "held" || line["principal"] != "corp:agent" || line["state"] != "approved" {
		t.Error(line)
	}
	if got := b.Count(t, "sluice_votes_total{choice=approve,rule=held,state=refused,target=orders}"); got != 300 {
		t.Errorf("%v are counted", got)
	}
}

// TestALineIsBoundedAndSafeToShow: names come from tokens and from agents.
func TestALineIsBoundedAndSafeToShow(t *testing.T) {
	b := oplogtest.New(time.Now)
	c := command()
	c.Principal = &identityv1.Principal{Issuer: "corp", Subject: "a\n\x1b[2J\u202e" + strings.Repeat("x", 100_000)}
	does := make([]string, 10_000)
	for i := range does {
		does[i] = "READ public." + strings.Repeat("\u2028", 1000)
	}
	b.Denied(c, "42501", does)
	b.LoginRefused(&oplog.Login{Protocol: oplog.Postgres, Target: strings.Repeat("t", 10_000), Client: "c", Reason: "unknown_issuer", Err: errors.New(strings.Repeat("e\u202e", 10_000))})
	text := b.Text()
	if len(text) > 20_000 {
		t.Errorf("%d bytes", len(text))
	}
	if strings.ContainsAny(text, "\u202e\u2028\x1b") {
		t.Error("a character stands in it that a terminal obeys")
	}
	if does := b.One(t, "denied")["does"].([]any); len(does) != 9 || does[8] != "and 9992 more" {
		t.Errorf("%d: %v", len(does), does[len(does)-1])
	}
}

func TestHoldsAndTheirEndsAreLines(t *testing.T) {
	b := oplogtest.New(time.Now)
	b.Held(command(), "APPROVAL", time.Unix(1000, 0))
	b.HoldEnded(command(), "APPROVAL", "rejected")
	if line := b.One(t, "held"); line["verdict"] != "hold" || line["approval"] != "APPROVAL" || line["session"] != "p1-1" {
		t.Error(line)
	}
	if line := b.One(t, "hold ended"); line["end"] != "rejected" || line["approval"] != "APPROVAL" {
		t.Error(line)
	}
	for _, series := range []string{
		"sluice_decisions_total{protocol=postgres,rule=never-drop,target=orders,verdict=hold}",
		"sluice_holds_total{end=rejected,protocol=postgres,rule=never-drop,target=orders}",
	} {
		if b.Count(t, series) != 1 {
			t.Error(series)
		}
	}
}

func TestPolicyChangesAreCounted(t *testing.T) {
	b := oplogtest.New(time.Now)
	b.PolicyChanged("control", true)
	b.PolicyChanged("control", false)
	for _, verdict := range []string{"in_force", "refused"} {
		if b.Count(t, "sluice_policy_changes_total{role=control,verdict="+verdict+"}") != 1 {
			t.Error(verdict)
		}
	}
}

func TestANilLogTellsNobody(*testing.T) {
	var l *oplog.Log
	l.Allowed(oplog.HTTP, "api", "r")
	l.Denied(command(), "1", nil)
	l.Held(command(), "A", time.Now())
	l.HoldEnded(command(), "A", "approved")
	l.Voted(&oplog.Vote{})
	l.LoginRefused(&oplog.Login{Protocol: oplog.API})
	l.PolicyChanged("control", true)
}

func BenchmarkAllowed(b *testing.B) {
	l := oplogtest.New(time.Now)
	for i := range 100 {
		l.Allowed(oplog.Postgres, "orders", fmt.Sprintf("rule-%d", i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Allowed(oplog.Postgres, "orders", "rule-7")
		}
	})
}
