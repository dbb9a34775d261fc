package sqlfacts

import "strings"

// maxDepth bounds how deep the tree of a text may get. PostgreSQL's parser has no stack check of its own in this
// build, so depth is estimated, from above, before the text reaches it. A level takes up to 420 bytes of a thread's
// stack, one of a query within a query three times that (measured: 2,400 levels of any shape fit into 2 MiB, a quarter
// of what threads have).
const (
	maxDepth   = 2400
	queryDepth = 3
)

// maxCopies bounds members times bytes of text where brackets stand before "=": of SET (a, b, …) = source the parser
// writes the source out once for each member.
const maxCopies = 8 << 20

// maxComments is how deep comments may stand within one another: PostgreSQL's lexer reads a run of their openings once
// for each of them.
const maxComments = 32

// span is a constant of the text, in bytes.
type span struct{ start, end int32 }

// prescan finds the constants of a text and estimates the depth of its tree; false means deeper than maxDepth.
func prescan(text string) ([]span, bool) {
	var (
		constants []span
		d         depth
		lex       = lexer{text: text}
		afterDot  bool
		opened    bool // the token before was an opening bracket
		star      bool // the token before was SELECT, so that * is no operator
	)
	d.frames = make([]frame, 1, 8)
	for {
		t := lex.next()
		if lex.nested > maxComments {
			return nil, false
		}
		dot := false
		switch t.kind {
		case lexEnd:
			return constants, true
		case lexString, lexNumber:
			constants = append(constants, span{int32(t.start), int32(t.end)}) //nolint:gosec // a text is at most 1 MiB
		case lexOperator:
			if text[t.start:t.end] == "=" && d.closed*len(text) > maxCopies {
				return nil, false
			}
			if !star || text[t.start:t.end] != "*" {
				d.chain(operators(text[t.start:t.end]))
			}
		case lexWord:
			// After a dot every word is a name.
			if !afterDot {
				d.word(text[t.start:t.end])
			}
			if opened && isQueryWord(text[t.start:t.end]) {
				d.top().joins += queryDepth - 1
				d.total += queryDepth - 1
			}
		case lexOther:
			c := text[t.start]
			dot = c == '.'
			if c == ':' {
				d.chain(1)
			}
			d.punctuation(c)
		case lexQuoted, lexParam:
		}
		if d.total+len(d.frames) > maxDepth {
			return nil, false
		}
		if t.kind != lexOther || text[t.start] != ')' {
			d.closed = 0
		}
		star = t.kind == lexWord && strings.EqualFold(text[t.start:t.end], "select")
		opened = t.kind == lexOther && text[t.start] == '('
		afterDot = dot
	}
}

// isQueryWord says whether a word behind an opening bracket begins a query.
func isQueryWord(word string) bool {
	for _, first := range []string{"select", "with", "values", "table", "insert", "update", "delete", "merge"} {
		if strings.EqualFold(word, first) {
			return true
		}
	}
	return false
}

// operators says how many operators a run can be cut into: the scanner takes trailing + and - off one by one.
func operators(run string) int {
	n := 1
	for i := len(run) - 1; i > 0 && (run[i] == '+' || run[i] == '-'); i-- {
		n++
	}
	return n
}

// depth follows brackets and CASE as frames. Within a frame operators chain: each may make the tree one deeper until
// a comma, AND or OR begins a new expression (the parser makes AND and OR flat). Joins and set operations chain until
// the frame ends.
type depth struct {
	frames []frame
	total  int // of all chains
	closed int // members of the bracket that the last token closed, 0 if it closed none
}

type frame struct {
	kind           byte // '(' '[' or 'c' for CASE
	chain, joins   int
	commas         int
	pendingBetween int // BETWEEN whose AND is still to come: that AND ends no expression
}

func (d *depth) top() *frame { return &d.frames[len(d.frames)-1] }

func (d *depth) chain(n int) {
	d.top().chain += n
	d.total += n
}

func (d *depth) push(kind byte) { d.frames = append(d.frames, frame{kind: kind}) }

func (d *depth) pop() {
	f := d.top()
	d.closed = f.commas + 1
	d.total -= f.chain + f.joins
	d.frames = d.frames[:len(d.frames)-1]
}

func (d *depth) reset() {
	f := d.top()
	d.total -= f.chain
	f.chain, f.pendingBetween = 0, 0
}

func (d *depth) punctuation(c byte) {
	switch c {
	case '(', '[':
		d.push(c)
	case ')', ']':
		for len(d.frames) > 1 && d.top().kind == 'c' {
			d.pop()
		}
		if len(d.frames) > 1 {
			d.pop()
		}
	case ',':
		d.reset()
		d.top().commas++
	case ';':
		d.reset()
		d.total -= d.top().joins
		d.top().joins = 0
	}
}

func (d *depth) word(w string) {
	if len(w) < 2 || len(w) > 9 {
		return
	}
	var buffer [9]byte
	for i := range len(w) {
		c := w[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		buffer[i] = c
	}
	switch string(buffer[:len(w)]) {
	case "case":
		d.push('c')
	case "end":
		if d.top().kind == 'c' {
			d.pop()
		}
	case "and":
		if f := d.top(); f.pendingBetween > 0 {
			f.pendingBetween--
			return
		}
		d.reset()
	case "or":
		d.reset()
	case "when", "then", "else": // arms of CASE stand beside each other
		d.reset()
	case "between":
		d.top().pendingBetween++
		d.chain(1)
	case "not", "is", "isnull", "notnull", "in", "like", "ilike", "similar", "collate", "at", "operator":
		d.chain(1)
	case "join", "union", "intersect", "except":
		d.top().joins++
		d.total++
	}
}
