package check

import (
	"fmt"
	"testing"
	"time"
)

// ends are the reasons with which recordings ended, by session.
func (t *tape) ends() map[string][]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string][]string{}
	for id, events := range t.events {
		for _, e := range events {
			if end := e.GetSessionEnd(); end != nil {
				out[id] = append(out[id], end.GetReason())
			}
		}
	}
	return out
}

// TestEachEndOfASessionIsRecordedOnceWithWhy: nobody says goodbye in HTTP.
func TestEachEndOfASessionIsRecordedOnceWithWhy(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*fixture)
		want string
	}{
		"nobody used it":      {func(f *fixture) { f.ahead.Add(int64(idleAfter)) }, "idle"},
		"its token ended":     {func(f *fixture) { f.ahead.Add(int64(2 * time.Hour)) }, "its token has ended"},
		"somebody ended it":   {func(f *fixture) { f.EndSession("p1-1", "enough") }, "The session was ended: enough"},
		"the process ends":    {func(f *fixture) { f.sessions.drain() }, "the processor is shutting down"},
		"idle as it shuts":    {func(f *fixture) { f.ahead.Add(int64(idleAfter)); f.sessions.drain() }, "the processor is shutting down"},
		"ended, and then old": {func(f *fixture) { f.EndSession("p1-1", "enough"); f.ahead.Add(int64(2 * time.Hour)) }, "The session was ended: enough"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			f.check(t, ask("api", "GET", "/admin", good))
			f.sweep(t.Context())
			if got := f.tape.ends(); len(got) != 0 {
				t.Fatalf("it ended before: %v", got)
			}
			c.end(f)
			f.sweep(t.Context())
			f.sweep(t.Context())
			if got := f.tape.ends()["p1-1"]; len(got) != 1 || got[0] != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A request that is under way holds its session open, however long it takes.
func TestASessionWithARequestUnderWayIsNotSwept(t *testing.T) {
	f := open(t)
	ticket := ticketOf(f.check(t, ask("api", "GET", "/", good)))
	e, ok := f.Take(ticket, "r-1")
	if !ok {
		t.Fatal("no exchange")
	}
	f.ahead.Add(int64(10 * idleAfter))
	f.sweep(t.Context())
	if got := f.tape.ends(); len(got) != 0 {
		t.Errorf("it ended: %v", got)
	}
	if err := e.End(200, "", 0); err != nil {
		t.Fatal(err)
	}
	f.ahead.Add(int64(idleAfter))
	f.sweep(t.Context())
	if got := f.tape.ends()["p1-1"]; len(got) != 1 || got[0] != "idle" {
		t.Errorf("got %q", got)
	}
}

// TestManySessionsThatEndTogetherAllHaveTheirEnd: one after another they would take longer than one sweep may.
func TestManySessionsThatEndTogetherAllHaveTheirEnd(t *testing.T) {
	f := open(t)
	f.tape.mu.Lock()
	f.tape.slow = 20 * time.Millisecond
	f.tape.mu.Unlock()
	const sessions = 1000
	for i := range sessions {
		f.check(t, ask("api", "GET", "/admin", fmt.Sprintf("authorization: Bearer good%d", i)))
	}
	f.ahead.Add(int64(idleAfter))
	began := time.Now()
	f.sweep(t.Context())
	if took := time.Since(began); took > sessions*20*time.Millisecond/4 {
		t.Errorf("the sweep took %s", took)
	}
	ends := f.tape.ends()
	if len(ends) != sessions {
		t.Errorf("%d of %d have an end", len(ends), sessions)
	}
	if n := f.sessions.open(); n != 0 {
		t.Errorf("%d stay open", n)
	}
}
