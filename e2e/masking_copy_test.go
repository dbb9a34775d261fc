package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"buf.build/go/protoyaml"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const copyMaskBundle = `
version: v1
issuers: [{name: corp, url: "https://idp.example", audiences: [sluice]}]
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
masks:
- {name: secrets, on: {targets: [orders]}, columns: ["public.nasty.secret", "public.nasty.pin", "public.nasty.doc", "public.nasty.short"], redact: {}}
- {name: mail, on: {targets: [orders]}, columns: ["public.nasty.email"], partial: {keep_domain: true}}
- {name: cards, on: {targets: [orders]}, columns: ["public.nasty.card"], partial: {keep_last: 2}}
`

// copyMaskSQL has a column for each way of hiding, and one in clear. What comes out goes into the second table.
const copyMaskSQL = `
create domain public.short_text as text;
create table public.nasty (id int, secret text, pin int, email varchar(80), doc jsonb, short public.short_text, card text, note text);
create table public.came_out (like public.nasty)`

// nastyRow is a row of the table; nil is NULL.
type nastyRow struct {
	ID                int
	Secret            *string
	Pin               *int
	Email, Doc        *string
	Short, Card, Note *string
}

func ptr[T any](v T) *T { return &v }

// nastyRows have each value in each column.
func nastyRows() []nastyRow {
	rows := []nastyRow{{ID: 0}}
	for i, v := range []string{
		"", "plain", `\N`, `\\N`, "NULL", "nil", "[masked]", "***", `\.`, ".", `\`, `\\`, "\t", "\n", "\r", "\r\n", "a\tb\nc", "tail\n", "\nhead",
		`"`, `""`, `'`, `a"b"c`, `"quoted"`, `,`, `a,b`, `;`, `|`, `a|b`, "\b\f\v", "\x01\x7f", " lead", "trail ", "ä", "漢字", "😀é", "\u202eabc",
		"@", "a@b", "@b", "a@", "x@y@z", "A", "nANb", "1234", "12345", strings.Repeat("long\t\"\\\n,", 2000),
	} {
		rows = append(rows, nastyRow{
			ID: i + 1, Secret: ptr("SECRET" + v), Pin: ptr(1000 + i), Email: ptr("SECRET" + v[:min(len(v), 8)] + "@x"),
			Doc: ptr(`{"a": "SECRET"}`), Short: ptr("SECRET" + v), Card: ptr("SECRET" + v), Note: ptr(v),
		})
		rows = append(rows, nastyRow{ID: 1000 + i, Secret: ptr(v), Email: ptr(v[:min(len(v), 8)]), Card: ptr(v), Note: ptr(v)})
	}
	return rows
}

// asShown is what must come out of a row. Where NULL looks like a value, everything hidden is masked alike.
func (r nastyRow) asShown(nullText *string) nastyRow {
	or := func(v *string) *string {
		if v == nil {
			return nullText
		}
		return v
	}
	out := nastyRow{ID: r.ID, Note: r.Note}
	if r.Note != nil && nullText != nil && *r.Note == *nullText {
		out.Note = nil // the client chose a NULL that looks like this value
	}
	if or(r.Secret) != nil {
		out.Secret = ptr("[masked]")
	}
	if v := or(r.Email); v != nil {
		out.Email = ptr("***")
		if at := strings.LastIndex(*v, "@"); at > 0 {
			*out.Email += (*v)[at:]
		}
	}
	if v := or(r.Card); v != nil {
		out.Card = ptr("***")
		if runes := []rune(*v); len(runes) > 4 {
			*out.Card += string(runes[len(runes)-2:])
		}
	}
	return out
}

// pieces passes a stream on to a plan in pieces of any size.
type pieces struct {
	plan *masking.CopyPlan
	rand *rand.Rand
	out  []byte
	// fixed is the size of pieces; 0 for any.
	fixed int
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := len(rest)
		switch {
		case p.fixed > 0:
			n = min(n, p.fixed)
		case p.rand != nil:
			n = 1 + p.rand.IntN(n)
		}
		var err error
		if p.out, err = p.plan.Rewrite(p.out, bytes.Clone(rest[:n])); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(b), nil
}

