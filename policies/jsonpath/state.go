package jsonpath

import "encoding/binary"

// State is where in a document one stands: the positions reached, a bit each. It is comparable; the zero State matches
// nothing, here and below. It means something only to the Set that made it.
type State struct {
	lo, hi uint64
	// more has the positions from 128 on, eight bytes a word; empty if there are none. Only it costs an allocation.
	more string
}

// word is a word of more, counted from 2.
func (st State) word(i int) uint64 {
	if (i-1)*8 > len(st.more) {
		return 0
	}
	return binary.LittleEndian.Uint64([]byte(st.more[(i-2)*8 : (i-1)*8]))
}

// meets reports whether the state has a position of the label.
func (s *Set) meets(st State, l *label) bool {
	if st.lo&l.lo|st.hi&l.hi != 0 {
		return true
	}
	if st.more != "" {
		for i := 2; i < s.words; i++ {
			if st.word(i)&l.word(i) != 0 {
				return true
			}
		}
	}
	return false
}

// step moves each position that the child takes to the next; deep ones stay as well. The last position of a path takes
// no child, so nothing moves from one path into the next.
func (s *Set) step(st State, l *label) State {
	lo, hi := st.lo&l.lo, st.hi&l.hi
	out := State{lo: lo<<1 | st.lo&s.deep.lo, hi: hi<<1 | lo>>63 | st.hi&s.deep.hi}
	if s.words <= 2 || st.more == "" && hi>>63 == 0 {
		return out
	}
	more := make([]byte, 0, (s.words-2)*8)
	var some uint64
	carry := hi >> 63
	for i := 2; i < s.words; i++ {
		was := st.word(i)
		taken := was & l.word(i)
		now := taken<<1 | carry | was&s.deep.word(i)
		carry = taken >> 63
		some |= now
		more = binary.LittleEndian.AppendUint64(more, now)
	}
	if some != 0 {
		out.more = string(more)
	}
	return out
}

// state is a label as a state.
func (s *Set) state(l *label) State {
	out := State{lo: l.lo, hi: l.hi}
	if len(l.more) > 0 {
		more := make([]byte, 0, (s.words-2)*8)
		for i := 2; i < s.words; i++ {
			more = binary.LittleEndian.AppendUint64(more, l.word(i))
		}
		out.more = string(more)
	}
	return out
}
