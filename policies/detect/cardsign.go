package detect

const (
	// cardSigns is how many signs may stand between two groups of a card number, cardWide how many bytes they may have.
	cardSigns = 3
	cardWide  = 5
	// cardGroup is the least length of a group where anything but one blank or dash stands between groups: with it 192.168
	// and 10.11.12 are no parts of cards.
	cardGroup = 3
)

// separatorAt gives the length of the separator of groups that begins at a place, or 0; a digit stands behind it.
func separatorAt(text []byte, at int) int {
	end := at
	for range cardSigns {
		n := signAt(text, end)
		if n == 0 {
			break
		}
		end += n
	}
	if end == at || end-at > cardWide || end >= len(text) || !digit.is(text[end]) {
		return 0
	}
	return end - at
}

// separatorBefore gives the length of the separator that ends before a place, or 0; a digit stands before it.
func separatorBefore(text []byte, at int) int {
	begin := at
	for range cardSigns {
		n := signBefore(text, begin)
		if n == 0 {
			break
		}
		begin -= n
	}
	if begin == at || at-begin > cardWide || begin == 0 || !digit.is(text[begin-1]) {
		return 0
	}
	return at - begin
}

// isWide says whether a separator is more than one blank or dash of ASCII.
func isWide(separator []byte) bool {
	return len(separator) > 1 || len(separator) == 1 && separator[0] != ' ' && separator[0] != '-'
}

// signBefore is signAt for the sign that ends before a place.
func signBefore(text []byte, at int) int {
	for n := 1; n <= 3 && n <= at; n++ {
		if signAt(text, at-n) == n {
			return n
		}
	}
	return 0
}

// signAt gives the length of the blank, dash or dot that stands at a place, or 0: those of ASCII, and of Unicode U+00A0,
// U+00AD, U+00B7, U+2000 to U+200D, U+2010 to U+2015, U+2022, U+2024, U+202F, U+205F, U+2060, U+2212, U+3000, U+FE58, U+FE63,
// U+FEFF, U+FF0D, U+FF0E.
func signAt(text []byte, at int) int {
	if at >= len(text) {
		return 0
	}
	switch text[at] {
	case ' ', '-', '.', '\t':
		return 1
	case 0xC2:
		if at+1 < len(text) && (text[at+1] == 0xA0 || text[at+1] == 0xAD || text[at+1] == 0xB7) {
			return 2
		}
	case 0xE2, 0xE3, 0xEF:
		if at+2 < len(text) && isWideSign(text[at], text[at+1], text[at+2]) {
			return 3
		}
	}
	return 0
}

func isWideSign(a, b, c byte) bool {
	switch {
	case a == 0xE2 && b == 0x80:
		return c >= 0x80 && c <= 0x8D || c >= 0x90 && c <= 0x95 || c == 0xA2 || c == 0xA4 || c == 0xAF
	case a == 0xE2 && b == 0x81:
		return c == 0x9F || c == 0xA0
	case a == 0xE2 && b == 0x88:
		return c == 0x92
	case a == 0xE3:
		return b == 0x80 && c == 0x80
	case a == 0xEF && b == 0xB9:
		return c == 0x98 || c == 0xA3
	case a == 0xEF && b == 0xBB:
		return c == 0xBF
	case a == 0xEF && b == 0xBC:
		return c == 0x8D || c == 0x8E
	}
	return false
}
