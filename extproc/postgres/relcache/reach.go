package relcache

import (
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// addReach adds to each relation the steps to what a use of it does to others.
func (s *snapshot) addReach(r *rows) {
	add := func(oid uint32, to sqlfacts.Reach) {
		if rel := s.byOID[oid]; rel != nil && to.Relation != oid {
			rel.Reach = append(rel.Reach, to)
		}
	}
	seen := map[[2]uint32]bool{}
	for _, row := range r.reads {
		if key := [2]uint32{row.View, row.Relation}; !seen[key] {
			seen[key] = true
			add(row.View, sqlfacts.Reach{Relation: row.Relation, On: touchEach | sqlfacts.TouchGrant})
		}
	}
	for _, row := range r.relations { // of the system's own tables no dependency is noted
		if rel := s.byOID[row.OID]; rel != nil && row.OID >= firstUserOID {
			for _, id := range rel.Reads {
				if key := [2]uint32{row.OID, id.Relation}; id.Relation < firstUserOID && !seen[key] {
					seen[key] = true
					add(row.OID, sqlfacts.Reach{Relation: id.Relation, On: sqlfacts.TouchRead | sqlfacts.TouchGrant})
				}
			}
		}
	}
	for _, i := range r.inherits {
		add(i.Child, sqlfacts.Reach{Relation: i.Parent, On: touchAll, Up: true})
		// A row goes into a partition by its parent, but never so into a child.
		on := touchAll
		if parent := s.byOID[i.Parent]; parent != nil && parent.Kind != 'p' {
			on &^= sqlfacts.TouchInsert
		}
		add(i.Parent, sqlfacts.Reach{Relation: i.Child, On: on})
	}
	for _, f := range r.references {
		add(f.Relation, sqlfacts.Reach{Relation: f.Touched, On: sqlfacts.TouchTruncate})
		if f.Deletes {
			add(f.Relation, sqlfacts.Reach{Relation: f.Touched, On: sqlfacts.TouchDelete})
		}
		if f.Clears {
			add(f.Relation, sqlfacts.Reach{Relation: f.Touched, On: sqlfacts.TouchDelete, Effect: policyv1.Effect_UPDATE})
		}
		if f.Follows {
			add(f.Relation, sqlfacts.Reach{Relation: f.Touched, On: sqlfacts.TouchUpdate})
		}
	}
	s.addRules(r, add)
}

// addRules adds what rules do, as far as their text can be read.
func (s *snapshot) addRules(r *rows, add func(uint32, sqlfacts.Reach)) {
	catalog := &withPath{snapshot: s, path: []string{"pg_catalog"}, lookup: func(uint32) (*sqlfacts.Relation, error) { return nil, nil }}
	for _, row := range r.rules {
		if row.Definition == nil {
			continue
		}
		pairs, err := sqlfacts.RulePairs(*row.Definition, catalog)
		if err != nil {
			continue // that a rule runs is known all the same: see RuleCall
		}
		for _, p := range pairs {
			to := sqlfacts.Reach{Object: p.Object, On: whenRule(row.Event), Effect: p.Effect}
			if rel := s.named(p.Object); rel != nil {
				to.Relation, to.Object = rel.OID, ""
			}
			add(row.Relation, to)
		}
	}
}

// named finds a relation by "schema.name".
func (s *snapshot) named(object string) *sqlfacts.Relation {
	schema, name, _ := strings.Cut(object, ".")
	return s.byName[schema][name]
}
