package engine

import (
	"github.com/sluicegate/sluice/policies/masking"
)

// errorFields are the fields of an ErrorResponse or NoticeResponse, in order.
type errorFields struct {
	kinds  []byte
	values [][]byte
}

func decodeErrorFields(body []byte) (f errorFields, ok bool) {
	for len(body) > 0 && body[0] != 0 {
		value, rest, ok := cstring(body[1:])
		if !ok {
			return f, false
		}
		f.kinds, f.values = append(f.kinds, body[0]), append(f.values, value)
		body = rest
	}
	return f, len(body) == 1
}

func (f errorFields) get(kind byte) string {
	for i, k := range f.kinds {
		if k == kind {
			return string(f.values[i])
		}
	}
	return ""
}

// passes reports whether an error of this SQLSTATE cannot carry a value, as long as nothing outside the pure list
// could have worded it.
func passes(code string, pure bool) bool {
	if len(code) != 5 || !pure {
		return false
	}
	switch code[:2] {
	case "08", "25", "40", "42", "53", "57":
		return true
	}
	return false
}

// redacted writes the message without what could carry a value: another MESSAGE, no DETAIL, HINT, WHERE and internal query.
// The position and the SQLSTATE stay, and so do names of objects, unless a function outside the pure list could have
// chosen them (PL/pgSQL, "RAISE … USING").
func (f errorFields) redacted(dst []byte, kind byte, pure bool, message string) []byte {
	return appendMessage(dst, kind, func(b []byte) []byte {
		for i, k := range f.kinds {
			switch k {
			case 'D', 'H', 'W', 'q', 'p':
				continue
			case 's', 't', 'c', 'd', 'n':
				if !pure {
					continue
				}
			case 'M':
				b = append(append(b, 'M'), message...)
				b = append(b, 0)
				continue
			}
			b = append(append(append(b, k), f.values[i]...), 0)
		}
		return append(b, 0)
	})
}

func withheld(code string) string {
	return "the database reported SQLSTATE " + code + "; its text is withheld, since masks apply to you here and it could carry a value"
}

// relay sends an error or notice on, redacted where a view asks for it, and returns its text as the record has it.
func (e *Engine) relay(kind byte, msg, body []byte, run *Run, out *Output) (code, message string, err error) {
	fields, ok := decodeErrorFields(body)
	if !ok {
		return "", "", violation("server", "malformed error or notice")
	}
	code, message = fields.get('C'), fields.get('M')
	if severity := fields.get('V'); kind == 'E' && (severity == "FATAL" || severity == "PANIC") {
		e.server.gaveUp = true
	}
	pure := run.pure() && !e.shared.impure
	clean := passes(code, pure) || code == "22023" && pure && run.given()
	hides := func(v *masking.View) bool {
		return hidesColumns(v) && (!clean || code[:2] == "42" && run.Facts != nil && v.Quotes(run.Facts.Statements))
	}
	var hideAgent, hideRecord bool
	switch {
	case run != nil:
		hideAgent, hideRecord = hides(run.Agent), hides(run.Record)
	case !clean:
		hideAgent, hideRecord = e.unasked()
	}
	if e.shared.hidesCopied(run) {
		hideRecord = true
		out.split()
	}
	write := func(to *Stream, hide bool) {
		if !hide {
			to.pass(msg)
			return
		}
		to.make(func(b []byte) []byte { return fields.redacted(b, kind, pure, withheld(code)) })
	}
	write(&out.ToAgent, hideAgent)
	if out.Dual {
		write(&out.ForRecord, hideRecord)
	}
	if hideRecord {
		message = withheld(code)
	}
	return code, message, nil
}

// unasked reports whether masks apply to what belongs to no statement, for the agent and for the record: those of the last
// statement, or those of now.
func (e *Engine) unasked() (agent, record bool) {
	s := &e.shared
	return s.hidesAgent || hidesColumns(s.agent), s.hidesRecord || hidesColumns(s.record)
}

func hidesColumns(v *masking.View) bool { return v != nil && !v.Empty() }

// failed handles an error: it belongs to the oldest message, and up to Sync the server ignores what follows.
func (e *Engine) failed(msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil { // of the server's own accord, such as a shutdown
		_, _, err := e.relay('E', msg, body, nil, out)
		return err
	}
	if a.copies {
		e.copyOver(a.kind == awaitQuery, false)
	}
	if a.refusal != nil {
		a.answer(body, out)
		if a.kind == awaitQuery {
			a.refusal, a.own = nil, false // its ReadyForQuery is the agent's
			return nil
		}
		e.skip(out)
		return nil
	}
	if a.probe != nil {
		return e.probeFailed(a.probe, msg, body, out)
	}
	code, message, err := e.relay('E', msg, body, a.run, out)
	if err != nil {
		return err
	}
	if a.run != nil {
		out.Notes = append(out.Notes, Note{Kind: NoteOutcome, Run: a.run, Code: code, Message: message, Rows: a.run.rows, Bytes: a.run.bytes})
		a.run.rows, a.run.bytes = 0, 0
	}
	if a.kind != awaitQuery && a.kind != awaitSync {
		e.skip(out)
	}
	return nil
}

// skip drops the failed message and all that the server ignores after it.
func (e *Engine) skip(out *Output) {
	q := &e.shared.queue
	first := true
	for q.len > 0 && q.front().kind != awaitSync && q.front().kind != awaitResync {
		a := q.pop()
		if first {
			e.settle(&a, failed)
			a.run, a.changes = nil, false // its outcome is noted
			first = false
		}
		e.abandon(&a, out)
	}
	e.shared.skips = q.len == 0 || q.front().kind == awaitResync
	e.wake()
}

func (e *Engine) notice(msg, body []byte, out *Output) {
	var run *Run
	if a := e.front(); a != nil {
		if a.probe != nil {
			return
		}
		if a.asks {
			a.remark(msg, body, out)
			return
		}
		run = a.run
	}
	_, _, _ = e.relay('N', msg, body, run, out) // a notice that cannot be read is not shown
}

// notification keeps the channel and drops the payload where masks apply: it can carry anything.
func (e *Engine) notification(msg, body []byte, out *Output) {
	if len(body) < 5 {
		return
	}
	channel, _, ok := cstring(body[4:])
	if !ok {
		return
	}
	empty := func(b []byte) []byte {
		return appendMessage(b, 'A', func(b []byte) []byte {
			return append(append(append(b, body[:4]...), channel...), 0, 0)
		})
	}
	write := func(to *Stream, hide bool) {
		if hide {
			to.make(empty)
		} else {
			to.pass(msg)
		}
	}
	agent, record := e.unasked()
	write(&out.ToAgent, agent)
	if out.Dual {
		write(&out.ForRecord, record)
	}
}
