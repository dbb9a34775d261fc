package sqlfacts

import (
	"strings"
	"unicode/utf8"
)

// CheckUTF8 gives the error that PostgreSQL has for a text that is not UTF-8 or holds a NUL, nil if it is and does not. The
// error names the first bytes that are none, and so may quote what stands behind them.
func CheckUTF8(text string) error {
	for i, r := range text {
		if r != 0 && (r != utf8.RuneError || strings.HasPrefix(text[i:], string(utf8.RuneError))) {
			continue
		}
		var b strings.Builder
		b.WriteString(`invalid byte sequence for encoding "UTF8":`)
		for _, c := range []byte(text[i:min(len(text), i+announced(text[i]))]) {
			b.WriteString(" 0x")
			b.WriteByte("0123456789abcdef"[c>>4])
			b.WriteByte("0123456789abcdef"[c&15])
		}
		return &Error{Code: "22021", Message: b.String()}
	}
	return nil
}

// announced is how many bytes a character has by its first one (PostgreSQL, pg_utf_mblen).
func announced(first byte) int {
	switch {
	case first&0xe0 == 0xc0:
		return 2
	case first&0xf0 == 0xe0:
		return 3
	case first&0xf8 == 0xf0:
		return 4
	}
	return 1
}
