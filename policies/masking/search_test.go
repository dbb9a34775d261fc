package masking

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// secret is of GitHub's form; put together here, so that nobody takes this file for a leak.
var secret = "ghp_" + strings.Repeat("a1B2", 9)

const (
	everywhereMask = "masks:\n- {name: found, on: {targets: [orders]}, detect: [github-token, card-number], redact: {}}\n"
	narrowMask     = "masks:\n- {name: found, on: {targets: [orders]}, columns: [\"public.customers.name\", \"public.events_1.detail\"], detect: [github-token], redact: {}}\n"
	bothMasks      = usualMasks + `- {name: found, on: {targets: [orders]}, columns: ["public.customers.*"], detect: ["*"], redact: {text: FOUND}}
`
)

// searchOf is how a view that searches everywhere searches a column of a type.
func searchOf(t testing.TB, masks string, oid uint32, binary bool) *hiding {
	t.Helper()
	v := view(t, masks)
	return v.searching(v.search.all(), "", oid, binary)
}

// arrayOf lays out a one-dimensional array in binary; nil is NULL.
func arrayOf(element uint32, values ...[]byte) string {
	var b []byte
	for _, n := range []uint32{1, 1, element, uint32(len(values)), 1} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return string(append(b, dataRow(values...)[2:]...))
}

