package sqlfacts

import "slices"

// longestForm is how long a text may be to be looked for by its form, in bytes.
const longestForm = 4096

// form is the facts of one text together with where its numbers are: what differs from it only in them has the same
// facts, moved. Statements that look up one row by its id are read once, not once an id.
type form struct {
	facts   *Facts
	numbers []Span
}

// formOf replaces each number that a comparison operator stands before, and a blank, closing bracket, comma, semicolon
// or the end behind, by a zero byte, which no text has. Such a number is a constant of an expression: its value decides
// nothing of the facts. ok is false where the text is long, has no such number, or has anything in which digits could
// mean something else: quotes, dollars, backslashes, comments, bytes beyond ASCII.
func formOf(sql string, numbers []Span) (key string, found []Span, ok bool) {
	if len(sql) > longestForm {
		return "", nil, false
	}
	var storage [512]byte
	out := storage[:0]
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case c == '\'' || c == '"' || c == '$' || c == '\\' || c == 0 || c >= 0x80,
			c == '-' && i+1 < len(sql) && sql[i+1] == '-',
			c == '/' && i+1 < len(sql) && sql[i+1] == '*':
			return "", nil, false
		case isDigit(c) && compared(out):
			end := i
			for end < len(sql) && isDigit(sql[end]) {
				end++
			}
			if end-i <= 18 && (end == len(sql) || endsNumber(sql[end])) {
				numbers = append(numbers, Span{i, end})
				out = append(out, 0)
			} else {
				out = append(out, sql[i:end]...)
			}
			i = end - 1
		default:
			out = append(out, c)
		}
	}
	if len(numbers) == 0 {
		return "", nil, false
	}
	return string(out), numbers, true
}

func endsNumber(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ')', ',', ';':
		return true
	}
	return false
}

// compared reports whether what was written so far ends in a comparison operator, blanks left out. An arrow (=>) is
// none: behind it stands an argument of a function.
func compared(out []byte) bool {
	n := len(out)
	for n > 0 && (out[n-1] == ' ' || out[n-1] == '\t' || out[n-1] == '\n' || out[n-1] == '\r') {
		n--
	}
	if n == 0 {
		return false
	}
	switch out[n-1] {
	case '=', '<':
		return true
	case '>':
		return n < 2 || out[n-2] != '='
	}
	return false
}

// moved gives the facts for a text of the same form whose numbers are elsewhere.
func (f *form) moved(sql string, numbers []Span) *Facts {
	out := &Facts{Statements: slices.Clone(f.facts.Statements), Size: f.facts.Size, Form: f.facts.Form}
	for i := range out.Statements {
		s := &out.Statements[i]
		start := f.move(s.Offset, numbers)
		end := f.move(s.Offset+len(s.Text), numbers)
		was := s.Offset
		s.Offset, s.Text = start, sql[start:end]
		s.Literals = slices.Clone(s.Literals)
		for j := range s.Literals {
			l := &s.Literals[j]
			l.Start, l.End = f.move(was+l.Start, numbers)-start, f.move(was+l.End, numbers)-start
		}
	}
	return out
}

// move says where a place of the first text is in the other. A place is never within a number, but may be at its end.
func (f *form) move(place int, numbers []Span) int {
	shift := 0
	for i, was := range f.numbers {
		if was.End > place {
			break
		}
		shift = numbers[i].End - was.End
	}
	return place + shift
}
