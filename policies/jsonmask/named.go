package jsonmask

import "bytes"

// labelMost is how long a text is that names the value beside it, in bytes.
const labelMost = 64

// enter keeps the name at hand: that of the next value.
func (w *walker) enter() {
	top := &w.frames[w.depth]
	w.spelled = append(w.spelled[:top.base], w.string()...)
}

// fieldName is the name of the value at hand: of the member; of the array in which it is an element; of the member value the
// text of its sibling name or key, as lists of variables have it.
func (w *walker) fieldName(in *frame) []byte {
	if !in.object {
		return w.spelled[in.from:in.base]
	}
	name := w.spelled[in.base:]
	if in.from < in.base && len(name) == len("value") && bytes.EqualFold(name, []byte("value")) {
		return w.spelled[in.from:in.base]
	}
	return name
}

// label keeps the string at hand if it may name the value beside it.
func (w *walker) label(in *frame) {
	name := w.spelled[in.base:]
	if !in.object || w.stop-w.start > labelMost {
		return
	}
	if !bytes.EqualFold(name, []byte("key")) && !bytes.EqualFold(name, []byte("name")) {
		return
	}
	w.spelled = append(w.spelled[:in.from], w.string()...)
	in.base = len(w.spelled)
}
