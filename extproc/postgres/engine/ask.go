package engine

import (
	"strconv"
)

// before stands before a text that the server is asked about. A Parse of several statements fails once the grammar has
// taken them all: so nothing is looked up in a catalog, no constant becomes a value, nothing runs, and nothing stays
// prepared. It ends in what ends a statement, so that the text is read as it would be alone.
const before = "SELECT;SELECT;"

// question is what the server is sent to fail on.
func (r *Refusal) question() string {
	if r.Asks != "" {
		return before + r.Asks
	}
	return r.statement()
}

// words writes the error for the agent: the server's own, if it was asked and its parser had something to say.
func (a *awaiting) words(dst, body []byte) []byte {
	if a.asks {
		if fields, ok := decodeErrorFields(body); ok && fields.ofParser() && fields.moveBack(len(before)) {
			return fields.append(dst, 'E')
		}
	}
	return a.refusal.append(dst)
}

// ofParser reports whether an error was raised while a text was read, by the lexer or the grammar: its words can be of
// nothing but the text.
func (f errorFields) ofParser() bool {
	if f.get('V') != "ERROR" {
		return false
	}
	switch f.get('F') {
	case "scan.l", "gram.y", "parser.c", "scansup.c", "mbutils.c":
		return true
	}
	return false
}

// moveBack takes so many characters off the position; false if it is not behind them.
func (f errorFields) moveBack(characters int) bool {
	for i, k := range f.kinds {
		if k != 'P' {
			continue
		}
		n, err := strconv.Atoi(string(f.values[i]))
		if err != nil || n <= characters {
			return false
		}
		f.values[i] = strconv.AppendInt(nil, int64(n-characters), 10)
	}
	return true
}

// append writes all fields as they are.
func (f errorFields) append(dst []byte, kind byte) []byte {
	return appendMessage(dst, kind, func(b []byte) []byte {
		for i, k := range f.kinds {
			b = append(append(append(b, k), f.values[i]...), 0)
		}
		return append(b, 0)
	})
}
