package engine

import (
	"bytes"
	"encoding/binary"
	"slices"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// row hides what a plan says in one row.
func (e *Engine) row(msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil || (a.kind != awaitExecute && a.kind != awaitQuery) {
		return violation("server", "a row that nothing asked for")
	}
	if a.probe != nil {
		return a.probe.row(body)
	}
	if a.run == nil {
		return violation("server", "a row that nothing asked for")
	}
	run := a.run
	run.rows++
	run.bytes += uint64(len(msg))
	if !run.agent.planned || !run.record.planned {
		return unexpected("a row whose columns were never described")
	}
	if err := run.fits(body); err != nil {
		return err
	}
	hidden, err := hideRow(&out.ToAgent, run.agent.plan, msg, body)
	if err != nil {
		return err
	}
	if out.Dual {
		if run.Record == run.Agent {
			out.ForRecord.pass(hidden)
			return nil
		}
		_, err = hideRow(&out.ForRecord, run.record.plan, msg, body)
	}
	return err
}

// hideRow appends the row to a stream and returns it as it was written there.
func hideRow(to *Stream, plan masking.Plan, msg, body []byte) ([]byte, error) {
	if plan == nil {
		to.pass(msg)
		return msg, nil
	}
	same := false
	var err error
	var hidden []byte
	to.make(func(b []byte) []byte {
		hidden = appendMessage(b, 'D', func(b []byte) []byte {
			b, same, err = plan.Row(b, body)
			return b
		})
		if same || err != nil {
			return b
		}
		return hidden
	})
	if err != nil {
		return nil, violation("server", "malformed row")
	}
	if same {
		to.pass(msg)
		return msg, nil
	}
	return hidden, nil
}

// row keeps the answer to the engine's own question.
func (p *probe) row(body []byte) error {
	if len(body) < 2 || binary.BigEndian.Uint16(body) != probeColumns {
		return violation("server", "malformed row")
	}
	body = body[2:]
	for i := range probeColumns {
		if len(body) < 4 {
			return violation("server", "malformed row")
		}
		n := int(int32(binary.BigEndian.Uint32(body))) //nolint:gosec // a signed 32-bit number on the wire
		body = body[4:]
		if n > len(body) {
			return violation("server", "malformed row")
		}
		if n >= 0 {
			p.values[i] = string(body[:n])
			body = body[n:]
		}
	}
	p.seen = true
	return nil
}

// copyBegins handles CopyInResponse and CopyOutResponse.
func (e *Engine) copyBegins(kind byte, msg []byte, out *Output) error {
	a := e.front()
	if a == nil || a.run == nil || (a.kind != awaitExecute && a.kind != awaitQuery) {
		return violation("server", "COPY that nothing asked for")
	}
	if kind == 'G' {
		if err := e.copyAsked(a.run, msg[headerSize:]); err != nil {
			return err
		}
	} else if err := e.aside(a.run, func(r *Run) error { return r.copyOut(msg[headerSize:]) }); err != nil {
		return err
	}
	out.toAgent(msg)
	return nil
}

// copyOut plans what is hidden of the data of the next COPY … TO STDOUT of a run. The server says how many columns
// come: a catalog that is not of the same mind does not know which of them to hide.
func (r *Run) copyOut(body []byte) error {
	if len(body) < 3 {
		return violation("server", "malformed CopyOutResponse")
	}
	count := int(binary.BigEndian.Uint16(body[1:]))
	seen := 0
	for i := range r.Facts.Statements {
		if r.Facts.Statements[i].Kind != sqlfacts.CopyOut {
			continue
		}
		if seen == r.copies {
			r.copies++
			r.copying = true
			for _, m := range []*masks{&r.agent, &r.record} {
				if err := m.copyOut(&r.Facts.Statements[i], r.doubtful, count); err != nil {
					return err
				}
			}
			return nil
		}
		seen++
	}
	return violation("server", "COPY that no statement asked for")
}

// copyOut plans for a COPY of so many columns.
func (m *masks) copyOut(s *sqlfacts.Statement, doubtful bool, count int) error {
	m.copy = nil
	if m.view == nil || m.view.Passes() {
		return nil
	}
	spec := s.Copy
	ofRelation := spec != nil && spec.Relation != nil
	switch known := ofRelation && count == len(spec.Columns); {
	case doubtful: // it may be of anything
		m.copy = m.view.CopyQuery(&sqlfacts.Statement{Copy: spec, Calls: []sqlfacts.Call{{Function: "cursor"}}}, count)
	case known:
		m.copy = m.view.Copy(spec)
	case ofRelation && !m.view.Empty():
		return violation("server", "COPY of %d columns where the catalog has %d", count, len(spec.Columns))
	default:
		m.copy = m.view.CopyQuery(s, count)
	}
	return nil
}

// copyOut hides columns in a piece of COPY data.
func (e *Engine) copyOut(msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil || a.run == nil {
		return violation("server", "COPY data that nothing asked for")
	}
	run := a.run
	run.bytes += uint64(len(msg))
	if err := hideCopy(&out.ToAgent, run.agent.copy, msg, body); err != nil {
		return err
	}
	if !out.Dual {
		return nil
	}
	return hideCopy(&out.ForRecord, run.record.copy, msg, body)
}

func hideCopy(to *Stream, plan *masking.CopyPlan, msg, body []byte) error {
	if plan == nil {
		to.pass(msg)
		return nil
	}
	hidden, same, err := plan.Hide(nil, body)
	if err != nil {
		return violation("server", "COPY data that is not in its format")
	}
	if same {
		to.pass(msg)
		return nil
	}
	if len(hidden) > 0 {
		to.make(func(b []byte) []byte {
			return appendMessage(b, 'd', func(b []byte) []byte { return append(b, hidden...) })
		})
	}
	return nil
}

// copyEnds checks that no part of a row is left over.
func (e *Engine) copyEnds(msg []byte, out *Output) error {
	a := e.front()
	if a == nil || a.run == nil {
		return violation("server", "CopyDone that nothing asked for")
	}
	for _, m := range []*masks{&a.run.agent, &a.run.record} {
		if m.copy != nil {
			if err := m.copy.End(); err != nil {
				return violation("server", "COPY data that ends within a row")
			}
		}
	}
	out.toAgent(msg)
	return nil
}

// after does what the end of a statement means for names.
func (e *Engine) after(run *Run, tag string) {
	s := run.current()
	switch s.Kind {
	case sqlfacts.Deallocate:
		e.deallocate(s.Name)
	case sqlfacts.Discard:
		if tag == "DISCARD ALL" {
			e.deallocate("")
			e.shared.portals.dropAll()
		}
	case sqlfacts.CloseCursor:
		if s.Name == "" {
			e.shared.portals.dropAll()
		} else {
			e.shared.portals.drop(s.Name)
		}
	}
}

// setting watches for what Sluice's reading of statements depends on. A setting that takes any text
// is not reported where masks apply and a function outside the pure list could have set it; and not recorded where what it
// was set to was worked out of something masked.
func (e *Engine) setting(msg, body []byte, out *Output) {
	name, rest, ok := cstring(body)
	value, _, ok2 := cstring(rest)
	free := !ok || bytes.EqualFold(name, []byte("application_name")) || bytes.EqualFold(name, []byte("timezone")) ||
		bytes.EqualFold(name, []byte("search_path"))
	if a := e.front(); a != nil && a.run != nil {
		e.server.computed = e.server.computed || a.run.setsComputed()
	}
	write := func(to *Stream, hide bool) {
		if !free || !hide {
			to.pass(msg)
		}
	}
	agent, record := e.unasked()
	write(&out.ToAgent, agent && e.shared.impure)
	if out.Dual {
		write(&out.ForRecord, record && e.shared.impure || e.server.computed)
	}
	if !ok || !ok2 {
		return
	}
	wrong := bytes.EqualFold(name, []byte("client_encoding")) && !bytes.EqualFold(value, []byte("UTF8")) ||
		bytes.EqualFold(name, []byte("standard_conforming_strings")) && string(value) != "on"
	if wrong {
		out.Notes = append(out.Notes, Note{Kind: NoteSettings, Message: string(name) + " is " + string(value)})
	}
}

// setsComputed reports whether the statement at hand sets something, and uses what the record hides.
func (r *Run) setsComputed() bool {
	s := r.current()
	if s == nil || !hidesColumns(r.Record) {
		return false
	}
	sets := slices.ContainsFunc(s.Operation.Pairs, func(p policies.Pair) bool { return p.Effect == policyv1.Effect_SESSION })
	return sets && r.Record.Check([]sqlfacts.Statement{*s}) != nil
}
