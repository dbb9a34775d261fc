package sqlfacts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// none is a catalog with nothing in it.
type none struct{ version uint64 }

func (c none) Version() uint64                            { return c.version }
func (none) Relation(string, string) (*Relation, error)   { return nil, nil }
func (none) RelationByOID(uint32) (*Relation, error)      { return nil, nil }
func (none) Functions(string, string) ([]Function, error) { return nil, nil }
func (none) Operators(string) ([]Operator, error)         { return nil, nil }
func (none) Type(string, string) (*Type, error)           { return nil, nil }
func (none) UserCasts() bool                              { return false }
func (none) TypeByOID(uint32) (*Type, error)              { return nil, nil }
func (none) DefinitionCalls() []string                    { return nil }

func TestAnalyzerRemembersByTextAndVersion(t *testing.T) {
	a := NewAnalyzer(1 << 20)
	first, err := a.Facts("select 1", none{1})
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.Facts("select 1", none{1})
	if err != nil || again != first {
		t.Error("the same text and version are read again")
	}
	other, err := a.Facts("select 1", none{2})
	if err != nil || other == first {
		t.Error("facts outlive their catalog's version")
	}
	if _, ok := a.scripts.get(cacheKey{text: "select 1"}); !ok {
		t.Error("the tree is not remembered")
	}
}

func TestAnalyzerDoesNotRememberErrors(t *testing.T) {
	a := NewAnalyzer(1 << 20)
	for range 2 {
		var e *Error
		if _, err := a.Facts("selec 1", none{1}); !errors.As(err, &e) || e.Code != "42601" {
			t.Fatalf("got %v", err)
		}
	}
}

func TestCachesStayWithinTheirBytes(t *testing.T) {
	const limit = 1 << 20
	a := NewAnalyzer(limit)
	for i := range 4000 {
		for _, text := range []string{"select %d from t where a = 'x'", "select %d from t where a = 1"} {
			if _, err := a.Facts(fmt.Sprintf(text, i), none{1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	total := held(t, a.scripts) + held(t, a.facts) + held(t, a.forms)
	if total > limit || total < limit*9/10 {
		t.Errorf("%d bytes, at most %d and not much less", total, limit)
	}
}

// held counts what a cache holds, in bytes.
func held[V any](t *testing.T, c *cache[V]) int {
	t.Helper()
	total := 0
	for i := range c.shards {
		s := &c.shards[i]
		sum, n := 0, 0
		for e := s.root.next; e != &s.root; e = e.next {
			sum += e.size
			n++
		}
		if sum != s.bytes || n != len(s.entries) {
			t.Errorf("shard %d counts %d bytes in %d entries, holds %d in %d", i, s.bytes, len(s.entries), sum, n)
		}
		total += sum
	}
	return total
}

// A tree counts more than its text, and a comment as much as it has bytes.
func TestTreesCountWhatTheyTake(t *testing.T) {
	size := func(sql string) int {
		script, err := Parse(sql)
		if err != nil {
			t.Fatal(err)
		}
		return script.size
	}
	const n = 1000
	plain := size("select a --")
	if got := size("select a --"+strings.Repeat(" ", n)) - plain; got != n {
		t.Errorf("a comment of %d bytes counts %d", n, got)
	}
	if got := size("select a"+strings.Repeat(", a", n)+" --") - plain; got < 100*n || got > 1000*n {
		t.Errorf("%d columns count %d bytes", n, got)
	}
}

func TestTooLargeIsNotRemembered(t *testing.T) {
	a := NewAnalyzer(1 << 20)
	sql := "select '" + strings.Repeat("x", 10_000) + "'"
	first, err := a.Facts(sql, none{1})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := a.Facts(sql, none{1}); err != nil || again == first {
		t.Error("a text of 10 kB is kept in a cache of 1 MiB")
	}
}

func TestTheOldestLeavesFirst(t *testing.T) {
	c := newCache[int](shards * 4000)
	key := func(i int) cacheKey { return cacheKey{version: uint64(i)} } // one text: one shard
	for i := range 12 {
		c.put(key(i), i, 200)
		if _, ok := c.get(key(0)); !ok {
			t.Fatal("what is used all the time left")
		}
	}
	if _, ok := c.get(key(1)); ok {
		t.Error("the oldest stayed")
	}
	if _, ok := c.get(key(3)); !ok {
		t.Error("one left for which there was room")
	}
	if v, ok := c.get(key(11)); !ok || v != 11 {
		t.Error("the newest left")
	}
	c.put(key(11), 12, 300)
	if v, _ := c.get(key(11)); v != 12 {
		t.Error("a value is not replaced")
	}
}

func TestLargeTextsAreReadOneAtATime(t *testing.T) {
	a := NewAnalyzer(0)
	a.large <- struct{}{} // one is being read
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var e *Error
	if _, err := a.FactsContext(ctx, "select '"+strings.Repeat("x", largeText)+"'", none{1}); !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("got %v, want 57014", err)
	}
	if _, err := a.FactsContext(t.Context(), "select 'x'", none{1}); err != nil {
		t.Errorf("a small one waits for it: %v", err)
	}
}

// Statements that look up one row by its number are read once, not once a number.
func TestTextsThatDifferInComparedNumbersAreReadOnce(t *testing.T) {
	for text, want := range map[string]int{
		"select a from b where c = %s":                  1,
		"select a from b where c=%s;":                   1,
		"select a from b where (c <> %s)":               1,
		"select a from b where c >= %s and d <\n\t%s":   1,
		"select a from b where c = %s\tor c = %s\r\n":   1,
		"select a from b where c in (1, %s)":            0,
		"select a from b limit %s":                      0,
		"select a(b => %s)":                             0,
		"select a from b where c = %s.5":                0,
		"select a from b where c = %s and d = 'x'":      0,
		"select a from b where c = %s -- d":             0,
		"select a from b where c = %s /* d */":          0,
		"select a from b where c = 12345678901234567%s": 1, // of 18 digits, not of more
	} {
		a := NewAnalyzer(1 << 20)
		for _, number := range []string{"7", "29", "300"} {
			_, _ = a.Facts(strings.ReplaceAll(text, "%s", number), none{1})
		}
		n := 0
		for i := range a.forms.shards {
			n += len(a.forms.shards[i].entries)
		}
		if n != want {
			t.Errorf("%s: %d forms, want %d", text, n, want)
		}
	}
}

func TestAnalyzerServesManyAtOnce(t *testing.T) {
	a := NewAnalyzer(64 << 10)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				sql := fmt.Sprintf("select a from b where c = %d", (i*7+g)%50)
				facts, err := a.Facts(sql, none{uint64(i % 2)})
				if err != nil || facts.Statements[0].Text != sql {
					t.Errorf("%s: %v", sql, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAHitCostsNoAllocation(t *testing.T) {
	a := NewAnalyzer(1 << 20)
	const sql = "select name from customers where id = any (array[1])"
	var cat Catalog = none{1}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Facts(sql, cat); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
