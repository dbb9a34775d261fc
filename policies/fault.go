package policies

import (
	"errors"
	"strings"
)

// Fault is one thing wrong with a bundle.
type Fault struct {
	// Field is the path within the bundle, such as rules[2].when.
	Field   string
	Message string
}

// Error implements error.
func (f *Fault) Error() string { return f.Field + ": " + f.Message }

// Faults are all things wrong with a bundle, in its order.
type Faults []*Fault

// Error implements error: one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// add collects a fault or faults; anything else becomes a fault of the field.
func (f *Faults) add(field string, err error) {
	var one *Fault
	var many Faults
	switch {
	case err == nil:
	case errors.As(err, &many):
		*f = append(*f, many...)
	case errors.As(err, &one):
		*f = append(*f, one)
	default:
		*f = append(*f, &Fault{Field: field, Message: err.Error()})
	}
}

func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
