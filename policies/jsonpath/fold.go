package jsonpath

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// spelling is what names that differ in case only are entered by.
type spelling struct {
	// any is for every name that folds so; exact, nil if there is none, for those that a path writes so.
	any   *label
	exact map[string]*label
}

// appendFold appends a name as all names that differ in case only fold: each character becomes the least of those that it
// folds with (Unicode's simple folding, as in Go's encoding/json and strings.EqualFold: the Kelvin sign is a K).
func appendFold(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		if c := name[i]; c < utf8.RuneSelf {
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(name[i:])
		i += n
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		dst = utf8.AppendRune(dst, least)
	}
	return dst
}

// isASCII reports whether all bytes are below 0x80, most names in one or two steps.
func isASCII(name []byte) bool {
	const high = 0x8080808080808080
	n := len(name)
	switch {
	case n >= 8:
		seen := binary.LittleEndian.Uint64(name[n-8:])
		for ; len(name) > 8; name = name[8:] {
			seen |= binary.LittleEndian.Uint64(name)
		}
		return seen&high == 0
	case n >= 4:
		return (binary.LittleEndian.Uint32(name)|binary.LittleEndian.Uint32(name[n-4:]))&(high>>32) == 0
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
