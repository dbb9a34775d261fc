package oplog_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func newBook() (*clock, *oplogtest.Book) {
	c := &clock{now: time.Unix(1000, 0)}
	return c, oplogtest.New(func() time.Time { return c.now })
}

// by is a command of somebody.
func by(subject string) *oplog.Command {
	c := command()
	c.Principal = &identityv1.Principal{Issuer: "corp", Subject: subject}
	return c
}

// about are the lines with a message about somebody.
func about(t *testing.T, b *oplogtest.Book, message, subject string) (out []oplogtest.Line) {
	t.Helper()
	for _, line := range b.Lines(t, message) {
		if line["principal"] == "corp:"+subject {
			out = append(out, line)
		}
	}
	return out
}

func TestAnAgentInALoopFillsNoLogAndHidesNobody(t *testing.T) {
	for message, tell := range map[string]func(*oplogtest.Book, *oplog.Command){
		"denied":     func(b *oplogtest.Book, c *oplog.Command) { b.Denied(c, "42501", nil) },
		"held":       func(b *oplogtest.Book, c *oplog.Command) { b.Held(c, "A", time.Unix(2000, 0)) },
		"hold ended": func(b *oplogtest.Book, c *oplog.Command) { b.HoldEnded(c, "A", "withdrawn") },
		"login refused": func(b *oplogtest.Book, c *oplog.Command) {
			b.LoginRefused(&oplog.Login{Protocol: oplog.Postgres, Principal: c.Principal, Reason: "forbidden"})
		},
		"vote refused": func(b *oplogtest.Book, c *oplog.Command) {
			b.Voted(&oplog.Vote{Approval: "A", Voter: c.Principal, Choice: "approve", State: oplog.Refused})
		},
	} {
		t.Run(message, func(t *testing.T) {
			clock, b := newBook()
			for range 10 {
				for range 1000 {
					tell(b, by("loop"))
				}
				tell(b, by("other"))
				clock.now = clock.now.Add(time.Second)
			}
			lines := about(t, b, message, "loop")
			if len(lines) != 200+9*5 {
				t.Fatalf("%d lines in ten seconds, want a burst and five a second", len(lines))
			}
			if lines[199]["untold"] != 0.0 || lines[200]["untold"] != 800.0 || lines[201]["untold"] != 0.0 || lines[205]["untold"] != 995.0 {
				t.Errorf("untold are %v, %v, %v, %v", lines[199]["untold"], lines[200]["untold"], lines[201]["untold"], lines[205]["untold"])
			}
			if others := about(t, b, message, "other"); len(others) != 10 || others[9]["untold"] != 0.0 {
				t.Errorf("of ten lines about another there are %d", len(others))
			}
		})
	}
}

func TestWhatHasNoLineIsCounted(t *testing.T) {
	_, b := newBook()
	for range 1000 {
		b.Denied(command(), "42501", nil)
		b.Held(command(), "A", time.Unix(2000, 0))
		b.HoldEnded(command(), "A", "withdrawn")
	}
	for _, series := range []string{
		"sluice_decisions_total{protocol=postgres,rule=never-drop,target=orders,verdict=deny}",
		"sluice_decisions_total{protocol=postgres,rule=never-drop,target=orders,verdict=hold}",
		"sluice_holds_total{end=withdrawn,protocol=postgres,rule=never-drop,target=orders}",
	} {
		if got := b.Count(t, series); got != 1000 {
			t.Errorf("%s is %v", series, got)
		}
	}
}

func TestWhatPeopleDecidedIsAlwaysALine(t *testing.T) {
	_, b := newBook()
	for range 300 {
		b.HoldEnded(command(), "A", "withdrawn")
	}
	b.HoldEnded(command(), "B", "approved")
	b.HoldEnded(command(), "C", "rejected")
	lines := b.Lines(t, "hold ended")
	if len(lines) != 202 {
		t.Fatalf("%d lines, want a burst and two", len(lines))
	}
	if lines[200]["approval"] != "B" || lines[200]["untold"] != 100.0 || lines[201]["approval"] != "C" || lines[201]["untold"] != 0.0 {
		t.Error(lines[200:])
	}
}

