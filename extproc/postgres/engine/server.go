package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// server is the state of the server's side; only Server touches it.
type server struct {
	// passing are the bytes still to come of a message that needs not be seen whole.
	passing int
	// gaveUp: the server has said FATAL.
	gaveUp bool
	// computed: a setting was set to what was worked out of something that the record hides. It may come back as late as a
	// transaction ends that set it to something else, so that this stays.
	computed bool
	// apart is the run that aside works on.
	apart Run
}

// Server takes bytes from the server. need is the size of the message at hand if more of it must be read.
func (e *Engine) Server(in []byte, out *Output) (consumed, need int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out.Dual = e.shared.dual
	for {
		rest := in[consumed:]
		if n := e.serverRest(rest, out); n > 0 {
			consumed += n
			continue
		}
		kind, size, ok := header(rest)
		if !ok {
			return consumed, 0, nil
		}
		if err := checkSize("server", kind, size); err != nil {
			return consumed, 0, err
		}
		switch passes, missing, err := e.streams(kind, size, rest); {
		case err != nil:
			return consumed, 0, err
		case missing > 0:
			return consumed, missing, nil
		case passes:
			continue
		}
		if limit := serverLimit(kind); size > limit {
			return consumed, 0, tooLong("server", kind, size, limit)
		}
		if len(rest) < size {
			return consumed, size, nil
		}
		if err := e.response(kind, rest[:size], out); err != nil {
			return consumed, 0, err
		}
		consumed += size
	}
}

// serverRest goes on with a message that is passed in pieces.
func (e *Engine) serverRest(in []byte, out *Output) int {
	n := min(e.server.passing, len(in))
	e.server.passing -= n
	out.toAgent(in[:n])
	return n
}

// toAgent passes bytes to the agent, and as they are into the record.
func (o *Output) toAgent(b []byte) {
	o.ToAgent.pass(b)
	if o.Dual {
		o.ForRecord.pass(b)
	}
}

// streams lets rows and COPY data pass in which nothing is hidden, without waiting for the whole of them.
// missing is how much of the message must be there to say so.
func (e *Engine) streams(kind byte, size int, rest []byte) (passes bool, missing int, err error) {
	if kind != 'D' && kind != 'd' {
		return false, 0, nil
	}
	a := e.front()
	if a == nil || a.run == nil {
		return false, 0, nil
	}
	run := a.run
	switch {
	case kind == 'd' && !run.copying && !run.passes():
		return false, 0, unexpected("COPY data that no COPY began")
	case kind == 'd':
		if run.agent.copy != nil || run.record.copy != nil {
			return false, 0, nil
		}
	case run.inspects():
		return false, 0, nil
	case len(rest) < headerSize+2 && size >= headerSize+2:
		return false, headerSize + 2, nil
	default:
		if err := run.fits(rest[headerSize:min(len(rest), size)]); err != nil {
			return false, 0, err
		}
		run.rows++
	}
	run.bytes += uint64(size) //nolint:gosec // positive
	e.server.passing = size
	return true, 0, nil
}

// fits checks that a row is what was described: without a description nothing proves that it holds nothing to hide.
func (r *Run) fits(body []byte) error {
	switch {
	case r.passes():
		return nil
	case !r.shape.known:
		return unexpected("a row whose columns were never described")
	case len(body) < 2 || int(binary.BigEndian.Uint16(body)) != r.shape.columns:
		return unexpected("a row that is not as it was described")
	}
	return nil
}

func serverLimit(kind byte) int {
	switch kind {
	case 'D', 'd':
		return MaxRow
	default:
		return maxResponse
	}
}

// front is the oldest message without its answer.
func (e *Engine) front() *awaiting {
	return e.shared.queue.front()
}

// response handles one whole message of the server's.
func (e *Engine) response(kind byte, msg []byte, out *Output) error {
	body := msg[headerSize:]
	switch kind {
	case 'D':
		return e.row(msg, body, out)
	case 'd':
		return e.copyOut(msg, body, out)
	case '1', '2', '3':
		return e.done(kind, msg, out)
	case 't':
		return e.parameters(msg, body, out)
	case 'T', 'n':
		return e.description(kind, msg, body, out)
	case 'C', 'I', 's':
		return e.complete(kind, msg, body, out)
	case 'Z':
		return e.ready(msg, body, out)
	case 'E':
		return e.failed(msg, body, out)
	case 'N':
		e.notice(msg, body, out)
	case 'A':
		e.notification(msg, body, out)
	case 'S':
		e.setting(msg, body, out)
	case 'G', 'H':
		return e.copyBegins(kind, msg, out)
	case 'c':
		return e.copyEnds(msg, out)
	default:
		return violation("server", "unexpected message %q", kind)
	}
	return nil
}

