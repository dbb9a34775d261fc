package main

import (
	"fmt"
	"testing"
	"time"
)

func TestWhoAsksTooOftenWaitsAndOthersDoNot(t *testing.T) {
	p := newPace(time.Second, 3)
	now := time.Unix(1000, 0)
	for i, want := range []bool{true, true, true, false, false} {
		if got := p.take("a", now); got != want {
			t.Errorf("question %d: %v", i, got)
		}
	}
	if !p.take("b", now) {
		t.Error("another waits for the first")
	}
	if p.take("a", now.Add(900*time.Millisecond)) || !p.take("a", now.Add(time.Second)) || p.take("a", now.Add(time.Second)) {
		t.Error("a turn comes back with time")
	}
	for i := range maxPaced + 10 {
		p.take(fmt.Sprint(i), now)
	}
	if len(p.by) > maxPaced || !p.take("late", now.Add(time.Hour)) {
		t.Errorf("%d are remembered", len(p.by))
	}
}