func TestWhatIsFoundInAValueIsHiddenAndNothingElse(t *testing.T) {
	const partial = "masks:\n- {name: found, on: {targets: [orders]}, detect: [github-token], partial: {keep_last: 4}}\n"
	odd := "masks:\n- {name: found, on: {targets: [orders]}, detect: [github-token], redact: {text: '\"<a, b>\\'}}\n"
	const card = "4111" + "111111111111"
	deep := strings.Repeat("[", 20000) + `"` + secret + `"` + strings.Repeat("]", 20000)
	for _, c := range []struct {
		name, masks string
		oid         uint32
		binary      bool
		in, want    string // no want: it passes as it is
	}{
		{"nothing in it", everywhereMask, 25, false, "just words, ghp_ and 4111", ""},
		{"an empty text", everywhereMask, 25, false, "", ""},
		{"all of it", everywhereMask, 25, false, secret, "[masked]"},
		{"several in a text", everywhereMask, 25, false, "a " + secret + " b " + card + " c " + secret + ".", "a [masked] b [masked] c [masked]."},
		{"between characters of many bytes", everywhereMask, 1043, true, "ключ «" + secret + "» 漢字😀", "ключ «[masked]» 漢字😀"},
		{"a detector that is not named finds nothing", narrowMask, 25, false, card, ""},
		{"the kept part of a find", partial, 25, false, "it is " + secret + "!", "it is ***" + secret[len(secret)-4:] + "!"},
		{"over lines", everywhereMask, 1042, false, "x\n" + secret + "\ny", "x\n[masked]\ny"},
		{"xml stays XML", odd, 142, false, "<a>" + secret + "</a>", "<a>&#34;&lt;a, b&gt;\\</a>"},
		{"a string in json", everywhereMask, 114, false, `{ "a":"` + secret + `", "n": 1.50 }`, `{ "a":"[masked]", "n": 1.50 }`},
		{"json stays JSON", odd, 3802, false, `["` + secret + `"]`, `["\"<a, b>\\"]`},
		{"a number in json", everywhereMask, 114, true, `{"card": ` + card + `}`, `{"card": null}`},
		{"an escape in json", everywhereMask, 114, false, `["\u0067` + secret[1:] + `"]`, `["[masked]"]`},
		{"json with nothing in it", everywhereMask, 114, false, "{ \"a\" : [1,2, \"\\u0041\"] }", ""},
		{"json that is too deep is read as a text", odd, 114, false, deep, strings.Replace(deep, secret, "_<a__b>_", 1)},
		{"jsonb in binary keeps its version", everywhereMask, 3802, true, "\x01{\"a\": \"" + secret + "\"}", "\x01{\"a\": \"[masked]\"}"},
		{"jsonb in binary with nothing in it", everywhereMask, 3802, true, "\x01{\"a\": \"b\"}", ""},
		{"jsonb in binary stays JSON", odd, 3802, true, "\x01[\"" + secret + "\"]", "\x01[\"\\\"<a, b>\\\\\"]"},
		{"an empty jsonb in binary", everywhereMask, 3802, true, "", ""},
		{"what has the form of a JSON array", odd, 0, false, " [\"" + secret + "\"]", " [\"\\\"<a, b>\\\\\"]"},
		{"jsonb of a version to come", everywhereMask, 3802, true, "\x02" + secret, "\x02[masked]"},
		{"an array", everywhereMask, 1009, false, `{a,` + secret + `,NULL,"b \"c\" ` + secret + `"}`, `{a,"[masked]",NULL,"b \"c\" [masked]"}`},
		{"a nested array with bounds", odd, 1009, false, `[0:0][1:2]={{` + secret + `,"x,y"}}`, `[0:0][1:2]={{"\"<a, b>\\","x,y"}}`},
		{"an array with nothing in it", everywhereMask, 1009, false, `{a,"b c",NULL}`, ""},
		{"an array of jsonb", everywhereMask, 3807, false, `{"{\"a\": \"` + secret + `\"}"}`, `{"{\"a\": \"[masked]\"}"}`},
		{"an array in binary", everywhereMask, 1009, true, arrayOf(25, []byte("a"), nil, []byte(secret), []byte("ä")), arrayOf(25, []byte("a"), nil, []byte("[masked]"), []byte("ä"))},
		{"an array of jsonb in binary", everywhereMask, 3807, true, arrayOf(3802, []byte("\x01[\""+secret+"\"]")), arrayOf(3802, []byte("\x01[\"[masked]\"]"))},
		{"an array in binary with nothing in it", everywhereMask, 1009, true, arrayOf(25, []byte("a"), nil), ""},
		{"an array in binary that is none", everywhereMask, 1009, true, arrayOf(25, []byte(secret))[:30], ""},
		{"an array in binary that is shorter than its head", everywhereMask, 1009, true, "\x00\x00\x00\x01", ""},
		{"a type of the user's", everywhereMask, 17000, false, "x " + secret, "x [masked]"},
		{"a type of the user's in binary", everywhereMask, 17000, true, "x " + secret, "x [masked]"},
		{"a type with lengths in binary is left alone", everywhereMask, 17000, true, "\x00\x00\x00\x28" + secret, ""},
		{"what has the form of an array in binary", everywhereMask, 0, true, arrayOf(25, nil, []byte(secret)), arrayOf(25, nil, []byte("[masked]"))},
		{"an array of numbers in binary", everywhereMask, 0, true, arrayOf(23, []byte(secret)), ""},
		{"a row", odd, 2249, false, "(1," + secret + ")", "(1,_<a__b>_)"},
		{"what has the form of JSON", everywhereMask, 0, false, ` {"card": ` + card + `}`, ` {"card": null}`},
		{"what has the form of jsonb", everywhereMask, 0, true, "\x01{\"card\": " + card + "}", "\x01{\"card\": null}"},
		{"what only begins like JSON", everywhereMask, 0, false, "{" + secret + "}", "{[masked]}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := searchOf(t, c.masks, c.oid, c.binary)
			got, passes := h.shown([]byte("dst"), []byte("before"), []byte(c.in))
			want := "dstbefore" + c.want
			if c.want == "" {
				want = "dst"
			}
			if string(got) != want || passes != (c.want == "") {
				t.Errorf("got %q, passes %v; want %q", got, passes, want)
			}
			row := dataRow([]byte("1"), []byte(c.in), nil)
			out, same, err := Plan{nil, h, h}.Row(nil, row)
			if err != nil || same != (c.want == "") {
				t.Fatalf("row: same %v, %v", same, err)
			}
			if !same && !bytes.Equal(out, dataRow([]byte("1"), []byte(c.want), nil)) || same && len(out) > 0 {
				t.Errorf("row: got %q", out)
			}
		})
	}
}

