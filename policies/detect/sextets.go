package detect

// sextet gives the value of a character of base64 or base64url (RFC 4648, sections 4 and 5).
func sextet(b byte) uint32 {
	switch {
	case capital.is(b):
		return uint32(b - 'A')
	case small.is(b):
		return uint32(b-'a') + 26
	case digit.is(b):
		return uint32(b-'0') + 52
	case b == '+' || b == '-':
		return 62
	default:
		return 63
	}
}

// decode gives each decoded byte to next, until it says false. Bits left over at the end are dropped.
func decode(encoded []byte, next func(byte) bool) {
	var bits uint32
	n := 0
	for _, b := range encoded {
		bits = bits<<6 | sextet(b)
		if n += 6; n >= 8 {
			n -= 8
			if !next(byte(bits >> n & 0xff)) {
				return
			}
		}
	}
}
