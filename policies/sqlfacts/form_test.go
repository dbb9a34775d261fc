package sqlfacts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

// formTexts have %d where a number stands; not all of them may be found by their form.
var formTexts = []string{
	"SELECT name FROM customers WHERE id = %d",
	"SELECT name FROM customers WHERE id=%d;",
	"SELECT name FROM customers WHERE id > %d AND id <= %d ORDER BY 1 LIMIT %d",
	"UPDATE customers SET id = %d WHERE (id <> %d)",
	"SELECT 1; DELETE FROM orders WHERE id = %d; SELECT password FROM customers WHERE id >= %d",
	"INSERT INTO orders (id) VALUES (%d)",
	"SELECT password FROM customers WHERE id = %d GROUP BY password, %d",
	"SELECT count(*) FROM customers WHERE name = 'x = %d'",
	"SELECT nextval(regclass => %d)",
	"SELECT id FROM customers WHERE id = %d.5",
	"SELECT id FROM customers WHERE id = %de3",
	"SELECT id -- = %d\nFROM customers WHERE id = %d",
	"SELECT $1 FROM customers WHERE id = %d",
	"SET work_mem = %d",
	"SELECT id FROM customers WHERE id IN (%d, %d) AND id =\n\t%d",
}

func TestFactsByFormAreThoseOfTheText(t *testing.T) {
	a := sqlfacts.NewAnalyzer(16 << 20)
	catalog := factstest.New()
	forms := map[*sqlfacts.Form]*sqlfacts.Facts{}
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.SampledFrom(formTexts).Draw(r, "text")
		numbers := make([]any, strings.Count(text, "%d"))
		for i := range numbers {
			numbers[i] = rapid.OneOf(rapid.IntRange(0, 9), rapid.IntRange(0, 1<<40)).Draw(r, "number")
		}
		sql := fmt.Sprintf(text, numbers...)
		got, gotErr := a.Facts(sql, catalog)
		want, wantErr := byParse(sql, catalog)
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			r.Fatalf("%s: got %v, want %v", sql, gotErr, wantErr)
		}
		if gotErr != nil {
			return
		}
		got.Size, want.Size = 0, 0
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sqlfacts.Facts{}, "Form")); diff != "" {
			r.Fatalf("%s:\n%s", sql, diff)
		}
		if got.Form == nil {
			return
		}
		before, known := forms[got.Form]
		forms[got.Form] = got
		if !known {
			return
		}
		alike := cmpopts.IgnoreFields(sqlfacts.Statement{}, "Text", "Offset", "Literals")
		if diff := cmp.Diff(before.Statements, want.Statements, alike); diff != "" {
			r.Fatalf("%s and %s are of one form:\n%s", before.Statements[0].Text, sql, diff)
		}
	})
}

func byParse(sql string, c sqlfacts.Catalog) (*sqlfacts.Facts, error) {
	script, err := sqlfacts.Parse(sql)
	if err != nil {
		return nil, err
	}
	f, err := script.Resolve(c)
	if err != nil {
		return nil, err
	}
	clone := *f
	return &clone, nil
}
