package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Bounds of what is told: a file of garbage must not become a report of its size.
const (
	maxFaults  = 100
	maxMessage = 512
)

// Fault is one thing wrong with a policy directory.
type Fault struct {
	// File is the name within the directory; empty where the directory as a whole is meant.
	File string `json:"file,omitempty"`
	// Line and Column count from 1; 0 where the whole file is meant.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Field is the path within the file, such as rules[0].when.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String writes file:line:column: field: message on one line.
func (f Fault) String() string {
	var b strings.Builder
	switch {
	case f.File == "":
		b.WriteString("policy directory: ")
	case f.Line == 0:
		b.WriteString(f.File + ": ")
	default:
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults are all things wrong with a policy directory, by file and line; at most 100 are kept.
type Faults struct {
	Faults []Fault
}

// Error implements error: one fault a line.
func (f *Faults) Error() string {
	lines := make([]string, len(f.Faults))
	for i, one := range f.Faults {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// newFaults orders and bounds; nil for none.
func newFaults(all []Fault) *Faults {
	if len(all) == 0 {
		return nil
	}
	for i := range all {
		all[i].File, all[i].Field, all[i].Message = oneLine(all[i].File), oneLine(all[i].Field), oneLine(all[i].Message)
	}
	slices.SortStableFunc(all, func(a, b Fault) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	all = slices.Compact(all)
	if more := len(all) - maxFaults; more > 0 {
		all = append(all[:maxFaults:maxFaults], Fault{Message: fmt.Sprintf("and %d more", more)})
	}
	return &Faults{Faults: all}
}

// oneLine keeps text of a policy file from forging lines of a report: white space becomes one blank, other characters
// that are not printed are shown as what they are.
func oneLine(s string) string {
	var b strings.Builder
	blank := false
	for i, r := range s {
		if b.Len() > maxMessage {
			fmt.Fprintf(&b, "… (%d bytes more)", len(s)-i)
			break
		}
		switch {
		case unicode.IsSpace(r):
			blank = b.Len() > 0
			continue
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		case blank:
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