func TestCopyOfARealTableIsMaskedInEveryFormat(t *testing.T) {
	pg := stack.NewPostgres(t, stack.PostgresOptions{InitSQL: copyMaskSQL})
	conn := pg.Superuser("postgres")
	ctx := patient(t)
	c, err := pgx.Connect(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	rows := nastyRows()
	for _, r := range rows {
		if _, err := c.Exec(ctx, "insert into nasty values ($1, $2, $3, $4, $5, $6, $7, $8)", r.ID, r.Secret, r.Pin, r.Email, r.Doc, r.Short, r.Card, r.Note); err != nil {
			t.Fatal(err)
		}
	}
	bundle := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(copyMaskBundle), bundle); err != nil {
		t.Fatal(err)
	}
	policy, err := policies.Compile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	catalog := openCatalog(t, conn).snapshot(t)
	view := masking.NewView(policy.Masks(&identityv1.Principal{Issuer: "corp"}, "orders"), catalog)
	for _, w := range []struct {
		options string
		// null is what NULL looks like where it looks like a value.
		null *string
	}{
		{"", nil},
		{"(header)", nil},
		{"(header false)", nil},
		{"(delimiter '|')", nil},
		{"(delimiter ',', null '')", ptr("")},
		{"(null 'NULL')", ptr("NULL")},
		{"(delimiter 'A', null 'nil', header true)", ptr("nil")},
		{"(delimiter '@', null 'none')", ptr("none")},
		{"(format csv)", nil},
		{"(format csv, header)", nil},
		{"(format csv, null 'NULL', delimiter ';')", nil},
		{"(format csv, quote '''', header on)", nil},
		{`(format csv, escape '\')`, nil},
		{`(format csv, null '\N', force_quote *)`, nil},
		{"(format csv, force_quote (secret, note), delimiter E'\\t')", nil},
		{"(format csv, escape ',')", nil},
		{"(format csv, escape 'a', quote '|')", nil},
		{"csv header", nil},
		{"(format binary)", nil},
		{"binary", nil},
	} {
		t.Run(w.options, func(t *testing.T) {
			sql := "copy nasty to stdout " + w.options
			facts, err := sqlfacts.NewAnalyzer(0).Facts(sql, catalog)
			if err != nil {
				t.Fatal(err)
			}
			if v := view.Check(facts.Statements); v != nil || !view.Touches(facts.Statements) {
				t.Fatal(v)
			}
			var whole []byte
			for _, p := range []*pieces{{}, {fixed: 1}, {rand: rand.New(rand.NewPCG(1, 2))}} {
				p.plan = view.Copy(facts.Statements[0].Copy)
				if _, err := c.PgConn().CopyTo(ctx, p, sql); err != nil {
					t.Fatal(err)
				}
				if err := p.plan.End(); err != nil {
					t.Fatal(err)
				}
				if whole == nil {
					whole = p.out
				}
				if !bytes.Equal(whole, p.out) {
					t.Error("in other pieces it comes out otherwise")
				}
			}
			if bytes.Contains(whole, []byte("SECRET")) {
				t.Error("a secret is shown")
			}
			if _, err := c.Exec(ctx, "truncate came_out"); err != nil {
				t.Fatal(err)
			}
			// PostgreSQL itself reads what came out.
			back := strings.NewReplacer("force_quote *", "header false", "force_quote (secret, note)", "header false").Replace(w.options)
			if _, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(whole), "copy came_out from stdin "+back); err != nil {
				t.Fatalf("PostgreSQL cannot read it: %v", err)
			}
			var want []string
			for _, r := range rows {
				want = append(want, show(r.asShown(w.null)))
			}
			if diff := cmp.Diff(want, cameOut(t, c)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// cameOut reads the second table.
func cameOut(t *testing.T, c *pgx.Conn) []string {
	t.Helper()
	found, err := c.Query(patient(t), "select id, secret, pin, email, doc::text, short, card, note from came_out order by ctid")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(found, pgx.RowToStructByPos[nastyRow])
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(got))
	for i, r := range got {
		out[i] = show(r)
	}
	return out
}

// show writes a row so that NULL, empty and all else differ.
func show(r nastyRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pin %v", r.ID, r.Pin != nil)
	for _, v := range []*string{r.Secret, r.Email, r.Doc, r.Short, r.Card, r.Note} {
		if v == nil {
			b.WriteString(" NULL")
		} else {
			fmt.Fprintf(&b, " %.60q(%d)", *v, len(*v))
		}
	}
	return b.String()
}
