package jsonmask

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// patch puts a text in the place of a part of another: of text[start:end] the lane's texts[from:to].
type patch struct{ start, end, from, to int }

// appendPatched appends text with its patches, which are in order and apart.
func appendPatched(dst, text []byte, patches []patch, texts []byte) []byte {
	at := 0
	for _, p := range patches {
		dst = append(dst, text[at:p.start]...)
		dst = append(dst, texts[p.from:p.to]...)
		at = p.end
	}
	return append(dst, text[at:]...)
}

// put adds a patch to those of the string at hand.
func (l *lane) put(start, end int, text []byte) {
	from := len(l.texts)
	l.texts = append(l.texts, text...)
	l.cuts = append(l.cuts, patch{start, end, from, len(l.texts)})
}

// putFinds adds what the finder found in the string at hand to its patches. A find within what is hidden already is hidden; one that
// reaches beyond takes it in.
func (l *lane) putFinds(text []byte, spans []Span) {
	apart := len(l.cuts) == 0
	for _, s := range spans {
		from := len(l.texts)
		l.texts = l.view.found.Append(l.texts, text[s.Start:s.End])
		l.cuts = append(l.cuts, patch{s.Start, s.End, from, len(l.texts)})
	}
	if apart {
		return
	}
	l.cuts = mergePatches(l.cuts)
}

// mergePatches puts patches in order and joins those that overlap. Those that were there first say what becomes of what
// they cover, unless another reaches beyond.
func mergePatches(patches []patch) []patch {
	slices.SortStableFunc(patches, func(a, b patch) int { return cmp.Compare(a.start, b.start) })
	kept := patches[:1]
	for _, p := range patches[1:] {
		last := &kept[len(kept)-1]
		switch {
		case p.start >= last.end:
			kept = append(kept, p)
		case p.end > last.end: // the longer one says what both become
			*last = patch{last.start, p.end, p.from, p.to}
		}
	}
	return kept
}

// patch writes the string at hand with its patches; what they leave stays byte for byte as it came, escapes included.
func (w *walker) patch(l *lane) {
	u := unquoted{raw: w.span(w.start, w.stop), at: 1}
	for _, p := range l.cuts {
		from := w.start + int64(u.to(p.start))
		l.before(&w.input, from, w.start+int64(u.to(p.end)))
		l.out = appendQuoted(l.out, l.texts[p.from:p.to])
	}
}

// appendQuoted appends a text as it stands in a string of JSON, without the quotes. What is not UTF-8 in it becomes U+FFFD.
func appendQuoted(dst, text []byte) []byte {
	from := len(dst)
	dst, _ = jsontext.AppendQuote(dst, text)
	n := copy(dst[from:], dst[from+1:len(dst)-1])
	return dst[:from+n]
}

// unquoted maps places in a decoded string to those in the string as it came, from left to right.
type unquoted struct {
	raw         []byte
	at, decoded int
}

// to gives the place in raw of a place in the decoded string.
func (u *unquoted) to(place int) int {
	for u.decoded < place {
		if u.raw[u.at] != '\\' {
			u.at++
			u.decoded++
			continue
		}
		if u.raw[u.at+1] != 'u' {
			u.at += len(`\n`)
			u.decoded++
			continue
		}
		r := hexRune(u.raw[u.at+2:])
		u.at += len(`\u0000`)
		if r >= 0xD800 && r < 0xE000 { // the decoder has seen the other half
			u.at += len(`\u0000`)
			r = utf8.MaxRune
		}
		u.decoded += utf8.RuneLen(r)
	}
	return u.at
}

// hexRune reads four hexadecimal digits.
func hexRune(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}
