package relcache

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// types knows what each type runs by itself, what it holds included.
type types struct {
	byOID map[uint32]*sqlfacts.Type
	// named finds a type as Calls names it: "type schema.name".
	named map[string]uint32
	runs  map[uint32]map[string]bool
	// held are the types whose values stand in values of a type, or are made by its checks.
	held map[uint32][]uint32
}

const typeCall = "type "

// addTypes adds types, columns, and which columns have values of each type.
func (s *snapshot) addTypes(r *rows) {
	s.typesByOID = types{
		byOID: make(map[uint32]*sqlfacts.Type, len(r.types)), named: make(map[string]uint32, len(r.types)),
		runs: map[uint32]map[string]bool{}, held: make(map[uint32][]uint32, len(r.holds)),
	}
	for _, t := range r.types {
		added := &sqlfacts.Type{OID: t.OID, Schema: t.Schema, Name: t.Name, Enum: t.Enum, Operators: t.Operators}
		put(s.types, t.Schema, t.Name, added)
		s.typesByOID.byOID[t.OID] = added
		s.typesByOID.named[typeCall+t.Schema+"."+t.Name] = t.OID
	}
	holders := make(map[uint32][]uint32, len(r.holds))
	for _, h := range r.holds {
		s.typesByOID.held[h.Type] = append(s.typesByOID.held[h.Type], h.Held)
		holders[h.Held] = append(holders[h.Held], h.Type)
	}
	columnsOf := map[uint32][]sqlfacts.ColumnID{}
	for _, c := range r.columns {
		rel := s.byOID[c.Relation]
		if rel == nil {
			continue
		}
		rel.Columns = append(rel.Columns, sqlfacts.Column{
			Number: c.Number, Name: c.Name, TypeOID: c.Type, TypeName: c.TypeName, Generated: c.Generated != "",
		})
		t := s.typesByOID.byOID[c.Type]
		rel.UserTypes = rel.UserTypes || t == nil || t.OID >= firstUserOID && !t.Enum
		if c.Type >= firstUserOID {
			columnsOf[c.Type] = append(columnsOf[c.Type], sqlfacts.ColumnID{Relation: c.Relation, Number: c.Number})
		}
	}
	for oid, t := range s.typesByOID.byOID {
		if oid < firstUserOID {
			continue
		}
		t.Columns = columnsOf[oid]
		for _, holder := range closure(oid, holders) {
			t.Columns = append(t.Columns, columnsOf[holder]...)
		}
	}
}

// describe works out what each type runs, and gives it to the relations that have columns of it.
func (t *types) describe(s *snapshot, r *rows, calls func(text *string) []string) {
	add := func(oid uint32, function string) {
		if t.runs[oid] == nil {
			t.runs[oid] = map[string]bool{}
		}
		t.runs[oid][function] = true
	}
	for _, row := range r.typeRuns {
		add(row.Type, row.Schema+"."+row.Function)
	}
	for _, row := range r.typeTexts {
		for _, f := range calls(row.Text) {
			if of, isType := t.named[f]; isType {
				t.held[row.Type] = append(t.held[row.Type], of)
			} else {
				add(row.Type, f)
			}
		}
	}
	t.close()
	for oid, runs := range t.runs {
		if found := t.byOID[oid]; found != nil {
			for f := range runs {
				found.Runs = append(found.Runs, f)
			}
			slices.Sort(found.Runs)
		}
	}
	for _, rel := range s.byOID {
		for i := range rel.Columns {
			for f := range t.runs[rel.Columns[i].TypeOID] {
				addCall(rel, f, when["type"])
			}
		}
	}
}

// close carries what types run to the types that hold them.
func (t *types) close() {
	if len(t.runs) == 0 {
		return
	}
	holders := map[uint32][]uint32{}
	for oid, held := range t.held {
		for _, h := range held {
			holders[h] = append(holders[h], oid)
		}
	}
	for _, oid := range sortedKeys(t.runs) {
		own := t.runs[oid]
		for _, holder := range closure(oid, holders) {
			if t.runs[holder] == nil {
				t.runs[holder] = map[string]bool{}
			}
			for f := range own {
				t.runs[holder][f] = true
			}
		}
	}
}

func sortedKeys[V any](m map[uint32]V) []uint32 {
	out := make([]uint32, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// expand replaces types among the calls of a body by what they run; some says that there was any such.
func (t *types) expand(list []string) (expanded []string, some bool) {
	if !slices.ContainsFunc(list, func(f string) bool { return strings.HasPrefix(f, typeCall) }) {
		return list, false
	}
	for _, f := range list {
		oid, isType := t.named[f]
		if !isType {
			expanded = append(expanded, f) // a type that is not known counts as itself
			continue
		}
		for run := range t.runs[oid] {
			expanded, some = append(expanded, run), true
		}
	}
	return expanded, some
}
