package detect

const (
	// nameMost is how much of a field's name is read, from its end, and valueMost how long a value is that it may explain, in
	// bytes. valueLeast is the least length of a secret that only its name tells.
	nameMost   = 64
	valueMost  = 448
	valueLeast = 16
)

// FindNamed is Find for the value of a field: what needs a word before it is found by the field's name, too.
func (s *Set) FindNamed(dst []Span, name, text []byte) []Span {
	from := len(dst)
	dst = s.Find(dst, text)
	if s.Empty() || !s.marked || len(name) == 0 || len(text) > valueMost || !isOpaque(text) {
		return dst
	}
	var room [nameMost + 1 + valueMost]byte
	joined := append(room[:0], name[max(0, len(name)-nameMost):]...)
	joined = append(joined, '=')
	shift := len(joined)
	joined = append(joined, text...)
	kept := len(dst)
	dst = s.findMarked(dst, joined)
	all := dst[kept:]
	for _, found := range all {
		if found.End > shift {
			found.Start, found.End = max(found.Start-shift, 0), found.End-shift
			dst[kept] = found
			kept++
		}
	}
	dst = dst[:kept]
	if len(dst) < from+2 {
		return dst
	}
	return dst[:from+tidy(dst[from:])]
}

// isOpaque says whether a text could be a secret that only its name tells: it begins as a token does, or with the scheme of
// one.
func isOpaque(text []byte) bool {
	if len(text) < valueLeast {
		return false
	}
	for _, b := range text[:valueLeast] {
		if !token68.is(b) {
			return foldedAt(text, 0, "bearer ") || foldedAt(text, 0, "basic ")
		}
	}
	return true
}
