package jsonpath

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// quoted reads a name in quotes and undoes its escapes (RFC 9535, 2.3.1.1).
func (p *parser) quoted(quote byte) (string, error) {
	begin := p.at
	p.at++
	var b strings.Builder
	for p.at < len(p.source) {
		switch c := p.source[p.at]; {
		case c == quote:
			p.at++
			return b.String(), nil
		case c < ' ':
			return "", p.fail(p.at, "a control character in a name is written as an escape")
		case c == '\\':
			r, err := p.escape(quote)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.at++
		}
	}
	return "", p.fail(begin, "the quote is not closed")
}

// escape reads one escape.
func (p *parser) escape(quote byte) (rune, error) {
	begin := p.at
	p.at++
	c := p.peek()
	p.at++
	switch c {
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '/', '\\', quote:
		return rune(c), nil
	case 'u':
	default:
		return 0, p.fail(begin, `the escape is unknown; known are \b \f \n \r \t \/ \\ \uXXXX and the quote`)
	}
	r, ok := p.hex()
	if !ok {
		return 0, p.fail(begin, `\u needs four hexadecimal digits`)
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(p.source[p.at:], `\u`) {
		p.at += 2
		if low, ok := p.hex(); ok {
			if pair := utf16.DecodeRune(r, low); pair != '\uFFFD' {
				return pair, nil
			}
		}
	}
	return 0, p.fail(begin, "half of a surrogate pair")
}

// hex reads four hexadecimal digits.
func (p *parser) hex() (rune, bool) {
	if p.at+4 > len(p.source) {
		return 0, false
	}
	digits := p.source[p.at : p.at+4]
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 4
	return rune(n), true
}
