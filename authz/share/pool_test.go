package share

import (
	"fmt"
	"strings"
	"testing"
)

func TestNobodyHasMoreThanTheirShareAndTheFewDoNotWaitForTheMany(t *testing.T) {
	s := NewPool("calls", 16, 64)
	takes := func(who string) int {
		n := 0
		for s.Take(who, 1) == nil {
			n++
		}
		return n
	}
	if a, b, c := takes("a"), takes("b"), takes("c"); a != 16 || b != 16 || c != 2 {
		t.Errorf("%d, %d, and from half of all on %d", a, b, c)
	}
	if err := s.Take("a", 1); err == nil || !strings.Contains(err.Error(), "16 calls") {
		t.Errorf("one more: %v", err)
	}
	rest := 0
	for i := range 40 {
		rest += takes(fmt.Sprint(i))
	}
	if rest != 64-34 {
		t.Errorf("others have %d", rest)
	}
	if err := s.Take("late", 1); err == nil || !strings.Contains(err.Error(), "all together have 64 of 64 calls") {
		t.Errorf("beyond all: %v", err)
	}
	for range 16 {
		s.Give("a", 1)
	}
	if _, kept := s.by["a"]; kept || s.Take("late", 1) != nil {
		t.Error("what is given back is somebody's")
	}
}

func TestSomethingLargeIsHadByWhoeverHasNothing(t *testing.T) {
	p := NewPool("bytes", 100, 200)
	for _, step := range []struct {
		who   string
		n     int
		taken bool
	}{
		{"a", 90, true},
		{"a", 11, false}, // beyond a share
		{"b", 50, true},  // beyond half of all, but the first
		{"b", 1, false},
		{"c", 60, true},
		{"d", 1, false}, // all are gone
	} {
		if err := p.Take(step.who, step.n); (err == nil) != step.taken {
			t.Errorf("%d for %s: %v", step.n, step.who, err)
		}
	}
	for who, n := range map[string]int{"a": 90, "b": 50, "c": 60} {
		p.Give(who, n)
	}
	if len(p.by) != 0 || p.used != 0 {
		t.Errorf("%d are left, of %v", p.used, p.by)
	}
}
