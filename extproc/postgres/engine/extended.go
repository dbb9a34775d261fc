package engine

import (
	"bytes"
	"fmt"
)

var reservedName = []byte(reserved)

// longestName is what PostgreSQL keeps of a name, in bytes (NAMEDATALEN - 1). It would take longer ones for one another.
const longestName = 63

// refuseName refuses names of prepared statements and portals that are the engine's own, or that the server would cut.
func (e *Engine) refuseName(kind byte, msg []byte, out *Output, s *Step, names ...[]byte) bool {
	for _, name := range names {
		var r *Refusal
		switch invalid := notUTF8(name); {
		case invalid != nil:
			r = invalid
		case len(name) > longestName:
			r = &Refusal{
				Code: "42622", Message: "the name of a prepared statement or portal is too long",
				Detail: fmt.Sprintf("It has %d bytes, and PostgreSQL keeps %d.", len(name), longestName), Hint: "Choose a shorter name.", Rule: "protocol",
			}
		case bytes.HasPrefix(name, reservedName):
			r = &Refusal{
				Code: "42602", Message: "names that begin with " + reserved + " are reserved by Sluice",
				Hint: "Choose another name for the prepared statement or portal.", Rule: "protocol",
			}
		default:
			continue
		}
		e.refuse(kind, r, out)
		s.Consumed += len(msg)
		return true
	}
	return false
}

func (e *Engine) parse(msg, body []byte, out *Output, s *Step) error {
	m, ok := decodeParse(body)
	if !ok {
		return violation("client", "malformed Parse")
	}
	e.client.key, e.client.types = string(m.name), m.types
	if e.refuseName('P', msg, out, s, m.name) {
		return nil
	}
	e.mu.Lock()
	stalled := e.full(s)
	tooMany := e.shared.statements.settled >= maxPrepared || e.shared.preparedBytes > maxPreparedBytes
	noRoom := e.shared.full()
	if (tooMany || noRoom != nil) && e.shared.statements.asked > 0 {
		stalled = e.hastened(out, s)
	}
	e.mu.Unlock()
	switch {
	case stalled:
		return nil
	case noRoom != nil:
		e.refuse('P', noRoom, out)
		s.Consumed += len(msg)
		return nil
	case tooMany:
		e.refuse('P', &Refusal{
			Code: "54000", Message: "too many prepared statements in this session",
			Detail: "Sluice keeps at most 10000, and 64 MiB of their texts and of what these do.", Hint: "Close or DEALLOCATE some.", Rule: "size",
		}, out)
		s.Consumed += len(msg)
		return nil
	}
	e.ask(s, msg, Question{Stage: AtParse, Text: string(m.sql), Name: e.client.key, InBatch: e.client.inBatch})
	return nil
}

