package jsonmask

import (
	"slices"
	"unicode/utf8"
)

// find gives the finds in text as tidy brings them into order. The spans are valid until the next call.
func (l *lane) find(text []byte) []Span {
	if l.view.finder == nil || len(text) == 0 {
		return nil
	}
	l.spans = l.view.finder.Find(l.spans[:0], text)
	return l.tidied(text)
}

// findNamed is find for the value of a field; an empty name says nothing.
func (l *lane) findNamed(name, text []byte) []Span {
	if l.view.namer == nil || len(name) == 0 || len(text) == 0 {
		return l.find(text)
	}
	l.spans = l.view.namer.FindNamed(l.spans[:0], name, text)
	return l.tidied(text)
}

func (l *lane) tidied(text []byte) []Span {
	if len(l.spans) == 0 {
		return nil
	}
	l.spans = tidy(l.spans, text)
	return l.spans
}

// tidy makes of any spans what can be cut out: in order, within the text, apart, and whole characters.
func tidy(spans []Span, text []byte) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.Start - b.Start })
	out := spans[:0]
	for _, s := range spans {
		s.Start, s.End = max(s.Start, 0), min(s.End, len(text))
		if s.Start >= s.End {
			continue
		}
		for range utf8.UTFMax {
			if s.Start > 0 && !utf8.RuneStart(text[s.Start]) {
				s.Start--
			}
			if s.End < len(text) && !utf8.RuneStart(text[s.End]) {
				s.End++
			}
		}
		if n := len(out); n > 0 && s.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// appendFound appends text with its finds hidden.
func (l *lane) appendFound(dst, text []byte, spans []Span) []byte {
	at := 0
	for _, s := range spans {
		dst = append(dst, text[at:s.Start]...)
		dst = l.view.found.Append(dst, text[s.Start:s.End])
		at = s.End
	}
	return append(dst, text[at:]...)
}
