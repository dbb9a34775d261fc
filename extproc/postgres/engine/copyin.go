package engine

import (
	"encoding/binary"

	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// copyPhase is how far a COPY … FROM STDIN is. While the server reads its data it reads messages in another way:
// CopyData, CopyDone and CopyFail count, Flush and Sync are ignored, and anything else ends the connection (PostgreSQL,
// "COPY Operations"; copyfromparse.c). So nothing else may be on its way then.
type copyPhase uint8

const (
	copyNone copyPhase = iota
	// copyAwaited: a statement that reads data is at the server, or the data has ended. Nothing goes on before the
	// server says how that went.
	copyAwaited
	// copyReading: the server has asked for data.
	copyReading
)

// copying is the state of COPY … FROM STDIN.
type copying struct {
	phase copyPhase
	// syncs are those sent while the server was, perhaps, reading data: how many of them it ignored is known if the
	// COPY succeeds (all), or else by asking.
	syncs int
	// skips: the server ignores what comes up to the next Sync of the agent's, which it will not see.
	skips bool
	// data is what the server reads, and reads last.
	data *dataIn
}

// dataIn says what the data of one COPY … FROM STDIN is.
type dataIn struct {
	spec *sqlfacts.Copy
	// record is how the record shows it.
	record  *masking.View
	columns int
	// doubtful: it may go into something else than the spec says.
	doubtful bool
}

// copied is what the record has of COPY data; only the agent's side touches it.
type copied struct {
	data *dataIn
	plan *masking.CopyIn
	// framing is how much of the message at hand is still no data, in bytes.
	framing int
	hide    func(value []byte) string
}

// HideCopied sets what stands in the record for data of COPY … FROM STDIN that it must not have.
func (e *Engine) HideCopied(hide func(value []byte) string) { e.client.copied.hide = hide }

// begin is for the next message of the data.
func (c *copied) begin(data *dataIn, out *Output) {
	if c.data != data {
		c.end(out) // of one before, that the server left within its data
		c.data = data
		if data.record != nil {
			c.plan = data.record.CopyIn(data.spec, data.columns, data.doubtful, c.hide)
		}
	}
	c.framing = headerSize
}

// record shows a piece of a message to the record. A row may have begun in another message, so that what is hidden goes into
// messages of its own.
func (c *copied) record(piece []byte, out *Output) {
	if c.plan == nil {
		out.FromAgent.pass(piece)
		return
	}
	n := min(c.framing, len(piece))
	c.framing -= n
	recordCopied(out, func(b []byte) []byte { return c.plan.Append(b, piece[n:]) })
}

// end shows what is left of the data.
func (c *copied) end(out *Output) {
	if c.plan != nil {
		recordCopied(out, c.plan.End)
	}
	c.data, c.plan = nil, nil
}

func recordCopied(out *Output, show func([]byte) []byte) {
	out.FromAgent.make(func(b []byte) []byte {
		msg := appendMessage(b, 'd', show)
		if len(msg) == headerSize {
			return b
		}
		return msg
	})
}

// gate decides whether a message may go on as far as COPY … FROM STDIN is concerned.
func (e *Engine) gate(kind byte, out *Output) (stalled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := &e.shared.copy
	if c.skips {
		c.skips = false
		e.client.skipping = true
	}
	switch {
	case c.phase == copyAwaited || e.shared.asksResync():
	case c.phase == copyReading && !ofCopy(kind), c.phase == copyNone && c.syncs > 0 && kind != 'X':
		e.resync(out)
	default:
		return false
	}
	e.shared.waiting = true
	return true
}

// ofCopy reports whether a server that reads data takes the message without ending the connection; X ends it anyway.
func ofCopy(kind byte) bool {
	switch kind {
	case 'd', 'c', 'f', 'H', 'S', 'X':
		return true
	}
	return false
}

// resync finds out where the server is: whether it ignored Syncs, and with them their answers. It answers a Sync and a
// Close; the ReadyForQuery before that of the Sync are the agent's. If it is still reading data it ends the connection, as
// it would for the message of the agent's that is waiting.
func (e *Engine) resync(out *Output) {
	e.shared.queue.push(awaiting{kind: awaitResync, own: true})
	out.ToServer.make(func(b []byte) []byte {
		b = appendSync(b)
		b = appendClose(b, 'S', reserved+"resync")
		return appendFlush(b)
	})
}

func (s *shared) asksResync() bool {
	a := s.queue.last()
	return a != nil && a.kind == awaitResync
}

// resynced: the server has answered. The last ReadyForQuery is that of the Sync of ours; the others go to the agent.
func (e *Engine) resynced(out *Output) {
	a := e.shared.queue.pop()
	c := &e.shared.copy
	for range a.readies - 1 {
		out.toAgent([]byte{'Z', 0, 0, 0, 5, e.shared.status})
	}
	c.skips = e.shared.skips && a.readies == 1
	c.syncs, e.shared.skips = 0, false
	e.wake()
}

// readsCopy reports whether one of the statements reads COPY data.
func readsCopy(f *sqlfacts.Facts) bool {
	if f == nil {
		return false
	}
	for i := range f.Statements {
		if f.Statements[i].Kind == sqlfacts.CopyIn {
			return true
		}
	}
	return false
}

// awaitCopy notes that a statement goes to the server, and reports whether it reads COPY data.
func (s *shared) awaitCopy(f *sqlfacts.Facts) bool {
	if !readsCopy(f) {
		return false
	}
	s.copy = copying{phase: copyAwaited}
	return true
}

// copyAsked: the server asks for data, with a CopyInResponse.
func (e *Engine) copyAsked(run *Run, body []byte) error {
	if len(body) < 3 {
		return violation("server", "malformed CopyInResponse")
	}
	if e.shared.copy.phase != copyAwaited || run.current() == nil || run.current().Kind != sqlfacts.CopyIn {
		return violation("server", "COPY FROM that no statement asked for")
	}
	e.shared.copy = copying{phase: copyReading, data: &dataIn{
		spec: run.current().Copy, record: run.Record, columns: int(binary.BigEndian.Uint16(body[1:])), doubtful: run.doubtful,
	}}
	e.wake()
	return nil
}

// copyOver: the statement that reads data has ended, succeeded if that is sure: then the server ignored every Sync
// before. A simple query may have another one behind it, and is over with its ReadyForQuery.
func (e *Engine) copyOver(simple, succeeded bool) {
	c := &e.shared.copy
	if succeeded {
		c.syncs = 0
	}
	c.phase = copyNone
	if simple {
		c.phase = copyAwaited
	}
	e.wake()
}

// copyEnd forwards CopyDone or CopyFail while the server reads data, with a Flush: in the extended protocol the server
// would keep its answer to itself, and nothing goes on before that. At any other time a server ignores both.
func (e *Engine) copyEnd(msg []byte, out *Output) {
	e.mu.Lock()
	reads := e.shared.copy.phase == copyReading
	if reads {
		e.shared.copy.phase = copyAwaited
	}
	e.mu.Unlock()
	if reads {
		out.ToServer.pass(msg)
		e.Flush(out)
	}
}

// copyData passes COPY data while the server reads it; at any other time a server ignores it.
func (e *Engine) copyData(size int, out *Output) {
	e.mu.Lock()
	reads, data := e.shared.copy.phase == copyReading, e.shared.copy.data
	e.mu.Unlock()
	if !reads {
		e.client.dropping = size
		return
	}
	e.client.passing = size
	e.client.copied.begin(data, out) // without the lock: the catalog may have to be asked
}

// hidesCopied reports whether the record must not have all of the data that the statement at hand reads: an error of any
// class quotes the row that it was at.
func (s *shared) hidesCopied(r *Run) bool {
	if r == nil || r.Record == nil || r.current() == nil || r.current().Kind != sqlfacts.CopyIn || r.current().Copy == nil {
		return false
	}
	spec := r.current().Copy
	columns := len(spec.Columns)
	if d := s.copy.data; d != nil && d.spec == spec {
		columns = d.columns
	}
	return r.Record.HidesCopyIn(spec, columns, r.doubtful)
}