func (e *Engine) bind(msg, body []byte, out *Output, s *Step) error {
	b := &e.client.bind
	if !b.decode(body) {
		return violation("client", "malformed Bind")
	}
	if e.refuseName('B', msg, out, s, b.Portal, b.Statement) {
		return nil
	}
	if len(b.Formats) > 1 && len(b.Formats) != len(b.Values) {
		e.refuse('B', &Refusal{Code: "08P01", Message: fmt.Sprintf(
			"bind message has %d parameter formats but %d parameters", len(b.Formats), len(b.Values)), Rule: "protocol"}, out)
		s.Consumed += len(msg)
		return nil
	}
	e.mu.Lock()
	p, unsure := e.shared.statements.lookup(b.Statement, e.client.batch)
	stalled := unsure && e.stalled(s) || e.full(s)
	looked := false
	if p != nil {
		b.DescribedTypes, looked = p.described, p.looked
	}
	epoch := e.shared.epoch
	tooMany := len(e.shared.portals.known) >= maxPortals || e.shared.portalBytes > maxPortalBytes
	noRoom := e.shared.full()
	if (tooMany || noRoom != nil) && e.shared.portals.asked > 0 {
		stalled = e.hastened(out, s)
	}
	e.mu.Unlock()
	switch {
	case stalled:
		return nil
	case noRoom != nil:
		e.refuse('B', noRoom, out)
		s.Consumed += len(msg)
		return nil
	case p == nil:
		e.refuse('B', &Refusal{
			Code: "26000", Message: "prepared statement " + quote(b.Statement) + " does not exist",
			Detail: "Sluice knows only statements that were prepared by the protocol in this session.", Rule: "protocol",
		}, out)
		s.Consumed += len(msg)
		return nil
	}
	if tooMany {
		e.refuse('B', &Refusal{
			Code: "54000", Message: "too many portals in this transaction", Detail: fmt.Sprintf("Sluice keeps at most %d, and 64 MiB of what they give.", maxPortals),
			Hint: "Close some, or send Sync.", Rule: "size",
		}, out)
		s.Consumed += len(msg)
		return nil
	}
	e.client.source = p
	b.Raw, b.ParameterTypes = msg, p.types
	e.client.key = string(b.Portal)
	e.ask(s, msg, Question{
		Stage: AtBind, Text: p.text, Name: string(b.Statement), Facts: p.facts, Prepared: p.grant.Context, Looked: looked, Bind: b,
		InBatch: e.client.inBatch, Unjudged: p.epoch < epoch,
	})
	return nil
}

// stalled is stall as a condition.
func (e *Engine) stalled(s *Step) bool {
	e.stall(s)
	return true
}

// full stalls while too much is unanswered: back-pressure in place of a queue without bound.
func (e *Engine) full(s *Step) bool {
	if e.shared.queue.len < maxAwaiting && e.shared.queue.bytes <= maxAwaitingBytes {
		return false
	}
	return e.stalled(s)
}

// hastened stalls until the server has answered what was sent on, and has it answer at once: within a batch it may not before
// Flush or Sync.
func (e *Engine) hastened(out *Output, s *Step) bool {
	out.ToServer.make(appendFlush)
	return e.stalled(s)
}

func quote(name []byte) string { return "\"" + string(name) + "\"" }

func (e *Engine) execute(msg, body []byte, out *Output, s *Step) error {
	name, rest, ok := cstring(body)
	if !ok || len(rest) != 4 {
		return violation("client", "malformed Execute")
	}
	if e.refuseName('E', msg, out, s, name) {
		return nil
	}
	e.mu.Lock()
	run, unsure := e.shared.portals.lookup(name, e.client.batch)
	stalled := unsure && e.stalled(s) || e.full(s)
	epoch, resumed := e.shared.epoch, run != nil && run.suspended
	e.mu.Unlock()
	switch {
	case stalled:
		return nil
	case run == nil:
		e.refuse('E', &Refusal{Code: "34000", Message: "portal " + quote(name) + " does not exist", Rule: "protocol"}, out)
		s.Consumed += len(msg)
		return nil
	}
	text := ""
	if run.source != nil {
		text = run.source.text
	}
	e.ask(s, msg, Question{
		Stage: AtExecute, Text: text, Facts: run.Facts, Run: run, Resumed: resumed, InBatch: e.client.inBatch, Unjudged: run.epoch < epoch,
	})
	return nil
}

func (e *Engine) describe(msg, body []byte, out *Output, s *Step) error {
	what, name, err := target(body)
	if err != nil {
		return err
	}
	if e.refuseName('D', msg, out, s, name) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := awaiting{kind: awaitStatement, key: string(name)}
	if what == 'S' {
		a.grant = e.looks(a.key)
	} else {
		run, unsure := e.shared.portals.lookup(name, e.client.batch)
		if unsure && e.stalled(s) {
			return nil
		}
		a = awaiting{kind: awaitPortal, run: run}
		if run != nil {
			run.asked = true
		}
	}
	if e.full(s) {
		return nil
	}
	e.push(a, out)
	e.forward(msg, out, s)
	return nil
}