// done answers Parse, Bind and Close.
func (e *Engine) done(kind byte, msg []byte, out *Output) error {
	want := awaitParse
	switch kind {
	case '2':
		want = awaitBind
	case '3':
		want = awaitClose
	}
	a := e.front()
	if a != nil && a.kind == awaitResync && kind == '3' && a.readies > 0 {
		e.resynced(out)
		return nil
	}
	if a == nil || a.kind != want || a.refusal != nil {
		return violation("server", "message %q that nothing asked for", kind)
	}
	e.settle(a, succeeded)
	own := a.own
	p := a.probe
	e.shared.queue.pop()
	e.wake()
	if !own {
		out.toAgent(msg)
	} else if p != nil && p.flushed && (e.front() == nil || e.front().probe != p) {
		p.asked.Status = e.shared.status
		p.complete()
	}
	return nil
}

// parameters is the first half of the answer to Describe of a statement. Its types are what the server settled on,
// where the client left them open.
func (e *Engine) parameters(msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil || a.kind != awaitStatement {
		return violation("server", "ParameterDescription that nothing asked for")
	}
	types, ok := decodeParameters(body)
	if !ok {
		return violation("server", "malformed ParameterDescription")
	}
	if n := e.shared.statements.known[a.key]; n != nil && n.value != nil {
		n.value.described = types
	}
	out.toAgent(msg)
	return nil
}

// description plans what is hidden of the rows that follow.
func (e *Engine) description(kind byte, msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil {
		return violation("server", "message %q that nothing asked for", kind)
	}
	if run := a.run; run != nil && a.kind != awaitStatement {
		if err := e.aside(run, func(r *Run) error { return r.describe(kind, body) }); err != nil {
			return err
		}
		run.remember()
		e.shared.recount(run)
		a = e.front() // the queue may have grown meanwhile
	}
	own := a.own
	switch a.kind {
	case awaitStatement, awaitPortal:
		e.shared.queue.pop()
		e.wake()
	case awaitQuery:
	default:
		return violation("server", "message %q out of order", kind)
	}
	if !own {
		out.toAgent(msg)
	}
	return nil
}

// aside works out what is hidden of a run's results without the lock: the catalog may have to be asked about a relation
// that is newer than it, which takes as long as that takes, and neither the agent's side nor other sessions wait for it.
// What the agent sends meanwhile is as if it had been sent before or after.
func (e *Engine) aside(r *Run, work func(*Run) error) error {
	if r.passes() {
		return work(r)
	}
	d := &e.server.apart
	*d = *r
	err := func() error {
		e.mu.Unlock()
		defer e.mu.Lock()
		return work(d)
	}()
	r.agent, r.record, r.copies, r.copying = d.agent, d.record, d.copies, d.copying
	if d.shape.known {
		r.shape = d.shape
	}
	*d = Run{}
	return err
}

// describe makes the plans for the rows of a run.
func (r *Run) describe(kind byte, body []byte) error {
	if r.passes() {
		return nil
	}
	r.shape = shape{known: true, agent: r.Agent, record: r.Record}
	if kind == 'n' {
		r.agent.planned, r.record.planned = true, true
		return nil
	}
	if !r.givesRows() && !r.doubtful {
		return unexpected("rows of a statement that gives none")
	}
	if len(body) < 2 {
		return violation("server", "malformed RowDescription")
	}
	r.shape.columns = int(binary.BigEndian.Uint16(body))
	for _, m := range []*masks{&r.agent, &r.record} {
		if m.touches || m.passes() {
			continue
		}
		hides, ok := hidesOrigin(m.view, body)
		if !ok {
			return violation("server", "malformed RowDescription")
		}
		m.touches = hides // whatever the statement was thought to be
	}
	if !r.inspects() {
		return nil
	}
	fields, ok := decodeFields(body)
	if !ok {
		return violation("server", "malformed RowDescription")
	}
	r.agent.planned, r.record.planned = true, true
	if v := r.agent.view; v != nil {
		r.agent.plan = v.Plan(r.statements(), fields)
	}
	switch v := r.record.view; {
	case v == r.agent.view:
		r.record.plan = r.agent.plan
	case v != nil:
		r.record.plan = v.Plan(r.statements(), fields)
	}
	return nil
}

