package engine

import (
	"strconv"

	"github.com/sluicegate/sluice/policies/sqlfacts"
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

// answer gives the agent what is refused: the server's own words, if it was asked and its parser had something to say. The
// record does not know what of an unread text is a secret: it has none of the words that quote it.
func (a *awaiting) answer(body []byte, out *Output) {
	r := a.refusal
	if r.Asks == "" {
		out.ToAgent.make(r.append)
		if out.Dual {
			out.ForRecord.make(r.append)
		}
		return
	}
	out.split()
	fields, ok := decodeErrorFields(body)
	if !a.asks || !ok || !fields.ofParser() || !fields.moveBack(len(before)) {
		shown := *r
		shown.Message = sqlfacts.HideQuoted(r.Message)
		out.ToAgent.make(r.append)
		out.ForRecord.make(shown.append)
		return
	}
	code := fields.get('C')
	message := "the database reported SQLSTATE " + code + " about a text that could not be read; its own text could quote that"
	out.ToAgent.make(func(b []byte) []byte { return fields.append(b, 'E') })
	out.ForRecord.make(func(b []byte) []byte { return fields.redacted(b, 'E', true, message) })
	if code != r.Code {
		out.Notes = append(out.Notes, Note{Kind: NoteRefused, Number: r.Number, Code: code, Message: message})
	}
}

// remark gives the agent what the server notices about a text that it was asked about, such as a name that is too long. It
// quotes the text, so the record has none of its words either.
func (a *awaiting) remark(msg, body []byte, out *Output) {
	fields, ok := decodeErrorFields(body)
	if !ok {
		return
	}
	out.split()
	out.ToAgent.pass(msg)
	message := "the database noticed " + fields.get('C') + " about a text that could not be read; its own text could quote that"
	out.ForRecord.make(func(b []byte) []byte { return fields.redacted(b, 'N', false, message) })
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