func TestTypesThatHoldNoTextAreNotSearched(t *testing.T) {
	for _, oid := range []uint32{16, 17, 18, 20, 23, 700, 1700, 1184, 2950, 1007, 1231, 3614} {
		if searchOf(t, everywhereMask, oid, false) != nil || searchOf(t, everywhereMask, oid, true) != nil {
			t.Errorf("%d is searched", oid)
		}
	}
}

// searchedAs is the name of the first search of a set; "" for none.
func searchedAs(v *View, set searchSet) string {
	if set == 0 {
		return ""
	}
	return v.finder(set).rule.Name
}

func TestSearchesLookIntoTheColumnsThatTheyName(t *testing.T) {
	field := func(rel uint32, number int16) Field { return Field{Relation: rel, Number: number, Type: 25} }
	const plain = "select id from orders"
	for _, c := range []struct {
		name, masks, sql string
		field            Field
		touches, want    bool
	}{
		{"its column", narrowMask, "select name from customers", field(factstest.Customers, 2), true, true},
		{"another of the table", narrowMask, "select email from customers", field(factstest.Customers, 3), true, false},
		{"of another table", narrowMask, plain, field(factstest.Orders, 3), false, false},
		{"a child has its parent's", narrowMask, "select name from vip_customers", field(factstest.VIPCustomers, 2), true, true},
		{"a partitioned table shows its partition's", narrowMask, "select detail from events", field(partitioned, 2), true, true},
		{"any column of a view over it", narrowMask, "select * from row_view", field(rowView, 1), true, true},
		{"a view over other columns", narrowMask, "select count from count_view", field(countView, 1), false, false},
		{"a view over an unknown relation", narrowMask, "select x from broken_view", field(brokenView, 1), true, true},
		{"a table with an unknown parent", narrowMask, "select x from orphan", field(orphan, 2), true, true},
		{"computed of it", narrowMask, "select upper(name) from customers", field(0, 0), true, true},
		{"computed beside it", narrowMask, "select upper(email) from customers", field(0, 0), true, false},
		{"computed where it is only compared", narrowMask, "select upper(email) from customers where name = 'a'", field(0, 0), true, true},
		{"computed of a union", narrowMask, "select name from customers union all select 'x'", field(0, 0), true, true},
		{"computed where a function runs", narrowMask, "select customer_password(1)", field(0, 0), true, true},
		{"computed from a relation that is not known yet", narrowMask, "select lower(x) from newer", field(0, 0), true, true},
		{"an unknown relation", narrowMask, plain, field(424242, 1), false, true},
		{"an unknown column", narrowMask, plain, field(factstest.Customers, 99), false, true},
		{"a whole row with it", narrowMask, "select customers from customers", Field{Relation: factstest.Customers, Type: 17000}, true, true},
		{"RETURNING", narrowMask, "update customers set email = 'x' where id = 1 returning name", field(factstest.Customers, 2), true, true},
		{"any column", everywhereMask, plain, field(factstest.Orders, 3), true, true},
		{"any column of a relation that is not known", everywhereMask, plain, field(424242, 3), true, true},
		{"any computed column", everywhereMask, "select 'a' || 'b'", field(0, 0), true, true},
		{"the text of a setting", everywhereMask, "show timezone", field(0, 0), true, true},
		{"no rows", everywhereMask, "begin; savepoint a; set statement_timeout = 1; commit", Field{Type: 23}, false, false},
		{"a column of no text", everywhereMask, plain, Field{Relation: factstest.Orders, Number: 1, Type: 23}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(t, c.masks)
			f := facts(t, v.Catalog(), c.sql)
			if !v.Empty() || v.Passes() {
				t.Fatal("it hides columns, or nothing at all")
			}
			if got := v.Touches(f); got != c.touches {
				t.Errorf("touches: %v", got)
			}
			for range 2 { // the second is from memory
				plan := v.Plan(f, []Field{{Relation: factstest.Orders, Number: 1, Type: 23}, c.field})
				if got := plan != nil && plan[1] != nil && plan[1].finder != nil; got != c.want {
					t.Errorf("searched: %v", got)
				}
				if plan != nil && plan[0] != nil {
					t.Error("a number is searched")
				}
			}
		})
	}
}

