package policies

import (
	"bytes"
	"unicode/utf8"
)

// Append appends what a text becomes; dst may end in the text itself. A partial mask that would show the whole value hides
// all of it.
func (m *MaskRule) Append(dst, value []byte) []byte {
	switch {
	case m.KeepDomain:
		if at := bytes.LastIndexByte(value, '@'); at > 0 {
			return append(append(dst, "***"...), value[at:]...)
		}
		return append(dst, "***"...)
	case m.KeepLast > 0:
		dst = append(dst, "***"...)
		keep := int(m.KeepLast)
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
		return append(dst, m.Text...)
	}
}
