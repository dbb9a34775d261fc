package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// foundSecret is of GitHub's form, put together here so that nobody takes this file for a leak.
var foundSecret = "ghp_" + strings.Repeat("Zx9Q", 9)

// notesSQL are texts with and without a secret in them, in each type that is searched.
func notesSQL() string {
	return fmt.Sprintf(`
CREATE TABLE notes (id int PRIMARY KEY, note text, doc jsonb, tags text[], short varchar(100), page xml, plain text);
INSERT INTO notes SELECT i, 'nothing' || i, '{"a": [1, "b"]}', '{a,"b c"}', 'short', '<a/>', 'plain' FROM generate_series(1, 2) i;
INSERT INTO notes VALUES (3, E'see\t%[1]s,\n"%[1]s" ключ', '{"k": "%[1]s", "n": 1.50}', '{x,%[1]s}', '%[1]s', '<a>%[1]s</a>', 'plain');
INSERT INTO notes VALUES (4, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE VIEW notes_view AS SELECT id, note FROM notes;
CREATE FUNCTION note_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM public.notes WHERE id = $1';
`, foundSecret)
}

// findingRules let mallory do what the test does; alice's dba group reads without the mask.
const findingRules = `rules:
- name: mallory-may
  who: {subjects: [mallory]}
  on: {targets: [orders], sql: {effects: [READ, INSERT, UPDATE, EXECUTE], relations: ["public.*"]}}
  allow: {}
`

// findingMasks replace all masks of the demo.
const (
	foundEverywhere = `masks:
- {name: found, on: {targets: [orders]}, detect: ["*"], redact: {}, except: {groups: [dba]}}
`
	foundInColumns = `masks:
- {name: found, on: {targets: [orders]}, columns: ["public.notes.*", "public.customers.note"], detect: [github-token], redact: {}, except: {groups: [dba]}}
`
)

// foundBy are statements that show the secret in the database, and what must be there in its place.
var foundBy = []struct{ sql, want string }{
	{"select note from notes where id = 3", "see\t[masked],\n\"[masked]\" ключ"},
	{"select doc from notes where id = 3", `"k": "[masked]"`},
	{"select tags from notes where id = 3", "[masked]"},
	{"select short from notes where id = 3", "[masked]"},
	{"select page from notes where id = 3", "<a>[masked]</a>"},
	{"select note || '.' from notes where id = 3", "see\t[masked],\n\"[masked]\" ключ."},
	{"select note from notes where note like '%ghp%' order by note", "[masked]"},
	{"select note from notes union all select 'x'", "[masked]"},
	{"select max(note) from notes", "[masked]"},
	{"select note from notes_view where id = 3", "[masked]"},
	{"select note_of(3)", "[masked]"},
	{"select note_of(id) from notes where note_of(id) like 'see%'", "[masked]"},
	{"select to_jsonb(n) from notes n where id = 3", `"[masked]"`},
	{"update notes set plain = 'p' where id = 3 returning note", "[masked]"},
}

// copiedBy are COPYs of the same.
var copiedBy = []string{
	"copy notes to stdout", "copy notes (note, id) to stdout (format csv, header)", "copy notes to stdout (format csv)", "copy notes to stdout (format binary)",
	"copy (select note, doc, short from notes order by id) to stdout", "copy (select note, doc from notes) to stdout (format csv, header)",
	"copy (select note, tags, doc, id from notes) to stdout (format binary)", "copy (select note_of(3)) to stdout",
}

func TestSecretsAreFoundInTextsOfTheDatabase(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: notesSQL() + "GRANT ALL ON ALL TABLES IN SCHEMA public TO orders_app;"})
	policyFile(t, s, "90-finding.yaml", findingRules)
	for name, masks := range map[string]string{"everywhere": foundEverywhere, "in columns": foundInColumns} {
		t.Run(name, func(t *testing.T) {
			policyFile(t, s, "40-masks.yaml", masks)
			t.Run("pgx", func(t *testing.T) { findByPgx(t, s) })
			t.Run("psql", func(t *testing.T) { findByPsql(t, s) })
			t.Run("an exception sees it, its record does not", func(t *testing.T) { findAsException(t, s) })
		})
	}
}

