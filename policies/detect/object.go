package detect

// object reads a JSON object byte by byte, as far as a JOSE header needs it: where strings and nested values begin and
// end, and whether one of its own names is alg. It does not prove that the text is valid JSON. Its zero value, with isName
// set, is before the first brace, which the marks have seen.
type object struct {
	state objectState
	alg   bool

	depth   int
	inText  bool
	escaped bool
	isName  bool // the string that is open, or was last, is a name of the outermost object
	length  int  // of that string
	matches bool // it is "alg" so far
}

type objectState uint8

const (
	objectInside objectState = iota
	objectDone
	objectBroken
)

// step takes the next byte and says whether to go on.
func (o *object) step(b byte) bool {
	switch {
	case o.state == objectDone:
		if !isSpace(b) {
			o.state = objectBroken
		}
	case o.inText:
		o.text(b)
	default:
		o.structure(b)
	}
	return o.state != objectBroken
}

func (o *object) text(b byte) {
	const name = "alg"
	switch {
	case o.escaped:
		o.escaped = false
	case b == '\\':
		o.escaped, o.matches = true, false
	case b == '"':
		o.inText = false
		if o.depth == 1 && o.isName && o.matches && o.length == len(name) {
			o.alg = true
		}
	case b < ' ':
		o.state = objectBroken
	default:
		o.matches = o.matches && o.length < len(name) && b == name[o.length]
		o.length++
	}
}

func (o *object) structure(b byte) {
	switch b {
	case '"':
		o.inText, o.matches, o.length = true, true, 0
	case '{', '[':
		o.depth++
	case '}', ']':
		if o.depth--; o.depth == 0 {
			o.state = objectDone
			if b != '}' {
				o.state = objectBroken
			}
		}
	case ':':
		if o.depth == 1 {
			o.isName = false
		}
	case ',':
		if o.depth == 1 {
			o.isName = true
		}
	default:
		if b < ' ' && !isSpace(b) || b > '~' {
			o.state = objectBroken
		}
	}
}
