package relcache

import (
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// unreadable stands for a body that could not be read: it may call anything.
const unreadable = "(a body that Sluice cannot read)"

// nobodyKnows is a body that could not be read.
var nobodyKnows = sqlfacts.Body{Calls: []string{unreadable}, Constant: true, Whole: true}

// bodies remembers what a body calls, by its text: most of a catalog stays as it is from one snapshot to the next. Types
// stand in it by their names, since what they run may change while the text does not.
type bodies map[string]sqlfacts.Body

// of reads a body. nextval is no call: it gives a number and takes none of a user's data.
func (b bodies) of(text string, isQuery bool, catalog sqlfacts.Catalog) sqlfacts.Body {
	found, ok := b[text]
	if ok {
		return found
	}
	found, err := sqlfacts.ReadBody(text, isQuery, catalog)
	if err != nil {
		found = nobodyKnows
	}
	found.Calls = slices.DeleteFunc(found.Calls, func(f string) bool { return f == "pg_catalog.nextval" })
	b[text] = found
	return found
}

// describer adds to relations what runs when they are touched.
type describer struct {
	s           *snapshot
	known, used bodies
	resolver    sqlfacts.Catalog
}

// read reads a body that may have been dropped while the catalog was read: then nobody knows what it was.
func (d *describer) read(text *string, isQuery bool) sqlfacts.Body {
	if text == nil {
		return nobodyKnows
	}
	found := d.known.of(*text, isQuery, d.resolver)
	d.used[*text] = found
	return found
}

// describeCalls adds to each relation what runs when it is touched. It returns the bodies that are in use.
func describeCalls(s *snapshot, r *rows, known bodies) bodies {
	d := &describer{s: s, known: known, used: bodies{}}
	d.resolver = &withPath{snapshot: s, path: []string{"pg_catalog"}, lookup: func(uint32) (*sqlfacts.Relation, error) { return nil, nil }}
	s.typesByOID.describe(s, r, func(text *string) []string { return d.read(text, false).Calls })
	for _, t := range r.triggers {
		if rel := s.byOID[t.Relation]; rel != nil {
			addCall(rel, t.Schema+"."+t.Function, whenTrigger(t.Type))
		}
	}
	for _, row := range r.rules {
		if rel := s.byOID[row.Relation]; rel != nil {
			addCall(rel, ruleCall, whenRule(row.Event))
		}
	}
	for _, row := range r.foreign {
		if rel := s.byOID[row.Relation]; rel != nil {
			addCall(rel, "foreign data wrapper "+row.Wrapper, when["foreign table"])
		}
	}
	for _, row := range r.indexRuns {
		if rel := s.byOID[row.Relation]; rel != nil {
			addCall(rel, row.Schema+"."+row.Function, when["index class"])
		}
	}
	d.expressions(r)
	s.spread(r)
	for _, rel := range s.byOID {
		slices.SortFunc(rel.Calls, func(a, b sqlfacts.RelationCall) int { return strings.Compare(a.Function, b.Function) })
	}
	return d.used
}

// expressions adds what bodies of views and expressions call, and what generated columns are worked out from.
func (d *describer) expressions(r *rows) {
	guarded := map[uint32]bool{}
	for _, row := range r.relations {
		guarded[row.OID] = row.RowSecurity
		rel := d.s.byOID[row.OID]
		if rel == nil || row.OID < firstUserOID || row.Definition != nil && *row.Definition == "" {
			continue // PostgreSQL's own views run nothing of a user's
		}
		d.add(rel, "view", d.read(row.Definition, true))
	}
	for _, e := range r.expressions {
		rel := d.s.byOID[e.Relation]
		if rel == nil || e.What == "policy" && !guarded[e.Relation] {
			continue
		}
		body := d.read(e.Text, false)
		d.add(rel, e.What, body)
		if e.What == "stored" || e.What == "virtual" {
			computed(rel, e.Column, body)
		}
		if e.What == "partition" { // what goes into a partition directly is checked against the key
			for _, child := range rel.Children {
				if c := d.s.byOID[child]; c != nil {
					d.add(c, e.What, body)
				}
			}
		}
	}
}

// add adds the calls of a body of some kind.
func (d *describer) add(rel *sqlfacts.Relation, what kind, body sqlfacts.Body) {
	calls, made := d.s.typesByOID.expand(body.Calls)
	for _, f := range calls {
		on := when[what]
		if planned[what] && (body.Constant || made || d.s.inline[f]) {
			on |= touchEach
		}
		addCall(rel, f, on)
	}
}

// computed notes which columns a generated column is worked out from.
func computed(rel *sqlfacts.Relation, number int16, body sqlfacts.Body) {
	column := rel.ColumnByNumber(number)
	if column == nil {
		return
	}
	for i := range rel.Columns {
		if c := &rel.Columns[i]; c.Number != number && (body.Whole || slices.Contains(body.Columns, c.Name)) {
			column.From = append(column.From, c.Number)
		}
	}
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
		}
		for _, rel := range s.byOID {
			for _, child := range rel.Children {
				changed = s.inheritSame(rel.OID, child, touchAll) || changed
				if rel.Kind == 'p' { // a row that moves is deleted here and inserted there
					changed = s.inherit(rel.OID, child, sqlfacts.TouchInsert|sqlfacts.TouchDelete, sqlfacts.TouchUpdate) || changed
				}
			}
		}
		for _, f := range r.references {
			changed = s.inherit(f.Relation, f.Touched, sqlfacts.TouchTruncate, sqlfacts.TouchTruncate) || changed
			// The other side is looked up, by its indexes.
			changed = s.inherit(f.Touched, f.Relation, sqlfacts.TouchRead, touchRows) || changed
			changed = s.inherit(f.Relation, f.Touched, sqlfacts.TouchRead, sqlfacts.TouchUpdate|sqlfacts.TouchDelete) || changed
			if f.cascades() {
				const change = sqlfacts.TouchUpdate | sqlfacts.TouchDelete
				changed = s.inherit(f.Relation, f.Touched, change, change) || changed
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

// touches sums up the calls of a relation, to see whether any was added.
func touches(rel *sqlfacts.Relation) (n int) {
	for _, c := range rel.Calls {
		n += 256 + int(c.On)
	}
	return n
}
