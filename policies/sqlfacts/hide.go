package sqlfacts

import (
	"fmt"
	"strings"
)

// HideQuoted makes a text that cannot be parsed fit to be shown: the contents of everything quoted, numbers, what
// stands between $tag$s, and a word behind PASSWORD become ‹hidden, N bytes›. Where quotes do not close, or a word stands
// right behind a closing quote, nobody knows which side is inside: everything from the first quote on is hidden. It never
// fails.
func HideQuoted(text string) string {
	h := hider{text: text, lex: lexer{text: text}, first: -1}
	for h.token() {
	}
	return h.out.String()
}

// hider is the state of HideQuoted between tokens.
type hider struct {
	text string
	lex  lexer
	out  strings.Builder
	done int // how much of text is written
	// first is where the first quoted token begins, and firstOut how much was written before it.
	first, firstOut int
	quoteEnd        int // where the token before ended if it was quoted, else 0
	password        bool
}

// token writes one token, with what stands before it; false when the text is done.
func (h *hider) token() bool {
	t := h.lex.next()
	quoted := t.kind == lexString || t.kind == lexQuoted
	touching := h.quoteEnd == t.start && (t.kind == lexWord || t.kind == lexNumber || quoted)
	switch {
	case h.first >= 0 && (t.open || touching):
		shown := h.out.String()[:h.firstOut]
		h.out.Reset()
		h.out.WriteString(shown)
		h.out.WriteString(hidden(len(h.text) - h.first))
		return false
	case t.open:
		h.hide(t.start, len(h.text))
		return false
	case t.kind == lexEnd:
		h.out.WriteString(h.text[h.done:])
		return false
	case quoted:
		if h.first < 0 {
			h.first, h.firstOut = t.start, h.out.Len()+t.start-h.done
		}
		inner := unquote(h.text, t)
		h.hide(inner.start, inner.end)
	case t.kind == lexNumber, t.kind == lexWord && h.password:
		h.hide(t.start, t.end)
	}
	h.quoteEnd = 0
	if quoted {
		h.quoteEnd = t.end
	}
	h.password = t.kind == lexWord && strings.EqualFold(h.text[t.start:t.end], "password")
	return true
}

// hide replaces text[start:end].
func (h *hider) hide(start, end int) {
	h.out.WriteString(h.text[h.done:start])
	h.out.WriteString(hidden(end - start))
	h.done = end
}

// unquote narrows a closed quoted token to what stands between its quotes.
func unquote(text string, t lexed) lexed {
	token := text[t.start:t.end]
	if token[0] == '$' {
		n := strings.IndexByte(token[1:], '$') + 2
		return lexed{start: t.start + n, end: t.end - n}
	}
	quote := strings.IndexAny(token, `'"`)
	return lexed{start: t.start + quote + 1, end: t.end - 1}
}

func hidden(n int) string { return fmt.Sprintf("‹hidden, %d bytes›", n) }

// Span is a part of a text, in bytes.
type Span struct{ Start, End int }

// Redact replaces spans of a statement's text by what replace makes of each. Spans are in order and do not overlap,
// as those of Literals; one that is not within the text, or reaches into the one before, makes the whole rest of the
// text one span: nothing is shown by mistake.
func Redact(text string, spans []Span, replace func(literal string) string) string {
	var out strings.Builder
	done := 0
	for _, s := range spans {
		if s.Start < done || s.End < s.Start || s.End > len(text) {
			out.WriteString(replace(text[done:]))
			return out.String()
		}
		out.WriteString(text[done:s.Start])
		out.WriteString(replace(text[s.Start:s.End]))
		done = s.End
	}
	out.WriteString(text[done:])
	return out.String()
}
