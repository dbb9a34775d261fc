package jsonmask

import (
	"bytes"
	"unicode/utf8"
)

// encoding checks that a text is UTF-8, as it comes in. A finder reads nothing else: in UTF-16 and UTF-32 no secret looks like
// one, and a client may decode them all the same, by a byte order mark or by a guess. They have invalid bytes, or zero bytes.
type encoding struct {
	// needed: a finder reads the text.
	needed bool
	// checked is the offset up to which the text is known to be good.
	checked int64
}

func encodingFor(lanes []*lane) encoding {
	for _, l := range lanes {
		if l.view.finder != nil {
			return encoding{needed: true}
		}
	}
	return encoding{}
}

// check checks what has come in. Unless it is all, its last character may go on.
func (e *encoding) check(in *input, all bool) error {
	if !e.needed {
		return nil
	}
	text := in.from(e.checked)
	if n := bytes.IndexByte(text, 0); n >= 0 {
		return &Error{e.checked + int64(n), "it is not text in UTF-8: it has a zero byte"}
	}
	whole := len(text)
	if !all {
		for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
			if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
				if !utf8.FullRune(last) {
					whole -= n
				}
				break
			}
		}
	}
	if !utf8.Valid(text[:whole]) {
		return &Error{e.checked + int64(firstInvalid(text[:whole])), "it is not text in UTF-8"}
	}
	e.checked += int64(whole)
	return nil
}

// keeps is the offset from which on the text is still needed, if nothing else needs it before end.
func (e *encoding) keeps(end int64) int64 {
	if !e.needed {
		return end
	}
	return min(e.checked, end)
}

// firstInvalid is where a text stops to be UTF-8.
func firstInvalid(text []byte) int {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}
