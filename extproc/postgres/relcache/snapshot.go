package relcache

import (
	"slices"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// snapshot is the catalog as of one moment, without a search_path.
type snapshot struct {
	fingerprint string
	byOID       map[uint32]*sqlfacts.Relation
	byName      map[string]map[string]*sqlfacts.Relation
	functions   map[string][]sqlfacts.Function // by name
	operators   map[string][]sqlfacts.Operator
	types       map[string]map[string]*sqlfacts.Type
	typesByOID  types
	// inline are the functions in SQL, which the planner may put in place of their calls.
	inline    map[string]bool
	events    []string
	userCasts bool
}

// withPath is a snapshot as a session with one search_path sees it: a sqlfacts.Catalog.
type withPath struct {
	*snapshot
	version uint64
	path    []string
	// lookup is asked for an OID that the snapshot does not have.
	lookup func(oid uint32) (*sqlfacts.Relation, error)
}

var _ sqlfacts.Catalog = (*withPath)(nil)

// Version implements sqlfacts.Catalog.
func (c *withPath) Version() uint64 { return c.version }

// Relation implements sqlfacts.Catalog.
func (c *withPath) Relation(schema, name string) (*sqlfacts.Relation, error) {
	if schema != "" {
		return c.byName[schema][name], nil
	}
	for _, s := range c.path {
		if r := c.byName[s][name]; r != nil {
			return r, nil
		}
	}
	return nil, nil
}

// RelationByOID implements sqlfacts.Catalog. An OID that is not known is looked up, since it may be newer.
func (c *withPath) RelationByOID(oid uint32) (*sqlfacts.Relation, error) {
	if r := c.byOID[oid]; r != nil {
		return r, nil
	}
	return c.lookup(oid)
}

// addedFunctions stands for the schema of what somebody put into pg_catalog.
const addedFunctions = "pg_catalog (added)"

// Functions implements sqlfacts.Catalog.
func (c *withPath) Functions(schema, name string) ([]sqlfacts.Function, error) {
	var out []sqlfacts.Function
	for _, f := range c.functions[name] {
		if f.Schema == schema || schema == "" && slices.Contains(c.path, f.Schema) || f.Schema == addedFunctions && (schema == "" || schema == "pg_catalog") {
			out = append(out, f)
		}
	}
	if schema == "" && len(out) > 1 {
		slices.SortStableFunc(out, func(a, b sqlfacts.Function) int {
			return slices.Index(c.path, a.Schema) - slices.Index(c.path, b.Schema)
		})
	}
	return out, nil
}

// Operators implements sqlfacts.Catalog.
func (c *withPath) Operators(name string) ([]sqlfacts.Operator, error) { return c.operators[name], nil }

// Type implements sqlfacts.Catalog.
func (c *withPath) Type(schema, name string) (*sqlfacts.Type, error) {
	if schema != "" {
		return c.types[schema][name], nil
	}
	for _, s := range c.path {
		if t := c.types[s][name]; t != nil {
			return t, nil
		}
	}
	return nil, nil
}

// TypeByOID implements sqlfacts.Catalog.
func (c *withPath) TypeByOID(oid uint32) (*sqlfacts.Type, error) { return c.typesByOID.byOID[oid], nil }

// UserCasts implements sqlfacts.Catalog.
func (c *withPath) UserCasts() bool { return c.userCasts }

// DefinitionCalls implements sqlfacts.Catalog.
func (c *withPath) DefinitionCalls() []string { return c.events }

// build makes a snapshot of rows. The calls of expressions and view bodies are found afterwards, by describeCalls,
// since that needs a catalog to resolve names with.
func build(fingerprint string, r *rows) *snapshot {
	s := &snapshot{
		fingerprint: fingerprint,
		byOID:       make(map[uint32]*sqlfacts.Relation, len(r.relations)),
		byName:      map[string]map[string]*sqlfacts.Relation{},
		functions:   map[string][]sqlfacts.Function{},
		operators:   map[string][]sqlfacts.Operator{},
		types:       map[string]map[string]*sqlfacts.Type{},
		inline:      map[string]bool{},
		userCasts:   len(r.casts) > 0 && r.casts[0].Some,
	}
	schemas := map[uint32]string{}
	for _, n := range r.namespaces {
		schemas[n.OID] = n.Name
	}
	for _, row := range r.relations {
		if row.Definition == nil {
			continue // a view that was dropped while it was read
		}
		rel := &sqlfacts.Relation{OID: row.OID, Schema: schemas[row.Namespace], Name: row.Name, Kind: row.Kind[0]}
		s.byOID[rel.OID] = rel
		put(s.byName, rel.Schema, rel.Name, rel)
	}
	for _, f := range r.functions {
		s.functions[f.Name] = append(s.functions[f.Name], sqlfacts.Function{OID: f.OID, Schema: f.Schema, Name: f.Name})
		if f.Inline {
			s.inline[f.Schema+"."+f.Name] = true
		}
	}
	for _, e := range r.events {
		s.events = append(s.events, e.Schema+"."+e.Function)
	}
	for _, o := range r.operators {
		s.operators[o.Name] = append(s.operators[o.Name], sqlfacts.Operator{Schema: o.Schema, Name: o.Name, CatalogArguments: o.Plain})
	}
	s.addTypes(r)
	s.addKin(r)
	s.addReads(r)
	s.addReach(r)
	s.addKeys(r)
	return s
}

func put[T any](m map[string]map[string]T, schema, name string, value T) {
	if m[schema] == nil {
		m[schema] = map[string]T{}
	}
	m[schema][name] = value
}

// addKeys adds the columns of primary and partition keys.
func (s *snapshot) addKeys(r *rows) {
	for _, k := range r.keys {
		rel := s.byOID[k.Relation]
		switch {
		case rel == nil:
		case k.Partition:
			rel.PartitionKey = append(rel.PartitionKey, k.Number)
		default:
			rel.PrimaryKey = append(rel.PrimaryKey, k.Number)
		}
	}
}

// addKin adds parents and children, transitively.
func (s *snapshot) addKin(r *rows) {
	up, down := map[uint32][]uint32{}, map[uint32][]uint32{}
	for _, i := range r.inherits {
		up[i.Child] = append(up[i.Child], i.Parent)
		down[i.Parent] = append(down[i.Parent], i.Child)
	}
	for oid := range up {
		if rel := s.byOID[oid]; rel != nil {
			rel.Parents = closure(oid, up)
		}
	}
	for oid := range down {
		if rel := s.byOID[oid]; rel != nil {
			rel.Children = closure(oid, down)
		}
	}
}

// closure follows edges from a start, nearest first, without the start.
func closure(from uint32, edges map[uint32][]uint32) []uint32 {
	seen := map[uint32]bool{from: true}
	var out []uint32
	next := edges[from]
	for len(next) > 0 {
		var after []uint32
		for _, oid := range next {
			if seen[oid] {
				continue
			}
			seen[oid] = true
			out = append(out, oid)
			after = append(after, edges[oid]...)
		}
		next = after
	}
	return out
}