// findByPgx runs everything by both protocols, text and binary, and what is prepared twice.
func findByPgx(t *testing.T, s *stage.Stage) {
	token, err := s.Token(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	c, tap, err := tapped(t.Context(), s.PG, token)
	if err != nil {
		t.Fatal(err)
	}
	wantNone := func(sql string) {
		t.Helper()
		if got := tap.bytes(); bytes.Contains(got, []byte(foundSecret)) {
			t.Errorf("%s: the secret came through: %q", sql, got)
		}
		tap.reset()
	}
	for i, f := range foundBy {
		results, err := c.Exec(t.Context(), f.sql).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", f.sql, err)
		}
		if got := allValues(results[0].Rows); !strings.Contains(got, f.want) {
			t.Errorf("%s: got %q, want %q", f.sql, got, f.want)
		}
		wantNone(f.sql)
		statement := fmt.Sprintf("s%d", i)
		if _, err := c.Prepare(t.Context(), statement, f.sql, nil); err != nil {
			t.Fatalf("%s: %v", f.sql, err)
		}
		for _, format := range []int16{0, 1, 1} {
			r := c.ExecPrepared(t.Context(), statement, nil, nil, []int16{format}).Read()
			if r.Err != nil {
				t.Fatalf("%s: %v", f.sql, r.Err)
			}
			if got := allValues(r.Rows); !strings.Contains(got, f.want) {
				t.Errorf("%s: format %d: got %q, want %q", f.sql, format, got, f.want)
			}
			wantNone(f.sql)
		}
	}
	for _, sql := range copiedBy {
		var data bytes.Buffer
		if _, err := c.CopyTo(t.Context(), &data, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if !strings.Contains(data.String(), "[masked]") {
			t.Errorf("%s: %q", sql, data.String())
		}
		wantNone(sql)
	}
	if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if replay := replayOf(t, s, "demo:mallory"); strings.Contains(replay, foundSecret) || !strings.Contains(replay, "[masked]") {
		t.Errorf("the replay:\n%s", replay)
	}
}

func allValues(rows [][][]byte) string {
	var all []string
	for _, row := range rows {
		for _, v := range row {
			all = append(all, string(v))
		}
	}
	return strings.Join(all, "|")
}

// findByPsql reads what a person reads, and rows in which nothing is found as they are.
func findByPsql(t *testing.T, s *stage.Stage) {
	cmd, err := s.PsqlCommand(t.Context(), "mallory", "-X", "-At", "-v", "ON_ERROR_STOP=1")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = strings.NewReader("select * from notes order by id;\n\\copy notes to stdout\nselect note::int from notes where id = 1;")
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), foundSecret) {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{
		`1|nothing1|{"a": [1, "b"]}|{a,"b c"}|short|<a/>|plain`, `"k": "[masked]", "n": 1.50`, `{x,"[masked]"}`,
		"1\tnothing1\t", "see\\\t[masked],\\n\"[masked]\" ключ",
		`invalid input syntax for type integer: "nothing1"`, // no error is withheld for a search's sake
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

// findAsException is the control: what the database really sends.
func findAsException(t *testing.T, s *stage.Stage) {
	c := connect(t, s, "alice")
	var note, doc string
	if err := c.QueryRow(t.Context(), "select note, doc::text from notes where id = 3").Scan(&note, &doc); err != nil {
		t.Fatal(err)
	}
	if strings.Count(note, foundSecret) != 2 || !strings.Contains(doc, foundSecret) {
		t.Fatalf("got %q, %q", note, doc)
	}
	var data bytes.Buffer
	if _, err := c.PgConn().CopyTo(t.Context(), &data, "copy notes (id, note) to stdout"); err != nil || !strings.Contains(data.String(), foundSecret) {
		t.Fatalf("%v: %q", err, data.String())
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if replay := replayOf(t, s, "demo:alice"); strings.Contains(replay, foundSecret) || !strings.Contains(replay, "[masked]") {
		t.Errorf("the replay:\n%s", replay)
	}
}
