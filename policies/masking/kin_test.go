package masking

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// kin are relations and columns that have, or had, other names, or values of others.
func kin(masks string) (relation func(change func(*sqlfacts.Relation), columns ...sqlfacts.Column) *sqlfacts.Relation, view func(t testing.TB) *View) {
	c := catalog()
	relation = func(change func(*sqlfacts.Relation), columns ...sqlfacts.Column) *sqlfacts.Relation {
		rel := &sqlfacts.Relation{OID: uint32(18000 + len(c.Relations)), Schema: "public", Name: "clients", Kind: 'r', Columns: columns}
		for i := range rel.Columns {
			rel.Columns[i].Number, rel.Columns[i].TypeOID = int16(i+1), 25
		}
		if change != nil {
			change(rel)
		}
		c.Relations = append(c.Relations, rel)
		return rel
	}
	return relation, func(t testing.TB) *View { return NewView(maskSet(t, masks), c) }
}

var formerCustomers = []sqlfacts.Name{{Schema: "public", Name: "others"}, {Schema: "public", Name: "customers"}}

// asCustomers is a relation of the name that masks know.
func asCustomers(r *sqlfacts.Relation) { r.Name = "customers" }

func formerly(r *sqlfacts.Relation) { r.Former = formerCustomers }

func ofKin(r *sqlfacts.Relation) { r.FormerKin = formerCustomers }

// followed are columns to which a mask of public.customers.NAME goes along; the last column of each is asked about. whole:
// nothing of them is kept, since they are worked out from it.
var followed = []struct {
	name    string
	change  func(*sqlfacts.Relation)
	columns func(name string) []sqlfacts.Column
	whole   bool
}{
	{"its table was renamed", formerly, func(n string) []sqlfacts.Column { return []sqlfacts.Column{{Name: n}} }, false},
	{"it was a partition's", ofKin, func(n string) []sqlfacts.Column { return []sqlfacts.Column{{Name: n}} }, false},
	{"it was renamed", asCustomers, func(n string) []sqlfacts.Column { return []sqlfacts.Column{{Name: "x", Former: []string{"y", n}}} }, false},
	{"both were renamed", formerly, func(n string) []sqlfacts.Column { return []sqlfacts.Column{{Name: "x", Former: []string{n}}} }, false},
	{"it is generated from it", asCustomers, func(n string) []sqlfacts.Column {
		return []sqlfacts.Column{{Name: "x"}, {Name: n}, {Name: "copy", From: []int16{99, 3, 1, 2}}}
	}, true},
	{"it was generated from it", asCustomers, func(n string) []sqlfacts.Column {
		return []sqlfacts.Column{{Name: "copy", FromFormer: []string{"x", n}}}
	}, true},
}

func TestAMaskGoesAlongWithItsColumn(t *testing.T) {
	for _, c := range followed {
		relation, view := kin(usualMasks)
		yes := relation(c.change, c.columns("email")...)
		no := relation(c.change, c.columns("name")...)
		v := view(t)
		last := func(r *sqlfacts.Relation) string { return r.Columns[len(r.Columns)-1].Name }
		m := v.Column(yes, last(yes))
		if nameOf(m) != "mail" || m.KeepDomain == c.whole {
			t.Errorf("%s: %+v", c.name, m)
		}
		if m := v.Column(no, last(no)); m != nil {
			t.Errorf("%s, of a column in clear: %+v", c.name, m)
		}
	}
}

func TestASearchGoesAlongWithItsColumn(t *testing.T) {
	for _, c := range followed {
		relation, view := kin(narrowMask)
		yes := relation(c.change, c.columns("name")...)
		no := relation(c.change, c.columns("email")...)
		v := view(t)
		last := func(r *sqlfacts.Relation) string { return r.Columns[len(r.Columns)-1].Name }
		if searchedAs(v, v.searchedColumn(yes, last(yes))) != "found" {
			t.Errorf("%s: it is not searched", c.name)
		}
		if v.searchedColumn(no, last(no)) != 0 {
			t.Errorf("%s, of another column: it is searched", c.name)
		}
	}
}

