package detect

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Span is a find: text[Start:End], in bytes, by the detector Name.
type Span struct {
	Start, End int
	Name       string
}

// Set is some detectors, compiled. It is safe for concurrent use. nil and the zero value find nothing.
type Set struct {
	filter filter
	marked bool // any detector that the filter serves
	// byFirst are the filter's marks by the bytes with which they begin.
	byFirst [256][]*mark
	cards   bool
}

// Names lists the detectors, sorted.
func Names() []string {
	all := detectors()
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.name
	}
	slices.Sort(names)
	return names
}

// New compiles the named detectors; "*" is all of them, and no names are an empty Set. An unknown name is an error that
// lists the known ones.
func New(names []string) (*Set, error) {
	var unknown []string
	known := Names()
	for _, name := range names {
		if name != "*" && !slices.Contains(known, name) {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unknown detector %s; known are %s, and \"*\" for all",
			strings.Join(unknown, ", "), strings.Join(known, ", "))
	}
	s := &Set{}
	var marks []mark
	for _, d := range detectors() {
		if !slices.Contains(names, "*") && !slices.Contains(names, d.name) {
			continue
		}
		if d.name == cardNumberName {
			s.cards = true
			continue
		}
		for _, m := range d.marks {
			m.name = d.name
			m.index = int(m.kind)
			if m.form != nil {
				m.index = int(kinds) + m.form.number
			}
			marks = append(marks, m)
		}
	}
	s.marked = len(marks) > 0
	s.filter = compile(marks)
	s.byFirst = indexed(&s.filter)
	return s, nil
}

// Empty says whether the set finds nothing because no detector is in it.
func (s *Set) Empty() bool { return s == nil || !s.marked && !s.cards }

// Find appends the finds in text to dst, in order, none overlapping. Of finds that overlap the longer wins; where they
// overlap only in part, it takes what the other covered beyond it, so that no byte of any find is left out.
func (s *Set) Find(dst []Span, text []byte) []Span {
	if s.Empty() {
		return dst
	}
	from := len(dst)
	if s.marked {
		dst = s.findMarked(dst, text)
	}
	if s.cards && len(text) >= cardLeast {
		dst = findCards(dst, text)
	}
	if len(dst) < from+2 {
		return dst
	}
	return dst[:from+tidy(dst[from:])]
}

// findMarked appends what the readers find at the filter's candidates.
func (s *Set) findMarked(dst []Span, text []byte) []Span {
	at, state := s.filter.next(text, 0, s.filter.start)
	if at == len(text) {
		return dst
	}
	for ; at < len(text); at, state = s.filter.next(text, at+1, state) {
		if s.stands(text, at, s.lanesAt(text, at, state)) {
			return s.readFrom(dst, text, at, state)
		}
	}
	return dst
}

// lanesAt are the lanes in which a mark may stand whose window ends at a place.
func (s *Set) lanesAt(text []byte, at int, state uint64) uint8 {
	lanes := ^uint8(state >> 56)
	if at+1 < window || !s.filter.mayBegin(text, at+1-window) {
		lanes &= 1 << laneShort
	}
	return lanes
}

// stands says whether any mark of the lanes stands where a window ends: in most texts none does, and nothing has to be kept
// of finds.
func (s *Set) stands(text []byte, at int, lanes uint8) bool {
	for ; lanes != 0; lanes &= lanes - 1 {
		l := bits.TrailingZeros8(lanes)
		marks, firsts := s.filter.lanes[l], s.filter.firsts[l]
		var first byte
		if l != int(laneShort) {
			first = text[at+1-window] | 0x20
		}
		for i, f := range firsts {
			if f != first && l != int(laneShort) {
				continue
			}
			if begin := at + 1 - marks[i].width; begin >= 0 && marks[i].standsAt(text, begin) {
				return true
			}
		}
	}
	return false
}

// readFrom reads all candidates from the first on.
func (s *Set) readFrom(dst []Span, text []byte, at int, state uint64) []Span {
	c := cursor{text: text}
	// A form that was found is not looked for again inside its find: that keeps forms without an end linear.
	var until ends
	for ; at < len(text); at, state = s.filter.next(text, at+1, state) {
		for lanes := s.lanesAt(text, at, state); lanes != 0; lanes &= lanes - 1 {
			dst = s.readLane(&c, bits.TrailingZeros8(lanes), at, &until, dst)
		}
	}
	return dst
}

// ends is, by the number of each form, where its last find ended.
type ends [int(kinds) + formsMost]int

// readLane reads where marks of a lane may stand whose windows end at a place.
func (s *Set) readLane(c *cursor, l, at int, until *ends, dst []Span) []Span {
	marks, firsts := s.filter.lanes[l], s.filter.firsts[l]
	for i := 0; i < len(marks); i++ {
		if l != int(laneShort) { // all are of one width there
			n := bytes.IndexByte(firsts[i:], c.text[at+1-window]|0x20)
			if n < 0 {
				break
			}
			i += n
		}
		m := &marks[i]
		begin := at + 1 - m.width
		if begin < until[m.index] || !m.standsAt(c.text, begin) {
			continue
		}
		if start, end := c.read(m, begin, begin+len(m.text)); end > 0 {
			dst = append(dst, Span{Start: start, End: end, Name: m.name})
			until[m.index] = end
		}
	}
	return dst
}
