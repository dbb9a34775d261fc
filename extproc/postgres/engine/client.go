package engine

// client is the state of the agent's side; only Client and Answer touch it.
type client struct {
	// batch counts what Sync and Query end.
	batch uint64
	// inBatch: messages since the last Sync or Query went to the server; unsynced: since the last Sync, so that it may be
	// ignoring what comes before the next.
	inBatch, unsynced bool
	// bound: since the last Sync more went to the server than what prepares statements, describes or closes.
	bound bool
	// skipping drops everything up to Sync, as a server does after an error.
	skipping bool
	// passing and dropping are the bytes still to come of a message that needs not be seen whole.
	passing, dropping int
	copied            copied

	question Question
	bind     Bind
	// asked is the message that waits for an answer, key the name that it changes, types those that Parse names.
	asked []byte
	key   string
	types []uint32
	// source is the prepared statement of a Bind.
	source *prepared
}

// Step is how far Client came.
type Step struct {
	// Consumed bytes of the input are done with.
	Consumed int
	// Question must be answered before the next step. The message is not consumed: Answer says by how much to go on.
	Question *Question
	// Stalled: nothing can be said before the server answers; wait for Progress.
	Stalled bool
	// Need is the size of the message at hand if more of it must be read, in bytes.
	Need int
	// Closed: the agent said good-bye.
	Closed bool
}

