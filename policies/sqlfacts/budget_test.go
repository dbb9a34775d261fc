package sqlfacts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sluicegate/sluice/policies"
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

// A cache that counted less than facts take would hold more than it may.
func TestFactsCountWhatTheyTake(t *testing.T) {
	const many = 100
	cat := factstest.New()
	wide := &sqlfacts.Relation{OID: 20000, Schema: "public", Name: "wide", Kind: 'r'}
	for i := range many {
		name := fmt.Sprintf("c%02d", i)
		wide.Columns = append(wide.Columns, sqlfacts.Column{Number: int16(i + 1), Name: name})
		other := &sqlfacts.Relation{OID: uint32(20001 + i), Schema: "public", Name: "t" + name}
		cat.Relations = append(cat.Relations, other)
		wide.Reach = append(wide.Reach, sqlfacts.Reach{Relation: other.OID, On: sqlfacts.TouchDelete})
	}
	cat.Relations = append(cat.Relations, wide)
	repeated := func(format string) string {
		var b strings.Builder
		for i := range many {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const pair = int(unsafe.Sizeof(policies.Pair{}))
	for name, c := range map[string]struct {
		without, with string
		each          int // of many
	}{
		"uses":       {"select from wide", "select from wide where true" + repeated(" and c%02d"), int(unsafe.Sizeof(sqlfacts.ColumnUse{}))},
		"literals":   {"select 1", "select 1" + repeated(", %d"), int(unsafe.Sizeof(sqlfacts.Literal{}))},
		"parameters": {"select", "select $100", int(unsafe.Sizeof(sqlfacts.Meets{}))},
		"relations":  {"select", "select from customers" + repeated(", tc%02d"), 8 + pair + len("public.tc00")},
		"calls":      {"select", "select 1" + repeated(", f%02d()"), int(unsafe.Sizeof(sqlfacts.Call{})) + pair + 2*len("f00")},
		"commands": {
			"select from orders", "with a as (select 1)" + repeated(", a%d as (delete from orders)") + "select from orders",
			int(unsafe.Sizeof(policies.Operation{})) + pair,
		},
		"what is reached":                    {"select from wide", "delete from wide", pair},
		"what is reached by a command in it": {"delete from wide", "with d as (delete from wide) select", pair},
		"columns of COPY":                    {"copy orders to stdout", "copy wide to stdout", int(unsafe.Sizeof(sqlfacts.Column{})) * 9 / 10},
		"columns that a literal meets":       {"select from wide where true" + repeated(" and c%02d"), "select g(1) from wide where true" + repeated(" and c%02d"), int(unsafe.Sizeof(sqlfacts.ColumnUse{}))},
		"columns that a parameter meets":     {"select from wide where true" + repeated(" and c%02d"), "select g($1) from wide where true" + repeated(" and c%02d"), int(unsafe.Sizeof(sqlfacts.ColumnUse{}))},
	} {
		grown := sizeOf(t, c.with, cat) - sizeOf(t, c.without, cat) - (len(c.with) - len(c.without))
		if least := many * c.each; grown < least || grown > 2*least+1000 {
			t.Errorf("%s: %d bytes are counted, want at least %d and less than twice that", name, grown, least)
		}
	}
}

func sizeOf(t *testing.T, sql string, cat sqlfacts.Catalog) int {
	t.Helper()
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	facts, err := script.Resolve(cat)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return facts.Size
}
