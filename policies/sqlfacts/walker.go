package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

const (
	// maxTree bounds the walk; maxDepth keeps every tree far below it.
	maxTree = 8000
	// maxItems bounds the relations and common table expressions of one statement: column names are looked up in all
	// of them.
	maxItems = 2000
	// maxParameter is the highest parameter number that is read. A Bind can carry 65,535; PostgreSQL takes statements with
	// more, and refuses the Bind.
	maxParameter = 1 << 17
)

// walker collects what one statement says; finish turns that into a Statement. Columns are resolved only at the end,
// when all relations are known: a name means every column that it could mean, at any level.
type walker struct {
	cat     Catalog
	st      *Statement
	offset  int // of the statement in the script
	consts  []span
	direct  bool // only what the text itself runs, not what relations run: see Calls
	names   map[relationName]*Relation
	items   []item
	derived derived
	aliases []string // of what is no relation: subqueries, functions, common table expressions
	joins   []joinAlias
	refs    []reference
	fixed   []fixedUse
	natures map[itemColumn]struct{} // what NATURAL JOIN is known to compare
	calls   map[callName]int        // by what they are, if there are many
	types   map[string]struct{}     // those outside pg_catalog that are named
	further []ColumnUse             // of relations that the statement does not name
	groups  []group
	placed  []int32 // by constant: its group, or unplaced
	params  [][]int32
	ops     []string
	pairs   []policies.Pair
	targets []ColumnUse
	into    *pg.IntoClause
	levels  int32
	depth   int
	budget  *budget
	ctes    int
	// userTypes: a value of a type from outside pg_catalog may appear; constantCall: a call outside the pure list takes
	// no column.
	// explained: what would be output is told of instead, by EXPLAIN.
	explained bool
	// schema: it makes, moves or drops a schema.
	schema                                              bool
	userTypes, constantCall, evaluates, secret, utility bool
	err                                                 error
}

// ctx is where the walk stands; passed by value.
type ctx struct {
	scope *scope
	// level numbers the query whose FROM a bare star means.
	level int32
	// group is where constants and columns meet.
	group int32
	// hidden is 1 + the index of the INSERT target that names here cannot mean; 0 for none.
	hidden int32
	// where is for people.
	where string
	// output: in an output expression of the top level.
	output bool
}

// scope is a chain of common table expressions' names, innermost first.
type scope struct {
	name   string
	parent *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.name == name {
			return true
		}
	}
	return false
}

type relationName struct{ schema, name string }

// group is a set of columns and constants that meet. Columns meet what stands in the groups around them as well.
type group struct {
	parent int32
	// all: a constant here may flow anywhere.
	all bool
	// flows: so it is, and all around it, by a column of something derived.
	flows   bool
	columns []ColumnUse
	meets   *Meets
}

const (
	groupAll  = 0
	groupNone = 1
	unplaced  = -1
)

func newWalker(cat Catalog, st *Statement, offset int, consts []span, b *budget) *walker {
	w := &walker{cat: cat, st: st, offset: offset, consts: consts, budget: b}
	w.groups = append(make([]group, 0, 8), group{parent: unplaced, all: true}, group{parent: unplaced})
	if len(consts) > 0 {
		w.placed = make([]int32, len(consts))
		for i := range w.placed {
			w.placed[i] = unplaced
		}
	}
	return w
}

func (w *walker) newGroup(parent int32, all bool) int32 {
	w.groups = append(w.groups, group{parent: parent, all: all})
	return int32(len(w.groups) - 1) //nolint:gosec // bounded by the text
}

func (w *walker) newLevel() int32 {
	w.levels++
	return w.levels
}

func (w *walker) fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}

// catalogFailed reports an answer that the catalog could not give.
func (w *walker) catalogFailed(err error) {
	w.fail(&Error{Code: "58000", Message: "the catalog cannot answer: " + err.Error(), Err: err})
}

func (w *walker) pair(effect policyv1.Effect, object string) {
	w.pairs = append(w.pairs, policies.Pair{Effect: effect, Object: object})
}

// unknown makes the statement one whose effects are not known.
func (w *walker) unknown(reason string) {
	w.st.Temporary = reason == publicTemp && (w.st.Temporary || w.st.Reason == "")
	if w.st.Reason == "" {
		w.st.Reason = reason
	}
	w.st.MovesNames, w.st.Frees = true, true
	w.pair(policyv1.Effect_UNKNOWN, "")
	w.call("what is not understood", "", false) // it may run, and show, anything
}

// enter guards recursion; each call that returns true needs a leave.
func (w *walker) enter() bool {
	if w.err != nil {
		return false
	}
	if w.spend(1); w.err != nil {
		return false
	}
	if w.depth >= maxTree {
		w.fail(&Error{Code: "54001", Message: "the statement is nested too deeply"})
		return false
	}
	w.depth++
	return true
}

func (w *walker) leave() { w.depth-- }

// name strings of a list of String nodes; others are skipped.
func name(list []*pg.Node) []string {
	parts := make([]string, 0, len(list))
	for _, n := range list {
		if s := n.GetString_(); s != nil {
			parts = append(parts, s.GetSval())
		}
	}
	return parts
}

// qualified splits a dotted name into schema and name.
func qualified(list []*pg.Node) (schema, object string) {
	switch n := len(list); n {
	case 0:
		return "", ""
	case 1:
		return "", list[0].GetString_().GetSval()
	default:
		return list[n-2].GetString_().GetSval(), list[n-1].GetString_().GetSval()
	}
}