// looks notes that the server may look up anew what a prepared statement names, and gives the grant of that.
func (e *Engine) looks(key string) *Grant {
	n := e.shared.statements.known[key]
	if n == nil {
		return nil
	}
	last := n.value
	if last != nil {
		last.looked = true
	}
	if k := len(n.pending); k > 0 { // nobody changes what it names before its Parse is answered, nor between that and this
		last = n.pending[k-1].value
	}
	if last == nil {
		return nil
	}
	return last.grant
}

func (e *Engine) close(msg, body []byte, out *Output, s *Step) error {
	what, name, err := target(body)
	if err != nil {
		return err
	}
	if e.refuseName('C', msg, out, s, name) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full(s) {
		return nil
	}
	key := string(name)
	if what == 'P' {
		e.shared.portals.propose(key, e.client.batch, nil)
	} else {
		e.shared.statements.propose(key, e.client.batch, nil)
	}
	e.push(awaiting{kind: awaitClose, key: key, portal: what == 'P', changes: true}, out)
	e.forward(msg, out, s)
	return nil
}

func (e *Engine) forward(msg []byte, out *Output, s *Step) {
	out.ToServer.pass(msg)
	e.client.inBatch, e.client.unsynced = true, true
	s.Consumed += len(msg)
}

// target reads the body of Describe and Close.
func target(body []byte) (what byte, name []byte, err error) {
	if len(body) < 2 || (body[0] != 'S' && body[0] != 'P') {
		return 0, nil, violation("client", "malformed Describe or Close")
	}
	name, rest, ok := cstring(body[1:])
	if !ok || len(rest) != 0 {
		return 0, nil, violation("client", "malformed Describe or Close")
	}
	return body[0], name, nil
}