func TestASearchRefusesNothing(t *testing.T) {
	for _, masks := range []string{everywhereMask, narrowMask} {
		v := view(t, masks)
		for _, sql := range []string{
			"select name from customers where name like 'g%' order by name", "select customer_password(1) where customer_password(2) = ''",
			"copy newer to stdout", "copy (select name from customers) to stdout", "select count(*) from customers group by name",
		} {
			f := facts(t, v.Catalog(), sql)
			if err := v.Check(f); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
			for i := range f {
				for _, l := range f[i].Literals {
					if v.Hides(l.Meets) {
						t.Errorf("%s: a constant is hidden", sql)
					}
				}
			}
		}
	}
}

func TestAMaskOfTheWholeColumnWins(t *testing.T) {
	v := view(t, bothMasks)
	if v.Empty() {
		t.Fatal("no column is hidden")
	}
	for number, want := range map[int16]struct {
		rule  string
		finds bool
	}{2: {"found", true}, 3: {"mail", false}, 5: {"secrets", false}} {
		plan := v.Plan(facts(t, v.Catalog(), "select name from customers"), []Field{{Relation: factstest.Customers, Number: number, Type: 25}})
		if plan == nil || plan[0].rule.Name != want.rule || (plan[0].finder != nil) != want.finds {
			t.Errorf("column %d: %+v", number, plan)
		}
	}
	v = view(t, copyMasks+"- {name: found, on: {targets: [orders]}, detect: [\"*\"], redact: {}}\n")
	p := v.Copy(copySpec(sqlfacts.CopyText, nil))
	got, err := p.Rewrite(nil, []byte("1\t"+secret+"\t7\t"+secret+"@x\tsee "+secret+"\n"))
	if want := "1\t[masked]\t\\N\t***@x\tsee [masked]\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSeveralSearchesOfAColumnHideWhatAnyFinds(t *testing.T) {
	v := view(t, `masks:
- {name: cards, on: {targets: [orders]}, columns: ["public.customers.name"], detect: [card-number], redact: {text: CARD}}
- {name: tokens, on: {targets: [orders]}, detect: [github-token], redact: {text: TOKEN}}
- {name: passwords, on: {targets: [orders]}, columns: ["public.customers.*"], detect: [connection-string], redact: {text: PW}}
`)
	customers, err := v.Catalog().RelationByOID(factstest.Customers)
	if err != nil {
		t.Fatal(err)
	}
	text := "4111" + "111111111111 " + secret + " postgres://u:-" + secret + "-x@h"
	for column, want := range map[string]string{
		"name": "CARD CARD postgres://u:CARD@h", "email": "4111" + "111111111111 TOKEN postgres://u:TOKEN@h",
	} {
		h := v.searching(v.searchedColumn(customers, column), "", 25, false)
		got, _ := h.shown(nil, nil, []byte(text))
		if string(got) != want {
			t.Errorf("%s: got %q, want %q", column, got, want)
		}
	}
	if got := searchedAs(v, v.search.everywhere); got != "tokens" {
		t.Errorf("everywhere: %q", got)
	}
}

func TestMoreSearchesThanBitsAreTakenTogether(t *testing.T) {
	masks := "masks:\n"
	for i := range 70 {
		column := "id"
		if i == 69 {
			column = "note"
		}
		masks += "- {name: m" + string(rune('a'+i/10)) + string(rune('0'+i%10)) + ", on: {targets: [orders]}, columns: [\"public.t." + column + "\"], detect: [github-token], redact: {}}\n"
	}
	v := view(t, masks)
	spec := copySpec(sqlfacts.CopyText, nil)
	if v.searchedColumn(spec.Relation, "note") != bitOf(lastSearch) || v.searchedColumn(spec.Relation, "secret") != 0 {
		t.Error("the last search is lost, or another column has it")
	}
}

