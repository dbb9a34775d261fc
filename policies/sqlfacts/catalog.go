package sqlfacts

// Catalog answers what names mean in one database, for one role with its default search_path. Implementations are
// snapshots: the same Version gives the same answers. An error means that the catalog cannot answer, so that what
// asked is denied; "does not exist" is a nil result.
type Catalog interface {
	// Version identifies the snapshot, among all catalogs that are given to the same Analyzer.
	Version() uint64
	// Relation finds a relation. An empty schema means the search_path, with pg_catalog where PostgreSQL puts it.
	Relation(schema, name string) (*Relation, error)
	// RelationByOID finds a relation by its pg_class OID.
	RelationByOID(oid uint32) (*Relation, error)
	// Functions returns every function, procedure and aggregate of that name: in the schema, or, if it is empty, in
	// all schemas on the search_path.
	Functions(schema, name string) ([]Function, error)
	// Operators returns the operators of that name which stand outside pg_catalog, in any schema.
	Operators(name string) ([]Operator, error)
	// Type finds a type; an empty schema means the search_path.
	Type(schema, name string) (*Type, error)
	// TypeByOID finds a type by its OID.
	TypeByOID(oid uint32) (*Type, error)
	// UserCasts reports whether plain values run a function from outside pg_catalog: by a cast between two types of
	// pg_catalog, or by the default operator class of one.
	UserCasts() bool
	// DefinitionCalls are functions that run whenever something is defined, altered, dropped, granted or revoked: event
	// triggers.
	DefinitionCalls() []string
}

// Relation is a row of pg_class with what else decides about its columns (PostgreSQL, chapter "System Catalogs").
type Relation struct {
	OID    uint32
	Schema string
	Name   string
	// Kind is pg_class.relkind: r, p, v, m, f, S, c, i, I, t.
	Kind byte
	// Columns in order of attribute number, dropped ones left out.
	Columns []Column
	// Parents are the relations that it inherits from or is a partition of, nearest first, transitively.
	Parents []uint32
	// Children are the relations that inherit from it or are its partitions, transitively.
	Children []uint32
	// Reads is, for views and materialized views, every column that the body depends on, through views transitively
	// down to tables. Number 0 means the whole row.
	Reads []ColumnID
	// Calls are functions that run when the relation is touched: trigger functions, rules, defaults, row security
	// policies, generated columns, constraints and view bodies, as far as they are not pure; those of its partitions,
	// of what inherits from it, and of what foreign keys cascade to, included.
	Calls []RelationCall
	// Former are names that it had since it was first seen, FormerKin those of what it inherits, or once inherited, from.
	// Masks stay with what they named.
	Former, FormerKin []Name
	// Reach are the steps to what a use of it does to others.
	Reach []Reach
	// UserTypes reports whether a column has a type outside pg_catalog that is not an enum: somebody's operators may be
	// meant by their names. What such types run by themselves is in Calls.
	UserTypes bool
	// PrimaryKey and PartitionKey are attribute numbers; 0 is an expression.
	PrimaryKey, PartitionKey []int16
}

// Column is a row of pg_attribute.
type Column struct {
	Number  int16
	Name    string
	TypeOID uint32
	// TypeName is as format_type gives it.
	TypeName string
	// Generated columns and those with their own default are left out of COPY as PostgreSQL does it.
	Generated bool
	// From are the columns that a generated one is worked out from, by number.
	From []int16
	// Former are names that it had since it was first seen, FromFormer those of what it was worked out from.
	Former, FromFormer []string
}

// Name is that of a relation with its schema.
type Name struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// ColumnID names a column by OID and attribute number; 0 is the whole row.
type ColumnID struct {
	Relation uint32
	Number   int16
}

// RelationCall is a function that runs when a relation is touched.
type RelationCall struct {
	// Function is "schema.name", or RuleCall, or says what runs in words.
	Function string
	// On says which uses of the relation run it.
	On Touch
}

// Touch is a set of ways to use a relation.
type Touch uint8

// The ways to use a relation.
const (
	TouchRead Touch = 1 << iota
	TouchInsert
	TouchUpdate
	TouchDelete
	TouchTruncate
	// TouchDefine is DDL on the relation, and maintenance.
	TouchDefine
	// TouchGrant is to let others use it: they come to what it shows, too.
	TouchGrant
)

// RuleCall stands for what rules run.
const RuleCall = "a rule"

// Function is a row of pg_proc, as far as purity needs it.
type Function struct {
	OID    uint32
	Schema string
	Name   string
}

// Operator is a row of pg_operator outside pg_catalog.
type Operator struct {
	Schema string
	Name   string
	// CatalogArguments reports whether an argument type stands in pg_catalog, so that values of plain types reach it.
	CatalogArguments bool
}

// Type is a row of pg_type.
type Type struct {
	OID    uint32
	Schema string
	Name   string
	// Enum: of an enum, or an array of one.
	Enum bool
	// Runs are the functions outside the pure list that values of the type run by themselves: input and output, checks,
	// casts, comparison; of what the type holds as well.
	Runs []string
	// Operators: an operator outside pg_catalog takes it, so that one may be meant by its name.
	Operators bool
	// Columns hold values of the type; for types outside pg_catalog only.
	Columns []ColumnID
}

// Column finds a column by name, nil if there is none.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// ColumnByNumber finds a column by attribute number, nil if there is none.
func (r *Relation) ColumnByNumber(number int16) *Column {
	for i := range r.Columns {
		if r.Columns[i].Number == number {
			return &r.Columns[i]
		}
	}
	return nil
}

// String is "schema.name".
func (r *Relation) String() string { return r.Schema + "." + r.Name }
