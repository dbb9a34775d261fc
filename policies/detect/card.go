package detect

const cardNumberName = "card-number"

const (
	cardLeast = 13
	cardMost  = 19
)

// findCards appends the card numbers of a text: ISO/IEC 7812-1, 13 to 19 digits with single blanks or dashes (of one
// sort) between them, of an issuer that has cards of that length, with a right check digit (annex B, the Luhn formula).
//
// Two neighbouring bytes of such a number have a digit among them. So one look every 12 bytes misses none, and digits
// are read only where one was seen.
func findCards(dst []Span, text []byte) []Span {
	const stride = cardLeast - 1
	floor := 0 // numbers before it were read
	for at := stride - 1; at+1 < len(text); {
		first := at
		if !digit.is(text[first]) {
			if first++; !digit.is(text[first]) {
				at += stride
				continue
			}
		}
		low, high := digitsFrom(text, first, floor), digitsTo(text, first)
		if high-low >= cardLeast {
			dst = cardsIn(dst, text, low, high)
		}
		floor = high
		at = high + stride - 1
	}
	return dst
}

// digitsFrom gives the begin of the digits with single separators that reach to a digit, not before floor.
func digitsFrom(text []byte, at, floor int) int {
	for at > floor {
		switch {
		case digit.is(text[at-1]):
			at--
		case isCardSeparator(text[at-1]) && at-1 > floor && digit.is(text[at-2]):
			at -= 2
		default:
			return at
		}
	}
	return at
}

// digitsTo gives the end of the digits with single separators from a digit on.
func digitsTo(text []byte, at int) int {
	at++
	for at < len(text) {
		switch {
		case digit.is(text[at]):
			at++
		case isCardSeparator(text[at]) && at+1 < len(text) && digit.is(text[at+1]):
			at += 2
		default:
			return at
		}
	}
	return at
}

func isCardSeparator(b byte) bool { return b == ' ' || b == '-' }

// cardsIn appends the numbers that begin at a group of text[low:high].
func cardsIn(dst []Span, text []byte, low, high int) []Span {
	c := cursor{text: text}
	if low > 0 && text[low-1] == '%' && low+2 < high {
		// The first two digits may be an escape's.
		if end := c.card(low+2, high); end > 0 {
			dst = append(dst, Span{Start: low + 2, End: end, Name: cardNumberName})
			low = end
		}
	}
	for low < high {
		if end := c.card(low, high); end > 0 {
			dst = append(dst, Span{Start: low, End: end, Name: cardNumberName})
			low = end
		}
		low = c.skip(low, digit) + 1
	}
	return dst
}

// card gives the end of the longest number that begins at a place and ends with a group, at high at the latest, or 0.
func (c *cursor) card(start, high int) int {
	if !c.opensCard(start) {
		return 0
	}
	var (
		n, prefix, best int
		odd, even       int // Luhn's sums with the digits at odd, at even places doubled, counted from 0
		lengths         uint32
		separator       byte
	)
	for at := start; at < high; at++ {
		b := c.text[at]
		if !digit.is(b) {
			if separator != 0 && b != separator {
				break
			}
			separator = b
			continue
		}
		d := int(b - '0')
		doubled := 2 * d
		if doubled > 9 {
			doubled -= 9
		}
		if n%2 == 0 {
			odd, even = odd+d, even+doubled
		} else {
			odd, even = odd+doubled, even+d
		}
		if n++; n > cardMost {
			break
		}
		if n <= issuerDigits {
			if prefix = prefix*10 + d; n == issuerDigits {
				if lengths = issuerLengths(prefix); lengths == 0 {
					return 0
				}
			}
		}
		if n < cardLeast || at+1 < high && digit.is(c.text[at+1]) || lengths&(1<<n) == 0 {
			continue
		}
		sum := odd // the last digit is never doubled
		if n%2 == 0 {
			sum = even
		}
		if sum%10 == 0 && c.closesCard(start, at+1) {
			best = at + 1
		}
	}
	return best
}

// opensCard says whether a number may begin there: not behind a decimal point, nor a plus, which begins a telephone
// number.
func (c *cursor) opensCard(at int) bool {
	if !c.opens(at) {
		return false
	}
	return at == 0 || c.text[at-1] != '+' && (c.text[at-1] != '.' || at == 1 || !digit.is(c.text[at-2]))
}

// closesCard says whether a number may end there: not before decimals, nor as a part of a UUID.
func (c *cursor) closesCard(start, end int) bool {
	if !c.closes(end) || c.byteAt(end) == '.' && digit.is(c.byteAt(end+1)) {
		return false
	}
	// 16 digits are the first three groups of a UUID, or its last two.
	return !c.isUUID(start) && !c.isUUID(start-len("00000000-0000-0000-"))
}

// isUUID says whether a UUID in text form (RFC 9562, section 4) stands at a place.
func (c *cursor) isUUID(at int) bool {
	const form = "00000000-0000-0000-0000-000000000000"
	if at < 0 || at+len(form) > len(c.text) {
		return false
	}
	for i := range len(form) {
		if b := c.text[at+i]; (form[i] == '-') != (b == '-') || form[i] == '0' && !anyHex.is(b) {
			return false
		}
	}
	return true
}
