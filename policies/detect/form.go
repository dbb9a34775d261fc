package detect

import "slices"

// form is a secret that its prefix, its alphabet and its lengths tell: an entry of the table. Where a maker's keys have
// no prefix, word is a name of the maker's that stands before them.
type form struct {
	detector, maker, what string
	// prefix stands at the begin of the secret, in this case.
	prefix string
	// word, in small letters, stands before the secret, in either case, within a name such as MISTRAL_API_KEY.
	word string
	// body is what follows, piece by piece.
	body []piece

	number int
}

// piece is a run of characters of a class behind a literal.
type piece struct {
	literal string
	of      class
	// least and most are lengths; most is 0 if the maker gives none or lets them grow. Only the last piece may be so.
	least, most int
}

func run(of class, least, most int) piece { return piece{of: of, least: least, most: most} }

func exactly(of class, n int) piece { return run(of, n, n) }

// openMost bounds a piece without a greatest length whose runs are not remembered, in bytes.
const openMost = 512

// formsMost is how many forms the table may have.
const formsMost = 192

// table is all forms, in the order of their files.
func table() []form {
	var out []form
	for _, part := range [][]form{modelForms(), cloudForms(), codeForms(), serviceForms()} {
		out = append(out, part...)
	}
	for i := range out {
		out[i].number = i
	}
	return out
}

// tabled are the detectors of the table: forms of one name are one.
func tabled() []detector {
	var out []detector
	forms := table()
	for i := range forms {
		f := &forms[i]
		n := len(out) - 1
		if n < 0 || out[n].name != f.detector {
			out = append(out, detector{name: f.detector, maker: f.maker, what: f.what})
			n++
		}
		out[n].marks = append(out[n].marks, f.mark())
	}
	return out
}

// mark is what the filter knows the form by. What follows a short prefix fills the window.
func (f *form) mark() mark {
	if f.word != "" {
		return mark{text: f.word, fold: true, then: nameRest, lane: laneWords, kind: kindWord, form: f}
	}
	m := mark{text: f.prefix, lane: laneOf(f.prefix), kind: kindForm, form: f}
	if len(f.prefix) <= 3 && !alnum.is(f.prefix[0]) {
		m.lane = laneBare
	}
	for i, places := 0, window-len(f.prefix); places > 0 && i < len(f.body); i++ {
		p := &f.body[i]
		for _, b := range []byte(p.literal) {
			m.then |= classes[b]
		}
		m.then |= p.of
		places -= len(p.literal) + p.least
	}
	return m
}

// laneOf is the lane of marks that are alike: by the place of the first sign in them.
func laneOf(prefix string) lane {
	for i := range len(prefix) {
		if !alnum.is(prefix[i]) {
			return [...]lane{laneFive, laneTwo, laneTwo, laneThree, laneFour, laneFive, laneWords}[min(i, 6)]
		}
	}
	return laneBare
}

// form reads the body behind a prefix. A form whose length is open has a digit: words joined by dashes do not.
func (c *cursor) form(f *form, at, body int) (int, int) {
	if ident.is(f.prefix[0]) && !c.opens(at) {
		return 0, 0
	}
	end := c.pieces(f.body, body)
	if end == 0 {
		return 0, 0
	}
	return at, end
}

// pieces gives the end of a body, or 0.
func (c *cursor) pieces(body []piece, at int) int {
	var numbered, open bool
	for i := range body {
		p := &body[i]
		if end := at + len(p.literal); end > len(c.text) || string(c.text[at:end]) != p.literal {
			return 0
		}
		at += len(p.literal)
		var end int
		switch {
		case p.most == 0 && p.of == dashed:
			open = true
			end, numbered = c.dashedRun(at)
		case p.most == 0 && p.of == dashed|dot:
			open = true
			end, numbered = c.dottedRun(at)
		case p.most == 0:
			open = true
			end, numbered = c.openRun(at, p.of)
		default:
			end = c.skipMost(at, p.of, p.most+1)
			if end-at > p.most {
				return 0
			}
		}
		if end-at < p.least {
			return 0
		}
		at = end
	}
	last := body[len(body)-1].of
	if last&plus != 0 {
		for range 2 { // padding of base64
			if c.byteAt(at) == '=' {
				at++
			}
		}
	}
	for last&dot != 0 && c.text[at-1] == '.' {
		at--
	}
	if !c.closes(at) {
		return 0
	}
	if open && !numbered {
		return 0
	}
	return at
}

// openRun gives the end of the characters of a class from a place on, and whether a digit is among the first openMost of
// them. If none is, it reads no further.
func (c *cursor) openRun(at int, of class) (end int, numbered bool) {
	end = c.skipMost(at, of, openMost)
	if !slices.ContainsFunc(c.text[at:end], digit.is) {
		return end, false
	}
	return c.skip(end, of), true
}

// skipMost is skip, of at most so many bytes.
func (c *cursor) skipMost(at int, of class, most int) int {
	end := at
	for end < len(c.text) && end-at < most && of.is(c.text[end]) {
		end++
	}
	return end
}

const (
	// nameRest is what goes on behind a maker's name in a variable's or field's.
	nameRest = dashed | dot | blank | sign
	// wordGap is how long that may be.
	wordGap = 32
)

// word reads a secret without a form of its own behind a maker's name: the rest of a variable's name, a separator, the
// secret.
func (c *cursor) word(f *form, at, behind int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	start := behind
	for start-behind < wordGap && (dashed | dot | blank).is(c.byteAt(start)) {
		start++
	}
	gap := start
	for start-gap < awsGap && isSeparator(c.byteAt(start)) {
		start++
	}
	if start == gap && !isSeparator(c.byteAt(start-1)) {
		return 0, 0
	}
	end := c.pieces(f.body, start)
	if end == 0 {
		return 0, 0
	}
	var seen class
	for _, b := range c.text[start:end] {
		seen |= classes[b]
	}
	if seen&digit == 0 || seen&(small|capital) == 0 {
		return 0, 0
	}
	return start, end
}
