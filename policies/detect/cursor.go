package detect

// cursor is a text that is being read. Its readers take the place where a mark begins and the place behind it, and give
// the find's start and end, or an end of 0.
type cursor struct {
	text []byte
	// The last runs of dashed characters, and of those with dots, that were measured: candidates in the same run share them.
	dashes, dots measured
}

// measured is a run of characters of a class, and the place of its last digit, or -1.
type measured struct{ start, end, lastDigit int }

// skip gives the place of the first byte from a place on that is not of the class.
func (c *cursor) skip(at int, of class) int {
	for at < len(c.text) && of.is(c.text[at]) {
		at++
	}
	return at
}

// dashedRun gives the end of the dashed characters from a place on, and whether a digit is among them.
func (c *cursor) dashedRun(at int) (end int, hasDigit bool) { return c.measure(&c.dashes, dashed, at) }

// dottedRun is dashedRun with dots.
func (c *cursor) dottedRun(at int) (end int, hasDigit bool) {
	return c.measure(&c.dots, dashed|dot, at)
}

// measure gives the end of the characters of a class from a place on, and whether a digit is among them. A run is measured
// once, however many candidates stand in it.
func (c *cursor) measure(m *measured, of class, at int) (end int, hasDigit bool) {
	if at >= m.start && at < m.end {
		return m.end, m.lastDigit >= at
	}
	known := *m
	m.start, m.end, m.lastDigit = at, at, -1
	for ; m.end < len(c.text) && of.is(c.text[m.end]); m.end++ {
		if m.end == known.start && known.end > known.start {
			m.end, m.lastDigit = known.end, max(m.lastDigit, known.lastDigit)
			break
		}
		if digit.is(c.text[m.end]) {
			m.lastDigit = m.end
		}
	}
	return m.end, m.lastDigit >= at
}

// byteAt gives the byte at a place, or 0 behind the end.
func (c *cursor) byteAt(at int) byte {
	if at < len(c.text) {
		return c.text[at]
	}
	return 0
}

// opens says whether a secret may begin there: no identifier goes on into it. The letters of an escape are no
// identifier.
func (c *cursor) opens(at int) bool {
	if at == 0 || !ident.is(c.text[at-1]) {
		return true
	}
	return c.endsEscape(at)
}

// endsEscape says whether the bytes before a place are \n, \r, \t, \b, \f, \u0026 or %3D and the like.
func (c *cursor) endsEscape(at int) bool {
	t := c.text
	switch {
	case at >= 2 && t[at-2] == '\\':
		switch t[at-1] {
		case 'n', 'r', 't', 'b', 'f':
			return true
		}
		return false
	case at >= 3 && t[at-3] == '%':
		return anyHex.is(t[at-2]) && anyHex.is(t[at-1])
	case at >= 6 && t[at-6] == '\\' && t[at-5] == 'u':
		return anyHex.is(t[at-4]) && anyHex.is(t[at-3]) && anyHex.is(t[at-2]) && anyHex.is(t[at-1])
	}
	return false
}

// closes says whether a secret may end there: no identifier goes on from it.
func (c *cursor) closes(at int) bool { return at == len(c.text) || !ident.is(c.text[at]) }

// fixed reads a secret of so many characters of a class behind its prefix.
func (c *cursor) fixed(at, body, n int, of class) (int, int) {
	end := body + n
	if end > len(c.text) || !c.opens(at) || !c.closes(end) {
		return 0, 0
	}
	for _, b := range c.text[body:end] {
		if !of.is(b) {
			return 0, 0
		}
	}
	return at, end
}

// open reads a secret of at least so many characters of base64url behind its prefix.
func (c *cursor) open(at, body, least int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	if end, _ := c.dashedRun(body); end-body >= least {
		return at, end
	}
	return 0, 0
}
