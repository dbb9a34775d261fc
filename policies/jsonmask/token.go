package jsonmask

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// text is the string at hand, decoded for whichever lane needs it first.
type text struct {
	known   bool
	value   []byte
	decoded []byte // room for one with escapes
}

// string is the decoded string at hand.
func (w *walker) string() []byte {
	t := &w.text
	if t.known {
		return t.value
	}
	t.known = true
	raw := w.span(w.start, w.stop)
	t.value = raw[1 : len(raw)-1]
	if w.escapes() {
		// The decoder has accepted the string, so it can be decoded.
		t.decoded, _ = jsontext.AppendUnquote(t.decoded[:0], raw)
		t.value = t.decoded
	}
	return t.value
}

// escapes reports whether the string at hand has escapes. The next backslash is looked for once, however many strings
// stand before it, but not behind what the decoder has.
func (w *walker) escapes() bool {
	for w.escape < w.stop {
		from := max(w.escape, w.start)
		if w.buf[from-w.base] == '\\' {
			w.escape = from
			return true
		}
		n := bytes.IndexByte(w.span(from, w.given), '\\')
		if n < 0 {
			w.escape = w.given
			return false
		}
		w.escape = from + int64(n)
	}
	return false
}

// name handles the name of a member.
func (w *walker) name() {
	for _, l := range w.lanes {
		if l.hidden != notHidden {
			continue
		}
		l.next = jsonpath.State{}
		if st := l.states[w.depth]; !l.view.set.Dead(st) {
			l.next = l.view.set.Name(st, w.string())
		}
		if l.view.finder != nil {
			w.search(l, nil)
		}
	}
	if w.names {
		w.enter()
	}
}

// search hides what the finder finds in the string at hand, the value of a field of that name.
func (w *walker) search(l *lane, name []byte) {
	text := w.string()
	l.cuts, l.texts = l.cuts[:0], l.texts[:0]
	l.putFinds(text, l.findNamed(name, text))
	w.patch(l)
}

// look hides what paths name in the documents within the string at hand, and what the finder finds in all of it.
func (w *walker) look(l *lane, st jsonpath.State, name []byte) {
	text := w.string()
	l.inside(text, st, w.level+1)
	l.putFinds(text, l.findNamed(name, text))
	w.patch(l)
}

// hide hides the value at hand: a string becomes another, anything else null.
func (w *walker) hide(l *lane, kind byte, rule *policies.MaskRule) {
	switch kind {
	case '"':
		w.hideString(l, rule)
		return
	case '{', '[':
		l.hidden = w.depth
	}
	l.before(&w.input, w.start, w.stop)
	l.out = append(l.out, "null"...)
}

// hideString hides a string. What a partial mask keeps of it may itself be a find; else it stays as it came.
func (w *walker) hideString(l *lane, rule *policies.MaskRule) {
	text := w.string()
	l.plain = rule.Append(l.plain[:0], text)
	if !rule.KeepDomain && rule.KeepLast == 0 {
		l.before(&w.input, w.start+1, w.stop-1)
		l.out = appendQuoted(l.out, l.plain)
		return
	}
	kept := 0
	if spans := l.find(l.plain); len(spans) > 0 {
		l.plain = l.appendFound(nil, l.plain, spans)
	} else {
		kept = commonEnd(l.plain, text)
	}
	l.cuts, l.texts = l.cuts[:0], l.texts[:0]
	l.put(0, len(text)-kept, l.plain[:len(l.plain)-kept])
	w.patch(l)
}

// commonEnd is how many bytes at the end two texts share.
func commonEnd(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}
