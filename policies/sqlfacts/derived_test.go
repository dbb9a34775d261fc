package sqlfacts_test

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// hasPassword reports whether the password is among columns, by its name or with the whole row.
func hasPassword(columns string) bool {
	return strings.Contains(columns, "public.customers.password") || strings.Contains(columns, "public.customers.*")
}

func TestAConstantMeetsWhatIsBehindAColumnOfAnotherName(t *testing.T) {
	for _, sql := range []string{
		"select x from (select password as x from customers) s where x = 'a'",
		"select x from (select password as x from customers) s where s.x = 'a'",
		"select 1 from (select password as name from customers) s, customers c where name = 'a'",
		"select x from (select y as x from (select password as y from customers) r) s where x = 'a'",
		"select x from (select lower(password) as x from customers) s where x = 'a'",
		"select 1 from (select lower(password) from customers) s where lower = 'a'",
		"select 1 from (select password::text as x from customers) s where x = 'a'",
		"with s as (select password as x from customers) select 1 from s where x = 'a'",
		"with s as (select password as x from customers) select 1 from s r where r.x like 'a'",
		"with s (x) as (select password from customers) select 1 from s where x = 'a'",
		"with s (name) as (select password from customers) select 1 from s where name = 'a'",
		"with recursive s as (select password as x from customers union all select x from s where x = 'a') select 1 from s",
		"with s as (update customers set note = note returning password as x) select 1 from s where x = 'a'",
		"select 1 from customers c, lateral (select c.password as x) s where x = 'a'",
		"select 1 from customers c, lower(c.password) x where x = 'a'",
		"select 1 from customers c, lower(c.password) where lower = 'a'",
		"select 1 from customers c, lateral (values (c.password)) v (x) where x = 'a'",
		"select 1 from customers c, lateral (values (c.password)) v where column1 = 'a'",
		"select 1 from (select password from customers) s (x) where x = 'a'",
		"select 1 from (select name from customers union select password from customers) s where name = 'a'",
		"select 1 from (customers c join orders o on true) j (a, b, c, d, e) where j.e = 'a'",
		"select 1 from orders where exists (select 1 from (select password as x from customers) s where x = 'a')",
		"select 1 from (select password as x from customers) s order by x = 'a'",
		"select 1 from (select password as x from customers) s group by x having min(x) = 'a'",
		"select 1 from (select password as x from customers) s where (s).x = 'a'",
		"select 1 from (select password from customers) s where s::text = 'a'",
		"select 1 from (select password from customers) s where row(s.*)::text = 'a'",
		"select 1 from orders join (select password as x from customers) s on x = 'a'",
		"select 1 from orders where status = (select x from (select password as x from customers) s limit 1) || 'a'",
		"merge into orders using (select id, password as x from customers) s on s.id = orders.id when matched and s.x = 'a' then delete",
		"merge into orders using (select password as x from customers) s on s.x = 'a' when matched then delete",
		"update orders set status = status from (select password as x from customers) s where s.x = 'a'",
		"delete from orders using (select password as x from customers) s where x = 'a'",
		"insert into orders (status) select status from orders, (select password as x from customers) s where x = 'a'",
		"select 1 from json_table((select to_jsonb(password) from customers), '$' columns (x text path '$')) j where x = 'a'",
	} {
		s := resolve(t, sql, factstest.New())
		found := false
		for _, l := range s.Literals {
			found = found || s.Text[l.Start:l.End] == "'a'" && hasPassword(meets(l.Meets))
		}
		if !found {
			t.Errorf("%s: %+v", sql, s.Literals)
		}
		s = resolve(t, strings.Replace(sql, "'a'", "$1", 1), factstest.New())
		if got := meets(s.Parameters[0]); !hasPassword(got) {
			t.Errorf("%s: $1 meets %s", sql, got)
		}
	}
}

func TestAConstantMeetsNothingElseByAColumnOfItsOwnName(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1 from (select id, name, password from customers) s where name = 'a'":                            "public.customers.name",
		"with s as (select name, password as x from customers) select x from s where s.name = 'a'":               "public.customers.name",
		"select 1 from customers c, (select password as x from customers) s where c.name = 'a'":                  "public.customers.name",
		"select 1 from customers c where name = 'a' and exists (select 1 from customers where password is null)": "public.customers.name",
		"select 1 from (select * from customers) s where name = 'a'":                                             "public.customers.name",
	} {
		s := resolve(t, sql, factstest.New())
		got := "nothing"
		for _, l := range s.Literals {
			if s.Text[l.Start:l.End] == "'a'" {
				got = meets(l.Meets)
			}
		}
		if got != want {
			t.Errorf("%s: it meets %s, want %s", sql, got, want)
		}
	}
}
