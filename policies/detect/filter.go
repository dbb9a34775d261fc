package detect

// window is how many bytes decide whether a reader looks at a place.
const window = 8

// lane is one of the eight searches that the filter does at once. Marks in one lane blur: any of their first bytes may
// be followed by any of their second bytes, and so on. So marks that look alike share a lane, and those that do not fill
// the window have one of their own: where one of them fits anything, all others in its lane do.
type lane uint8

const (
	laneBare  lane = iota // AKIA, AIza, dapi, eyJ: no sign in it
	laneTwo               // sk_live_, sk-, hf_, SG., 1//: the first sign at the third place, or before
	laneThree             // ghp_, npm_, xai-
	laneFour              // xoxb-, glsa_, ya29.
	laneFive              // glpat-, shpat_, whsec_
	laneShort             // ://, pwd=
	lanePairs             // password=, sig=, AccountKey=
	laneWords             // authorization, secret, -----BEGIN, hooks.slack.com, pscale_tkn_
	lanes
)

// mark is a literal by which the filter knows a place where a secret may be.
type mark struct {
	text string // in small letters if fold
	fold bool   // letters of either case
	// then is what must follow the text, to the end of the window: it makes short texts rare. Zero if nothing must.
	then class
	lane lane
	kind kind
	form *form // if the kind is one of the table
	// name, width and index are filled in by New and compile: the detector, the bytes of the window that the mark uses,
	// and the form's own number among all.
	name  string
	width int
	index int
}

// filter is a shift-or automaton (R. Baeza-Yates, G. Gonnet, "A new approach to text searching", 1992) over eight lanes
// of eight byte classes each. Byte k of table[b] has bit l clear if b may stand at place k of the window in lane l. The
// state is shifted by a place for each byte of the text and ORed with the byte's entry, so that its top byte has bit l
// clear where the last eight bytes fit lane l. Marks shorter than the window stand at its end.
type filter struct {
	table [256]uint64
	start uint64 // the state before a text: only places that no mark uses fit
	lanes [lanes][]mark
	// firsts has the first byte of each mark of a lane, its case taken away.
	firsts [lanes][]byte
	// heads has a bit for what the first three bytes of marks that fill the window hash to: lanes blur, and most of what
	// fits one is no mark's.
	heads [128]uint64
}

// headOf hashes three bytes, whatever their case, to 13 bits (multiplicative hashing, D. Knuth, TAOCP 3, section 6.4).
func headOf(a, b, c byte) uint32 {
	return (uint32(a|0x20)<<16 | uint32(b|0x20)<<8 | uint32(c|0x20)) * 0x9E3779B1 >> 19
}

// mayBegin says whether a mark that fills the window may stand at a place.
func (f *filter) mayBegin(text []byte, at int) bool {
	h := headOf(text[at], text[at+1], text[at+2])
	return f.heads[h/64]&(1<<(h%64)) != 0
}

// unfit is the least state in which no lane fits.
const unfit = uint64(0xff) << 56

func compile(marks []mark) filter {
	var f filter
	for _, m := range marks {
		m.width = min(len(m.text), window)
		if m.then != 0 {
			m.width = window
		}
		f.lanes[m.lane] = append(f.lanes[m.lane], m)
		f.firsts[m.lane] = append(f.firsts[m.lane], m.text[0]|0x20)
		if m.width == window {
			f.enter(&m)
		}
	}
	// fits[place][byte] are the lanes in which the byte may stand there; entry 256 is what is before the text.
	var fits [window][257]uint8
	for l, marks := range f.lanes {
		for i := range marks {
			m := &marks[i]
			for place := range window {
				offset := place - (window - m.width)
				for b := range 257 {
					if offset < 0 || b < 256 && m.allows(offset, byte(b)) {
						fits[place][b] |= 1 << l
					}
				}
			}
		}
	}
	entry := func(b int) (e uint64) {
		for place := range window {
			e |= uint64(^fits[place][b]) << (8 * place)
		}
		return e
	}
	for b := range f.table {
		f.table[b] = entry(b)
	}
	// One entry does for all bytes before a text: a place that no mark uses has only such places before it.
	f.start = entry(256)
	return f
}

// enter enters what the mark may begin with into heads.
func (f *filter) enter(m *mark) {
	for third := range 256 {
		if m.allows(2, byte(third)) {
			h := headOf(m.text[0], m.text[1], byte(third))
			f.heads[h/64] |= 1 << (h % 64)
		}
	}
}

// allows says whether b may stand at the offset from the mark's begin.
func (m *mark) allows(offset int, b byte) bool {
	if offset >= len(m.text) {
		return classes[b]&m.then != 0
	}
	return b == m.text[offset] || m.fold && lower(b) == m.text[offset]
}

// standsAt says whether the whole mark stands there: its text, and behind it what must follow within the window. The
// filter has not proven that, since lanes blur: what is found must not depend on which other detectors are on.
func (m *mark) standsAt(text []byte, at int) bool {
	behind := at + len(m.text)
	if behind > len(text) || at+m.width > len(text) {
		return false
	}
	if m.fold {
		if !foldedAt(text, at, m.text) {
			return false
		}
	} else if string(text[at:behind]) != m.text {
		return false
	}
	for ; behind < at+m.width; behind++ {
		if !m.then.is(text[behind]) {
			return false
		}
	}
	return true
}

// next reads from a place on, in the state reached before it, until a lane fits. It returns where the window ends (the
// place of its last byte) and the state there, or the text's length.
func (f *filter) next(text []byte, at int, state uint64) (int, uint64) {
	for i := at; i < len(text); i++ {
		state = state<<8 | f.table[text[i]]
		if state < unfit {
			return i, state
		}
	}
	return len(text), state
}
