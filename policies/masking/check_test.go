package masking

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

func TestCheckRefusesWhatCannotBeHidden(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		want      string // a part of the message; empty: it may run
	}{
		{"a plain output column", "select password from customers", ""},
		{"a star", "select * from customers", ""},
		{"an expression", "select lower(password) from customers", `column public.customers.password is masked by "secrets" and used in an expression`},
		{"a predicate", "select id from customers where password = 'x'", "WHERE"},
		{"a predicate on a child", "select id from vip_customers where password = 'x'", "public.vip_customers.password"},
		{"a predicate on a view over it", "select name from customer_view where id = '1'", "public.customer_view.id"},
		{"ordering", "select id from customers order by password", "ORDER BY"},
		{"an output column that is ordered by", "select password from customers order by 1", "ORDER BY"},
		{"distinct", "select distinct password from customers", "DISTINCT"},
		{"a join", "select c.id from customers c join payments p on c.password = p.id", "public.customers.password"},
		{"a subquery", "select id from orders where customer_id in (select password from customers)", "password"},
		{"a set operation", "select name from customers union all select password from customers", "a set operation"},
		{"a common table expression", "with c as (select password from customers) select * from c", "a common table expression"},
		{"a whole row", "select c from customers c", "public.customers.*"},
		{"a whole row in a function", "select to_json(c) from customers c", "public.customers.*"},
		{"insert from select", "insert into orders (status) select password from customers", "password"},
		{"create table as", "create table t as select password from customers", "password"},
		{"being the target of update", "update customers set password = 'x' where id = '1'", ""},
		{"returning", "delete from customers where id = '1' returning password", ""},
		{"an expression in returning", "delete from customers where id = '1' returning lower(password)", "password"},
		{"a function in an output column", "select customer_password(1)", ""},
		{"a function in a predicate", "select id from orders where id = customer_password(1)", "customer_password runs in a place other than an output column"},
		{"a function on one side of a set operation", "select id from orders union all select customer_password(1)", "customer_password"},
		{"a function in a subquery", "select s.x from (select customer_password(1) as x from orders) s", "customer_password"},
		{"a trigger", "insert into audited values ('1', 'x')", "public.archive runs in a use of public.audited"},
		{"a rule", "delete from ruled", "a rule runs in rules on public.ruled"},
		{"a view that calls", "select count(*) from customer_view", "lower_user"},
		{"copy of a table", "copy customers to stdout", ""},
		{"copy of a query", "copy (select password from customers) to stdout", "COPY (query)"},
		{"copy of a query that calls", "copy (select customer_password(1)) to stdout", "customer_password"},
		{"copy to a file", "copy customers to '/tmp/x'", "COPY to a file"},
		{"copy of a relation that is not known yet", "copy newer to stdout", `relation "newer" is not known, so that what COPY sends could not be masked`},
		{"a relation that is not known yet", "select * from newer", `relation "newer" is not known, so that what it reads could not be masked`},
		{"a guess about a relation that is not known", "select id from orders where exists (select from newer where api_key like 'k%')", `relation "newer" is not known`},
		{"a change of a relation that is not known", "insert into newer values (1)", `relation "newer" is not known`},
		{"a definition on a relation that is not known", "create index on newer (a)", ""},
		{"a new type of a masked column", "alter table customers alter column password type regclass", "ALTER COLUMN … TYPE"},
		{"a shorter type", "alter table customers alter column password type varchar(12)", "password"},
		{"a new type of another column", "alter table customers alter column name type varchar(12)", ""},
		{"no nulls", "alter table customers alter column password set not null", "SET NOT NULL"},
		{"a check of a masked column", "alter table customers add check (password <> 'x')", "a constraint"},
		{"a check that is validated", "alter table customers validate constraint c", "VALIDATE CONSTRAINT"},
		{"a generated column", "alter table customers add column p text generated always as (upper(password)) stored", "a constraint"},
		{"a key that refers to a masked one", "create table g (x text references customers (password))", "a constraint"},
		{"a key that refers from a masked one", "alter table customers add foreign key (password) references orders", "a constraint"},
		{"an index over a masked column", "create unique index on customers (password)", "an index"},
		{"statistics over a masked column", "create statistics st on name, password from customers", "extended statistics"},
		{"rows in the order of an index", "cluster customers using i", "CLUSTER"},
		{"ALTER INDEX of a table", "alter index customers rename to x", "RENAME"},
		{"a column dropped from the parent alone", "alter table only customers drop column password", "DROP COLUMN"},
		{"a typed table", "alter table customers of t", "a typed table"},
		{"no parent any more", "alter table vip_customers no inherit customers", "inheritance"},
		{"EXPLAIN of what is output", "explain select password from customers", "EXPLAIN"},
		{"EXPLAIN of something else", "explain select name from customers where id = '1'", ""},
		{"EXPLAIN ANALYZE that counts buffers", "explain analyze select name from customers", "EXPLAIN ANALYZE"},
		{"EXPLAIN ANALYZE that counts what it writes", "explain (analyze, buffers off, wal) update customers set name = 'x'", "EXPLAIN ANALYZE"},
		{"EXPLAIN ANALYZE without volumes", "explain (analyze, buffers off) select name from customers", ""},
		{"the second of two statements", "select 1; select id from customers where password = 'x'", "password"},
		{"another column", "select name from customers where name = 'x' order by name", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(t, usualMasks)
			violation := v.Check(facts(t, v.Catalog(), c.sql))
			switch {
			case violation == nil && c.want != "":
				t.Fatalf("it may run; want %q", c.want)
			case violation == nil:
				return
			case c.want == "" || !strings.Contains(violation.Error(), c.want):
				t.Errorf("got %q, want %q", violation, c.want)
			case violation.Hint() == "":
				t.Error("no hint")
			}
		})
	}
}

