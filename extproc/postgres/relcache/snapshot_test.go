package relcache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Names of relations in these tests, by OID.
const (
	first = 20001 + iota
	second
	third
	fourth
)

const authid = 1260 // pg_authid, below firstUserOID

// plainRows are four tables in public with columns a and b, and a table of the system's.
func plainRows(change func(*rows)) *rows {
	r := &rows{namespaces: []namespaceRow{{11, "pg_catalog"}, {2200, "public"}}, types: []typeRow{{25, "pg_catalog", "text", false, false}}}
	for oid := uint32(first); oid <= fourth; oid++ {
		r.relations = append(r.relations, relationRow{OID: oid, Namespace: 2200, Name: fmt.Sprintf("r%d", oid-first+1), Kind: "r", Definition: text("")})
		for number, name := range []string{"a", "b"} {
			r.columns = append(r.columns, columnRow{Relation: oid, Number: int16(number + 1), Name: name, Type: 25, TypeName: "text"})
		}
	}
	r.relations = append(r.relations, relationRow{OID: authid, Namespace: 11, Name: "pg_authid", Kind: "r", Definition: text("")})
	if change != nil {
		change(r)
	}
	return r
}

func built(r *rows) *snapshot {
	s := build("f", r)
	describeCalls(s, r, bodies{})
	return s
}

func calls(rel *sqlfacts.Relation) string {
	var out []string
	for _, c := range rel.Calls {
		out = append(out, fmt.Sprintf("%s:%05b", c.Function, c.On&31))
	}
	return strings.Join(out, " ")
}

// function is a trigger on a relation.
func function(rel uint32, name string, tgtype int16) triggerRow {
	return triggerRow{Relation: rel, Type: tgtype, Schema: "public", Function: name}
}

func text(s string) *string { return &s }

// body makes the first a view.
func body(r *rows, definition string) {
	r.relations[0].Kind, r.relations[0].Definition = "v", &definition
}

