package sqlfacts_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// TestGolden reads testdata/*.sql, texts with an empty line between them, and compares what is said of each.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".sql"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for sql := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
				fmt.Fprintf(&got, "%s\n%s\n", sql, describe(sql, factstest.New()))
			}
			golden := strings.TrimSuffix(file, ".sql") + ".golden"
			if updating() {
				if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs (go test -run TestGolden -update rewrites it):\n%s", golden, firstDifference(got.String(), string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return "it is longer"
}

// describe writes facts for people to compare.
func describe(sql string, cat sqlfacts.Catalog) string {
	script, err := sqlfacts.Parse(sql)
	var facts *sqlfacts.Facts
	if err == nil {
		facts, err = script.Resolve(cat)
	}
	var e *sqlfacts.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("  error %s at %d: %s\n", e.Code, e.Position, e.Message)
	}
	var b strings.Builder
	for i := range facts.Statements {
		describeStatement(&b, &facts.Statements[i])
	}
	return b.String()
}

func describeStatement(b *strings.Builder, s *sqlfacts.Statement) {
	fmt.Fprintf(b, "  %s", s.Operation.Command)
	if s.Kind != sqlfacts.Plain {
		fmt.Fprintf(b, " kind %d", s.Kind)
	}
	if s.Name != "" {
		fmt.Fprintf(b, " name %q", s.Name)
	}
	if s.ReadOnly {
		b.WriteString(" read-only")
	}
	fmt.Fprintf(b, "\n    does %s\n", pairs(s.Operation.Pairs))
	for _, o := range s.Also {
		fmt.Fprintf(b, "    also %s: %s\n", o.Command, pairs(o.Pairs))
	}
	if s.Reason != "" {
		fmt.Fprintf(b, "    because %s\n", s.Reason)
	}
	if marks := marksOf(s); len(marks) > 0 {
		fmt.Fprintf(b, "    is marked %s\n", strings.Join(marks, ", "))
	}
	for _, u := range s.Uses {
		fmt.Fprintf(b, "    uses %s in %s\n", column(u), u.Where)
	}
	for _, c := range s.Calls {
		fmt.Fprintf(b, "    calls %s", c.Function)
		if c.Via != "" {
			fmt.Fprintf(b, " by %s", c.Via)
		}
		if c.Output {
			b.WriteString(" (output)")
		}
		b.WriteByte('\n')
	}
	for _, l := range s.Literals {
		fmt.Fprintf(b, "    literal %s meets %s\n", s.Text[l.Start:l.End], meets(l.Meets))
	}
	for i, m := range s.Parameters {
		fmt.Fprintf(b, "    $%d meets %s\n", i+1, meets(m))
	}
	if c := s.Copy; c != nil {
		fmt.Fprintf(b, "    copies %v columns", c.Relation)
		for _, column := range c.Columns {
			fmt.Fprintf(b, " %s", column.Name)
		}
		fmt.Fprintf(b, " format %d delimiter %q quote %q escape %q null %q header %v\n",
			c.Format, c.Delimiter, c.Quote, c.Escape, c.Null, c.Header)
	}
	if len(s.Relations) > 0 {
		b.WriteString("    touches")
		for _, r := range s.Relations {
			fmt.Fprintf(b, " %s", r)
		}
		b.WriteByte('\n')
	}
}

// marksOf are what is said of a statement in one word.
func marksOf(s *sqlfacts.Statement) []string {
	var words []string
	for _, m := range []struct {
		set  bool
		word string
	}{
		{s.Given, "given"},
		{s.Temporary, "temporary"},
		{s.ReadsValues, "reads values"},
		{s.MovesPath, "moves path"},
		{s.MovesNames, "moves names"},
	} {
		if m.set {
			words = append(words, m.word)
		}
	}
	if s.Inside != sqlfacts.Plain {
		words = append(words, fmt.Sprintf("inside %d", s.Inside))
	}
	return words
}

func pairs(list []policies.Pair) string {
	var words []string
	for _, p := range list {
		words = append(words, strings.TrimSpace(p.Effect.String()+" "+p.Object))
	}
	return strings.Join(words, ", ")
}

func column(u sqlfacts.ColumnUse) string { return u.Relation.String() + "." + u.Column }

func meets(m sqlfacts.Meets) string {
	var words []string
	if m.Secret {
		words = append(words, "SECRET")
	}
	for _, u := range m.Columns {
		words = append(words, column(u))
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, " ")
}
