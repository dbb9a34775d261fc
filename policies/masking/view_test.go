package masking

import (
	"errors"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

func nameOf(m *policies.MaskRule) string {
	if m == nil {
		return ""
	}
	return m.Name
}

func TestColumnIsMaskedByWhereItsRowsComeFrom(t *testing.T) {
	v := view(t, usualMasks+`- {name: parts, on: {targets: [orders]}, columns: ["public.events_1.secret"], redact: {}}
- {name: whole, on: {targets: [orders]}, columns: ["public.events.detail"], redact: {}}
`)
	for _, c := range []struct {
		name   string
		oid    uint32
		column string
		want   string
	}{
		{"its own", factstest.Customers, "password", "secrets"},
		{"another of the same table", factstest.Customers, "name", ""},
		{"a name that only resembles it", factstest.AuditCustomers, "id", ""},
		{"of any schema", keyedView, "api_key", "secrets"},
		{"a child has its parent's", factstest.VIPCustomers, "password", "secrets"},
		{"a child's own", factstest.VIPCustomers, "manager", "managers"},
		{"a parent does not have what only a child has", factstest.Customers, "manager", ""},
		{"a partitioned table shows its partition's", partitioned, "secret", "parts"},
		{"a partition shows its parent's", partition, "detail", "whole"},
		{"a partition's other column", partition, "id", ""},
		{"each column of a view over a masked one", factstest.CustomerView, "id", "secrets"},
		{"a view over a view", viewOfView, "s", "secrets"},
		{"a view over whole rows", rowView, "c", "mail"},
		{"a view that reads no column", countView, "count", ""},
		{"a materialized view over other columns", factstest.CustomerSummary, "name", ""},
		{"a view over an unknown relation", brokenView, "x", "unproven"},
		{"a table with an unknown parent", orphan, "x", "unproven"},
		{"any column where one is masked", factstest.Payments, "*", "cards"},
		{"any column of a view", factstest.CustomerView, "*", "secrets"},
		{"any column where none is masked", factstest.Orders, "*", ""},
		{"a column that the catalog does not know yet, by its name", factstest.Orders, "api_key", "secrets"},
		{"a column that the catalog does not know, of another name", factstest.Orders, "ctid", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rel, err := v.Catalog().RelationByOID(c.oid)
			if err != nil || rel == nil {
				t.Fatal(err)
			}
			for range 2 { // the second is from memory
				if got := nameOf(v.Column(rel, c.column)); got != c.want {
					t.Errorf("%s.%s: got %q, want %q", rel, c.column, got, c.want)
				}
			}
		})
	}
}

func TestPlanMasksByOriginAndWhatHasNone(t *testing.T) {
	const plainSQL, impureSQL = "select name from customers", "select customer_password(1)"
	for _, c := range []struct {
		name, sql string
		field     Field
		want      string
	}{
		{"a masked column", plainSQL, Field{Relation: factstest.Customers, Number: 5, Type: 25}, "secrets"},
		{"a column in clear", plainSQL, Field{Relation: factstest.Customers, Number: 2, Type: 25}, ""},
		{"a column of a child", plainSQL, Field{Relation: factstest.VIPCustomers, Number: 6, Type: 25}, "secrets"},
		{"a column of a view over a masked one", plainSQL, Field{Relation: factstest.CustomerView, Number: 1, Type: 25}, "secrets"},
		{"an unknown relation", plainSQL, Field{Relation: 424242, Number: 1, Type: 25}, "unproven"},
		{"an unknown column", plainSQL, Field{Relation: factstest.Customers, Number: 99, Type: 25}, "unproven"},
		{"a system column", plainSQL, Field{Relation: factstest.Customers, Number: -1, Type: 27}, ""},
		{"a whole row of what has something masked", plainSQL, Field{Relation: factstest.Customers, Number: 0, Type: 16401}, "mail"},
		{"a whole row of what has nothing masked", plainSQL, Field{Relation: factstest.Orders, Number: 0, Type: 16402}, ""},
		{"a whole row of an unknown relation", plainSQL, Field{Relation: 424242, Number: 0, Type: 25}, "unproven"},
		{"computed by pure functions", plainSQL, Field{Type: 25}, ""},
		{"computed where another function runs", impureSQL, Field{Type: 25}, "unproven"},
		{"a whole row where another function runs", impureSQL, Field{Relation: factstest.Orders, Number: 0, Type: 16402}, "unproven"},
		{"a column in clear where another function runs", impureSQL, Field{Relation: factstest.Customers, Number: 2, Type: 25}, ""},
		{"computed from a relation that is not known yet", "select lower(secret) from newer", Field{Type: 25}, "unproven"},
		{"computed beside a sequence", "select nextval('orders_id_seq')", Field{Type: 20}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(t, usualMasks)
			plan := v.Plan(facts(t, v.Catalog(), c.sql), []Field{{Relation: factstest.Orders, Number: 1, Type: 25}, c.field})
			got := ""
			if plan != nil {
				if plan[0] != nil {
					t.Error("a column in clear beside it is hidden")
				}
				got = plan[1].rule.Name
				if plan[1].text != (c.field.Type == 25) {
					t.Errorf("text: %v", plan[1].text)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestACatalogThatFailsHidesEverything(t *testing.T) {
	cat := catalog()
	v := NewView(maskSet(t, usualMasks), cat)
	statements := facts(t, cat, "select name from customers")
	vip, orders := cat.Relations[4], cat.Relations[1]
	cat.Err = errors.New("down")
	if got := nameOf(v.Column(vip, "name")); got != "unproven" {
		t.Errorf("a child whose parents cannot be asked for: %q", got)
	}
	if v.Column(orders, "total") != nil {
		t.Error("what needs no catalog is in clear")
	}
	plan := v.Plan(statements, []Field{{Relation: factstest.Orders, Number: 1, Type: 25}})
	if plan == nil || plan[0].rule.Name != "unproven" {
		t.Error("a column whose relation cannot be asked for is in clear")
	}
}

func TestAViewWithoutMasksHidesNothing(t *testing.T) {
	v := NewView(policies.MaskSet{}, &factstest.Catalog{Err: errors.New("never asked")})
	statements := facts(t, catalog(), "select customer_password(1), password from customers where password like 'a%'")
	if !v.Empty() || v.Touches(statements) || v.Check(statements) != nil ||
		v.Plan(statements, []Field{{Relation: 1, Number: 1}}) != nil || v.Copy(statements[0].Copy) != nil {
		t.Error("it hides")
	}
}

func TestAViewIsSafeForConcurrentUse(t *testing.T) {
	v := view(t, usualMasks)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, rel := range catalog().Relations {
				v.Column(rel, "*")
			}
			v.Plan(nil, []Field{{Relation: factstest.CustomerView, Number: 1}, {Relation: partition, Number: 1}})
		})
	}
	all.Wait()
}
