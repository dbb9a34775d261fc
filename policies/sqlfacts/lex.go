package sqlfacts

// lexer cuts text into tokens as PostgreSQL's scan.l does with standard_conforming_strings on. It exists beside the
// real one for what must be known before cgo (depth) or without a parse (hiding), and because it is cheaper; a fuzz
// target holds both against each other.
type lexer struct {
	text string
	pos  int
	open int // where a comment begins that is not closed
	// nested is the deepest that comments stood within one another.
	nested int
}

// lexKind is the kind of a token.
type lexKind uint8

const (
	lexEnd      lexKind = iota
	lexWord             // identifier or keyword
	lexQuoted           // "identifier", U&"identifier"
	lexString           // '…', E'…', B'…', X'…', U&'…', $tag$…$tag$, with continuation lines
	lexNumber           // integers and decimals
	lexParam            // $1
	lexOperator         // a run of operator characters, not yet cut into operators
	lexOther            // one byte: brackets, comma, semicolon, colon, dot, or what no rule wants
)

// lexed is a token: text[start:end]. Open says that the text ended before the closing quote.
type lexed struct {
	kind       lexKind
	start, end int
	open       bool
}

// next returns the next token, skipping white space and comments; at the end kind is lexEnd, and open says that a
// comment was not closed.
func (l *lexer) next() lexed {
	if !l.skip() {
		return lexed{kind: lexEnd, start: l.open, end: len(l.text), open: true}
	}
	if l.pos >= len(l.text) {
		return lexed{kind: lexEnd, start: l.pos, end: l.pos}
	}
	start, c := l.pos, l.text[l.pos]
	switch {
	case isIdentStart(c):
		return l.word(start)
	case isDigit(c), c == '.' && isDigit(l.at(1)):
		l.number()
		return lexed{kind: lexNumber, start: start, end: l.pos}
	case c == '\'':
		closed := l.quoted('\'', false, true)
		return lexed{kind: lexString, start: start, end: l.pos, open: !closed}
	case c == '"':
		closed := l.quoted('"', false, false)
		return lexed{kind: lexQuoted, start: start, end: l.pos, open: !closed}
	case c == '$':
		return l.dollar(start)
	case isOperator(c):
		l.operator()
		return lexed{kind: lexOperator, start: start, end: l.pos}
	}
	l.pos++
	return lexed{kind: lexOther, start: start, end: l.pos}
}

func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.text) {
		return l.text[l.pos+n]
	}
	return 0
}

// skip passes white space and comments; false if a comment is not closed.
func (l *lexer) skip() bool {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case isSpace(c):
			l.pos++
		case c == '-' && l.at(1) == '-':
			l.lineComment()
		case c == '/' && l.at(1) == '*':
			if !l.blockComment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

func (l *lexer) lineComment() {
	for l.pos < len(l.text) && l.text[l.pos] != '\n' && l.text[l.pos] != '\r' {
		l.pos++
	}
}

func (l *lexer) blockComment() bool {
	depth := 0
	l.open = l.pos
	for l.pos < len(l.text) {
		switch {
		case l.text[l.pos] == '/' && l.at(1) == '*':
			depth++
			l.nested = max(l.nested, depth)
			l.pos += 2
		case l.text[l.pos] == '*' && l.at(1) == '/':
			depth--
			l.pos += 2
			if depth == 0 {
				return true
			}
		default:
			l.pos++
		}
	}
	return false
}

func (l *lexer) word(start int) lexed {
	for l.pos < len(l.text) && isIdentPart(l.text[l.pos]) {
		l.pos++
	}
	if l.pos-start == 1 {
		switch c, q := l.text[start], l.at(0); {
		case q == '\'' && (c == 'e' || c == 'E'):
			closed := l.quoted('\'', true, true)
			return lexed{kind: lexString, start: start, end: l.pos, open: !closed}
		case q == '\'' && (c == 'b' || c == 'B' || c == 'x' || c == 'X'):
			closed := l.quoted('\'', false, true)
			return lexed{kind: lexString, start: start, end: l.pos, open: !closed}
		case q == '&' && (c == 'u' || c == 'U') && (l.at(1) == '\'' || l.at(1) == '"'):
			l.pos++
			kind := lexString
			if l.text[l.pos] == '"' {
				kind = lexQuoted
			}
			closed := l.quoted(l.text[l.pos], false, kind == lexString)
			return lexed{kind: kind, start: start, end: l.pos, open: !closed}
		}
	}
	return lexed{kind: lexWord, start: start, end: l.pos}
}

// quoted passes a quoted run from its opening quote on; false if it is not closed.
func (l *lexer) quoted(quote byte, backslash, continues bool) bool {
	l.pos++
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case backslash && c == '\\':
			l.pos = min(l.pos+2, len(l.text))
		case c != quote:
			l.pos++
		case l.at(1) == quote:
			l.pos += 2
		default:
			l.pos++
			next, ok := l.continuation()
			if !continues || !ok {
				return true
			}
			l.pos = next
		}
	}
	return false
}

