package relcache

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// firstUserOID is where the OIDs of what users make begin (PostgreSQL, access/transam.h, FirstNormalObjectId).
const firstUserOID = 16384

// noColumn is no attribute number: rows are read, but nothing of them.
const noColumn = -32768

// addReads adds what views read, down to what is no view. PostgreSQL notes columns one by one, but a whole row only as
// the whole relation, and not even that beside a column of the same relation. A deparsed body shows a whole row as
// name.*, so any such body counts as reading the whole of everything that it reads. Of the system's own tables
// PostgreSQL notes nothing at all: a body that has the name of one counts as reading the whole of it.
func (s *snapshot) addReads(r *rows) {
	whole := map[uint32]bool{}
	direct := map[uint32][]sqlfacts.ColumnID{}
	for _, row := range r.relations {
		if row.Definition == nil { // dropped while it was read: its columns are not known any more
			whole[row.OID] = true
			continue
		}
		whole[row.OID] = strings.Contains(*row.Definition, ".*")
		for _, word := range words(*row.Definition) {
			if rel := s.byName["pg_catalog"][word]; rel != nil && rel.OID < firstUserOID && rel.OID != row.OID {
				direct[row.OID] = append(direct[row.OID], sqlfacts.ColumnID{Relation: rel.OID})
			}
		}
	}
	for _, row := range r.reads {
		id := sqlfacts.ColumnID{Relation: row.Relation}
		switch {
		case whole[row.View]:
		case row.Number != 0:
			id.Number = int16(row.Number) //nolint:gosec // an attribute number
		default:
			id.Number = noColumn // rows are counted or joined; a view below is followed all the same
		}
		direct[row.View] = append(direct[row.View], id)
	}
	for view := range direct {
		rel := s.byOID[view]
		if rel == nil {
			continue
		}
		found := map[sqlfacts.ColumnID]bool{}
		follow(view, direct, map[uint32]bool{}, found)
		for id := range found {
			rel.Reads = append(rel.Reads, id)
		}
		slices.SortFunc(rel.Reads, func(a, b sqlfacts.ColumnID) int {
			return cmp.Or(cmp.Compare(a.Relation, b.Relation), cmp.Compare(a.Number, b.Number))
		})
	}
}

// words are the names in a deparsed body that need no quotes, as those of the system's tables.
func words(body string) []string {
	return strings.FieldsFunc(body, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func follow(view uint32, direct map[uint32][]sqlfacts.ColumnID, seen map[uint32]bool, found map[sqlfacts.ColumnID]bool) {
	if seen[view] {
		return
	}
	seen[view] = true
	for _, id := range direct[view] {
		if id.Number != noColumn {
			found[id] = true
		}
		follow(id.Relation, direct, seen, found)
	}
}
