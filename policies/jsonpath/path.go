package jsonpath

import "fmt"

// MaxLength is the longest path that is read, in bytes.
const MaxLength = 4 << 10

// Path is one compiled path. The zero Path matches nothing.
type Path struct {
	source string
	steps  []step
	fold   bool
}

// IgnoringCase is the path with names that match without regard to case, by Unicode's simple folding.
func (p Path) IgnoringCase() Path {
	p.fold = true
	return p
}

// String is the path as it was written.
func (p Path) String() string { return p.source }

// step is one segment with its one selector (RFC 9535, 2.5).
type step struct {
	kind kind
	// deep: the segment is a descendant segment (RFC 9535, 2.5.2).
	deep  bool
	name  string
	index int
}

type kind byte

const (
	wildcard kind = iota
	member
	element
)

// supported ends an error about what RFC 9535 has and a stream cannot match.
const supported = "supported are .name, ['name'], .*, [*], [0] and these behind .."

// Error says why a path is refused.
type Error struct {
	// Source is the path, Offset the byte in it at which reading stopped, from 0.
	Source string
	Offset int
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%q at byte %d: %s", e.Source, e.Offset, e.Reason)
}

// Compile reads a path. Filters, slices, unions, negative indexes and functions are refused: whether they match is not
// known when a value comes by. So is $ alone. The error is an *Error.
func Compile(source string) (Path, error) {
	if len(source) > MaxLength {
		return Path{}, &Error{source[:64] + "…", MaxLength, fmt.Sprintf("a path has at most %d bytes", MaxLength)}
	}
	p := parser{source: source}
	steps, err := p.query()
	if err != nil {
		return Path{}, err
	}
	return Path{source: source, steps: steps}, nil
}