func TestTouchesWhateverCouldHaveToBeHidden(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		want      bool
	}{
		{"a table with a masked column, whatever is selected", "select id from customers", true},
		{"a child of one", "select id from vip_customers", true},
		{"a view over one", "select name from customer_view", true},
		{"a table without", "select * from orders", false},
		{"no table", "select 1", false},
		{"a function outside the pure list", "select customer_password(1)", true},
		{"a pure function", "select count(*) from orders", false},
		{"returning", "delete from customers returning id", true},
		{"a relation that is not known yet", "select * from newer", true},
		{"one with a schema", "select * from public.newer", true},
		{"the target of a change that is not known yet", "delete from newer returning *", true},
		{"a sequence", "select nextval('orders_id_seq')", false},
		{"a sequence that is not known", "select nextval('newer_seq')", true},
		{"a new table", "create table newer (id int)", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(t, usualMasks)
			if got := v.Touches(facts(t, v.Catalog(), c.sql)); got != c.want {
				t.Errorf("%s: got %v", c.sql, got)
			}
		})
	}
}

func TestHidesWhatMeetsSomethingMasked(t *testing.T) {
	v := view(t, usualMasks)
	for _, c := range []struct {
		name, sql string
		want      []bool // of the literals, in order
	}{
		{"an assigned value", "update customers set password = 'p', name = 'n' where id = '1'", []bool{true, false, false}},
		{"a compared value", "select id from customers where password = 'p' and name = 'n'", []bool{true, false}},
		{"inserted values", "insert into customers (id, password) values ('1', 'p')", []bool{false, true}},
		{"a password of a role", "alter role x password 'p'", []bool{true}},
		{"nothing masked", "select id from orders where status = 's'", []bool{false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := facts(t, v.Catalog(), c.sql)[0]
			if len(st.Literals) != len(c.want) {
				t.Fatalf("%d literals: %+v", len(st.Literals), st.Literals)
			}
			for i, l := range st.Literals {
				if got := v.Hides(l.Meets); got != c.want[i] {
					t.Errorf("%s: got %v", st.Text[l.Start:l.End], got)
				}
			}
		})
	}
	if v.Hides(sqlfacts.Meets{Columns: []sqlfacts.ColumnUse{{Column: "password"}}}) {
		t.Error("a use without a relation meets nothing")
	}
}

// The record's view is stricter than that of whom a mask excepts: what would be refused under it may have been run, and what
// was worked out is hidden.
func TestWhatIsWorkedOutOfWhatIsMaskedIsHidden(t *testing.T) {
	computed := []Field{{Type: 25, Modifier: -1}}
	for _, c := range []struct {
		sql    string
		hidden bool
	}{
		{"select lower(password) from customers", true},
		{"select max(password) from customers", true},
		{"select name from customers union all select password from customers", true},
		{"select count(*) from customers where password = 'x'", true},
		{"update customers set name = '' returning password || ''", true},
		{"select * from newer", true},
		{"select lower(name) from customers", false},
		{"select count(*) from customers", false},
		{"copy (select lower(password) from customers) to stdout", true},
		{"copy (select password from customers) to stdout", true},
		{"copy (select customer_password(1)) to stdout", true},
		{"copy (select lower(name) from customers) to stdout", false},
	} {
		v := view(t, usualMasks)
		statements := facts(t, v.Catalog(), c.sql)
		if s := &statements[0]; s.Kind == sqlfacts.CopyOut {
			plan := v.CopyQuery(s, 1)
			if (plan != nil) != c.hidden {
				t.Errorf("%s: planned %v", c.sql, plan != nil)
			}
			if plan == nil {
				continue
			}
			if out, err := plan.Rewrite(nil, []byte("secret\n")); err != nil || strings.Contains(string(out), "secret") {
				t.Errorf("%s: %q, %v", c.sql, out, err)
			}
			continue
		}
		if plan := v.Plan(statements, computed); (plan != nil) != c.hidden {
			t.Errorf("%s: planned %v", c.sql, plan != nil)
		}
	}
}
