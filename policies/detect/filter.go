package detect

// window is how many bytes decide whether a reader looks at a place.
const window = 8

// lane is one of the eight searches that the filter does at once. Marks in one lane blur: any of their first bytes may
// be followed by any of their second bytes, and so on. So marks that look alike share a lane, and those that do not fill
// the window have one of their own: where one of them fits anything, all others in its lane do.
type lane uint8

const (
	laneCapitals lane = iota // AKIA, AIza, SG., SK, 1//
	laneG                    // ghp_, glpat-, GOCSPX-
	laneS                    // sk_live_, sk-
	laneX                    // xoxb-, npm_, whsec_, ya29.
	laneJWT                  // eyJ
	laneShort                // ://, pwd=
	lanePairs                // password=, sig=, AccountKey=
	laneWords                // authorization, secret, -----BEGIN, hooks.slack.com
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
	// name and width are filled in by New and compile: the detector, and the bytes of the window that the mark uses.
	name  string
	width int
}

// filter is a shift-or automaton (R. Baeza-Yates, G. Gonnet, "A new approach to text searching", 1992) over eight lanes
// of eight byte classes each. Byte k of table[b] has bit l clear if b may stand at place k of the window in lane l. The
// state is shifted by a place for each byte of the text and ORed with the byte's entry, so that its top byte has bit l
// clear where the last eight bytes fit lane l. Marks shorter than the window stand at its end.
type filter struct {
	table [256]uint64
	start uint64 // the state before a text: only places that no mark uses fit
	lanes [lanes][]mark
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
