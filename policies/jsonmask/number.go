package jsonmask

import (
	"bytes"
	"strconv"
)

// maxDigits is how many digits an integer has that is written out for the finder.
const maxDigits = 64

// holdsFind reports whether a number has a find among its digits: as they stand, and, where it is an integer written
// with a point or an exponent (4.111e15, 4111.0), written out.
func (l *lane) holdsFind(number []byte) bool {
	digits := bytes.TrimPrefix(number, []byte("-"))
	if len(l.find(digits)) > 0 {
		return true
	}
	if !bytes.ContainsAny(digits, ".eE") {
		return false
	}
	whole, ok := writtenOut(l.plain[:0], digits)
	l.plain = whole
	return ok && len(l.find(whole)) > 0
}

// writtenOut appends the digits of a number without sign, if it is an integer of at most maxDigits digits.
func writtenOut(dst, number []byte) ([]byte, bool) {
	mantissa, exponent := number, 0
	if e := bytes.IndexAny(number, "eE"); e >= 0 {
		n, err := strconv.Atoi(string(number[e+1:]))
		if err != nil || n > maxDigits || n < -maxDigits {
			return dst, false
		}
		mantissa, exponent = number[:e], n
	}
	before, after, _ := bytes.Cut(mantissa, []byte("."))
	after = bytes.TrimRight(after, "0")
	dst = append(append(dst, before...), after...)
	switch zeros := exponent - len(after); {
	case zeros >= 0:
		dst = append(dst, bytes.Repeat([]byte("0"), zeros)...)
	default:
		cut := len(dst) + zeros
		if cut < 0 || len(bytes.Trim(dst[cut:], "0")) > 0 {
			return dst, false
		}
		dst = dst[:cut]
	}
	dst = bytes.TrimLeft(dst, "0")
	return dst, len(dst) <= maxDigits
}