func TestKinAreTransitiveAndCyclesEnd(t *testing.T) {
	for _, c := range []struct {
		name              string
		inherits          []inheritRow
		parents, children []uint32 // of the first
	}{
		{"none", nil, nil, nil},
		{"parents, nearest first", []inheritRow{{first, second}, {second, third}, {first, fourth}}, []uint32{second, fourth, third}, nil},
		{"children", []inheritRow{{second, first}, {third, second}}, nil, []uint32{second, third}},
		{"a diamond", []inheritRow{{first, second}, {first, third}, {second, fourth}, {third, fourth}}, []uint32{second, third, fourth}, nil},
		{"itself", []inheritRow{{first, first}}, nil, nil},
		{"a cycle", []inheritRow{{first, second}, {second, third}, {third, first}}, []uint32{second, third}, []uint32{third, second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rel := built(plainRows(func(r *rows) { r.inherits = c.inherits })).byOID[first]
			if diff := cmp.Diff([][]uint32{c.parents, c.children}, [][]uint32{rel.Parents, rel.Children}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadsGoDownToTables(t *testing.T) {
	id := func(rel uint32, number int16) sqlfacts.ColumnID {
		return sqlfacts.ColumnID{Relation: rel, Number: number}
	}
	for _, c := range []struct {
		name   string
		change func(*rows)
		want   []sqlfacts.ColumnID // of the first
	}{
		{"columns", func(r *rows) { r.reads = []readRow{{first, second, 2}, {first, second, 1}} }, []sqlfacts.ColumnID{id(second, 1), id(second, 2)}},
		{"rows that are counted", func(r *rows) { r.reads = []readRow{{first, second, 0}} }, nil},
		{"a whole row", func(r *rows) {
			body(r, "SELECT c.* FROM r2 c")
			r.reads = []readRow{{first, second, 0}}
		}, []sqlfacts.ColumnID{id(second, 0)}},
		{"a whole row beside a column", func(r *rows) {
			body(r, "SELECT c.a, to_json(c.*) FROM r2 c")
			r.reads = []readRow{{first, second, 1}}
		}, []sqlfacts.ColumnID{id(second, 0)}},
		{"through a view", func(r *rows) { r.reads = []readRow{{first, second, 1}, {second, third, 2}} }, []sqlfacts.ColumnID{id(second, 1), id(third, 2)}},
		{"through a view whose rows are counted", func(r *rows) { r.reads = []readRow{{first, second, 0}, {second, third, 2}} }, []sqlfacts.ColumnID{id(third, 2)}},
		{"views that read each other", func(r *rows) { r.reads = []readRow{{first, second, 1}, {second, first, 2}} }, []sqlfacts.ColumnID{id(first, 2), id(second, 1)}},
		{"a table of the system's, of which nothing is noted", func(r *rows) { body(r, "SELECT rolname FROM pg_authid") }, []sqlfacts.ColumnID{id(authid, 0)}},
		{"one by its schema", func(r *rows) { body(r, "SELECT 1 FROM pg_catalog.pg_authid a") }, []sqlfacts.ColumnID{id(authid, 0)}},
		{"a longer name is another", func(r *rows) { body(r, "SELECT my_pg_authid FROM pg_authid_1") }, nil},
		{"what is not there", func(r *rows) { r.reads = []readRow{{9, second, 1}, {first, 9, 1}} }, []sqlfacts.ColumnID{id(9, 1), id(second, 1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := built(plainRows(c.change)).byOID[first].Reads
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCallsSpreadToWhereverTheyRun(t *testing.T) {
	const insert, remove, update, truncate = triggerInsert, triggerDelete, triggerUpdate, triggerTruncate
	for _, c := range []struct {
		name   string
		change func(*rows)
		want   string // of the first: truncate, delete, update, insert, read
	}{
		{"its own trigger", func(r *rows) { r.triggers = []triggerRow{function(first, "f", insert|update)} }, "public.f:00110"},
		{"two triggers of one function", func(r *rows) { r.triggers = []triggerRow{function(first, "f", insert), function(first, "f", remove)} }, "public.f:01010"},
		{"sorted", func(r *rows) { r.triggers = []triggerRow{function(first, "g", insert), function(first, "f", insert)} }, "public.f:00010 public.g:00010"},
		{"of a child", func(r *rows) {
			r.inherits = []inheritRow{{second, first}}
			r.triggers = []triggerRow{function(second, "f", truncate)}
		}, "public.f:10000"},
		{"not of a parent", func(r *rows) {
			r.inherits = []inheritRow{{first, second}}
			r.triggers = []triggerRow{function(second, "f", insert)}
		}, ""},
		{"of a table behind a view", func(r *rows) {
			r.reads = []readRow{{first, second, 1}}
			r.triggers = []triggerRow{function(second, "f", insert|truncate)}
		}, "public.f:00010"},
		{"of a policy behind a view that only counts", func(r *rows) {
			r.reads = []readRow{{first, second, 0}}
			r.relations[1].RowSecurity = true
			r.expressions = []expressionRow{{second, "policy", 0, text("public.f()")}}
		}, "public.f:01111"},
		{"no policy without row security", func(r *rows) { r.expressions = []expressionRow{{first, "policy", 0, text("public.f()")}} }, ""},
		{"rules behind a view, by their event", func(r *rows) {
			r.reads = []readRow{{first, second, 1}}
			r.rules = []ruleRow{{Relation: second, Event: "4"}}
		}, "a rule:01000"},
		{"over two references", func(r *rows) {
			r.references = []referenceRow{{first, second, true, false, true}, {second, third, true, false, true}}
			r.triggers = []triggerRow{function(third, "f", update)}
		}, "public.f:01100"},
		{"references that cascade in a circle", func(r *rows) {
			r.references = []referenceRow{{first, second, true, false, true}, {second, first, true, false, true}}
			r.triggers = []triggerRow{function(second, "f", remove)}
		}, "public.f:01100"},
		{"rules of what refers", func(r *rows) {
			r.references = []referenceRow{{first, second, true, false, true}}
			r.rules = []ruleRow{{Relation: second, Event: "4"}}
		}, "a rule:01100"},
		{"a reference that does not cascade, but by TRUNCATE", func(r *rows) {
			r.references = []referenceRow{{first, second, false, false, false}}
			r.triggers = []triggerRow{function(second, "f", remove), function(second, "g", truncate)}
		}, "public.g:10000"},
		{"kin in a circle", func(r *rows) {
			r.inherits = []inheritRow{{first, second}, {second, first}}
			r.triggers = []triggerRow{function(second, "f", insert)}
		}, "public.f:00010"},
		{"a body that cannot be read", func(r *rows) { body(r, "SELECT ((") }, unreadable + ":01111"},
		{"a default that cannot be read", func(r *rows) { r.expressions = []expressionRow{{first, "default", 0, text("((")}} }, unreadable + ":00110"},
		{"a body of the system's own is not looked into", func(r *rows) {
			r.relations[4].Kind, r.relations[4].Definition = "v", text("SELECT pg_read_file('x')")
			r.reads = []readRow{{first, authid, 1}}
		}, ""},
		{"what is not there", func(r *rows) {
			r.triggers = []triggerRow{function(9, "f", insert)}
			r.references = []referenceRow{{first, 9, true, false, true}, {9, first, true, false, true}}
			r.expressions = []expressionRow{{9, "default", 0, text("f()")}}
			r.rules = []ruleRow{{Relation: 9}}
			r.columns = append(r.columns, columnRow{Relation: 9})
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := calls(built(plainRows(c.change)).byOID[first]); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBodiesInUseAreRemembered(t *testing.T) {
	r := plainRows(func(r *rows) { r.expressions = []expressionRow{{first, "default", 0, text("public.f()")}} })
	used := describeCalls(build("f", r), r, bodies{"gone": {}})
	if len(used) != 1 || len(used["public.f()"].Calls) != 1 {
		t.Errorf("got %v", used)
	}
	// What is remembered is not read again.
	s := build("f", r)
	describeCalls(s, r, bodies{"public.f()": {Calls: []string{"remembered"}}})
	if got := calls(s.byOID[first]); got != "remembered:00110" {
		t.Errorf("got %q", got)
	}
}

func TestClosureEndsAndFindsAllThatCanBeReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := map[uint32][]uint32{}
		for range rapid.IntRange(0, 30).Draw(t, "edges") {
			from := rapid.Uint32Range(0, 9).Draw(t, "from")
			edges[from] = append(edges[from], rapid.Uint32Range(0, 9).Draw(t, "to"))
		}
		got := closure(0, edges)
		want := map[uint32]bool{}
		var reach func(uint32)
		reach = func(n uint32) {
			for _, to := range edges[n] {
				if !want[to] {
					want[to] = true
					reach(to)
				}
			}
		}
		reach(0)
		delete(want, 0)
		if len(got) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for _, n := range got {
			if !want[n] {
				t.Fatalf("%d cannot be reached", n)
			}
		}
	})
}
