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
	if bytes.IndexByte(t.value, '\\') >= 0 {
		// The decoder has accepted the string, so it can be decoded.
		t.decoded, _ = jsontext.AppendUnquote(t.decoded[:0], raw)
		t.value = t.decoded
	}
	return t.value
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
			w.search(l)
		}
	}
}

// search hides what the finder finds in the string at hand.
func (w *walker) search(l *lane) {
	text := w.string()
	if spans := l.find(text); len(spans) > 0 {
		l.plain = l.appendFound(l.plain[:0], text, spans)
		w.replace(l, l.plain)
	}
}

// replace puts a text in the place of the string at hand.
func (w *walker) replace(l *lane, text []byte) {
	l.before(&w.input, w.start, w.stop)
	// What is not UTF-8 in a mask's text becomes U+FFFD.
	l.out, _ = jsontext.AppendQuote(l.out, text)
}

// hide hides the value at hand: a string becomes another, anything else null.
func (w *walker) hide(l *lane, kind byte, rule *policies.MaskRule) {
	switch kind {
	case '"':
		l.plain = rule.Append(l.plain[:0], w.string())
		if rule.KeepDomain || rule.KeepLast > 0 {
			// What a partial mask keeps may itself be a find.
			if spans := l.find(l.plain); len(spans) > 0 {
				l.plain = l.appendFound(nil, l.plain, spans)
			}
		}
		w.replace(l, l.plain)
		return
	case '{', '[':
		l.hidden = w.depth
	}
	l.before(&w.input, w.start, w.stop)
	l.out = append(l.out, "null"...)
}