// remember keeps what a prepared statement was found to give: its description stays the same for as long as it lives.
func (r *Run) remember() {
	if r.source != nil && r.shape.known && !r.inspects() && !r.doubtful {
		r.source.shape = r.shape
	}
}

// complete ends a statement.
func (e *Engine) complete(kind byte, msg, body []byte, out *Output) error {
	a := e.front()
	if a == nil || (a.kind != awaitExecute && a.kind != awaitQuery) {
		return violation("server", "message %q that nothing asked for", kind)
	}
	run, own, isQuery := a.run, a.own, a.kind == awaitQuery
	if !isQuery {
		e.shared.queue.pop()
	}
	if own {
		return nil
	}
	tag := "PORTAL SUSPENDED"
	if kind != 's' {
		tag = ""
		if kind == 'C' {
			tag = string(bytes.TrimRight(body, "\x00"))
		}
	}
	copies := run.current() != nil && run.current().Kind == sqlfacts.CopyIn
	e.ended(run, tag, kind == 's', out)
	if copies {
		e.copyOver(isQuery, true)
	}
	out.toAgent(msg)
	return nil
}

// ended notes the outcome of one statement of a run.
func (e *Engine) ended(run *Run, tag string, suspended bool, out *Output) {
	out.Notes = append(out.Notes, Note{Kind: NoteOutcome, Run: run, Tag: tag, Rows: run.rows, Bytes: run.bytes})
	run.rows, run.bytes = 0, 0
	e.shared.ran = true
	e.server.computed = e.server.computed || run.setsComputed()
	if suspended {
		run.suspended = true
		return
	}
	if run.current() != nil {
		e.after(run, tag)
	}
	run.statement++
	run.copying = false
	if run.source == nil {
		run.shape = shape{}
	}
	for _, m := range []*masks{&run.agent, &run.record} {
		m.copy, m.plan, m.planned = nil, nil, false
	}
	e.shared.recount(run)
}

// ready ends a batch or a query.
func (e *Engine) ready(msg, body []byte, out *Output) error {
	a := e.front()
	s := &e.shared
	switch {
	case len(body) != 1:
		return violation("server", "malformed ReadyForQuery")
	case a == nil && s.copy.syncs > 0:
		return e.readyInDoubt(msg, body[0], out)
	case a != nil && a.kind == awaitResync:
		s.status, s.ran = body[0], false
		a.readies++
		return nil
	case a == nil || (a.kind != awaitSync && a.kind != awaitQuery):
		return violation("server", "ReadyForQuery that nothing asked for")
	}
	done := s.queue.pop()
	if done.kind == awaitQuery {
		e.settle(&done, succeeded)
		if done.copies {
			e.copyOver(false, false)
		}
	}
	s.status, s.ran = body[0], false
	if body[0] == 'I' {
		if s.impure { // deferred triggers may have run
			s.doubtAll()
		}
		e.shared.impure = e.shared.queue.impure() // what was sent on in the meantime belongs to later transactions
		e.shared.portals.dropAll()                // portals end with their transaction
		s.transactionEnds()
	}
	e.wake()
	if done.kind == awaitSync && done.own {
		if done.probe != nil {
			done.probe.asked.Status = s.status
			done.probe.complete()
		}
		return nil
	}
	out.toAgent(msg)
	return nil
}

// readyInDoubt is the answer to a Sync that was sent while the server had stopped reading COPY data, as it turns out.
func (e *Engine) readyInDoubt(msg []byte, status byte, out *Output) error {
	s := &e.shared
	s.copy.syncs--
	s.status, s.ran, s.skips = status, false, false
	out.toAgent(msg)
	return nil
}

// GaveUp reports whether the server has said why it closes the connection.
func (e *Engine) GaveUp() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server.gaveUp
}

// Whole reports whether what went to the agent ends a message. It belongs to the server's side.
func (e *Engine) Whole() bool { return e.server.passing == 0 }