func TestACatalogThatFailsLetsEverySearchLook(t *testing.T) {
	cat := catalog()
	v := NewView(maskSet(t, narrowMask), cat)
	statements := facts(t, cat, "select id from orders")
	cat.Err = errors.New("down")
	if plan := v.Plan(statements, []Field{{Relation: factstest.Orders, Number: 3, Type: 25}}); plan == nil || plan[0].finder == nil {
		t.Error("a column whose relation cannot be asked for is not searched")
	}
}

func TestSearchesAreSafeForConcurrentUse(t *testing.T) {
	v := view(t, bothMasks)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			plan := v.Plan(nil, []Field{{Relation: factstest.Customers, Number: 2, Type: 25}, {Relation: factstest.Customers, Number: 1, Type: 3802}})
			row := dataRow([]byte(secret), []byte(`["`+secret+`"]`))
			if out, _, err := plan.Row(nil, row); err != nil || !bytes.Equal(out, dataRow([]byte("FOUND"), []byte(`["FOUND"]`))) {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	all.Wait()
}

func TestRowsInWhichNothingIsFoundCostNoMemory(t *testing.T) {
	h := searchOf(t, everywhereMask, 25, false)
	row := dataRow([]byte("1"), []byte(strings.Repeat("nothing to see in this text. ", 20)))
	if n := testing.AllocsPerRun(100, func() {
		if _, same, err := (Plan{nil, h}).Row(nil, row); !same || err != nil {
			t.Error("the row is changed")
		}
	}); n > 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkSearchedRow(b *testing.B) {
	for name, c := range map[string]struct {
		oid   uint32
		value string
	}{
		"text": {25, strings.Repeat("nothing to see in this text. ", 20)},
		"json": {114, `{"name": "` + strings.Repeat("nothing to see in this text. ", 18) + `", "n": [1, 2, 3]}`},
	} {
		b.Run(name, func(b *testing.B) {
			plan := Plan{nil, searchOf(b, everywhereMask, c.oid, false)}
			row := dataRow([]byte("1"), []byte(c.value))
			b.SetBytes(int64(len(row)))
			b.ReportAllocs()
			for b.Loop() {
				if _, same, err := plan.Row(nil, row); !same || err != nil {
					b.Fatal("the row is changed")
				}
			}
		})
	}
}

func TestTheNameOfAColumnTellsWhatItsTextsAre(t *testing.T) {
	v := view(t, "masks:\n- {name: found, on: {targets: [orders]}, detect: [aws-access-key], redact: {}}\n")
	key := strings.Repeat("aB3/", 10)
	doc := `{"SecretAccessKey": "` + key + `", "other": "` + key + `"}`
	hidden := `{"SecretAccessKey": "[masked]", "other": "` + key + `"}`
	for _, c := range []struct {
		name     string
		oid      uint32
		binary   bool
		in, want string
	}{
		{"secret_access_key", 25, false, key, "[masked]"},
		{"aws_secret_key", 1043, true, key, "[masked]"},
		{"aws_secret_keys", 1009, false, "{" + key + "}", "{" + key + "}"},
		{"aws_secret_key", 1009, false, "{" + key + ",x}", `{"[masked]",x}`},
		{"note", 25, false, key, key},
		{"", 25, false, key, key},
		{"doc", 114, false, doc, hidden},
		{"doc", 3802, true, "\x01" + doc, "\x01" + hidden},
	} {
		h := v.searching(v.search.all(), c.name, c.oid, c.binary)
		got, passes := h.shown(nil, nil, []byte(c.in))
		if passes {
			got = []byte(c.in)
		}
		if string(got) != c.want {
			t.Errorf("%s of type %d: %s, want %s", c.name, c.oid, got, c.want)
		}
	}
}
