package detect

import "bytes"

const cardNumberName = "card-number"

const (
	cardLeast = 13
	cardMost  = 19
)

// findCards appends the card numbers of a text: ISO/IEC 7812-1, 13 to 19 digits of an issuer that has cards of that length,
// with a right check digit (annex B, the Luhn formula), in groups with the same separator between all of them: a blank or
// a dash, or up to cardSigns blanks, dashes and dots of any kind between groups of cardGroup digits and more.
//
// Of the four bytes of such a number that one look reads, at these places of every 12, one is a digit. So digits are read
// only where one was seen, and none is missed.
func findCards(dst []Span, text []byte) []Span {
	const stride = cardLeast - 1
	looks := [...]int{0, 1, 4, 7}
	floor := 0 // numbers before it were read
	for at := stride - 1; at < len(text); at += stride {
		if last := at + looks[3]; last < len(text) &&
			(classes[text[at]]|classes[text[at+looks[1]]]|classes[text[at+looks[2]]]|classes[text[last]])&digit == 0 {
			continue
		}
		for _, look := range looks {
			first := at + look
			if first >= len(text) {
				break
			}
			if first < floor || !digit.is(text[first]) {
				continue
			}
			low, high := digitsFrom(text, first, floor), digitsTo(text, first)
			if high-low >= cardLeast && hasDigits(text[low:high], cardLeast) {
				dst = cardsIn(dst, text, low, high)
			}
			floor = high
		}
		at = max(at, floor-1) // up to stride-1 behind a number is near enough for the next
	}
	return dst
}

// hasDigits says whether a text has so many digits: telephone numbers and times have fewer.
func hasDigits(text []byte, n int) bool {
	for _, b := range text {
		if digit.is(b) {
			n--
		}
	}
	return n <= 0
}

// digitsFrom gives the begin of the digits with separators that reach to a digit, not before floor.
func digitsFrom(text []byte, at, floor int) int {
	for at > floor {
		if digit.is(text[at-1]) {
			at--
			continue
		}
		if !signLast.is(text[at-1]) {
			return at
		}
		n := separatorBefore(text[floor:], at-floor)
		if n == 0 {
			return at
		}
		at -= n + 1
	}
	return at
}

// digitsTo gives the end of the digits with separators from a digit on.
func digitsTo(text []byte, at int) int {
	at++
	for at < len(text) {
		if digit.is(text[at]) {
			at++
			continue
		}
		if !signFirst.is(text[at]) {
			return at
		}
		n := separatorAt(text, at)
		if n == 0 {
			return at
		}
		at += n + 1
	}
	return at
}

// cardsIn appends the numbers that begin at a group of text[low:high].
func cardsIn(dst []Span, text []byte, low, high int) []Span {
	c := cursor{text: text}
	if low > 0 && text[low-1] == '%' && low+2 < high && digit.is(text[low+1]) && digit.is(text[low+2]) {
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
		low = c.skip(low, digit)
		low += max(1, separatorAt(text, low))
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
		separator       []byte
		group           int // digits since the last separator
	)
	for at := start; at < high; at++ {
		b := c.text[at]
		if !digit.is(b) {
			between := c.text[at : at+separatorAt(c.text, at)]
			if separator != nil && !bytes.Equal(between, separator) || isWide(between) && group < cardGroup {
				break
			}
			separator, group = between, 0
			at += len(between) - 1
			continue
		}
		group++
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
		if n < cardLeast || at+1 < high && digit.is(c.text[at+1]) || lengths&(1<<n) == 0 || isWide(separator) && group < cardGroup {
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