// TestWhatWasUntoldIsToldOnceNothingMoreIsHeard: with the next line about anybody, and once.
func TestWhatWasUntoldIsToldOnceNothingMoreIsHeard(t *testing.T) {
	clock, b := newBook()
	for range 300 {
		b.Denied(by("loop"), "42501", nil)
	}
	clock.now = clock.now.Add(10 * time.Second)
	b.Denied(by("other"), "42501", nil)
	if n := len(b.Lines(t, "lines untold")); n != 0 {
		t.Errorf("%d lines about somebody who may go on", n)
	}
	clock.now = clock.now.Add(31 * time.Second)
	for range 3 {
		b.Denied(by("other"), "42501", nil)
	}
	if line := b.One(t, "lines untold"); line["of"] != "denied" || line["principal"] != "corp:loop" || line["untold"] != 100.0 || line["level"] != "WARN" {
		t.Error(line)
	}
	b.Denied(by("loop"), "42501", nil)
	if lines := about(t, b, "denied", "loop"); len(lines) != 201 || lines[200]["untold"] != 0.0 {
		t.Errorf("%d lines, the last says %v", len(lines), lines[len(lines)-1]["untold"])
	}
}

// TestWhoComesBackTellsItself: somebody who was silent for long is no less known by its own next line.
func TestWhoComesBackTellsItself(t *testing.T) {
	clock, b := newBook()
	for range 300 {
		b.Denied(by("loop"), "42501", nil)
	}
	clock.now = clock.now.Add(time.Hour)
	b.Denied(by("loop"), "42501", nil)
	if lines := about(t, b, "denied", "loop"); len(lines) != 201 || lines[200]["untold"] != 100.0 {
		t.Errorf("%d lines, the last says %v", len(lines), lines[len(lines)-1]["untold"])
	}
	if n := len(b.Lines(t, "lines untold")); n != 0 {
		t.Errorf("%d lines more", n)
	}
}

// TestAnyNumberOfPrincipalsFillsNoLog: whoever there is no room for shares a pace, in turn gets no burst anew, and takes
// nothing from those who have one of their own.
func TestAnyNumberOfPrincipalsFillsNoLog(t *testing.T) {
	clock, b := newBook()
	for range 5 {
		for i := range 3000 {
			b.Denied(by(fmt.Sprint("agent-", i)), "42501", nil)
		}
		clock.now = clock.now.Add(time.Second)
	}
	told, untold := 0, 0.0
	for _, line := range b.Lines(t, "denied") {
		told++
		untold += line["untold"].(float64)
	}
	const lots, burst, rate = 16, 20, 2 // of the rest
	if want := 5*1024 + lots*(burst+4*rate); told != want {
		t.Errorf("%d lines, want %d", told, want)
	}
	// All but those since the last line of each lot.
	if want := float64(4*(3000-1024) - lots*(burst+3*rate)); untold != want {
		t.Errorf("%v are said to have had none, want %v", untold, want)
	}
}

// TestALoopHidesFewOfThoseWithoutAPaceOfTheirOwn: beyond the number that has one.
func TestALoopHidesFewOfThoseWithoutAPaceOfTheirOwn(t *testing.T) {
	clock, b := newBook()
	for i := range 1024 {
		b.Denied(by(fmt.Sprint("agent-", i)), "42501", nil)
	}
	seen := 0
	for i := range 60 {
		for range 1000 {
			b.Denied(by("loop"), "42501", nil)
		}
		victim := fmt.Sprint("victim-", i)
		b.Denied(by(victim), "42501", nil)
		if len(about(t, b, "denied", victim)) > 0 {
			seen++
		}
		clock.now = clock.now.Add(500 * time.Millisecond)
	}
	if seen < 40 {
		t.Errorf("%d of 60 have a line", seen)
	}
}

// TestPrincipalsAreForgotten: a name may be as long as a token, and there may be a new one each second.
func TestPrincipalsAreForgotten(t *testing.T) {
	clock, b := newBook()
	name := strings.Repeat("x", 60_000)
	before := heap()
	for i := range 20_000 {
		b.HoldEnded(by(fmt.Sprint(i, name[:i%60_000])), "A", "approved")
		clock.now = clock.now.Add(10 * time.Millisecond)
	}
	text := uint64(2 * len(b.Text()))
	if after := heap(); after > before+text+16<<20 {
		t.Errorf("%d MiB are kept", (after-before)>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestManyAreToldAtTheSameTime(t *testing.T) {
	b := oplogtest.New(time.Now)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				b.Denied(by(fmt.Sprint((n+i)%50)), "42501", nil)
			}
		})
	}
	all.Wait()
	if got := b.Count(t, "sluice_decisions_total{protocol=postgres,rule=never-drop,target=orders,verdict=deny}"); got != 4000 {
		t.Errorf("%v are counted", got)
	}
	for i := range 50 {
		if n := len(about(t, b, "denied", fmt.Sprint(i))); n < 20 {
			t.Errorf("%d lines about %d", n, i)
		}
	}
}