// Client takes bytes from the agent. It stops at the first message that needs an answer, more bytes, or a server.
func (e *Engine) Client(in []byte, out *Output) (Step, error) {
	var s Step
	for s.Question == nil && !s.Stalled && !s.Closed {
		rest := in[s.Consumed:]
		if n := e.client.rest(rest, out); n > 0 {
			s.Consumed += n
			continue
		}
		kind, size, ok := header(rest)
		if !ok {
			return s, nil
		}
		if err := checkSize("client", kind, size); err != nil {
			return s, err
		}
		if e.gate(kind, out) {
			s.Stalled = true
			continue
		}
		if e.client.skipping && kind != 'S' && kind != 'X' {
			e.client.dropping = size
			continue
		}
		if kind == 'd' {
			e.copyData(size, out)
			continue
		}
		if kind != 'H' && kind != 'S' { // a COPY that has failed may have no end of its own
			e.client.copied.end(out)
		}
		limit, known := clientLimit(kind)
		switch {
		case !known:
			return s, violation("client", "unexpected message %q", kind)
		case size > limit:
			if err := e.overLimit(kind, size, limit, out); err != nil {
				return s, err
			}
			continue
		case len(rest) < size:
			s.Need = size
			return s, nil
		}
		if err := e.message(kind, rest[:size], out, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// rest goes on with a message that is passed or dropped in pieces.
func (c *client) rest(in []byte, out *Output) int {
	switch {
	case c.passing > 0:
		n := min(c.passing, len(in))
		c.passing -= n
		out.ToServer.pass(in[:n])
		c.copied.record(in[:n], out)
		return n
	case c.dropping > 0:
		n := min(c.dropping, len(in))
		c.dropping -= n
		return n
	}
	return 0
}

// clientLimit is how long a message may be that is seen whole.
func clientLimit(kind byte) (limit int, known bool) {
	switch kind {
	case 'Q', 'P':
		return maxQuery, true
	case 'B':
		return MaxBind, true
	case 'F':
		return maxQuery, true
	case 'S', 'H', 'X', 'c':
		return headerSize, true
	case 'E', 'D', 'C', 'f':
		return maxSmall, true
	}
	return 0, false
}

// overLimit refuses a statement that is too long and drops it; anything else that is too long ends the session.
func (e *Engine) overLimit(kind byte, size, limit int, out *Output) error {
	err := tooLong("client", kind, size, limit)
	switch kind {
	case 'Q', 'P', 'B', 'F':
		e.client.dropping = size
		e.refuse(kind, &Refusal{
			Code: err.Code, Message: "the statement is too long for Sluice", Detail: err.Reason + ".",
			Hint: "Send large values by COPY, or in several statements.", Rule: "size",
		}, out)
		return nil
	}
	return err
}

// message handles one whole message.
func (e *Engine) message(kind byte, msg []byte, out *Output, s *Step) error {
	body := msg[headerSize:]
	switch kind {
	case 'Q':
		text, rest, ok := cstring(body)
		if !ok || len(rest) != 0 {
			return violation("client", "malformed Query")
		}
		if !e.waits(s) {
			e.ask(s, msg, Question{Stage: AtQuery, Text: string(text), InBatch: e.client.inBatch})
		}
		return nil
	case 'P':
		return e.parse(msg, body, out, s)
	case 'B':
		return e.bind(msg, body, out, s)
	case 'E':
		return e.execute(msg, body, out, s)
	case 'D':
		return e.describe(msg, body, out, s)
	case 'C':
		return e.close(msg, body, out, s)
	case 'S':
		e.sync(msg, out)
	case 'H':
		out.ToServer.pass(msg)
	case 'c', 'f':
		e.copyEnd(msg, out)
	case 'F':
		e.refuse(kind, &Refusal{
			Code: "0A000", Message: "function calls by protocol message are not supported by Sluice",
			Hint: "Call the function in a SELECT.", Rule: "protocol",
		}, out)
	case 'X':
		s.Closed = true
	}
	s.Consumed += len(msg)
	return nil
}

// waits is full for a Query, which the server answers without being asked to.
func (e *Engine) waits(s *Step) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.full(s)
}

// ask makes a question of a message.
func (e *Engine) ask(s *Step, msg []byte, q Question) {
	e.client.asked, e.client.question = msg, q
	s.Question = &e.client.question
}

// stall waits for the server to answer.
func (e *Engine) stall(s *Step) {
	e.shared.waiting = true
	s.Stalled = true
}

func (e *Engine) sync(msg []byte, out *Output) {
	e.mu.Lock()
	// What was put off until the transaction ends runs now, if this ends one. If something on the way does, its ReadyForQuery
	// doubts them.
	if e.shared.impure && e.shared.status != 'T' {
		e.shared.doubtAll()
	}
	if c := &e.shared.copy; c.phase == copyReading {
		c.syncs++
	} else {
		e.push(awaiting{kind: awaitSync}, out)
	}
	e.mu.Unlock()
	e.client.skipping, e.client.inBatch, e.client.unsynced, e.client.bound = false, false, false, false
	e.client.batch++
	out.ToServer.pass(msg)
}

// refuse answers a message with an error, in its place in the order: the server is made to fail, and its error is
// replaced. So its state is what an error of the agent's own would have left.
func (e *Engine) refuse(kind byte, r *Refusal, out *Output) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case kind == 'Q' && r.Asks != "" && !e.client.unsynced:
		e.askAtQuery(r, out)
		return
	case kind == 'Q' || kind == 'F':
		e.push(awaiting{kind: awaitQuery, own: true, refusal: r, changes: kind == 'Q' && e.endsUnnamed()}, out)
		out.ToServer.make(func(b []byte) []byte { return appendQuery(b, r.statement()) })
		e.client.batch++
		e.client.inBatch = false
		return
	}
	name := reserved + "refused"
	a := awaiting{kind: awaitParse, own: true, refusal: r, asks: r.Asks != ""}
	if kind == 'P' && e.client.key == "" { // a Parse that fails has dropped the unnamed statement
		name, a.changes = "", e.endsUnnamed()
	}
	e.push(a, out)
	out.ToServer.make(func(b []byte) []byte { return appendParse(b, name, r.question()) })
	e.client.skipping, e.client.inBatch, e.client.unsynced = true, true, true
}

// askAtQuery asks the server about the text of a Query: by a Parse, whose error and the ReadyForQuery behind it are what
// Query would have brought, and which takes the unnamed statement with it as Query does. It is not asked behind messages
// without a Sync: if one of them fails the server ignores Query, and would not ignore the Sync of ours.
func (e *Engine) askAtQuery(r *Refusal, out *Output) {
	e.push(awaiting{kind: awaitParse, own: true, refusal: r, asks: true, changes: e.endsUnnamed()}, out)
	e.push(awaiting{kind: awaitSync}, out)
	out.ToServer.make(func(b []byte) []byte { return appendSync(appendParse(b, "", r.question())) })
	e.client.batch++
}

// endsUnnamed notes that a message drops the unnamed statement, whatever comes of it: Query, and Parse of that name
// (PostgreSQL, "Extended Query"). It reports whether there is one to drop.
func (e *Engine) endsUnnamed() bool {
	if !e.shared.statements.knows("") {
		return false
	}
	e.shared.statements.propose("", e.client.batch, nil)
	return true
}
