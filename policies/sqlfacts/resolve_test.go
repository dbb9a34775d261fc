package sqlfacts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

func resolve(t *testing.T, sql string, cat sqlfacts.Catalog) sqlfacts.Statement {
	t.Helper()
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		t.Fatalf("%q: %v", sql, err)
	}
	facts, err := script.Resolve(cat)
	if err != nil {
		t.Fatalf("%q: %v", sql, err)
	}
	return facts.Statements[0]
}

func TestCommonTableExpressionsShadowRelationsWhereTheyAreSeen(t *testing.T) {
	for sql, want := range map[string]string{
		"with customers as (select 1) select * from customers":                                                          "",
		"with customers as (select 1) select * from public.customers":                                                   "READ public.customers",
		"with customers as (select 1) delete from customers":                                                            "DELETE public.customers",
		"with a as (select * from customers), customers as (select 1) table a":                                          "READ public.customers",
		"with recursive a as (select * from customers), customers as (select 1) table a":                                "",
		"with customers as (select * from customers) table customers":                                                   "READ public.customers",
		"with recursive customers as (select * from customers) table customers":                                         "",
		"with orders as (select 1) select * from (with customers as (select 2) select * from customers, orders) s":      "",
		"select * from (with customers as (select 2) table customers) s, customers":                                     "READ public.customers",
		"select (with customers as (select 1) select 2) from customers":                                                 "READ public.customers",
		"with customers as (select 1) select 1 union select 2 from customers":                                           "",
		"(with customers as (select 1) select 1) union select id from customers":                                        "READ public.customers",
		"with customers as (select 1 as id) insert into orders (id) select id from customers":                           "INSERT public.orders",
		"insert into orders (id) with customers as (select 1 as id) select id from customers":                           "INSERT public.orders",
		"with customers as (select 1 as id) update orders set id = 1 from customers":                                    "UPDATE public.orders",
		"with customers as (select 1 as id) select (select id from customers) from orders":                              "READ public.orders",
		"with a as (with customers as (select 1) table customers) select * from a, customers":                           "READ public.customers",
		"with customers as (select 1 as id) merge into orders using customers on true when not matched then do nothing": "READ public.orders",
	} {
		s := resolve(t, sql, factstest.New())
		if got := pairs(s.Operation.Pairs); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

func TestReadingTheTargetIsAnEffectOfItsOwn(t *testing.T) {
	for sql, want := range map[string]string{
		"update orders set total = 1":                                          "UPDATE public.orders",
		"update orders set total = 1 where id = 1":                             "READ public.orders, UPDATE public.orders",
		"update orders set total = total + 1":                                  "READ public.orders, UPDATE public.orders",
		"update orders set total = 1 returning 5":                              "UPDATE public.orders",
		"update orders set total = 1 returning id":                             "READ public.orders, UPDATE public.orders",
		"update orders set total = 1 returning *":                              "READ public.orders, UPDATE public.orders",
		"delete from orders":                                                   "DELETE public.orders",
		"delete from orders where ctid = '(0,1)'":                              "READ public.orders, DELETE public.orders",
		"insert into orders (id) select id from customers":                     "READ public.customers, INSERT public.orders",
		"insert into orders (id) values ((select max(id) from orders))":        "READ public.orders, INSERT public.orders",
		"insert into orders (id) values (1) returning id":                      "READ public.orders, INSERT public.orders",
		"insert into orders (id) values (1) on conflict do nothing":            "INSERT public.orders",
		"insert into orders (id) values (1) on conflict (id) do nothing":       "READ public.orders, INSERT public.orders",
		"with c as (select id from customers) insert into orders (id) table c": "READ public.customers, INSERT public.orders",
	} {
		s := resolve(t, sql, factstest.New())
		if got := pairs(s.Operation.Pairs); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

func callsOf(s sqlfacts.Statement) string {
	var list []string
	for _, c := range s.Calls {
		list = append(list, c.Function)
	}
	return strings.Join(list, ", ")
}

func TestANameIsPureOnlyIfNothingElseHasIt(t *testing.T) {
	cat := factstest.New()
	for sql, want := range map[string]string{
		"select lower('x')":                                   "",
		"select pg_catalog.lower('x')":                        "",
		"select public.lower('x')":                            "public.lower",
		"select nowhere('x')":                                 "nowhere",
		"select pg_catalog.nowhere('x')":                      "pg_catalog.nowhere",
		"select pg_sleep(5)":                                  "pg_catalog.pg_sleep",
		"select information_schema._pg_expandarray(array[1])": "",
		"select information_schema.lower('x')":                "information_schema.lower",
		"select jsonb('{}')":                                  "",
	} {
		if got := callsOf(resolve(t, sql, cat)); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
	cat.Named["lower"] = []sqlfacts.Function{{OID: 9, Schema: "public", Name: "lower"}}
	cat.Named["nextval"] = []sqlfacts.Function{{OID: 10, Schema: "public", Name: "nextval"}}
	for sql, want := range map[string]string{
		"select lower('x')":               "public.lower",
		"select pg_catalog.lower('x')":    "",
		"select upper('x')":               "",
		"select nextval('orders_id_seq')": "pg_catalog.nextval, public.nextval",
	} {
		if got := callsOf(resolve(t, sql, cat)); got != want {
			t.Errorf("with public.lower, %s: got %q, want %q", sql, got, want)
		}
	}
}

func TestCodeThatNoNameSays(t *testing.T) {
	withCasts := factstest.New()
	withCasts.Casts = true
	withSample := factstest.New()
	withSample.Named["bernoulli"] = []sqlfacts.Function{{OID: 12, Schema: "public", Name: "bernoulli"}}
	withEvents := factstest.New()
	withEvents.Events = []string{"public.on_ddl"}
	for _, c := range []struct {
		sql, want string
		cat       *factstest.Catalog
	}{
		{"select id from orders where id = 1", "a cast", withCasts},
		{"begin", "", withCasts},
		{"select id from orders tablesample bernoulli (10)", "bernoulli", withSample},
		{"select id from orders tablesample pg_catalog.bernoulli (10)", "", withSample},
		{"select id from measurements where id = 1", "operator public.=, public.measure_to_json", nil},
		{"select id from measurements where id in (1)", "operator public.=, public.measure_to_json", nil},
		{"select case id when 1 then 2 end from measurements", "operator public.=, public.measure_to_json", nil},
		{"select id from measurements join orders using (id)", "operator public.=, public.measure_to_json", nil},
		{"select m.id from measurements m join orders on true", "public.measure_to_json", nil},
		{"select id from measurements where id in (select 1)", "operator public.=, public.measure_to_json", nil},
		{"select nullif(id, 1) from measurements", "operator public.=, public.measure_to_json", nil},
		{"select id from measurements where id operator(pg_catalog.=) 1", "public.measure_to_json", nil},
		{"select id from orders where id operator(public.=) 1", "operator public.=", nil},
		{"select id from orders where id ~=~ 1", "operator public.~=~", nil},
		{"select id from orders order by id using ~=~", "operator public.~=~", nil},
		{"select to_json(value) from measurements", "public.measure_to_json", nil},
		{"select to_json(o) from orders o", "", nil},
		{"select 'a'::public.order_status", "", nil},
		{"select 'a'::plain_domain, null::customers, row_to_json(null::orders)", "", nil},
		{"select 'a'::public.email", "public.is_email", nil},
		{"select 'a'::email[]", "public.is_email", nil},
		{"select 'a'::not_known_yet", "type not_known_yet", nil},
		{"select id from orders where id = any ('{}'::email[])", "public.is_email, operator public.=", nil},
		{"alter table orders add column x int", "public.on_ddl", withEvents},
		{"grant select on orders to x", "public.on_ddl", withEvents},
		{"insert into orders (id) values (1)", "", withEvents},
	} {
		cat := c.cat
		if cat == nil {
			cat = factstest.New()
		}
		if got := callsOf(resolve(t, c.sql, cat)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.sql, got, c.want)
		}
	}
}

func TestACallIsAnOutputOnlyIfItIsAWholeColumnAndStandsNowhereElse(t *testing.T) {
	for sql, want := range map[string]bool{
		"select customer_password(1)":                                                 true,
		"select lower(customer_password(1)) from customers":                           false,
		"select nullif(customer_password(1), 'x')":                                    false,
		"select 1 / case when customer_password(1) like 'a%' then 0 else 1 end":       false,
		"select generate_series(1, length(customer_password(1)))":                     false,
		"select id, rank() over (order by customer_password(id)) from orders":         false,
		"select set_config('a.b', customer_password(1), true)":                        false,
		"select customer_password(1)::int":                                            false,
		"select query_to_xml('select 1', true, true, '')":                             false,
		"update orders set id = 1 returning customer_password(id)":                    true,
		"select customer_password(1) where customer_password(1) = 'x'":                false,
		"select (select customer_password(1))":                                        false,
		"select distinct customer_password(1)":                                        false,
		"select customer_password(id) from orders order by 1":                         false,
		"select customer_password(id) from orders group by customer_password":         false,
		"select customer_password(1) union select 'x'":                                false,
		"select * from (select customer_password(1)) s":                               false,
		"insert into orders (status) select customer_password(1)":                     false,
		"insert into orders (status) values (customer_password(1))":                   false,
		"copy (select customer_password(1)) to stdout":                                false,
		"create table t as select customer_password(1)":                               false,
		"with s as (update orders set id = 1 returning customer_password(1)) table s": false,
	} {
		s := resolve(t, sql, factstest.New())
		if len(s.Calls) != 1 || s.Calls[0].Output != want {
			t.Errorf("%s: %+v, want output %v", sql, s.Calls, want)
		}
	}
}

func TestEachOfManyCallsIsListedOnce(t *testing.T) {
	for _, n := range []int{2, 16, 17, 18, 40} {
		var sql strings.Builder
		sql.WriteString("select ")
		for i := range n {
			fmt.Fprintf(&sql, "f%d(), ", i)
		}
		fmt.Fprintf(&sql, "f0() || 'x', f%d() || 'x'", n-1)
		s := resolve(t, sql.String(), factstest.New())
		if len(s.Calls) != n {
			t.Fatalf("%d functions are %d calls", n, len(s.Calls))
		}
		for i, c := range s.Calls {
			if want := fmt.Sprintf("f%d", i); c.Function != want || c.Output != (i > 0 && i < n-1) {
				t.Errorf("of %d, the %dth is %+v", n, i, c)
			}
		}
	}
}

// What is a column of one relation may be a function of a row of another that goes by the same alias.
func TestANameIsACallWhereItIsNoColumn(t *testing.T) {
	cat := factstest.New()
	cat.Named["total"] = []sqlfacts.Function{{OID: 11, Schema: "public", Name: "total"}}
	for sql, want := range map[string]string{
		"select o.total || '' from orders o":                                          "",
		"select c.total from customers c":                                             "public.total",
		"select x.total from customers x where exists (select x.total from orders x)": "public.total",
	} {
		s := resolve(t, sql, cat)
		whole := slices.ContainsFunc(s.Uses, func(u sqlfacts.ColumnUse) bool {
			return u.Relation.OID == factstest.Customers && u.Column == "*"
		})
		if got := callsOf(s); got != want || whole != (want != "") {
			t.Errorf("%s: calls %q, uses %v", sql, got, s.Uses)
		}
	}
}

func TestLiteralsMeetWhatTheyAreComparedWithOrAssignedTo(t *testing.T) {
	const p, n = "public.customers.password", "public.customers.name"
	for sql, want := range map[string][]string{
		"select id from customers where password = 'a' and name = 'b'":                                   {p, n},
		"select id from customers where password = 'a' or not name in ('b', 'c')":                        {p, n, n},
		"select id from customers where name like 'b' and lower(password) = lower('a')":                  {n, p},
		"select id from customers where (password = 'a' or name = 'b') is true":                          {p + " " + n, p + " " + n},
		"insert into customers (name, password) values ('b', 'a'), ('b', lower('a'))":                    {n, p, n, p},
		"insert into customers (name, password) select 'b', 'a'":                                         {n, p},
		"insert into customers (name, password) select 'b', 'a' union all select 'b', 'a'":               {n, p, n, p},
		"insert into customers (name, password) select *, 'a' from (select 'b') s":                       {n + " " + p, n + " " + p},
		"update customers set name = 'b', password = 'a' where name = 'b'":                               {n, p, n},
		"update customers set (name, password) = row('b', 'a')":                                          {n, p},
		"update customers set (name, password) = (select 'b', 'a')":                                      {n + " " + p, n + " " + p},
		"insert into customers (id) values (default) on conflict (name) do update set password = 'a'":    {p},
		"merge into customers using orders on name = 'b' when matched then update set password = 'a'":    {n, p},
		"merge into customers using orders on true when not matched then insert (password) values ('a')": {p},
		"select password from customers where name = (select max(name) from customers limit 5)":          {"nothing"},
		"select 'x', password from customers":                                                            {"nothing"},
		"select password || 'x' from customers":                                                          {p},
		"select c.name from customers c join (select 'x' as v) s on s.v = c.password":                    {p},
		"with s as (select 'x' as v) select c.name from customers c, s where s.v = c.password":           {p},
		"select name from customers where password = (select 'x')":                                       {p},
		"select id from orders where status = 's' || (select password from customers)":                   {"public.orders.status " + p},
		"select customer_password('x') from customers where password is null":                            {p},
		"alter role bob password 'x'":                                                                    {"SECRET"},
		"alter user bob encrypted password 'x' valid until 'y'":                                          {"SECRET", "SECRET"},
		"create user mapping for bob server s options (password 'x')":                                    {"SECRET"},
		"copy customers to program 'x'":                                                                  {"SECRET public.customers.id public.customers.name public.customers.email public.customers.phone public.customers.password public.customers.api_key public.customers.note"},
		"set a.b = 'x'":                                                                                  {"SECRET"},
	} {
		s := resolve(t, sql, factstest.New())
		var got []string
		for _, l := range s.Literals {
			got = append(got, meets(l.Meets))
		}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("%s\n got %q\nwant %q", sql, got, want)
		}
		// Parameters in the same places meet the same.
		i := 0
		if strings.Contains(strings.Join(want, ""), "SECRET") {
			continue
		}
		with := sqlfacts.Redact(sql, spans(s), func(string) string { i++; return "$" + string(rune('0'+i)) })
		s = resolve(t, with, factstest.New())
		for i, m := range s.Parameters {
			if meets(m) != want[i] {
				t.Errorf("%s: $%d meets %s, want %s", with, i+1, meets(m), want[i])
			}
		}
	}
}

func TestAParameterMeetsWhatEachOfItsPlacesMeets(t *testing.T) {
	for sql, want := range map[string][]string{
		"select id from customers where name = $1 and password = $1":                           {"public.customers.name public.customers.password"},
		"select id from customers where name = $2 and id = $1 and password = $2 and name = $2": {"public.customers.id", "public.customers.name public.customers.password"},
		"select id from customers where password = $2":                                         {"nothing", "public.customers.password"},
	} {
		var got []string
		for _, m := range resolve(t, sql, factstest.New()).Parameters {
			got = append(got, meets(m))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: parameters meet %q, want %q", sql, got, want)
		}
	}
}

func spans(s sqlfacts.Statement) []sqlfacts.Span {
	list := make([]sqlfacts.Span, 0, len(s.Literals))
	for _, l := range s.Literals {
		list = append(list, sqlfacts.Span{Start: l.Start, End: l.End})
	}
	return list
}

func TestStatementsAreCutOutOfTheirText(t *testing.T) {
	const sql = " select 'é' ;\n\n-- a comment\nselect 2, 'x';;"
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := script.Resolve(factstest.New())
	if err != nil {
		t.Fatal(err)
	}
	var texts, literals []string
	for _, s := range facts.Statements {
		texts = append(texts, s.Text)
		if sql[s.Offset:s.Offset+len(s.Text)] != s.Text {
			t.Errorf("offset %d is not that of %q", s.Offset, s.Text)
		}
		for _, l := range s.Literals {
			literals = append(literals, s.Text[l.Start:l.End])
		}
	}
	if got := strings.Join(texts, "|"); got != "select 'é'|-- a comment\nselect 2, 'x'" {
		t.Errorf("texts %q", got)
	}
	if got := strings.Join(literals, "|"); got != "'é'|2|'x'" {
		t.Errorf("literals %q", got)
	}
}

func TestACatalogThatCannotAnswerFails(t *testing.T) {
	cause := errors.New("connection lost")
	for _, sql := range []string{
		"select * from customers", "select nowhere()", "select 'x'::email", "select 1 ~=~ 2", "drop table customers",
		"select nextval('s')", "copy customers to stdout", "alter domain email set not null", "refresh materialized view customer_summary",
	} {
		cat := factstest.New()
		cat.Err = cause
		script, err := sqlfacts.Parse(sql)
		if err != nil {
			t.Fatal(err)
		}
		_, err = script.Resolve(cat)
		var e *sqlfacts.Error
		if !errors.As(err, &e) || e.Code != "58000" || !errors.Is(err, cause) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestWhatIsReachedStandsBesideWhatIsNamed(t *testing.T) {
	cat := factstest.New()
	rel := func(oid uint32) *sqlfacts.Relation {
		r, _ := cat.RelationByOID(oid)
		return r
	}
	const rows = sqlfacts.TouchRead | sqlfacts.TouchUpdate | sqlfacts.TouchDelete
	rel(factstest.CustomerView).Reach = []sqlfacts.Reach{{Relation: factstest.Customers, On: rows | sqlfacts.TouchInsert}}
	rel(factstest.VIPCustomers).Reach = []sqlfacts.Reach{{Relation: factstest.Customers, On: rows | sqlfacts.TouchInsert | sqlfacts.TouchDefine, Up: true}}
	rel(factstest.Customers).Reach = []sqlfacts.Reach{
		{Relation: factstest.VIPCustomers, On: rows | sqlfacts.TouchDefine},
		{Relation: factstest.Orders, On: sqlfacts.TouchDelete, Effect: policyv1.Effect_UPDATE},
	}
	rel(factstest.Orders).Reach = []sqlfacts.Reach{{Object: "public.audit_log", On: sqlfacts.TouchUpdate, Effect: policyv1.Effect_INSERT}}
	for sql, want := range map[string]string{
		"select name from orders":                                 "",
		"select name from customer_view":                          "READ public.customers, READ public.vip_customers, EXECUTE public.lower_user",
		"delete from customers":                                   "INSERT public.audit_log, UPDATE public.orders, DELETE public.vip_customers",
		"insert into customers (id) values (1)":                   "",
		"insert into vip_customers (id) values (1)":               "INSERT public.customers",
		"select name from vip_customers":                          "READ public.customers",
		"copy vip_customers to stdout":                            "READ public.customers",
		"select 1 from customers for update":                      "READ public.vip_customers, LOCK public.vip_customers",
		"alter table customers add x int":                         "DDL public.vip_customers",
		"insert into audited (id) values (1)":                     "EXECUTE public.archive",
		"explain delete from customers":                           "READ public.vip_customers",
		"with d as (delete from customers returning id) select 1": "READ public.vip_customers, INSERT public.audit_log, UPDATE public.orders, DELETE public.vip_customers",
	} {
		facts := resolve(t, sql, cat)
		var got []string
		for _, p := range facts.Operation.Reached {
			got = append(got, p.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s reaches %q, want %q", sql, strings.Join(got, ", "), want)
		}
	}
	with := resolve(t, "with d as (delete from customers returning id) select 1", cat)
	if len(with.Also) != 1 || len(with.Also[0].Reached) != 3 {
		t.Errorf("the command inside reaches %v", with.Also)
	}
}

func TestSettingsWhoseValueIsShown(t *testing.T) {
	for sql, want := range map[string]string{
		"select current_setting('app.jwt_secret')":                         "SESSION app.jwt_secret (its value)",
		"select 1 where current_setting('App.X', true) like 'a%'":          "SESSION app.x (its value)",
		"select pg_catalog.current_setting('app.x'::text)":                 "SESSION app.x (its value)",
		"select current_setting('app.x'::pg_catalog.text)":                 "SESSION app.x (its value)",
		"select current_setting('app.x'::public.text)":                     "SESSION * (its value)",
		"select current_setting('app.x'::varchar)":                         "SESSION * (its value)",
		"select current_setting('app.x'::text[])":                          "SESSION * (its value)",
		"select current_setting($1)":                                       "SESSION * (its value)",
		"select current_setting('app.' || 'x')":                            "SESSION * (its value)",
		"select current_setting('server_version')":                         "",
		"select current_setting('primary_conninfo')":                       "SESSION primary_conninfo (its value)",
		"show app.jwt_secret":                                              "SESSION app.jwt_secret (its value)",
		"show work_mem":                                                    "",
		"show all":                                                         "",
		"set app.x = 'y'":                                                  "SESSION app.x",
		"select set_config('app.x', current_setting('app.y'), false)":      "SESSION app.x, SESSION app.y (its value)",
		"select set_config('app.x', current_setting('app.x'), false)":      "SESSION app.x, SESSION app.x (its value)",
		"select current_setting('app.x'), set_config('app.x', 'y', false)": "SESSION app.x, SESSION app.x (its value)",
		"select current_setting('a.b'), set_config('a.b', 'c', true), current_setting('a.b'), set_config('a.b', 'd', true)": "SESSION a.b, SESSION a.b (its value)",
		"insert into orders (status) values (current_setting('a.b'))":                                                       "INSERT public.orders, SESSION a.b (its value)",
		"alter table orders add x text default current_setting('a.b')":                                                      "DDL public.orders, SESSION a.b (its value)",
	} {
		var got []string
		for _, p := range resolve(t, sql, factstest.New()).Operation.Pairs {
			got = append(got, p.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s does %q, want %q", sql, strings.Join(got, ", "), want)
		}
	}
}

func TestWhatMovesThePath(t *testing.T) {
	for sql, want := range map[string]bool{
		"select 1": false, "insert into orders (id) values (1)": false, "set work_mem = '1MB'": false, "show role": false, "begin": false, "commit": false,
		"create table x (id int)": false, "set app.x = 'y'": false, "select current_setting('app.x')": false,
		"set role x": true, "set local role x": true, "reset role": true, "reset all": true, "set session authorization x": true, "reset session authorization": true,
		"discard all": true, "select set_config('role', 'x', false)": true, "select set_config($1, 'x', false)": true, "create schema x": true, "drop schema x": true,
		"alter schema x rename to y": true, "alter schema x owner to y": true, "grant usage on schema x to y": true, "grant a to b": true,
		"select customer_password(1)": true, "insert into audited (id) values (1)": true, "do $$ begin end $$": true, "set search_path = x": true, "reset search_path": true,
	} {
		if got := resolve(t, sql, factstest.New()).MovesPath; got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

func TestRulesAreRead(t *testing.T) {
	got, err := sqlfacts.RulePairs("CREATE RULE r AS ON INSERT TO public.orders DO ALSO ( INSERT INTO public.audited (id) VALUES (new.id); DELETE FROM public.payments WHERE (payments.id = new.id); NOTIFY x;)", factstest.New())
	if want := "READ public.payments, INSERT public.audited, DELETE public.payments, NOTIFY x"; err != nil || pairs(got) != want {
		t.Errorf("got %s, %v, want %s", pairs(got), err, want)
	}
	for _, text := range []string{"select 1", "CREATE RULE", "'", "CREATE RULE r AS ON INSERT TO orders DO ALSO SELECT $0"} {
		if got, err := sqlfacts.RulePairs(text, factstest.New()); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestLimitsOfOneStatement(t *testing.T) {
	for name, c := range map[string]struct{ sql, code string }{
		"relations":   {"select 1 from a" + strings.Repeat(", a", 3000), "54001"},
		"parameters":  {"select $131073", "54000"},
		"too large":   {"select $2147483648", "42601"},
		"parameter 0": {"select $0", "42P02"},
		"together":    {"with a as (select 1)" + strings.Repeat(", a as (select 1)", 1200) + " select 1 from b" + strings.Repeat(", b", 1200), "54001"},
		"expressions": {"with a as (select 1)" + strings.Repeat(", a as (select 1)", 3000) + " select 1", "54001"},
	} {
		script, err := sqlfacts.Parse(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		_, err = script.Resolve(factstest.New())
		var e *sqlfacts.Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		text  string
		query bool
		want  string
	}{
		{"nextval('orders_id_seq'::regclass)", false, ""},
		{"now()", false, ""},
		{"('x'::text || lower(name))", false, ""},
		{"customer_password(id)", false, "public.customer_password"},
		{"(status = 'x'::order_status)", false, "type public.order_status"},
		{"(id OPERATOR(public.~=~) 1)", false, "operator public.~=~"},
		{"set_config('app.user'::text, 'x'::text, true)", false, "pg_catalog.set_config"},
		{"pg_advisory_lock(1)", false, "pg_catalog.pg_advisory_lock"},
		{"1 -- a comment", false, ""},
		{" SELECT c.id, customer_password(c.id) AS p FROM customers c;", true, "public.customer_password"},
		{"SELECT id FROM audited", true, ""},
	} {
		got, err := sqlfacts.ReadBody(c.text, c.query, factstest.New())
		if err != nil || strings.Join(got.Calls, ", ") != c.want {
			t.Errorf("%s: %v, %v, want %q", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"1) from customers; drop table customers; select (1", "nextval(name)", "'"} {
		if got, err := sqlfacts.ReadBody(text, false, factstest.New()); err == nil {
			t.Errorf("%s: %v, want an error", text, got)
		}
	}
}

func TestBodiesTellWhatTheyReadAndWhetherACallNeedsNoRow(t *testing.T) {
	for _, c := range []struct {
		text     string
		constant bool
		columns  string
	}{
		{"customer_password(id)", false, "id"},
		{"customer_password(1) > id", true, "id"},
		{"customer_password((id + 1)) = 3 AND customer_password(abs(1)) = 1", true, "id"},
		{"lower('x')", false, ""},
		{"upper(name) || \"e-mail\"", false, "name e-mail"},
	} {
		got, err := sqlfacts.ReadBody(c.text, false, factstest.New())
		if err != nil || got.Constant != c.constant || strings.Join(got.Columns, " ") != c.columns || got.Whole {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

// FuzzResolve: no text brings the resolver down, and what it says is within the text and the same each time.
func FuzzResolve(f *testing.F) {
	for _, c := range evasions {
		f.Add(c.sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		script, err := sqlfacts.Parse(sql)
		if err != nil {
			return
		}
		facts, err := script.Resolve(factstest.New())
		if err != nil {
			var e *sqlfacts.Error
			if !errors.As(err, &e) || e.Code == "" {
				t.Fatalf("not an *Error with a code: %v", err)
			}
			return
		}
		for _, s := range facts.Statements {
			if sql[s.Offset:s.Offset+len(s.Text)] != s.Text {
				t.Fatalf("%q is not at %d", s.Text, s.Offset)
			}
			at := 0
			for _, l := range s.Literals {
				if l.Start < at || l.End <= l.Start || l.End > len(s.Text) {
					t.Fatalf("literals %+v", s.Literals)
				}
				at = l.End
			}
			if s.ReadOnly && len(s.Calls) > 0 {
				t.Fatal("read-only with calls")
			}
			if s.Operation.Command == "" {
				t.Fatal("no command tag")
			}
		}
		if first, second := describe(sql, factstest.New()), describe(sql, factstest.New()); first != second {
			t.Fatalf("not the same twice:\n%s\n%s", first, second)
		}
	})
}

// What a constant is compared with is not known where the relation is not: it is hidden as if it met something masked.
func TestAConstantBesideAnUnknownRelationMeetsWhatNobodyKnows(t *testing.T) {
	for sql, want := range map[string]bool{
		"select id from orders where status = 's'":                                  false,
		"select id from newer where status = 's'":                                   true,
		"select id from newer, orders where status = 's'":                           true,
		"select id from orders, newer where status = 's'":                           true,
		"select id from orders where status = 's' and id in (select id from newer)": true,
		"select 's'": false,
	} {
		f, err := sqlfacts.NewAnalyzer(0).Facts(sql, factstest.New())
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if l := f.Statements[0].Literals; len(l) != 1 || l[0].Meets.Unknown != want {
			t.Errorf("%s: %+v", sql, l)
		}
	}
}
