package masking

import (
	"bytes"
	"unicode/utf8"
)

// value appends what a text becomes; dst may be the value itself, to append behind it. A partial mask that would show
// the whole value hides all of it.
func (h *hiding) value(dst, value []byte) []byte {
	switch {
	case h.rule.KeepDomain:
		if at := bytes.LastIndexByte(value, '@'); at > 0 {
			return append(append(dst, "***"...), value[at:]...)
		}
		return append(dst, "***"...)
	case h.rule.KeepLast > 0:
		dst = append(dst, "***"...)
		keep := int(h.rule.KeepLast)
		if utf8.RuneCount(value) <= 2*keep {
			return dst
		}
		tail := len(value)
		for range keep {
			_, n := utf8.DecodeLastRune(value[:tail])
			tail -= n
		}
		return append(dst, value[tail:]...)
	default:
		return append(dst, h.rule.Text...)
	}
}