func TestASearchLooksBehindViewsAndKin(t *testing.T) {
	relation, view := kin(narrowMask)
	reads := func(oid uint32, number int16) func(*sqlfacts.Relation) {
		return func(r *sqlfacts.Relation) { r.Reads = []sqlfacts.ColumnID{{Relation: oid, Number: number}} }
	}
	column := sqlfacts.Column{Name: "shown"}
	relations := map[string]*sqlfacts.Relation{
		"a view of the column":           relation(reads(factstest.Customers, 2), column),
		"a view of whole rows":           relation(reads(factstest.Customers, 0), column),
		"a view of what is not known":    relation(reads(99999, 1), column),
		"a child of what is not known":   relation(func(r *sqlfacts.Relation) { r.Parents = []uint32{99999} }, column),
		"no view of another column":      relation(reads(factstest.Customers, 5), column),
		"no view of another table":       relation(reads(factstest.Orders, 0), column),
		"no child of a table without it": relation(func(r *sqlfacts.Relation) { r.Parents = []uint32{factstest.Customers} }, column),
		"no table beside":                relation(nil, column),
	}
	v := view(t)
	for name, rel := range relations {
		if got := searchedAs(v, v.searchedColumn(rel, "shown")) != ""; got == strings.HasPrefix(name, "no ") {
			t.Errorf("%s: searched %v", name, got)
		}
	}
}

// A child's column has the parent's former names too.
func TestAMaskGoesAlongToChildrenOfWhatWasRenamed(t *testing.T) {
	relation, view := kin(usualMasks)
	parent := relation(asCustomers, sqlfacts.Column{Name: "id"}, sqlfacts.Column{Name: "pw", Former: []string{"password"}})
	child := relation(func(r *sqlfacts.Relation) { r.Parents = []uint32{parent.OID} }, sqlfacts.Column{Name: "id"}, sqlfacts.Column{Name: "pw"}, sqlfacts.Column{Name: "own"})
	v := view(t)
	for column, want := range map[string]string{"pw": "secrets", "id": "", "own": ""} {
		if got := nameOf(v.Column(child, column)); got != want {
			t.Errorf("%s: got %q", column, got)
		}
	}
}

func TestCatalogsThatHoldValuesOrPasswordsAreHiddenWhereAnythingIs(t *testing.T) {
	for _, c := range []struct {
		schema, name, column, want string
	}{
		{"pg_catalog", "pg_stats", "tablename", "unproven"},
		{"pg_catalog", "pg_statistic", "x", "unproven"},
		{"public", "pg_stats", "tablename", ""},
		{"pg_catalog", "pg_roles", "rolconfig", "unproven"},
		{"pg_catalog", "pg_authid", "rolpassword", "unproven"},
		{"pg_catalog", "pg_roles", "rolname", ""},
		{"public", "pg_roles", "rolconfig", ""},
		{"pg_catalog", "pg_class", "relname", ""},
	} {
		relation, view := kin(usualMasks)
		rel := relation(func(r *sqlfacts.Relation) { r.Schema, r.Name = c.schema, c.name }, sqlfacts.Column{Name: c.column})
		if got := nameOf(view(t).Column(rel, c.column)); got != c.want {
			t.Errorf("%s.%s.%s: got %q", c.schema, c.name, c.column, got)
		}
	}
}

func TestAColumnIsHiddenByItsOriginWhateverAStatementSays(t *testing.T) {
	v := view(t, usualMasks)
	for _, c := range []struct {
		name     string
		relation uint32
		number   int16
		want     bool
	}{
		{"a masked column", factstest.Customers, 5, true},
		{"a column in clear", factstest.Customers, 2, false},
		{"no origin", 0, 5, false},
		{"of an unknown relation", 424242, 1, true},
		{"a column of a view over a masked one", factstest.CustomerView, 1, true},
		{"the whole row", factstest.Customers, 0, true},
		{"the whole row of what has nothing masked", factstest.Orders, 0, false},
	} {
		if got := v.HidesOrigin(c.relation, c.number); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if view(t, everywhereMask).HidesOrigin(424242, 1) {
		t.Error("a search hides a column in whole")
	}
}

func TestErrorsOfWhatWorksOnMaskedValuesMayQuoteThem(t *testing.T) {
	v := view(t, usualMasks)
	customers, err := v.Catalog().RelationByOID(factstest.Customers)
	if err != nil {
		t.Fatal(err)
	}
	orders, err := v.Catalog().RelationByOID(factstest.Orders)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		s    sqlfacts.Statement
		want bool
	}{
		{"it reads values of a masked table", sqlfacts.Statement{ReadsValues: true, Relations: []*sqlfacts.Relation{orders, customers}}, true},
		{"it reads values of a table in clear", sqlfacts.Statement{ReadsValues: true, Relations: []*sqlfacts.Relation{orders}}, false},
		{"it reads no values", sqlfacts.Statement{Relations: []*sqlfacts.Relation{customers}}, false},
		{"it uses a masked column", sqlfacts.Statement{Uses: []sqlfacts.ColumnUse{{Column: "x"}, {Relation: customers, Column: "password"}}}, true},
		{"it uses a column in clear", sqlfacts.Statement{Uses: []sqlfacts.ColumnUse{{Column: "password"}, {Relation: customers, Column: "name"}}}, false},
	} {
		statements := []sqlfacts.Statement{{}, c.s}
		if got := v.Quotes(statements); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if view(t, everywhereMask).Quotes(statements) {
			t.Errorf("%s: a search quotes", c.name)
		}
	}
}

