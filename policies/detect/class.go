package detect

// class is a set of kinds of bytes.
type class uint16

const (
	digit class = 1 << iota
	lowerHex
	upperHex
	lowerRest
	upperRest
	underscore
	dash
	dot
	slash
	plus
	tilde
	percent
	blank
	sign      // what else can be seen, and what stands between a name and its value
	signFirst // the first byte of a sign between groups of a card number
	signLast  // its last byte

	small       = lowerHex | lowerRest
	capital     = upperHex | upperRest
	alnum       = digit | small | capital
	ident       = alnum | underscore
	dashed      = ident | dash         // base64url (RFC 4648, section 5), without padding
	base64Plain = alnum | plus | slash // RFC 4648, section 4, without padding
	hex         = digit | lowerHex
	anyHex      = hex | upperHex
	token68     = dashed | dot | slash | plus | tilde // RFC 9110, section 11.2, without padding
	pathlike    = dashed | slash
)

// classes says which kind each byte is.
var classes = func() (t [256]class) {
	for b := range t {
		switch b := byte(b); {
		case b >= '0' && b <= '9':
			t[b] = digit
		case b >= 'a' && b <= 'f':
			t[b] = lowerHex
		case b >= 'A' && b <= 'F':
			t[b] = upperHex
		case b >= 'a' && b <= 'z':
			t[b] = lowerRest
		case b >= 'A' && b <= 'Z':
			t[b] = upperRest
		}
	}
	t['_'], t['-'], t['.'], t['/'], t['+'], t['~'] = underscore, dash, dot, slash, plus, tilde
	t['%'], t[' '] = percent, blank
	for _, b := range []byte("\t\r\n\"'`:=<>,;|\\()[]{}!?$*@#&^") {
		t[b] = sign
	}
	for _, b := range []byte{' ', '-', '.', '\t', 0xC2, 0xE2, 0xE3, 0xEF} {
		t[b] |= signFirst
	}
	for _, b := range []byte(" -.\t") {
		t[b] |= signLast
	}
	for b := 0x80; b < 0xC0; b++ {
		t[b] |= signLast
	}
	return t
}()

// is says whether b is of the class.
func (c class) is(b byte) bool { return classes[b]&c != 0 }

func lower(b byte) byte {
	if capital.is(b) {
		return b + ('a' - 'A')
	}
	return b
}

// foldedAt says whether the word, in small letters, stands at a place in either case.
func foldedAt(text []byte, at int, word string) bool {
	if at < 0 || at+len(word) > len(text) {
		return false
	}
	for i := range len(word) {
		if lower(text[at+i]) != word[i] {
			return false
		}
	}
	return true
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