// Answer decides the question of the last step: a grant, or a refusal. At AtExecute no grant means that the one of Bind
// still counts; another is for what comes from now on. It returns how many bytes of the input that consumes.
func (e *Engine) Answer(g *Grant, r *Refusal, out *Output) (consumed int) {
	msg := e.client.asked
	q := &e.client.question
	e.client.asked = nil
	consumed = len(msg)
	if r != nil {
		e.refuse(msg[0], r, out)
		return consumed
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if g == nil {
		g = &q.Run.Grant
	}
	e.shared.goOn(g)
	switch q.Stage {
	case AtQuery:
		run := e.begin(newRun(*g))
		e.push(awaiting{
			kind: awaitQuery, run: run, impure: !run.pure(), copies: e.shared.awaitCopy(run.Facts), changes: e.endsUnnamed(),
		}, out)
		e.started(run, out)
		e.client.batch++
		e.client.inBatch, e.client.bound = false, e.client.unsynced
		out.ToServer.pass(msg)
		return consumed
	case AtParse:
		p := newPrepared(e.client.key, q.Text, g.Facts, e.client.types)
		p.epoch, p.grant = e.shared.epoch, &Grant{Facts: g.Facts, Context: g.Context} // its views keep a catalog
		e.shared.statements.propose(e.client.key, e.client.batch, p)
		impure := g.Uncertain || !pure(g.Facts)
		if impure { // constants are turned into values here already, which can run the checks of domains
			e.begin(newRun(*g))
		}
		e.push(awaiting{kind: awaitParse, key: e.client.key, grant: p.grant, impure: impure, changes: true}, out)
		out.ToServer.pass(msg)
	case AtBind:
		run := newRun(*g)
		run.source, run.epoch = e.client.source, e.shared.epoch
		if run.source.doubtful {
			run = run.doubted()
		}
		e.answerBind(e.begin(run), msg, out)
	case AtExecute:
		run := e.continued(q.Run, g)
		if run.undescribed() {
			e.describePortal(run, msg, out)
		}
		e.push(awaiting{kind: awaitExecute, run: run, impure: !run.pure(), copies: e.shared.awaitCopy(run.Facts)}, out)
		e.runs(run)
		e.started(run, out)
		out.ToServer.pass(msg)
	}
	e.client.inBatch, e.client.unsynced = true, true
	e.client.bound = e.client.bound || q.Stage != AtParse
	return consumed
}

// goOn counts what may put something else in the place of a name: what was granted unjudged, and all that runs in its
// transaction behind it, which may run what it left there.
func (s *shared) goOn(g *Grant) {
	s.unjudged = s.unjudged || g.Unjudged
	if s.unjudged {
		s.epoch++
	}
}

// transactionEnds counts what runs at the end of a transaction in which something was granted unjudged, such as deferred
// triggers.
func (s *shared) transactionEnds() {
	if s.unjudged {
		s.epoch++
		s.unjudged = s.queue.unjudged()
	}
}

// continued is the run of an Execute: with a grant of its own, it is another from now on.
func (e *Engine) continued(run *Run, g *Grant) *Run {
	if g == nil || g.Agent == run.Agent && g.Record == run.Record && g.Uncertain == run.Uncertain && g.Facts == run.Facts && g.Unjudged == run.Unjudged {
		return run
	}
	next := run.under(*g)
	e.shared.portals.replace(func(other *Run) *Run {
		if other == run {
			return next
		}
		return other
	})
	return e.begin(next)
}

// answerBind forwards Bind, and asks for the description of what it gives where rows may have to be hidden: a client
// that executes again does not ask.
func (e *Engine) answerBind(run *Run, msg []byte, out *Output) {
	e.shared.portals.propose(e.client.key, e.client.batch, run)
	e.push(awaiting{kind: awaitBind, key: e.client.key, portal: true, changes: true, run: run, impure: !run.pure()}, out)
	out.ToServer.pass(msg)
	if run.inspects() {
		e.askDescription(run, e.client.bind.Portal, out)
	}
}

// describePortal asks what the portal of an Execute gives, before it is sent on.
func (e *Engine) describePortal(run *Run, msg []byte, out *Output) {
	if portal, _, ok := cstring(msg[headerSize:]); ok {
		e.askDescription(run, portal, out)
	}
}

func (e *Engine) askDescription(run *Run, portal []byte, out *Output) {
	run.asked = true
	e.push(awaiting{kind: awaitPortal, own: true, run: run}, out)
	out.ToServer.make(func(b []byte) []byte { return appendDescribePortal(b, portal) })
}

// begin notes what a run means for messages that belong to none.
func (e *Engine) begin(run *Run) *Run {
	e.shared.agent, e.shared.record = run.Agent, run.Record
	e.shared.dual = e.shared.dual || run.Agent != run.Record
	e.runs(run)
	return run
}

// runs notes that something of a run is about to run at the server: planning and Bind can call functions too. One
// outside the pure list can report values in errors, and can open a cursor of a name that a portal had: from then on
// the other portals may be something else, and so may prepared statements.
func (e *Engine) runs(run *Run) {
	if run.pure() && (!e.shared.impure || !run.runsDeferred()) {
		return
	}
	e.shared.impure = true
	e.shared.doubtAll()
	e.shared.portals.replace(func(other *Run) *Run {
		if other == run {
			return other
		}
		return other.doubted()
	})
}

// started notes the first execution of a run: fetching on from a portal is the same use.
func (e *Engine) started(run *Run, out *Output) {
	if run.started {
		return
	}
	run.started = true
	out.Notes = append(out.Notes, Note{Kind: NoteExecute, Run: run})
}

// doubtAll: any prepared statement may be another by now.
func (s *shared) doubtAll() {
	s.statements.replace(func(p *prepared) *prepared {
		if p.doubtful && !p.shape.known {
			return p
		}
		d := *p
		d.doubtful, d.shape = true, shape{}
		return &d
	})
}
