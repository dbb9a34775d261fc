package jsonmask

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// spelled is how long what spells a name at the begin of a text is: in any case, as readers fold it, and with escapes as they
// stand in a document, or in one in strings of it, where each has more backslashes. It is -1 if something else stands there.
func spelled(text []byte, name string) int {
	at := 0
	for _, want := range name {
		if at == len(text) {
			return -1
		}
		if c := text[at]; c < utf8.RuneSelf && c != '\\' && want < utf8.RuneSelf { // nearly always
			if d := rune(c); d != want && (d|0x20 != want|0x20 || !isLetter(d|0x20)) {
				return -1
			}
			at++
			continue
		}
		got, n := letter(text[at:])
		if !folds(got, want) {
			return -1
		}
		at += n
	}
	return at
}

// mayBegin reports whether what spells a name may begin with a byte.
func mayBegin(b int, name string) bool {
	return name == "" || b == '\\' || b >= utf8.RuneSelf || name[0] >= utf8.RuneSelf || b|0x20 == int(name[0]|0x20)
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' }

// folds reports whether two characters differ in case only.
func folds(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a && a != b; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return a == b
}

// letter is the character at the begin of a text, and how long it is there, with the other half of one that is written in two.
func letter(text []byte) (rune, int) {
	r, n := escaped(text)
	if utf16.IsSurrogate(r) {
		low, more := escaped(text[n:])
		return utf16.DecodeRune(r, low), n + more
	}
	return r, n
}

// escaped is what an escape behind any number of backslashes stands for, and how long both are; or a character as it stands.
func escaped(text []byte) (rune, int) {
	n := 0
	for n < len(text) && text[n] == '\\' {
		n++
	}
	if n == 0 || len(text) < n+len("u0000") || text[n] != 'u' || !isHex(text[n+1:n+5]) {
		return utf8.DecodeRune(text)
	}
	return hexRune(text[n+1:]), n + len("u0000")
}

func isHex(digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}
