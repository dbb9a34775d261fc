package sqlfacts_test

import (
	"strings"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// What a masked column in a statement must come to. All but direct are denied where the column is masked.
type lineage uint8

const (
	used    lineage = iota // the column, or the whole row, is among the uses
	called                 // something outside the pure list runs
	unknown                // the effect is not known
	refused                // it does not parse
	direct                 // only a plain output: masked by its origin
	view                   // read through a view, of which masking knows what it reads
)

// evasions are ways to see customers.password. See also extproc's controls, which prove them on a raw database.
var evasions = []struct {
	sql  string
	want lineage
}{
	// plain outputs keep their origin
	{"select password from customers", direct},
	{"select c.password from customers c", direct},
	{"select public.customers.password from public.customers", direct},
	{"select customers.password as name from customers", direct},
	{"select * from customers", direct},
	{"select c.* from customers c, orders", direct},
	{"table customers", direct},
	{"(((select password from customers)))", direct},
	{"select password from only customers", direct},
	{"update customers set name = 'x' returning password", direct},
	{"delete from customers returning *", direct},
	{"insert into customers (id) values (1) returning customers.password", direct},
	{"update customers set name = 'x' returning old.password", direct},
	{"explain select password from customers", used},
	// expressions
	{"select password || '' from customers", used},
	{"select lower(password) from customers", used},
	{"select password::text from customers", used},
	{"select cast(password as varchar(5)) from customers", used},
	{`select password collate "C" from customers`, used},
	{"select coalesce(password, 'x') from customers", used},
	{"select nullif(password, '') from customers", used},
	{"select greatest(password) from customers", used},
	{"select case when true then password end from customers", used},
	{"select array[password] from customers", used},
	{"select row(password) from customers", used},
	{"select (password, id) from customers", used},
	{"select substring(password from 1 for 1) from customers", used},
	{"select position('a' in password) from customers", used},
	{"select password is null from customers", used},
	{"select (array[password])[1] from customers", used},
	{"select xmlelement(name x, password) from customers", used},
	{"select xmlforest(password) from customers", used},
	{"select json_object('a': password) from customers", used},
	{"select json_array(password) from customers", used},
	{"select json_arrayagg(password) from customers", used},
	{"select json_objectagg(id: password) from customers", used},
	{"select json_value(password::jsonb, '$.a') from customers", used},
	{"select json_scalar(password) from customers", used},
	{"select password is json from customers", used},
	{"select max(password) from customers", used},
	{"select count(distinct password) from customers", used},
	{"select string_agg(name, ',' order by password) from customers", used},
	{"select count(*) filter (where password like 'a%') from customers", used},
	{"select mode() within group (order by password) from customers", used},
	{"select row_number() over (order by password) from customers", used},
	{"select sum(1) over w from customers window w as (partition by password)", used},
	{"select customers.PASSWORD || '' from customers", used},
	{`select c."password" || '' from customers c`, used},
	{`select U&"\0070assword" || '' from customers`, used},
	{"select public.customers.password || '' from customers", used},
	// whole rows
	{"select c from customers c", used},
	{"select customers from customers", used},
	{"select c from orders o, customers c", used},
	{"select count(nowhere.*) from customers", used},
	{"select c::text from customers c", used},
	{"select to_json(c) from customers c", used},
	{"select row_to_json(c.*) from customers c", used},
	{"select json_agg(c) from customers c", used},
	{"select count(c) from customers c", used},
	{"select row(c.*) from customers c", used},
	{"select (c).password from customers c", used},
	{"select (c.*).password from customers c", used},
	{"select (select c from customers c limit 1)", used},
	{"select ((select c from customers c limit 1)).password", used},
	{"select (select c.password from customers c limit 1)", used},
	{"select password(c) from customers c", used},
	{"select c.to_json from customers c", used},
	{"select customers.to_json from customers", used},
	{"select (c).to_json from customers c", used},
	{"select c = c from customers c", used},
	{"select * from customers c order by c", used},
	{"select id from customers c group by id, c", used},
	{"select distinct c from customers c", used},
	{"update customers set name = 'x' returning old", used},
	{"update customers set name = 'x' returning to_json(new)", used},
	{"update customers set name = 'x' returning old.to_json", used},
	{"insert into customers (id) values (1) on conflict (id) do update set name = to_json(excluded)::text", used},
	{"select j from (customers c join orders o on true) j", used},
	{"select to_json(j) from (customers c join orders o on true) j", used},
	{"select j.to_json from (customers c join orders o on true) j", used},
	{"select (x).password from (select c as x from customers c) s", used},
	// predicates and order
	{"select id from customers where password = 'x'", used},
	{"select id from customers where password > $1", used},
	{"select id from customers where 'x' in (password)", used},
	{"select id from customers where password between 'a' and 'b'", used},
	{"select id from customers where password ~ '^a'", used},
	{"select id from customers where password similar to 'a%'", used},
	{"select id from customers where (id, password) = (1, 'x')", used},
	{"select id from customers where not (true and (false or password = 'x'))", used},
	{"select id from customers order by password", used},
	{"select id, password from customers order by 2", used},
	{"select id, password as p from customers order by p", used},
	{"select *, id as i from customers order by 5", used},
	{"select id from customers order by password using <", used},
	{"select password from customers group by password", used},
	{"select password from customers group by 1", used},
	{"select password as p from customers group by p", used},
	{"select count(*) from customers group by cube (id, password)", used},
	{"select count(*) from customers group by grouping sets ((password))", used},
	{"select id from customers group by id having max(password) = 'x'", used},
	{"select distinct password from customers", used},
	{"select distinct on (password) id from customers", used},
	{"select distinct on (1) password from customers", used},
	{"select id from customers limit (select length(password) from customers limit 1)", used},
	{"delete from orders using customers c where c.password = 'x'", used},
	{"update orders set total = 1 from customers where password = 'x'", used},
	{"update customers set name = password", used},
	{"update customers set (name, note) = (password, note)", used},
	{"update customers set (name, note) = (select password, note)", used},
	{"update orders set (status) = (select password from customers limit 1)", used},
	{"update orders set (status) = row(z.*, password) from customers, (select) z", used},
	{"update orders set (status) = row(z.*, z.*, customers) from customers, (select) z", used},
	{"update orders set (status, total) = row(z.*, 'x', (select password from customers), 1) from (select) z", used},
	{"update orders set (id, status) = row((z.e).*, 1, password) from customers, (select e from nothing e) z", used},
	{"merge into orders o using (select) z on true when matched then update set (status) = row(z.*, (select password from customers))", used},
	{"insert into orders values (1) on conflict (id) do update set (status) = row((select z from (select) z).*, (select password from customers))", used},
	{"with a as (update orders set (status) = row(z.*, password) from customers, (select) z) select 1", used},
	{"update orders set status = (select password from customers limit 1)", used},
	{"merge into orders o using customers c on c.password = 'x' when matched then delete", used},
	{"merge into orders o using customers c on c.id = o.id when matched and c.password > 'a' then delete", used},
	{"merge into orders o using customers c on c.id = o.id when matched then update set status = c.password", used},
	{"merge into orders o using customers c on c.id = o.id when not matched then insert (status) values (c.password)", used},
	{"merge into orders o using (select password as p from customers) c on true when matched then delete returning p", used},
	// joins
	{"select o.id from orders o join customers c on c.password = o.status", used},
	{"select * from customers a join customers b using (password)", used},
	{"select * from customers natural join (select 'x' as password) p", used},
	{"select * from customers a natural join customers b", used},
	{"select o.id from orders o, lateral (select password from customers) p", used},
	{"select * from customers tablesample bernoulli (length((select password from customers limit 1)))", used},
	// names that are changed on the way
	{"select x from customers as c (a, b, d, e, x)", used},
	{"select e || '' from customers as c (a, b, d, f, e)", used},
	{"select j.e from (customers cross join orders) as j (a, b, c, d, e)", used},
	{"select p from (select password from customers) as s (p)", used},
	{"select s.* from (select * from customers) s", used},
	{"with s (p) as (select password from customers) select p from s", used},
	{"with s as (table customers) select * from s", used},
	{"with s as materialized (select * from customers) select password from s", used},
	{"with recursive s as (select password from customers union all select p.password from customers p, s) table s", used},
	{"with orders as (select password as id from customers) select id from orders", used},
	{"with a as (with b as (select password from customers) select * from b) select * from a", used},
	{"select * from (values ((select password from customers limit 1))) v", used},
	{"values ((select password from customers limit 1))", used},
	{"select * from unnest(array(select password from customers)) u", used},
	{"select u from customers c, unnest(array[c.password]) u", used},
	{"select x.* from customers c, xmltable('/a' passing xmlelement(name a, c.password) columns v text path '.') x", used},
	{"select x.* from customers c, json_table(to_jsonb(c), '$' columns (p text path '$.password')) x", used},
	{"select x.* from customers c, json_table('{}'::jsonb, '$' passing c.password as p columns (v text path '$p')) x", used},
	{"select * from customers c, rows from (generate_series(1, length(c.password))) g", used},
	// set operations
	{"select password from customers union all select 'x'", used},
	{"select 'x' union select password from customers", used},
	{"select password from customers intersect select 'hunter2'", used},
	{"select id from customers except select id from customers where password = 'x'", used},
	{"table customers union all table customers", used},
	{"values ('x') union all (select password from customers)", used},
	// subqueries
	{"select exists (select 1 from customers where password = 'x')", used},
	{"select 1 where 'x' = any (select password from customers)", used},
	{"select 1 where ('x', 1) in (select password, id from customers)", used},
	{"select array(select password from customers)", used},
	{"select id from orders where status = (select max(password) from customers)", used},
	{"select id from orders o where exists (select 1 from customers c where c.id = o.id order by password)", used},
	// copies
	{"insert into orders (status) select password from customers", used},
	{"insert into orders (status) table customers", used},
	{"insert into orders (status) values ((select password from customers limit 1))", used},
	{"insert into customers (id) values (1) on conflict (password) do nothing", used},
	{"insert into customers (id) values (1) on conflict (id) do update set name = customers.password", used},
	{"insert into customers (id) values (1) on conflict (id) where password = 'x' do nothing", used},
	{"insert into customers (id) values (1) on conflict (id) do update set name = 'x' where customers.password = 'y'", used},
	{"with d as (delete from customers returning *) select password from d", used},
	{"with d as (update customers set name = '' returning password as p) select p from d", used},
	{"with d as (delete from customers returning to_json(customers)) table d", used},
	{"create table t as select password from customers", used},
	{"create table t as table customers", used},
	{"create materialized view m as select * from customers", used},
	{"create view v as select password as p from customers", used},
	{"create recursive view v (p) as select password from customers", used},
	{"select password into t from customers", used},
	{"select 1 into t union select password from customers", used},
	{"copy (select password from customers) to stdout", used},
	{"copy (table customers) to stdout", used},
	{"copy (delete from customers returning password) to stdout", used},
	{"copy customers to '/tmp/x'", used},
	{"copy customers (password) to program 'cat'", used},
	{"create index on customers (password)", used},
	{"create index on customers (lower(password))", used},
	{"create index on orders (id) include (id) where (select password from customers limit 1) = 'x'", used},
	{"create statistics s on password, id from customers", used},
	{"create table t (like customers) inherits (customers)", used},
	{"alter table customers rename password to p", used},
	{"alter table customers rename to c", used},
	{"alter table customers set schema audit", used},
	{"alter table customers add column x text generated always as (password) stored", used},
	{"alter table customers alter name type text using password", used},
	{"alter table customers add check (password <> 'x')", used},
	{"alter table customers add unique (password)", used},
	{"alter table customers inherit orders", used},
	{"alter table orders add foreign key (status) references customers (password)", used},
	{"create policy p on customers using (password = 'x')", used},
	{"create trigger t after update on customers for each row when (old.password = 'x') execute function archive()", used},
	// what others run
	{"select customer_password(1)", called},
	{"select public.customer_password(1)", called},
	{"select * from customer_password(1)", called},
	{"select id from orders where status = customer_password(1)", called},
	{"select o.customer_password from orders o", called},
	{"select (o).customer_password from orders o", called},
	{"select s.customer_password from (select 1 as id) s", called},
	{"call archive(1)", called},
	{"select query_to_xml('select * from customers', true, true, '')", called},
	{"select ts_stat('select password from customers')", called},
	{"select pg_read_file('base/1/2')", called},
	{"select 'x'::email", called},
	{"select json_populate_record(null::email, '{}')", called},
	{"select * from json_to_record('{}') as x (a email)", called},
	{"select id ~=~ 'x' from orders", called},
	{"select value = '1' from measurements", called},
	{"insert into audited (id) values (1)", called},
	{"insert into ruled (id) values (1)", called},
	{"select id from orders tablesample public.archive (10)", called},
	{"explain select customer_password(1)", called},
	{"select secret from customer_view", view},
	{"select * from customer_summary", view},
	{"do $$ begin perform password from customers; end $$", unknown},
	{"create function f() returns text language sql as 'select password from customers'", unknown},
	{"create function f() returns text begin atomic select password from customers; end", unknown},
	{"create rule r as on delete to orders do also select password from customers", unknown},
	{"prepare p as select lower(password) from customers", used},
	{"execute p", unknown},
	{"declare c cursor for select lower(password) from customers", used},
	{"fetch all from c", unknown},
	{"create table t as execute p", unknown},
	{"explain analyze execute p", unknown},
	{"set search_path = audit, public", unknown},
	{"select set_config('search_path', 'audit', false)", unknown},
	{"select set_config(setting_name => 'search_path', new_value => 'audit', is_local => false)", unknown},
	{"create temp table customers as select 1", unknown},
	{"create schema s create view v as select password from customers", unknown},
	{"update customers set name = 'x' returning with (old as o) o.password", refused},
}

func TestEvasions(t *testing.T) {
	for _, c := range evasions {
		t.Run(c.sql, func(t *testing.T) {
			if got := lineageOf(c.sql); got != c.want {
				t.Errorf("lineage %d, want %d:\n%s", got, c.want, describe(c.sql, factstest.New()))
			}
		})
	}
	if len(evasions) < 80 {
		t.Errorf("only %d", len(evasions))
	}
}

// Where there are many names, what one means is remembered: it must mean the same.
func TestManyNamesHideNoEvasion(t *testing.T) {
	const many = "with filler as (select f.a" + ", f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a, f.a" +
		", f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b, f.b from newer f) "
	for _, c := range evasions {
		if !strings.HasPrefix(c.sql, "select ") {
			continue
		}
		if got := lineageOf(many + c.sql); got != c.want {
			t.Errorf("%s: lineage %d behind many names, want %d", c.sql, got, c.want)
		}
	}
	for _, sql := range []string{
		"select * from orders union all select * from customers",
		"select id, id from orders where exists (select id from orders) and exists (select password from customers)",
	} {
		if got := lineageOf(many + sql); got != used {
			t.Errorf("%s: lineage %d behind many names", sql, got)
		}
	}
}

// lineageOf is the strongest reason to deny a text where customers.password is masked.
func lineageOf(sql string) lineage {
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		return refused
	}
	facts, err := script.Resolve(factstest.New())
	if err != nil {
		return refused
	}
	s := facts.Statements[0]
	for _, u := range s.Uses {
		if u.Relation.OID == factstest.Customers && (u.Column == "password" || u.Column == "*") {
			return used
		}
	}
	for _, p := range s.Operation.Pairs {
		if p.Effect == policyv1.Effect_UNKNOWN {
			return unknown
		}
	}
	for _, r := range s.Relations {
		if len(r.Reads) > 0 {
			return view
		}
	}
	if len(s.Calls) > 0 {
		return called
	}
	return direct
}

