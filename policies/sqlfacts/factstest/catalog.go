package factstest

import (
	"slices"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// OIDs of the relations in New.
const (
	Customers       = 16401
	Orders          = 16402
	Payments        = 16403
	CustomerView    = 16404
	VIPCustomers    = 16405 // inherits from customers
	Audited         = 16406 // has a trigger
	Measurements    = 16407 // has a column of a user type
	Ruled           = 16408 // has a rule
	OrdersSequence  = 16409
	AuditCustomers  = 16410 // audit.customers: not on the path
	CustomerSummary = 16411 // a materialized view over customers and orders
	GeneratedTable  = 16412
	PGSettings      = 3100
	PGClass         = 1259
)

// Catalog is a sqlfacts.Catalog that answers from its fields. Change them before it is shared.
type Catalog struct {
	// Snapshot is what Version returns.
	Snapshot uint64
	// Path is the search_path; pg_catalog comes before it, as PostgreSQL has it.
	Path      []string
	Relations []*sqlfacts.Relation
	// Named are the functions, by name: in pg_catalog every name of Builtin besides.
	Named map[string][]sqlfacts.Function
	// Builtin are names of functions in pg_catalog.
	Builtin map[string]bool
	Ops     []sqlfacts.Operator
	// Types outside pg_catalog.
	Types []sqlfacts.Type
	// Casts is what UserCasts returns.
	Casts bool
	// Events is what DefinitionCalls returns.
	Events []string
	// Err, if set, is the answer to everything.
	Err error
}

var _ sqlfacts.Catalog = (*Catalog)(nil)

// New returns a catalog of the demo's database with search_path public.
func New() *Catalog {
	c := &Catalog{
		Snapshot: 1,
		Path:     []string{"public"},
		Builtin:  map[string]bool{},
		Named: map[string][]sqlfacts.Function{
			"customer_password": {{OID: 16501, Schema: "public", Name: "customer_password"}},
			"lower_user":        {{OID: 16502, Schema: "public", Name: "lower_user"}},
			"shadowed":          {{OID: 16503, Schema: "audit", Name: "shadowed"}},
			"archive":           {{OID: 16504, Schema: "public", Name: "archive"}},
		},
		Types: []sqlfacts.Type{
			{Schema: "public", Name: "order_status", Enum: true},
			{Schema: "public", Name: "email", Runs: []string{"public.is_email"}},
			{Schema: "public", Name: "plain_domain"},
			{Schema: "public", Name: "customers"},
			{Schema: "public", Name: "orders"},
		},
		Ops: []sqlfacts.Operator{
			{Schema: "public", Name: "~=~", CatalogArguments: true},
			{Schema: "public", Name: "=", CatalogArguments: false},
		},
	}
	for _, name := range []string{
		"lower", "upper", "count", "sum", "max", "min", "now", "length", "md5", "to_json", "to_jsonb", "row_to_json",
		"json_agg", "jsonb_agg", "array_agg", "string_agg", "unnest", "generate_series", "concat", "coalesce", "substring",
		"nextval", "setval", "currval", "lastval", "set_config", "pg_notify", "pg_advisory_lock", "query_to_xml", "random",
		"pg_sleep", "date_trunc", "row_number", "format", "pg_read_file", "lo_get", "text", "name", "mode", "rank", "ts_stat",
		"json_populate_record", "current_setting", "pg_get_serial_sequence", "regexp_matches", "percentile_disc",
	} {
		c.Builtin[name] = true
	}
	c.Relations = relations()
	return c
}

func columns(names ...string) []sqlfacts.Column {
	list := make([]sqlfacts.Column, 0, len(names))
	for i, name := range names {
		list = append(list, sqlfacts.Column{
			Number: int16(i + 1),
			Name:   name, TypeOID: 25, TypeName: "text",
		})
	}
	return list
}

func relations() []*sqlfacts.Relation {
	table := func(oid uint32, schema, name string, kind byte, names ...string) *sqlfacts.Relation {
		return &sqlfacts.Relation{OID: oid, Schema: schema, Name: name, Kind: kind, Columns: columns(names...)}
	}
	customers := []string{"id", "name", "email", "phone", "password", "api_key", "note"}
	view := table(CustomerView, "public", "customer_view", 'v', "id", "name", "secret")
	view.Reads = []sqlfacts.ColumnID{{Relation: Customers, Number: 1}, {Relation: Customers, Number: 2}, {Relation: Customers, Number: 5}}
	view.Calls = []sqlfacts.RelationCall{{Function: "public.lower_user", On: sqlfacts.TouchRead}}
	child := table(VIPCustomers, "public", "vip_customers", 'r', append(slices.Clone(customers), "manager")...)
	child.Parents = []uint32{Customers}
	audited := table(Audited, "public", "audited", 'r', "id", "what")
	audited.Calls = []sqlfacts.RelationCall{{Function: "public.archive", On: sqlfacts.TouchInsert | sqlfacts.TouchUpdate}}
	typed := table(Measurements, "public", "measurements", 'r', "id", "value")
	typed.UserTypes = true
	typed.Calls = []sqlfacts.RelationCall{{Function: "public.measure_to_json", On: sqlfacts.TouchRead | sqlfacts.TouchInsert | sqlfacts.TouchUpdate | sqlfacts.TouchDefine}}
	ruled := table(Ruled, "public", "ruled", 'r', "id", "what")
	ruled.Calls = []sqlfacts.RelationCall{{Function: sqlfacts.RuleCall, On: sqlfacts.TouchInsert | sqlfacts.TouchUpdate | sqlfacts.TouchDelete}}
	summary := table(CustomerSummary, "public", "customer_summary", 'm', "name", "total")
	summary.Reads = []sqlfacts.ColumnID{{Relation: Customers, Number: 2}, {Relation: Orders, Number: 3}}
	generated := table(GeneratedTable, "public", "generated", 'r', "id", "first", "computed", "last")
	generated.Columns[2].Generated = true
	return []*sqlfacts.Relation{
		table(Customers, "public", "customers", 'r', customers...),
		table(Orders, "public", "orders", 'r', "id", "customer_id", "total", "status"),
		table(Payments, "public", "payments", 'r', "id", "order_id", "card_number", "amount"),
		view, child, audited, typed, ruled, summary, generated,
		table(OrdersSequence, "public", "orders_id_seq", 'S', "last_value", "log_cnt", "is_called"),
		table(AuditCustomers, "audit", "customers", 'r', "id", "changed_at"),
		table(PGSettings, "pg_catalog", "pg_settings", 'v', "name", "setting"),
		table(PGClass, "pg_catalog", "pg_class", 'r', "oid", "relname", "relnamespace", "relkind"),
	}
}

// relation finds the first relation that a predicate likes, nil if there is none.
func (c *Catalog) relation(found func(*sqlfacts.Relation) bool) *sqlfacts.Relation {
	if i := slices.IndexFunc(c.Relations, found); i >= 0 {
		return c.Relations[i]
	}
	return nil
}

func (c *Catalog) path() []string { return append([]string{"pg_catalog"}, c.Path...) }

// Version implements sqlfacts.Catalog.
func (c *Catalog) Version() uint64 { return c.Snapshot }

// Relation implements sqlfacts.Catalog.
func (c *Catalog) Relation(schema, name string) (*sqlfacts.Relation, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	schemas := []string{schema}
	if schema == "" {
		schemas = c.path()
	}
	for _, s := range schemas {
		if rel := c.relation(func(r *sqlfacts.Relation) bool { return r.Schema == s && r.Name == name }); rel != nil {
			return rel, nil
		}
	}
	return nil, nil
}

// RelationByOID implements sqlfacts.Catalog.
func (c *Catalog) RelationByOID(oid uint32) (*sqlfacts.Relation, error) {
	return c.relation(func(r *sqlfacts.Relation) bool { return r.OID == oid }), c.Err
}

// Functions implements sqlfacts.Catalog.
func (c *Catalog) Functions(schema, name string) ([]sqlfacts.Function, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	var list []sqlfacts.Function
	if c.Builtin[name] && (schema == "" || schema == "pg_catalog") {
		list = append(list, sqlfacts.Function{OID: 1, Schema: "pg_catalog", Name: name})
	}
	for _, f := range c.Named[name] {
		if f.Schema == schema || (schema == "" && slices.Contains(c.Path, f.Schema)) {
			list = append(list, f)
		}
	}
	return list, nil
}

// Operators implements sqlfacts.Catalog.
func (c *Catalog) Operators(name string) ([]sqlfacts.Operator, error) {
	var list []sqlfacts.Operator
	for _, o := range c.Ops {
		if o.Name == name {
			list = append(list, o)
		}
	}
	return list, c.Err
}

// Type implements sqlfacts.Catalog. In pg_catalog there are the common types only.
func (c *Catalog) Type(schema, name string) (*sqlfacts.Type, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	if (schema == "" || schema == "pg_catalog") && isBuiltinType(name) {
		return &sqlfacts.Type{Schema: "pg_catalog", Name: name}, nil
	}
	for i, t := range c.Types {
		if t.Name == name && (t.Schema == schema || (schema == "" && slices.Contains(c.Path, t.Schema))) {
			return &c.Types[i], nil
		}
	}
	return nil, nil
}

func isBuiltinType(name string) bool {
	return slices.Contains([]string{
		"text", "int4", "int8", "int2", "bool", "numeric", "float8", "timestamptz", "timestamp", "date", "interval",
		"json", "jsonb", "xml", "uuid", "bytea", "name", "oid", "regclass", "regtype", "varchar", "bpchar", "record", "inet",
	}, name)
}

// UserCasts implements sqlfacts.Catalog.
func (c *Catalog) UserCasts() bool { return c.Casts }

// DefinitionCalls implements sqlfacts.Catalog.
func (c *Catalog) DefinitionCalls() []string { return c.Events }

// TypeByOID implements sqlfacts.Catalog. Types outside pg_catalog are found by the OID that they were given.
func (c *Catalog) TypeByOID(oid uint32) (*sqlfacts.Type, error) {
	for i := range c.Types {
		if c.Types[i].OID == oid {
			return &c.Types[i], c.Err
		}
	}
	return nil, c.Err
}
