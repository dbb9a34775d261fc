package sqlfacts

import "github.com/sluicegate/sluice/policies"

// Facts say what one string of SQL does. They are shared between sessions: read only.
type Facts struct {
	Statements []Statement
	// Size is what a cache should count for it, in bytes.
	Size int
	// Form is the same for texts that differ in compared numbers only: but for places and literals their facts are the same.
	// nil: nothing is known to be alike.
	Form *Form
}

// Form stands for what texts have in common.
type Form struct{ _ byte }

// Statement says what one statement does. Nothing in it depends on policy.
type Statement struct {
	// Text is its part of the string, Offset where that begins, in bytes.
	Text   string
	Offset int
	Kind   Kind
	// Operation has PostgreSQL's command tag and the pairs, sorted, each once. An object that does not exist, yet, is
	// as written: "schema.name", or the name alone. "*" as object means objects that are not named (CASCADE, ALL).
	Operation policies.Operation
	// Also are the commands inside, with pairs of their own that Operation has too: what EXPLAIN explains, and INSERT,
	// UPDATE, DELETE and MERGE below the top level. A rule that names such a command must see them.
	Also []policies.Operation
	// Uses are columns used anywhere but as a direct output column of the top level: in expressions, predicates,
	// grouping, ordering, joins, subqueries, and whole rows. Being the target of INSERT, UPDATE SET or COPY FROM is
	// no use. Where a name could mean columns of several relations of the statement, each is listed.
	Uses []ColumnUse
	// Calls are functions outside the pure list that run, whoever names them.
	Calls []Call
	// Types are those outside pg_catalog that the text names, each once: "schema.name", or as written if there is none.
	Types []string
	// Literals are the constants, in order of their place.
	Literals []Literal
	// Parameters says, by index $1 = 0, what each parameter meets. Its length is the highest parameter used.
	Parameters []Meets
	// Relations are all relations that it touches, views expanded to what they read as well, each once.
	Relations []*Relation
	// Copy is set for COPY.
	Copy *Copy
	// Name is of a prepared statement or cursor for Prepare, Execute, Deallocate, DeclareCursor, Fetch and CloseCursor;
	// empty means all. For Set and Show it is the setting, in lower case, "all" for all of them.
	Name string
	// Inside is the kind of what EXPLAIN explains, and Execute for CREATE TABLE AS EXECUTE.
	Inside Kind
	// Given: SET of a setting of PostgreSQL's own to a value that stands in the text, so that an error about the value
	// quotes nothing else.
	Given bool
	// Reason explains an UNKNOWN effect.
	Reason string
	// Temporary: all that is not known of it is about temporary objects, which no other session sees.
	Temporary bool
	// ReadsValues: it is a definition or maintenance that works on values which are there, so that errors of any class
	// may quote them.
	ReadsValues bool
	// MovesPath: role or search_path may be others once it has run, or those to which a transaction's end goes back: SET
	// ROLE, SET SESSION AUTHORIZATION, search_path, RESET, DISCARD ALL, set_config; a schema that comes, goes or is
	// granted; whatever calls a function that is not pure, or is not understood.
	MovesPath bool
	// MovesSchemas: other sessions may find other schemas on their search_path once it has run, since a schema or a role is
	// granted, revoked or given to another.
	MovesSchemas bool
	// MovesNames: a relation goes by another name, or shows its rows through another, once it has run: RENAME, SET SCHEMA,
	// INHERIT, ATTACH and their opposites; or it may do so, since it is not understood.
	MovesNames bool
	// Frees: a name that was one of a relation, a type or the like may be none any more once it has run, so that it is found
	// further down the search_path: DROP, RENAME, SET SCHEMA, CASCADE; or it may do so, since it is not understood.
	Frees bool
	// ReadOnly: nothing but READ, and calls of nothing but pure functions.
	ReadOnly bool
}

// Kind is what an engine must know of a statement besides its effects.
type Kind uint8

// Kinds of statements.
const (
	Plain Kind = iota
	Begin
	Commit
	Rollback
	Savepoint
	ReleaseSavepoint
	RollbackToSavepoint
	PrepareTransaction
	Prepare       // SQL-level PREPARE
	Execute       // SQL-level EXECUTE
	Deallocate    // DEALLOCATE name | ALL
	DeclareCursor // DECLARE
	Fetch         // FETCH and MOVE
	CloseCursor   // CLOSE name | ALL
	Discard       // DISCARD ALL | PLANS | TEMP | SEQUENCES
	Set           // SET and RESET
	Show
	CopyIn  // COPY … FROM STDIN
	CopyOut // COPY … TO STDOUT
	Explain
)

// ColumnUse is a column of a relation, or all of them.
type ColumnUse struct {
	Relation *Relation
	// Column is the name; "*" means the whole row.
	Column string
	// Where says in what place, for people: "WHERE", "a subquery", "an expression".
	Where string
}

// Call is a function that runs and is not known to be pure.
type Call struct {
	// Function is "schema.name", or the name as written if nothing of that name exists; for an operator "operator +".
	Function string
	// Output: it is the whole of an output column of the top level and stands nowhere else, so that only that column's
	// value can come from it.
	Output bool
	// Via says who runs it if the statement does not name it: "trigger on public.orders".
	Via string
}

// Literal is a constant in a statement.
type Literal struct {
	// Start and End are byte offsets within Statement.Text.
	Start, End int
	Meets      Meets
}

// Meets says which columns a constant or parameter is compared with, assigned to or combined with.
type Meets struct {
	Columns []ColumnUse
	// Secret: it stands where a password stands (PASSWORD, user mapping and server options), whatever the columns.
	Secret bool
	// Unknown: the statement uses a relation that the catalog does not know, so that it may meet anything.
	Unknown bool
}

// Copy describes COPY.
type Copy struct {
	// Relation is nil for COPY (query).
	Relation *Relation
	// Columns in order of the data; for a table without a list, all but generated ones.
	Columns []Column
	Format  CopyFormat
	// Delimiter, Quote and Escape are single bytes; Null the string that means NULL; Header whether the first line
	// names columns. Defaults filled in (PostgreSQL, COPY).
	Delimiter, Quote, Escape byte
	Null                     string
	Header                   bool
}

// CopyFormat is text, csv or binary.
type CopyFormat uint8

// Formats of COPY.
const (
	CopyText CopyFormat = iota
	CopyCSV
	CopyBinary
)
