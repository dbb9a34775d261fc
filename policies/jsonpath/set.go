package jsonpath

import (
	"math/bits"
	"strings"
)

// Set is several paths as one automaton. Each path has a position before each of its steps and one at its end; a State
// is the set of positions reached. To enter a member is one look-up of its name and a few operations on words, whatever
// the number of paths. Safe for concurrent use.
type Set struct {
	words  int
	start  State
	names  map[string]*spelling // by the folded name
	counts map[int]*label
	// shapes has a bit for what the shape of each name hashes to.
	shapes [32]uint64
	// foreign: names that are not of ASCII alone may be meant, too.
	foreign bool
	// every is entered by any child, whatever its name.
	every label
	// named and counted are the positions where a name or an index decides.
	named, counted label
	// deep are the positions that stay on the way down, inner those with a step to come, final those at an end.
	deep, inner, final label
	// owner is the path of each position.
	owner []int
}

// label has the positions whose step a child takes.
type label struct {
	lo, hi uint64
	more   []uint64
}

func (l *label) set(position int) {
	switch word, bit := position/64, uint64(1)<<(position%64); word {
	case 0:
		l.lo |= bit
	case 1:
		l.hi |= bit
	default:
		for len(l.more) < word-1 {
			l.more = append(l.more, 0)
		}
		l.more[word-2] |= bit
	}
}

func (l *label) word(i int) uint64 {
	switch {
	case i == 0:
		return l.lo
	case i == 1:
		return l.hi
	case i-2 < len(l.more):
		return l.more[i-2]
	}
	return 0
}

// NewSet makes the automaton. Match answers with indexes into paths.
func NewSet(paths []Path) *Set {
	s := &Set{names: map[string]*spelling{}, counts: map[int]*label{}}
	var start label
	for i, p := range paths {
		if len(p.steps) == 0 {
			continue
		}
		start.set(len(s.owner))
		for _, step := range p.steps {
			s.add(step, len(s.owner), p.fold)
			s.owner = append(s.owner, i)
		}
		s.final.set(len(s.owner))
		s.owner = append(s.owner, i)
	}
	s.words = (len(s.owner) + 63) / 64
	s.start = s.state(&start)
	for _, n := range s.names {
		s.join(n.any, &s.every)
		for _, l := range n.exact {
			s.join(l, n.any)
		}
	}
	for _, l := range s.counts {
		s.join(l, &s.every)
	}
	return s
}

// add enters one step at its position.
func (s *Set) add(step step, position int, fold bool) {
	s.inner.set(position)
	if step.deep {
		s.deep.set(position)
	}
	switch step.kind {
	case wildcard:
		s.every.set(position)
	case member:
		s.named.set(position)
		s.addName(step.name, position, fold)
	case element:
		s.counted.set(position)
		if s.counts[step.index] == nil {
			s.counts[step.index] = &label{}
		}
		s.counts[step.index].set(position)
	}
}

// addName enters the name of a member, in every case or as it is written.
func (s *Set) addName(name string, position int, fold bool) {
	key := string(appendFold(nil, []byte(name)))
	if !isASCII([]byte(name)) || !isASCII([]byte(key)) || fold && strings.ContainsAny(key, "KS") {
		s.foreign = true // U+212A is a K, U+017F an S
	}
	h := shape([]byte(key))
	s.shapes[h/64] |= 1 << (h % 64)
	n := s.names[key]
	if n == nil {
		n = &spelling{any: &label{}}
		s.names[key] = n
	}
	if fold {
		n.any.set(position)
		return
	}
	if n.exact == nil {
		n.exact = map[string]*label{}
	}
	if n.exact[name] == nil {
		n.exact[name] = &label{}
	}
	n.exact[name].set(position)
}

// join adds the positions of from to those of l.
func (s *Set) join(l, from *label) {
	for position := range s.owner {
		if from.word(position/64)&(1<<(position%64)) != 0 {
			l.set(position)
		}
	}
}

// shape hashes what tells most names apart without a look-up: the first byte and the last, whatever their case, and the
// length.
func shape(name []byte) uint32 {
	n := len(name)
	if n == 0 {
		return 0
	}
	return (uint32(name[0]|0x20)*37 ^ uint32(name[n-1]|0x20)*8 ^ uint32(n&0xff)*259) & 2047
}

// Start is the state of the document itself.
func (s *Set) Start() State { return s.start }

// Name is the state of a member of an object, whose own state is st. The name is decoded.
func (s *Set) Name(st State, name []byte) State {
	l := &s.every
	if h := shape(name); (s.shapes[h/64]&(1<<(h%64)) != 0 || s.foreign && !isASCII(name)) && s.meets(st, &s.named) {
		if found := s.spelled(name); found != nil {
			l = found
		}
	}
	return s.step(st, l)
}

// spelled is the label of a name, nil if no path has it in any case.
func (s *Set) spelled(name []byte) *label {
	var room [64]byte
	n := s.names[string(appendFold(room[:0], name))]
	if n == nil {
		return nil
	}
	if n.exact != nil {
		if l := n.exact[string(name)]; l != nil {
			return l
		}
	}
	return n.any
}

// Index is the state of an array's element, counted from 0; the array's own is st.
func (s *Set) Index(st State, i int) State {
	l := &s.every
	if s.meets(st, &s.counted) {
		if found := s.counts[i]; found != nil {
			l = found
		}
	}
	return s.step(st, l)
}

// Match is the lowest index of a path that ends here, or -1.
func (s *Set) Match(st State) int {
	if x := st.lo & s.final.lo; x != 0 {
		return s.owner[bits.TrailingZeros64(x)]
	}
	if x := st.hi & s.final.hi; x != 0 {
		return s.owner[64+bits.TrailingZeros64(x)]
	}
	for i := 2; i < s.words && st.more != ""; i++ {
		if x := st.word(i) & s.final.word(i); x != 0 {
			return s.owner[i*64+bits.TrailingZeros64(x)]
		}
	}
	return -1
}

// Dead reports whether nothing below can match.
func (s *Set) Dead(st State) bool { return !s.meets(st, &s.inner) }
