package masking

// HidesOrigin reports whether a mask hides a column by its origin, as a row description gives it: whatever the statement
// is thought to do. Relation 0 is no origin. Where the catalog does not know a relation, its columns are hidden.
func (v *View) HidesOrigin(relation uint32, number int16) bool {
	return relation != 0 && v.hidesColumns && v.field(Field{Relation: relation, Number: number}, false) != nil
}
