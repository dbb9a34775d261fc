package detect

// cursor is a text that is being read. Its readers take the place where a mark begins and the place behind it, and give
// the find's start and end, or an end of 0.
type cursor struct {
	text []byte
	// The last run of dashed characters that was measured, and its last digit: candidates in the same run share it.
	runStart, runEnd, lastDigit int
}

// skip gives the place of the first byte from a place on that is not of the class.
func (c *cursor) skip(at int, of class) int {
	for at < len(c.text) && of.is(c.text[at]) {
		at++
	}
	return at
}

// dashedRun gives the end of the dashed characters from a place on, and whether a digit is among them. A run is
// measured once, however many candidates stand in it.
func (c *cursor) dashedRun(at int) (end int, hasDigit bool) {
	if at >= c.runStart && at < c.runEnd {
		return c.runEnd, c.lastDigit >= at
	}
	known := *c
	c.runStart, c.runEnd, c.lastDigit = at, at, -1
	for ; c.runEnd < len(c.text) && dashed.is(c.text[c.runEnd]); c.runEnd++ {
		if c.runEnd == known.runStart && known.runEnd > known.runStart {
			c.runEnd, c.lastDigit = known.runEnd, max(c.lastDigit, known.lastDigit)
			break
		}
		if digit.is(c.text[c.runEnd]) {
			c.lastDigit = c.runEnd
		}
	}
	return c.runEnd, c.lastDigit >= at
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