// continuation finds the quote with which a string goes on after white space that holds a line end, as the standard
// asks, and returns the place after it.
func (l *lexer) continuation() (int, bool) {
	newline := false
	for p := l.pos; p < len(l.text); {
		switch c := l.text[p]; {
		case c == '\n' || c == '\r':
			newline = true
			p++
		case isSpace(c):
			p++
		case c == '-' && p+1 < len(l.text) && l.text[p+1] == '-':
			for p < len(l.text) && l.text[p] != '\n' && l.text[p] != '\r' {
				p++
			}
		default:
			return p + 1, c == '\'' && newline
		}
	}
	return 0, false
}

func (l *lexer) dollar(start int) lexed {
	if isDigit(l.at(1)) {
		l.pos++
		for isDigit(l.at(0)) {
			l.pos++
		}
		return lexed{kind: lexParam, start: start, end: l.pos}
	}
	tag := l.pos + 1 // no digit, which would begin a parameter's number
	for tag < len(l.text) && isIdentPart(l.text[tag]) && l.text[tag] != '$' {
		tag++
	}
	if tag >= len(l.text) || l.text[tag] != '$' {
		l.pos++
		return lexed{kind: lexOther, start: start, end: l.pos}
	}
	delimiter := l.text[start : tag+1]
	for p := tag + 1; p+len(delimiter) <= len(l.text); p++ {
		if l.text[p] == '$' && l.text[p:p+len(delimiter)] == delimiter {
			l.pos = p + len(delimiter)
			return lexed{kind: lexString, start: start, end: l.pos}
		}
	}
	l.pos = len(l.text)
	return lexed{kind: lexString, start: start, end: l.pos, open: true}
}

func (l *lexer) number() {
	if l.at(0) == '0' {
		var digit func(byte) bool
		switch l.at(1) {
		case 'x', 'X':
			digit = isHex
		case 'o', 'O', 'b', 'B':
			digit = isDigit
		}
		if digit != nil && (digit(l.at(2)) || l.at(2) == '_') {
			l.pos += 2
			for digit(l.at(0)) || l.at(0) == '_' {
				l.pos++
			}
			return
		}
	}
	l.digits()
	if l.at(0) == '.' && l.at(1) != '.' {
		l.pos++
		l.digits()
	}
	if c := l.at(0); c == 'e' || c == 'E' {
		n := 1
		if s := l.at(1); s == '+' || s == '-' {
			n = 2
		}
		if isDigit(l.at(n)) {
			l.pos += n
			l.digits()
		}
	}
}

func (l *lexer) digits() {
	for isDigit(l.at(0)) || (l.at(0) == '_' && isDigit(l.at(1))) {
		l.pos++
	}
}

// operator passes a run of operator characters, which a comment ends.
func (l *lexer) operator() {
	for l.pos < len(l.text) && isOperator(l.text[l.pos]) {
		if c, d := l.text[l.pos], l.at(1); (c == '-' && d == '-') || (c == '/' && d == '*') {
			return
		}
		l.pos++
	}
}

func isSpace(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r')
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || (c|0x20 >= 'a' && c|0x20 <= 'f') }

func isIdentStart(c byte) bool { return c == '_' || c >= 0x80 || (c|0x20 >= 'a' && c|0x20 <= 'z') }

func isIdentPart(c byte) bool { return isIdentStart(c) || isDigit(c) || c == '$' }

func isOperator(c byte) bool {
	switch c {
	case '~', '!', '@', '#', '^', '&', '|', '`', '?', '+', '-', '*', '/', '%', '<', '>', '=':
		return true
	}
	return false
}
