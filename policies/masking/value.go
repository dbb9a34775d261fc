package masking

// shown appends what comes before a text, and the text as it may be seen; dst may end in the text itself. If all of it
// may, nothing is appended and passes is true.
func (h *hiding) shown(dst, before, value []byte) (out []byte, passes bool) {
	if h.finder != nil {
		return h.finder.shown(dst, before, value, h.form)
	}
	return h.value(append(dst, before...), value), false
}

// value appends what a text becomes; dst may be the value itself, to append behind it.
func (h *hiding) value(dst, value []byte) []byte {
	start := len(dst)
	return h.fit(h.rule.Append(dst, value), start)
}
