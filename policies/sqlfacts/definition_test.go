package sqlfacts_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// keys gives a catalog whose orders have keys, whose customers have children, and whose email is in columns.
func keys() *factstest.Catalog {
	cat := factstest.New()
	for _, rel := range cat.Relations {
		switch rel.OID {
		case factstest.Orders:
			rel.PrimaryKey, rel.PartitionKey = []int16{1}, []int16{4, 0}
		case factstest.Customers:
			rel.Children = []uint32{factstest.VIPCustomers}
		}
	}
	for i := range cat.Types {
		if cat.Types[i].Name == "email" {
			cat.Types[i].Columns = []sqlfacts.ColumnID{{Relation: 99, Number: 1}, {Relation: factstest.Customers, Number: 99}, {Relation: factstest.Customers, Number: 3}}
		}
	}
	return cat
}

func TestDefinitionsUseWhatTheyLookAt(t *testing.T) {
	for sql, want := range map[string]string{
		"create table t (x int references orders)":                                       "public.orders.id",
		"create table t (x int references orders (total))":                               "public.orders.total",
		"create table t partition of orders default":                                     "public.orders.status public.orders.*",
		"alter domain email add check (value <> '')":                                     "public.customers.email",
		"alter domain email set not null":                                                "public.customers.email",
		"alter domain email drop constraint c":                                           "",
		"alter table customers drop column password":                                     "public.customers.password",
		"alter table orders drop column total":                                           "",
		"select 1 from orders o join payments p on true natural join customers c":        "public.orders.id public.payments.id public.customers.id",
		"select 1 from (orders o join payments p on true) as j natural join customers c": "public.orders.* public.payments.* public.customers.*",
	} {
		var uses []string
		for _, u := range resolve(t, sql, keys()).Uses {
			uses = append(uses, column(u))
		}
		if got := strings.Join(uses, " "); got != want {
			t.Errorf("%s: uses %q, want %q", sql, got, want)
		}
	}
}

// lost is a catalog that has lost its connection after the first answers: it finds no relation by its OID.
type lost struct{ *factstest.Catalog }

var errLost = errors.New("connection lost")

func (lost) RelationByOID(uint32) (*sqlfacts.Relation, error) { return nil, errLost }

func TestACatalogThatFailsOnTheWayFails(t *testing.T) {
	reaching := keys()
	i := slices.IndexFunc(reaching.Relations, func(r *sqlfacts.Relation) bool { return r.OID == factstest.Orders })
	reaching.Relations[i].Reach = []sqlfacts.Reach{{Relation: factstest.Payments, On: sqlfacts.TouchRead}}
	for _, sql := range []string{
		"alter domain email set not null", "refresh materialized view customer_summary", "select name from customer_view", "select id from orders",
	} {
		script, err := sqlfacts.Parse(sql)
		if err != nil {
			t.Fatal(err)
		}
		var e *sqlfacts.Error
		if _, err = script.Resolve(lost{reaching}); !errors.As(err, &e) || e.Code != "58000" || !errors.Is(err, errLost) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestConstantsHaveTheirPlacesInEachStatement(t *testing.T) {
	const sql = "select 'é', 1; select extract(year from note::date) from customers where id = -5 and name = 'b' and -7.5 > total"
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := script.Resolve(factstest.New())
	if err != nil {
		t.Fatal(err)
	}
	s := facts.Statements[1]
	var got []string
	for _, l := range s.Literals {
		got = append(got, s.Text[l.Start:l.End]+" meets "+meets(l.Meets))
	}
	want := []string{"5 meets public.customers.id", "'b' meets public.customers.name", "7.5 meets nothing"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAParameterThatCannotBeIsToldWithItsPlace(t *testing.T) {
	for sql, want := range map[string]int{
		"select $0":              8,
		"select 'é', $0":         13,
		"$0":                     0,
		"  select 1, $0":         0,
		"select 1; select $0":    0,
		"select $2147483648":     8,
		"delete from t where $0": 21,
	} {
		script, err := sqlfacts.Parse(sql)
		if err != nil {
			continue
		}
		var e *sqlfacts.Error
		if _, err = script.Resolve(factstest.New()); !errors.As(err, &e) || e.Position != want {
			t.Errorf("%s: %v at %d, want %d", sql, err, e.Position, want)
		}
	}
	if n := len(resolve(t, "select $131072", factstest.New()).Parameters); n != 131072 {
		t.Errorf("%d parameters", n)
	}
}

func TestNamesOfSequencesAreReadAsRegclassReadsThem(t *testing.T) {
	const unknown = "UNKNOWN"
	for call, want := range map[string]string{
		"nextval('Orders_ID_seq')":             "UPDATE public.orders_id_seq",
		"nextval(' public . orders_id_seq ')":  "UPDATE public.orders_id_seq",
		`nextval('"Orders_id_seq"')`:           "UPDATE Orders_id_seq",
		`nextval('public."orders_id_seq"')`:    "UPDATE public.orders_id_seq",
		`nextval('a."b""c"')`:                  `UPDATE a.b"c`,
		"nextval('s'::text::regclass)":         "UPDATE s",
		"nextval('s'::pg_catalog.regclass)":    "UPDATE s",
		"nextval('s'::text::text::text::text)": "UPDATE s",
		"currval('s')":                         "READ s",
		"setval('s', 5)":                       "UPDATE s",
		"nextval('s'::name)":                   unknown,
		"nextval('s'::public.regclass)":        unknown,
		"nextval('{s}'::text[])":               unknown,
		"nextval('a.b.c')":                     unknown,
		"nextval('a.')":                        unknown,
		"nextval('.a')":                        unknown,
		"nextval('a b')":                       unknown,
		"nextval('')":                          unknown,
		"nextval('5')":                         unknown,
		"nextval('a,b')":                       unknown,
		"nextval('a /*')":                      unknown,
		`nextval('"a')`:                        unknown,
		`nextval('a."b')`:                      unknown,
		`nextval('U&"a"')`:                     unknown,
		"nextval()":                            unknown,
		"nextval(variadic 's')":                unknown,
		"nextval(regclass => 's')":             unknown,
		"nextval(5)":                           unknown,
		"nextval('pg_temp.s')":                 "UPDATE pg_temp.s, UNKNOWN",
	} {
		if got := pairs(resolve(t, "select "+call, factstest.New()).Operation.Pairs); got != want {
			t.Errorf("%s does %s, want %s", call, got, want)
		}
	}
}
