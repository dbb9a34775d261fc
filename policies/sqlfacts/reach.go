package sqlfacts

import (
	"slices"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// Reach is a step from a use of a relation to what that does besides.
type Reach struct {
	// Relation is reached, or else Object is: a name as in pairs.
	Relation uint32
	Object   string
	// On are the uses that reach it.
	On Touch
	// Effect is what happens to it; unspecified: the same as to the relation itself.
	Effect policyv1.Effect
	// Up: it is a parent, or the relation's former name. Nothing is reached from there but what is further up.
	Up bool
}

// maxReached bounds the pairs that one operation reaches; beyond it anything is reached.
const maxReached = 20_000

// touchOf says which way of using a relation an effect is, 0 if it reaches nothing.
func touchOf(e policyv1.Effect) Touch {
	switch e {
	case policyv1.Effect_READ, policyv1.Effect_LOCK:
		return TouchRead
	case policyv1.Effect_INSERT:
		return TouchInsert
	case policyv1.Effect_UPDATE:
		return TouchUpdate
	case policyv1.Effect_DELETE:
		return TouchDelete
	case policyv1.Effect_TRUNCATE:
		return TouchTruncate
	case policyv1.Effect_DDL, policyv1.Effect_MAINTENANCE:
		return TouchDefine
	case policyv1.Effect_PRIVILEGE:
		return TouchGrant
	}
	return 0
}

// reached adds to every operation what its pairs reach: what views read and change, partitions, children, parents,
// what foreign keys carry on, what rules do, and functions that run by themselves.
func (w *walker) reached() {
	reaches := false
	for i := range w.items {
		if rel := w.items[i].rel; rel != nil && len(rel.Reach) > 0 {
			reaches = true
			break
		}
	}
	own := w.executed()
	if !reaches && len(own) == 0 {
		return
	}
	w.st.Operation.Reached = w.reachedFrom(w.st.Operation.Pairs, own)
	for i := range w.st.Also {
		w.st.Also[i].Reached = w.reachedFrom(w.st.Also[i].Pairs, own)
	}
}

// executed are the functions that nobody named.
func (w *walker) executed() []policies.Pair {
	var list []policies.Pair
	for _, c := range w.st.Calls {
		if c.Via != "" && strings.Contains(c.Function, ".") && !strings.Contains(c.Function, " ") {
			list = append(list, policies.Pair{Effect: policyv1.Effect_EXECUTE, Object: c.Function})
		}
	}
	return list
}

// place is a relation with what happens to it, on the way from a pair.
type place struct {
	oid    uint32
	effect policyv1.Effect
	up     bool
}

func (w *walker) reachedFrom(pairs, found []policies.Pair) []policies.Pair {
	found = slices.Clone(found)
	var next []place
	seen := map[place]bool{}
	for _, p := range pairs {
		for i := range w.items {
			if rel := w.items[i].rel; rel != nil && len(rel.Reach) > 0 && w.items[i].object == p.Object {
				next = append(next, place{rel.OID, p.Effect, false})
				break
			}
		}
	}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		rel, err := w.cat.RelationByOID(at.oid)
		if err != nil {
			w.catalogFailed(err)
			return nil
		}
		if rel == nil || seen[at] {
			continue
		}
		if seen[at] = true; len(seen) > maxReached {
			found = append(found, policies.Pair{Effect: at.effect, Object: "*"})
			break
		}
		for _, r := range rel.Reach {
			if r.On&touchOf(at.effect) == 0 || at.up && !r.Up {
				continue
			}
			effect := r.Effect
			if effect == policyv1.Effect_EFFECT_UNSPECIFIED {
				effect = at.effect
			}
			object := r.Object
			if r.Relation != 0 {
				to, err := w.cat.RelationByOID(r.Relation)
				if err != nil {
					w.catalogFailed(err)
					return nil
				}
				if to == nil {
					continue
				}
				object = to.String()
				next = append(next, place{r.Relation, effect, r.Up})
			}
			found = append(found, policies.Pair{Effect: effect, Object: object})
		}
	}
	found = sortPairs(found)
	return slices.DeleteFunc(found, func(p policies.Pair) bool { return slices.Contains(pairs, p) })
}
