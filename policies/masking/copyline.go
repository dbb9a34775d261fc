package masking

// inputLine finds the ends of lines in the data of COPY … FROM STDIN as the server does (PostgreSQL, copyfromparse.c,
// CopyReadLineText).
type inputLine struct {
	// text is the text format, else it is CSV with these.
	text          bool
	quote, escape byte

	// scanned bytes of the line at hand have no end; inside: they end within quotes; escaped: behind an escape there.
	scanned         int
	inside, escaped bool
	// marked: there is an end mark in it, behind something else.
	marked bool
	// ending is how long the end of the line is that was found, in bytes; 0 at the end of the data.
	ending int
	// kind is how lines end: by the first of them, all must end alike.
	kind lineEnd
}

type lineEnd uint8

const (
	endUnknown lineEnd = iota
	endNL
	endCR
	endCRNL
)

// end is the length of the first line, its end included; 0 if that has not come. ok is false if lines end in more than one
// way, which the server refuses.
func (l *inputLine) end(data []byte) (n int, ok bool) {
	l.ending = 0
	for ; l.scanned < len(data); l.scanned++ {
		b := data[l.scanned]
		if !l.text {
			l.quoted(b)
			if l.inside {
				continue
			}
		}
		switch {
		case b == '\n' || b == '\r':
			return l.ended(data)
		case b == '\\' && l.text:
			if l.scanned+1 == len(data) { // what it escapes is yet to come
				return 0, true
			}
			l.scanned++
			l.marked = l.marked || data[l.scanned] == '.' && l.scanned > 1
		}
	}
	return 0, true
}

// quoted follows quotes and escapes of CSV.
func (l *inputLine) quoted(b byte) {
	apart := l.escape != l.quote
	if apart && l.inside && b == l.escape {
		l.escaped = !l.escaped
	}
	if b == l.quote && !l.escaped {
		l.inside = !l.inside
	}
	if !apart || b != l.escape {
		l.escaped = false
	}
}

// ended is the end of a line at the byte that was scanned to.
func (l *inputLine) ended(data []byte) (n int, ok bool) {
	at := l.scanned
	kind, size := endNL, 1
	if data[at] == '\r' {
		kind = endCR
		if l.kind == endUnknown || l.kind == endCRNL {
			if at+1 == len(data) { // \n may be yet to come
				return 0, true
			}
			if data[at+1] == '\n' {
				kind, size = endCRNL, 2
			}
		}
	}
	if l.kind != endUnknown && l.kind != kind {
		return 0, false
	}
	l.kind, l.ending = kind, size
	return at + size, true
}

// next begins another line.
func (l *inputLine) next() { l.scanned, l.inside, l.escaped, l.ending = 0, false, false, 0 }

// broken reports whether the data may not end here: within quotes.
func (l *inputLine) broken() bool { return l.inside }

// textFieldEnd is the length of the first field; a backslash takes the next byte with it.
func textFieldEnd(line []byte, delimiter byte) int {
	end := 0
	for end < len(line) && line[end] != delimiter {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	return min(end, len(line))
}

// unescapeInput undoes the escapes that COPY FROM reads: octal and hexadecimal bytes as well.
func unescapeInput(dst, field []byte) []byte {
	for i := 0; i < len(field); i++ {
		if field[i] != '\\' || i+1 == len(field) {
			dst = append(dst, field[i])
			continue
		}
		value, n := byte(0), 0
		for n < 3 && i+1+n < len(field) && field[i+1+n]&^7 == '0' {
			value, n = value<<3|field[i+1+n]&7, n+1
		}
		if n == 0 && field[i+1] == 'x' {
			for n < 2 && i+2+n < len(field) && isHex(field[i+2+n]) {
				value, n = value<<4|fromHex(field[i+2+n]), n+1
			}
			if n > 0 {
				n++
			}
		}
		if n > 0 {
			dst = append(dst, value)
			i += n
			continue
		}
		dst = unescapeText(dst, field[i:i+2])
		i++
	}
	return dst
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f'
}

func fromHex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}
