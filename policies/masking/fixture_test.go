package masking

import (
	"testing"

	"buf.build/go/protoyaml"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// head is a bundle without masks.
const head = `
issuers: [{name: corp, url: "https://idp.example", audiences: [sluice]}]
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
`

const usualMasks = `masks:
- {name: secrets, on: {targets: [orders]}, columns: ["public.customers.password", "*.*.api_key"], redact: {}}
- {name: mail, on: {targets: [orders]}, columns: ["public.customers.email"], partial: {keep_domain: true}}
- {name: cards, on: {targets: [orders]}, columns: ["public.payments.card_number"], partial: {keep_last: 4}}
- {name: managers, on: {targets: [orders]}, columns: ["public.vip_customers.manager"], redact: {text: X}}
`

func maskSet(t testing.TB, masks string) policies.MaskSet {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(head+masks), b); err != nil {
		t.Fatal(err)
	}
	b.Version = "v1"
	p, err := policies.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p.Masks(&identityv1.Principal{Issuer: "corp", Subject: "agent"}, "orders")
}

// OIDs of relations that are added to those of factstest.
const (
	viewOfView  = 17001
	rowView     = 17002
	countView   = 17003
	partitioned = 17004
	partition   = 17005
	brokenView  = 17006
	orphan      = 17007
	keyedView   = 17008
)

// catalog is that of factstest with views over views, whole rows, partitions, and relations with unknown kin.
func catalog() *factstest.Catalog {
	c := factstest.New()
	add := func(oid uint32, name string, kind byte, change func(*sqlfacts.Relation), columns ...string) {
		rel := &sqlfacts.Relation{OID: oid, Schema: "public", Name: name, Kind: kind}
		for i, n := range columns {
			rel.Columns = append(rel.Columns, sqlfacts.Column{Number: int16(i + 1), Name: n, TypeOID: 25, TypeName: "text"})
		}
		if change != nil {
			change(rel)
		}
		c.Relations = append(c.Relations, rel)
	}
	reads := func(ids ...sqlfacts.ColumnID) func(*sqlfacts.Relation) {
		return func(r *sqlfacts.Relation) { r.Reads = ids }
	}
	id := func(rel uint32, number int16) sqlfacts.ColumnID {
		return sqlfacts.ColumnID{Relation: rel, Number: number}
	}
	add(viewOfView, "view_of_view", 'v', reads(id(factstest.CustomerView, 3), id(factstest.Customers, 5)), "s")
	add(rowView, "row_view", 'v', reads(id(factstest.Customers, 0)), "c")
	add(countView, "count_view", 'v', nil, "count")
	add(partitioned, "events", 'p', func(r *sqlfacts.Relation) { r.Children = []uint32{partition} }, "id", "detail", "secret")
	add(partition, "events_1", 'r', func(r *sqlfacts.Relation) { r.Parents = []uint32{partitioned} }, "id", "detail", "secret")
	add(brokenView, "broken_view", 'v', reads(id(99999, 1)), "x")
	add(orphan, "orphan", 'r', func(r *sqlfacts.Relation) { r.Parents = []uint32{99998} }, "id", "x")
	add(keyedView, "keyed_view", 'v', nil, "id", "api_key")
	return c
}

func view(t testing.TB, masks string) *View {
	t.Helper()
	return NewView(maskSet(t, masks), catalog())
}

func facts(t testing.TB, cat sqlfacts.Catalog, sql string) []sqlfacts.Statement {
	t.Helper()
	f, err := sqlfacts.NewAnalyzer(0).Facts(sql, cat)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return f.Statements
}