// The name by which a text is searched is the column's own; that of the description is the client's choice.
func TestTheNameOfADescribedColumnIsThatOfItsOrigin(t *testing.T) {
	relation, view := kin("masks:\n- {name: found, on: {targets: [orders]}, detect: [aws-access-key], redact: {}}\n")
	rel := relation(nil, sqlfacts.Column{Name: "id"}, sqlfacts.Column{Name: "secret_access_key"})
	v := view(t)
	key := strings.Repeat("aB3/", 10)
	for _, c := range []struct {
		name   string
		field  Field
		hidden bool
	}{
		{"of the column", Field{Relation: rel.OID, Number: 2}, true},
		{"of another column", Field{Relation: rel.OID, Number: 1}, false},
		{"of no column", Field{Relation: rel.OID, Number: 3}, false},
		{"of the whole row", Field{Relation: rel.OID, Number: 0}, false},
		{"of a system column", Field{Relation: rel.OID, Number: -1}, false},
		{"of an unknown relation", Field{Relation: 424242, Number: 2}, false},
		{"of nothing", Field{Number: 2}, false},
	} {
		c.field.Type = 25
		plan := v.Plan(facts(t, v.Catalog(), "select 1"), []Field{c.field})
		if plan == nil {
			t.Fatalf("%s: no plan", c.name)
		}
		_, same, err := plan.Row(nil, dataRow([]byte(key)))
		if err != nil || same == c.hidden {
			t.Errorf("%s: hidden %v, %v", c.name, !same, err)
		}
	}
}

// An array is laid out in one way as text and in another in binary.
func TestAnArrayIsReadInTheFormatThatItComesIn(t *testing.T) {
	v := view(t, narrowMask)
	statements := facts(t, v.Catalog(), "select name from customers")
	rel := statements[0].Relations[0]
	in := map[bool]string{false: `{a,` + secret + `}`, true: arrayOf(25, []byte("a"), []byte(secret))}
	want := map[bool]string{false: `{a,"[masked]"}`, true: arrayOf(25, []byte("a"), []byte("[masked]"))}
	for inBinary := range in {
		format, copyFormat := int16(0), sqlfacts.CopyText
		if inBinary {
			format, copyFormat = 1, sqlfacts.CopyBinary
		}
		plan := v.Plan(statements, []Field{{Relation: factstest.Customers, Number: 2, Type: 1009, Format: format}})
		got, _, err := plan.Row(nil, dataRow([]byte(in[inBinary])))
		if err != nil || string(got) != string(dataRow([]byte(want[inBinary]))) {
			t.Errorf("binary %v: a row becomes %q, %v", inBinary, got, err)
		}
		spec := &sqlfacts.Copy{
			Relation: rel, Format: copyFormat, Delimiter: '\t', Null: `\N`, Columns: []sqlfacts.Column{{Number: 2, Name: "name", TypeOID: 1009}},
		}
		stream := func(value string) string {
			if inBinary {
				return binaryStream("", true, dataRow([]byte(value)))
			}
			return value + "\n"
		}
		out, err := v.Copy(spec).Rewrite(nil, []byte(stream(in[inBinary])))
		if err != nil || string(out) != stream(want[inBinary]) {
			t.Errorf("binary %v: a COPY becomes %q, %v", inBinary, out, err)
		}
	}
	query := facts(t, v.Catalog(), "copy (select array_agg(name) from customers) to stdout (format binary)")
	p := v.CopyQuery(&query[0], 1)
	if p == nil {
		t.Fatal("a COPY of a query is not searched")
	}
	out, err := p.Rewrite(nil, []byte(binaryStream("", true, dataRow([]byte(in[true])))))
	if err != nil || string(out) != binaryStream("", true, dataRow([]byte(want[true]))) {
		t.Errorf("a COPY of a query becomes %q, %v", out, err)
	}
}

func TestAnArrayHasAtMostSixDimensions(t *testing.T) {
	h := searchOf(t, everywhereMask, 1009, true)
	for dimensions, read := range map[uint32]bool{1: true, 6: true, 7: false} {
		var b []byte
		for _, n := range []uint32{dimensions, 0, 25} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		for range 2 * dimensions {
			b = binary.BigEndian.AppendUint32(b, 1)
		}
		b = append(b, dataRow([]byte(secret))[2:]...)
		if _, passes := h.shown(nil, nil, b); passes == read {
			t.Errorf("%d dimensions: read %v", dimensions, !passes)
		}
	}
}
