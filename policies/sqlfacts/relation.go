package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// item is one place where a statement names a relation.
type item struct {
	rel    *Relation // nil if it does not exist
	object string    // of its pairs
	alias  string    // by which columns name it
	level  int32
	touch  Touch
	// target: of INSERT, UPDATE, DELETE or MERGE, so that reading it is a question; read is the answer.
	target, read bool
}

// joinAlias is JOIN … AS alias: a row over the items [from, to).
type joinAlias struct {
	alias    string
	from, to int
}

const publicTemp = "temporary objects are not supported yet"

// tempSchema is what a session calls the schema of its own; the others' are pg_temp_1 and so on.
const tempSchema = "pg_temp"

// isTemp says whether a schema is a session's own.
func isTemp(schema string) bool { return strings.HasPrefix(schema, tempSchema) }

// lookup asks the catalog once a name.
func (w *walker) lookup(schema, name string) *Relation {
	key := relationName{schema, name}
	if rel, ok := w.names[key]; ok {
		return rel
	}
	rel, err := w.cat.Relation(schema, name)
	if err != nil {
		w.catalogFailed(err)
		return nil
	}
	if w.names == nil {
		w.names = make(map[relationName]*Relation, 4)
	}
	if rel != nil {
		// One pointer for one relation, however it is named.
		for _, known := range w.names {
			if known != nil && known.OID == rel.OID {
				rel = known
				break
			}
		}
	}
	w.names[key] = rel
	return rel
}

// relation registers a use of a relation and returns its index.
func (w *walker) relation(rv *pg.RangeVar, c ctx, touch Touch) int {
	if len(w.items)+w.ctes >= maxItems {
		w.fail(&Error{Code: "54001", Message: "the statement names too many relations"})
		return 0
	}
	schema, name := rv.GetSchemaname(), rv.GetRelname()
	it := item{alias: name, level: c.level, touch: touch}
	if isTemp(schema) {
		w.unknown(publicTemp)
	}
	it.rel = w.lookup(schema, name)
	it.object = objectName(it.rel, schema, name)
	if it.rel != nil && isTemp(it.rel.Schema) {
		w.unknown(publicTemp)
	}
	if a := rv.GetAlias(); a != nil {
		it.alias = a.GetAliasname()
	}
	w.items = append(w.items, it)
	i := len(w.items) - 1
	if len(rv.GetAlias().GetColnames()) > 0 {
		// Renamed columns would have to be followed by their new names.
		w.use(i, "*", "a list of column aliases")
	}
	return i
}

func objectName(rel *Relation, schema, name string) string {
	switch {
	case rel != nil:
		return rel.String()
	case schema != "":
		return schema + "." + name
	default:
		return name
	}
}

// read registers a relation that is read.
func (w *walker) read(rv *pg.RangeVar, c ctx) int {
	i := w.relation(rv, c, TouchRead)
	if w.err == nil {
		w.items[i].read = true
		w.pair(policyv1.Effect_READ, w.items[i].object)
	}
	return i
}

// target registers the target of a change. What it reads of itself is found at the end.
func (w *walker) target(rv *pg.RangeVar, c ctx, touch Touch) int {
	i := w.relation(rv, c, touch)
	if w.err == nil {
		w.items[i].target = true
	}
	return i
}

// definition registers a relation that DDL is about, with everything that it may run.
func (w *walker) definition(rv *pg.RangeVar, c ctx, effect policyv1.Effect) int {
	i := w.relation(rv, c, TouchRead|TouchInsert|TouchUpdate|TouchDefine)
	if w.err == nil {
		w.pair(effect, w.items[i].object)
	}
	return i
}

// fixedUse is a use that needs no looking up by name.
type fixedUse struct {
	item   int
	column string
	where  string
	group  int32
}

// use records that a column of an item is used, "*" for the whole row.
func (w *walker) use(i int, column, where string) {
	w.fixed = append(w.fixed, fixedUse{i, column, where, groupAll})
}

// useRange records whole rows of the items [from, to).
func (w *walker) useRange(from, to int, where string) {
	for i := from; i < to; i++ {
		w.use(i, "*", where)
	}
}