// Harmless statements must not look like evasions, or people switch the tool off.
func TestStatementsThatDoNotTouchTheSecretStayFree(t *testing.T) {
	for _, sql := range []string{
		"select count(*) from customers",
		"select lower(name), length(email) from customers where id = $1 order by name limit 5",
		"select c.id, o.total from customers c join orders o on o.customer_id = c.id where o.status = 'open'",
		"select o.status, count(*) from orders o group by o.status having count(*) > 1",
		"with recent as (select id, customer_id from orders) select r.id, c.name from recent r join customers c on c.id = r.customer_id",
		"select id from customers where exists (select 1 from orders where customer_id = customers.id)",
		"insert into customers (name, password) values ('x', 'secret') returning id",
		"insert into customers (name, password) values ($1, $2) on conflict (id) do update set password = 'y'",
		"update customers set password = 'new' where id = 1",
		"update customers set (password, name) = ('new', 'x') where id = 1",
		"copy customers from stdin",
		"copy customers to stdout",
		"create index on customers (name)",
		"select name from customers union select status from orders",
		"explain select id from customers where name = 'x'",
		"select count(s.*) from (select id from customers) s",
	} {
		if got := lineageOf(sql); got != direct {
			t.Errorf("lineage %d:\n%s", got, describe(sql, factstest.New()))
		}
	}
}
