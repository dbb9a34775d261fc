package jsonpath

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// parser reads a query from left to right.
type parser struct {
	source string
	at     int
}

func (p *parser) fail(at int, reason string) error {
	return &Error{Source: p.source, Offset: at, Reason: reason}
}

// peek is the byte at hand, 0 at the end. A zero byte in a path is refused wherever it stands.
func (p *parser) peek() byte {
	if p.at < len(p.source) {
		return p.source[p.at]
	}
	return 0
}

// blanks skips what RFC 9535 calls S.
func (p *parser) blanks() {
	for p.at < len(p.source) && strings.IndexByte(" \t\n\r", p.source[p.at]) >= 0 {
		p.at++
	}
}

// query reads $ and its segments (RFC 9535, 2.1.1).
func (p *parser) query() ([]step, error) {
	if at := firstInvalid(p.source); at >= 0 {
		return nil, p.fail(at, "it is not valid UTF-8")
	}
	if p.peek() != '$' {
		return nil, p.fail(0, "a path begins with $")
	}
	p.at++
	if p.at == len(p.source) {
		return nil, p.fail(0, "$ alone names the whole document; write $.* for all that is in it")
	}
	var steps []step
	for p.at < len(p.source) {
		begin := p.at
		p.blanks()
		if p.at == len(p.source) {
			return nil, p.fail(begin, "white space at the end")
		}
		s, err := p.segment()
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// segment reads a child or a descendant segment (RFC 9535, 2.5).
func (p *parser) segment() (step, error) {
	var s step
	switch {
	case p.peek() == '[':
	case strings.HasPrefix(p.source[p.at:], ".."):
		s.deep = true
		p.at += 2
	case p.peek() == '.':
		p.at++
		if p.peek() == '[' {
			return step{}, p.fail(p.at, "no bracket stands behind one dot: write $['name'] or $..['name']")
		}
	case p.peek() == '(':
		return step{}, p.fail(p.at, "functions are not supported; "+supported)
	default:
		return step{}, p.fail(p.at, "a segment begins with . or [; "+supported)
	}
	switch c := p.peek(); {
	case c == '[':
		p.at++
		return p.bracket(s)
	case c == '*':
		p.at++
		return s, nil
	case c == '-' || isDigit(c):
		return step{}, p.fail(p.at, "a name that begins so stands in brackets: ['name']")
	}
	s.kind = member
	begin := p.at
	for p.at < len(p.source) && isNameByte(p.source[p.at]) {
		p.at++
	}
	if s.name = p.source[begin:p.at]; s.name == "" {
		return step{}, p.fail(p.at, "a name or * is missing; "+supported)
	}
	return s, nil
}

// bracket reads the one selector of a bracketed selection, behind its bracket (RFC 9535, 2.3).
func (p *parser) bracket(s step) (step, error) {
	p.blanks()
	var err error
	switch c := p.peek(); {
	case c == '*':
		p.at++
	case c == '\'' || c == '"':
		s.kind = member
		s.name, err = p.quoted(c)
	case isDigit(c):
		s.kind = element
		s.index, err = p.index()
	case c == '-':
		err = p.fail(p.at, "negative indexes are not supported; "+supported)
	case c == '?':
		err = p.fail(p.at, "filters are not supported; "+supported)
	case c == ':':
		err = p.fail(p.at, "slices are not supported; "+supported)
	default:
		err = p.fail(p.at, "a selector is missing; "+supported)
	}
	if err != nil {
		return step{}, err
	}
	p.blanks()
	switch p.peek() {
	case ']':
		p.at++
		return s, nil
	case ',':
		return step{}, p.fail(p.at, "unions are not supported, write a path for each; "+supported)
	case ':':
		return step{}, p.fail(p.at, "slices are not supported; "+supported)
	}
	return step{}, p.fail(p.at, "] is missing; "+supported)
}

// maxIndex is the greatest index (RFC 9535, 2.1: the range of I-JSON).
const maxIndex = 1<<53 - 1

func (p *parser) index() (int, error) {
	begin := p.at
	for isDigit(p.peek()) {
		p.at++
	}
	digits := p.source[begin:p.at]
	if len(digits) > 1 && digits[0] == '0' {
		return 0, p.fail(begin, "an index has no leading zero")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > maxIndex {
		return 0, p.fail(begin, "the index is too great")
	}
	return int(n), nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isNameByte: what a name without quotes is made of (RFC 9535, 2.5.1.1); that it is UTF-8 is known.
func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || isDigit(c) || c >= utf8.RuneSelf
}

// firstInvalid is where s stops to be UTF-8, or -1.
func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}
