package sqlfacts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// large are texts just below MaxText, of the shapes that make trees large.
func large(shape func(i int) string, head, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len() < sqlfacts.MaxText-100_000; i++ {
		b.WriteString(shape(i))
	}
	b.WriteString(tail)
	return b.String()
}

func TestLargeTextsTakeTimeInProportion(t *testing.T) {
	if testing.Short() {
		t.Skip("a busy machine fails it")
	}
	for name, text := range map[string]string{
		"functions": large(func(i int) string { return fmt.Sprintf("f%d(id),", i) }, "select ", "id from orders"),
		"casts":     large(func(i int) string { return fmt.Sprintf("1::t%d,", i) }, "select ", "id from orders"),
		"operators": large(func(int) string { return "id === 1," }, "select ", "id from orders"),
	} {
		t.Run(name, func(t *testing.T) {
			script, err := sqlfacts.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err = script.Resolve(factstest.New()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 3*time.Second { // 0.1 s on an idle machine, 9 s once
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestWorkOnOneTextIsBounded(t *testing.T) {
	text := large(func(i int) string { return fmt.Sprintf("lower(o.c%d),", i) }, "select ", "1 from "+strings.Repeat("orders o, ", 1990)+"customers")
	script, err := sqlfacts.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = script.Resolve(factstest.New())
	var e *sqlfacts.Error
	if !errors.As(err, &e) || e.Code != "54000" || !strings.Contains(e.Message, "steps") {
		t.Errorf("got %v, want 54000 that names the bound", err)
	}
}

func TestWorkEndsWithWhoeverWaitsForIt(t *testing.T) {
	text := large(func(i int) string { return fmt.Sprintf("%d,", i) }, "select id from orders where id in (", "1)")
	a := sqlfacts.NewAnalyzer(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.FactsContext(ctx, text, factstest.New())
	var e *sqlfacts.Error
	if !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("got %v, want 57014", err)
	}
	if _, err := a.FactsContext(t.Context(), text, factstest.New()); err != nil {
		t.Errorf("another's: %v", err)
	}
}

// A short text whose joins or comments multiply costs what a short text may.
func TestShortTextsThatMultiplyAreBounded(t *testing.T) {
	var joins strings.Builder
	joins.WriteString("select 1 from customers c0")
	for i := range 1500 {
		fmt.Fprintf(&joins, " natural join customers c%d", i+1)
	}
	for name, text := range map[string]string{
		"natural joins": joins.String(),
		"comments":      strings.Repeat("/*", 100_000) + strings.Repeat("*/", 100_000) + "select 1",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			facts, err := sqlfacts.NewAnalyzer(0).Facts(text, factstest.New())
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if err == nil && facts.Size > 64<<20 {
				t.Errorf("the facts have %d bytes", facts.Size)
			}
		})
	}
}
