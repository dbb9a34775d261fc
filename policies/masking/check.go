package masking

import (
	"fmt"
	"slices"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Violation says why a statement cannot run: something masked is used where it cannot be hidden.
type Violation struct {
	// Mask is the mask's name.
	Mask string
	// Column is "schema.table.column", or a function's name.
	Column string
	// Where is the place, for people.
	Where string
	// Call: a function outside the pure list could read anything.
	Call bool
	// Unknown: the catalog does not know the relation, which may be newer.
	Unknown bool
}

// Error implements error.
func (v *Violation) Error() string {
	switch {
	case v.Call:
		return fmt.Sprintf("%s runs in %s, where what it reads could not be hidden (masks apply to you here)", v.Column, v.Where)
	case v.Unknown:
		return fmt.Sprintf("relation %q is not known, so that %s could not be masked (masks apply to you here)", v.Column, v.Where)
	}
	return fmt.Sprintf("column %s is masked by %q and used in %s", v.Column, v.Mask, v.Where)
}

// Hint says what works instead.
func (v *Violation) Hint() string {
	switch {
	case v.Unknown:
		return "Check the name. If the relation is new, try again in a moment."
	case v.Call:
		return "A function that is not known to be harmless may stand only as a whole output column of the outermost SELECT, where its result is masked."
	}
	return "A masked column may stand only as a plain output column of the outermost SELECT or RETURNING, where its value is masked. Name the columns that you need instead of *."
}

// Check finds the first use of something masked where it cannot be hidden, nil if there is none.
func (v *View) Check(statements []sqlfacts.Statement) *Violation {
	if v.Empty() {
		return nil
	}
	for i := range statements {
		s := &statements[i]
		for _, u := range s.Uses {
			if u.Relation == nil {
				continue
			}
			if m := v.Column(u.Relation, u.Column); m != nil {
				return &Violation{Mask: m.Name, Column: u.Relation.String() + "." + u.Column, Where: u.Where}
			}
		}
		for _, c := range s.Calls {
			if c.Output {
				continue
			}
			where := c.Via
			if where == "" {
				where = "a place other than an output column"
			}
			return &Violation{Column: c.Function, Where: where, Call: true}
		}
		// Nobody knows which of its columns a mask hides, what it runs, and whether the name means what it seems to.
		if name := v.unknown(s); name != "" {
			where := "what it reads"
			if s.Kind == sqlfacts.CopyOut {
				where = "what COPY sends"
			}
			return &Violation{Column: name, Where: where, Unknown: true}
		}
	}
	return nil
}

// unknown is a relation of the statement that the catalog does not know, empty if there is none: it may be newer than
// the snapshot. Facts say nothing of its columns.
func (v *View) unknown(s *sqlfacts.Statement) string {
	for _, p := range s.Operation.Pairs {
		switch p.Effect {
		case policyv1.Effect_READ, policyv1.Effect_INSERT, policyv1.Effect_UPDATE, policyv1.Effect_DELETE:
			if !slices.ContainsFunc(s.Relations, func(r *sqlfacts.Relation) bool { return isNamed(r, p.Object) }) && !v.isSequence(p.Object) {
				return p.Object
			}
		}
	}
	return ""
}

func isNamed(r *sqlfacts.Relation, object string) bool {
	n := len(r.Schema)
	return len(object) == n+1+len(r.Name) && object[:n] == r.Schema && object[n] == '.' && object[n+1:] == r.Name
}

// isSequence: the functions of sequences name theirs in a string, so that it is none of a statement's relations.
func (v *View) isSequence(object string) bool {
	schema, name, found := strings.Cut(object, ".")
	if !found {
		return false
	}
	rel, err := v.catalog.Relation(schema, name)
	return err == nil && rel != nil && rel.Kind == 'S'
}

// Touches reports whether any output of the statements could have to be hidden. If not, rows pass as they are and
// their description need not be known.
func (v *View) Touches(statements []sqlfacts.Statement) bool {
	if v.Passes() {
		return false
	}
	for i := range statements {
		s := &statements[i]
		if v.hidesColumns && v.hides(s) || v.searches(s) {
			return true
		}
	}
	return false
}

// hides reports whether a whole column of the statement's output could have to be hidden.
func (v *View) hides(s *sqlfacts.Statement) bool {
	return len(s.Calls) > 0 || v.unknown(s) != "" ||
		slices.ContainsFunc(s.Relations, func(r *sqlfacts.Relation) bool { return v.Column(r, "*") != nil })
}

// Hides reports whether a constant or parameter must not be shown or recorded: it meets something masked, or a secret.
func (v *View) Hides(m sqlfacts.Meets) bool {
	if m.Secret || m.Unknown && !v.Empty() {
		return true
	}
	for _, u := range m.Columns {
		if u.Relation != nil && v.Column(u.Relation, u.Column) != nil {
			return true
		}
	}
	return false
}

// Quotes reports whether an error of the statements may quote something masked, whatever its class: they are definitions
// that work on the values of a relation with a masked column, or use one themselves (which is refused to whoever the
// view is of, but not to others, and this may be the record's).
func (v *View) Quotes(statements []sqlfacts.Statement) bool {
	if v.Empty() {
		return false
	}
	for i := range statements {
		s := &statements[i]
		if s.ReadsValues && slices.ContainsFunc(s.Relations, func(r *sqlfacts.Relation) bool { return v.Column(r, "*") != nil }) {
			return true
		}
		for _, u := range s.Uses {
			if u.Relation != nil && v.Column(u.Relation, u.Column) != nil {
				return true
			}
		}
	}
	return false
}

// unprovable reports whether a function outside the pure list, or a relation that the catalog does not know, can be
// behind an output column.
func (v *View) unprovable(statements []sqlfacts.Statement) bool {
	for i := range statements {
		if len(statements[i].Calls) > 0 || v.unknown(&statements[i]) != "" {
			return true
		}
	}
	return false
}

// Field is an output column as a row description gives it (PostgreSQL, "Message Formats").
type Field struct {
	// Relation and Number are its origin; 0 if it is computed.
	Relation uint32
	Number   int16
	Type     uint32
	// Modifier is the type's, -1 for none: of character types the length and 4.
	Modifier int32
	// Format is 0 for text, 1 for binary.
	Format int16
}

// Plan plans what happens to each field; nil if all pass.
func (v *View) Plan(statements []sqlfacts.Statement, fields []Field) Plan {
	if v.Passes() {
		return nil
	}
	impure := v.unprovable(statements) || v.computes(statements, fields)
	computed := v.searchedIn(statements, impure)
	var plan Plan
	for i, f := range fields {
		var h *hiding
		if v.hidesColumns {
			if m := v.field(f, impure); m != nil {
				h = &hiding{rule: m, text: isText(f.Type), longest: longest(f.Type, f.Modifier)}
			}
		}
		if h == nil {
			h = v.searching(v.searchedField(f, computed), v.columnName(f), f.Type, f.Format == 1)
		}
		if h == nil {
			continue
		}
		if plan == nil {
			plan = make(Plan, len(fields))
		}
		plan[i] = h
	}
	return plan
}

// computes reports whether fields without an origin may be worked out from what is masked. For whom the view is, such a
// statement is refused; but the record has a view of its own, which is stricter than that of whom a mask excepts.
func (v *View) computes(statements []sqlfacts.Statement, fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Relation == 0 || f.Number == 0 }) && v.Check(statements) != nil
}

// columnName is the name of a field's column, empty if it has none that is known. The field's own is the client's choice.
func (v *View) columnName(f Field) string {
	if f.Relation == 0 || f.Number <= 0 {
		return ""
	}
	rel, err := v.catalog.RelationByOID(f.Relation)
	if err != nil || rel == nil {
		return ""
	}
	if c := rel.ColumnByNumber(f.Number); c != nil {
		return c.Name
	}
	return ""
}

func (v *View) field(f Field, impure bool) *policies.MaskRule {
	if f.Relation == 0 {
		// Computed, and of nothing that is masked.
		if impure {
			return &unproven
		}
		return nil
	}
	if f.Number < 0 {
		return nil // A system column holds no data of a user's.
	}
	rel, err := v.catalog.RelationByOID(f.Relation)
	if err != nil || rel == nil {
		return &unproven
	}
	rules := v.relation(rel)
	switch {
	case rules.whole != nil:
		return rules.whole
	case f.Number == 0: // The whole row.
		if m := rules.any(); m != nil || !impure {
			return m
		}
		return &unproven
	}
	if rel.ColumnByNumber(f.Number) == nil {
		return &unproven
	}
	return rules.byNumber[f.Number]
}
