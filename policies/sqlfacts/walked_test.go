package sqlfacts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// nothing is a catalog in which nothing is known.
type nothing struct{}

func (nothing) Version() uint64                              { return 1 }
func (nothing) Relation(string, string) (*Relation, error)   { return nil, nil }
func (nothing) RelationByOID(uint32) (*Relation, error)      { return nil, nil }
func (nothing) Functions(string, string) ([]Function, error) { return nil, nil }
func (nothing) Operators(string) ([]Operator, error)         { return nil, nil }
func (nothing) Type(string, string) (*Type, error)           { return nil, nil }
func (nothing) TypeByOID(uint32) (*Type, error)              { return nil, nil }
func (nothing) UserCasts() bool                              { return false }
func (nothing) DefinitionCalls() []string                    { return nil }

// Whatever names a column in a statement is read, wherever it stands: in a branch that nobody reads, anything could be done.
func TestEveryColumnThatAStatementNamesIsRead(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	texts := make([]string, 0, 400)
	for _, file := range files {
		data, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.Split(string(data), "\n\n")...)
	}
	for _, value := range []string{
		"(a, b.c)", "row(a, b.c)", "(select a, b.c from b where d)", "row(z.*, (select a from b))", "row(z.*, z.*, z.*, a)", "row((a).*, lower(b.c))", "(b.*)",
	} {
		texts = append(texts, "update t set (x, y) = "+value+" from z",
			"insert into t values (1) on conflict (x) do update set w = e, (x, y) = "+value+" where f",
			"merge into t using z on g when matched then update set (x, y) = "+value)
	}
	read := 0
	for _, text := range texts {
		script, err := Parse(text)
		if err != nil {
			continue
		}
		for _, raw := range script.stmts {
			var st Statement
			w := script.walker(raw, nothing{}, &st, &budget{ctx: context.Background()})
			w.statement(raw.GetStmt())
			if w.err != nil || st.Reason != "" {
				continue
			}
			known := map[string]bool{}
			for _, r := range w.refs {
				known[r.qualifier+"."+r.name] = true
			}
			eachColumn(raw.GetStmt().ProtoReflect(), func(name string) {
				if read++; !known[name] {
					t.Errorf("%s is not read in %s", name, text)
				}
			})
		}
	}
	if read < 200 {
		t.Errorf("only %d names were looked for", read)
	}
}

// eachColumn finds the names of columns anywhere in a tree.
func eachColumn(m protoreflect.Message, found func(name string)) {
	if cr, ok := m.Interface().(*pg.ColumnRef); ok {
		qualifier, name := qualified(append([]*pg.Node{{}}, cr.GetFields()...))
		found(qualifier + "." + name)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind:
		case f.IsList():
			for i := range v.List().Len() {
				eachColumn(v.List().Get(i).Message(), found)
			}
		default:
			eachColumn(v.Message(), found)
		}
		return true
	})
}
