package relcache

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Bits of pg_trigger.tgtype (PostgreSQL, catalog/pg_trigger.h).
const (
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
)

// unreadable stands for a body that could not be read: it may call anything.
const unreadable = "(a body that Sluice cannot read)"

// bodies remembers what functions a body calls, by its text: most of a catalog stays as it is from one snapshot to
// the next.
type bodies map[string][]string

// of finds the functions outside the pure list that a body calls. nextval is none: it gives a number and takes none
// of a user's data.
func (b bodies) of(text string, isQuery bool, catalog sqlfacts.Catalog) []string {
	found, ok := b[text]
	if ok {
		return found
	}
	found, err := sqlfacts.Calls(text, isQuery, catalog)
	if err != nil {
		found = []string{unreadable}
	}
	found = slices.DeleteFunc(found, func(f string) bool { return f == "pg_catalog.nextval" })
	b[text] = found
	return found
}

// describeCalls adds to each relation what runs when it is touched. It returns the bodies that are in use.
func describeCalls(s *snapshot, r *rows, known bodies) bodies {
	resolver := &withPath{snapshot: s, path: []string{"pg_catalog"}, lookup: func(uint32) (*sqlfacts.Relation, error) { return nil, nil }}
	used := bodies{}
	calls := func(text string, isQuery bool) []string {
		found := known.of(text, isQuery, resolver)
		used[text] = found
		return found
	}
	for _, t := range r.triggers {
		if rel := s.byOID[t.Relation]; rel != nil {
			addCall(rel, t.Schema+"."+t.Function, touchOf(t.Type))
		}
	}
	guarded := map[uint32]bool{}
	for _, row := range r.relations {
		guarded[row.OID] = row.RowSecurity
		if row.Definition == "" || row.OID < firstUserOID {
			continue // PostgreSQL's own views run nothing of a user's
		}
		for _, f := range calls(row.Definition, true) {
			addCall(s.byOID[row.OID], f, sqlfacts.TouchRead|sqlfacts.TouchInsert|sqlfacts.TouchUpdate|sqlfacts.TouchDelete)
		}
	}
	for _, e := range r.expressions {
		rel := s.byOID[e.Relation]
		if rel == nil || e.What == "policy" && !guarded[e.Relation] {
			continue
		}
		for _, f := range calls(e.Text, false) {
			addCall(rel, f, touchOfExpression(e.What))
		}
	}
	s.spread(r)
	for _, rel := range s.byOID {
		slices.SortFunc(rel.Calls, func(a, b sqlfacts.RelationCall) int { return strings.Compare(a.Function, b.Function) })
	}
	return used
}

func touchOf(tgtype int16) (t sqlfacts.Touch) {
	for bit, touch := range map[int16]sqlfacts.Touch{
		triggerInsert: sqlfacts.TouchInsert, triggerDelete: sqlfacts.TouchDelete,
		triggerUpdate: sqlfacts.TouchUpdate, triggerTruncate: sqlfacts.TouchTruncate,
	} {
		if tgtype&bit != 0 {
			t |= touch
		}
	}
	return t
}

func touchOfExpression(what string) sqlfacts.Touch {
	const change = sqlfacts.TouchInsert | sqlfacts.TouchUpdate
	switch what {
	case "virtual":
		return change | sqlfacts.TouchRead
	case "policy":
		return change | sqlfacts.TouchRead | sqlfacts.TouchDelete
	}
	return change
}

func addCall(rel *sqlfacts.Relation, function string, on sqlfacts.Touch) {
	for i := range rel.Calls {
		if rel.Calls[i].Function == function {
			rel.Calls[i].On |= on
			return
		}
	}
	rel.Calls = append(rel.Calls, sqlfacts.RelationCall{Function: function, On: on})
}

const (
	touchChange = sqlfacts.TouchInsert | sqlfacts.TouchUpdate | sqlfacts.TouchDelete
	touchEach   = sqlfacts.TouchRead | touchChange
)

// spread carries calls to where else they run: a use of a view is one of what its body names, a statement on a parent
// touches its children, and a foreign key carries changes to the rows that refer. It goes on until nothing is added.
func (s *snapshot) spread(r *rows) {
	below := map[[2]uint32]bool{} // a view and a relation that its body names
	for _, row := range r.reads {
		below[[2]uint32{row.View, row.Relation}] = true
	}
	for changed := true; changed; {
		changed = false
		for pair := range below {
			changed = s.inherit(pair[0], pair[1], sqlfacts.TouchRead, touchEach) || changed
			changed = s.inheritSame(pair[0], pair[1], touchChange) || changed
			changed = s.inheritRules(pair[0], pair[1], touchChange) || changed
		}
		for _, rel := range s.byOID {
			for _, child := range rel.Children {
				changed = s.inheritSame(rel.OID, child, touchEach|sqlfacts.TouchTruncate) || changed
			}
		}
		for _, f := range r.references {
			changed = s.inherit(f.Relation, f.Touched, sqlfacts.TouchTruncate, sqlfacts.TouchTruncate) || changed
			if f.Cascades {
				const change = sqlfacts.TouchUpdate | sqlfacts.TouchDelete
				changed = s.inherit(f.Relation, f.Touched, change, change) || changed
				changed = s.inheritRules(f.Relation, f.Touched, change) || changed
			}
		}
	}
}

// inherit adds the calls of another relation that run on one of from; here they run on to.
func (s *snapshot) inherit(oid, other uint32, from, to sqlfacts.Touch) bool {
	return s.carry(oid, other, func(on sqlfacts.Touch) sqlfacts.Touch {
		if on&from != 0 {
			return to
		}
		return 0
	})
}

// inheritSame adds the calls of another relation as far as they run on one of touch.
func (s *snapshot) inheritSame(oid, other uint32, touch sqlfacts.Touch) bool {
	return s.carry(oid, other, func(on sqlfacts.Touch) sqlfacts.Touch { return on & touch })
}

func (s *snapshot) carry(oid, other uint32, as func(on sqlfacts.Touch) sqlfacts.Touch) bool {
	rel, source := s.byOID[oid], s.byOID[other]
	if rel == nil || source == nil || source == rel {
		return false
	}
	before := touches(rel)
	for _, c := range source.Calls {
		if on := as(c.On); on != 0 {
			addCall(rel, c.Function, on)
		}
	}
	return touches(rel) != before
}

// ruleCall stands for what rules run, as sqlfacts names it.
const ruleCall = "a rule"

// inheritRules adds the rules of another relation as a call: they rewrite what is done to it by way of this one.
func (s *snapshot) inheritRules(oid, other uint32, touch sqlfacts.Touch) bool {
	rel, source := s.byOID[oid], s.byOID[other]
	if rel == nil || source == nil || !source.HasRules {
		return false
	}
	before := touches(rel)
	addCall(rel, ruleCall, touch)
	return touches(rel) != before
}

// touches sums up the calls of a relation, to see whether any was added.
func touches(rel *sqlfacts.Relation) (n int) {
	for _, c := range rel.Calls {
		n += 256 + int(c.On)
	}
	return n
}
