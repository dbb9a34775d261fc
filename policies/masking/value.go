package masking

import (
	"bytes"
	"unicode/utf8"

	"github.com/sluicegate/sluice/policies"
)

// shown appends what comes before a text, and the text as it may be seen; dst may end in the text itself. If all of it
// may, nothing is appended and passes is true.
func (h *hiding) shown(dst, before, value []byte) (out []byte, passes bool) {
	if h.finder != nil {
		return h.finder.shown(dst, before, value, h.form)
	}
	return h.value(append(dst, before...), value), false
}

// value appends what a text becomes; dst may be the value itself, to append behind it.
func (h *hiding) value(dst, value []byte) []byte { return masked(dst, value, h.rule) }

// masked appends what a text becomes. A partial mask that would show the whole value hides all of it.
func masked(dst, value []byte, rule *policies.MaskRule) []byte {
	switch {
	case rule.KeepDomain:
		if at := bytes.LastIndexByte(value, '@'); at > 0 {
			return append(append(dst, "***"...), value[at:]...)
		}
		return append(dst, "***"...)
	case rule.KeepLast > 0:
		dst = append(dst, "***"...)
		keep := int(rule.KeepLast)
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
		return append(dst, rule.Text...)
	}
}
