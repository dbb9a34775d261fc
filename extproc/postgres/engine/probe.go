package engine

import "sync"

// State is what a server says of itself when it is asked between an agent's statements.
type State struct {
	Role, SearchPath, TempSchema, Database string
	// Path are the schemas in which names without one are looked up, pg_catalog included, as JSON: search_path resolved.
	Path string
	// StandardStrings is standard_conforming_strings, Encoding client_encoding: they decide how a text is read.
	StandardStrings, Encoding string
	// IdleTimeout is idle_in_transaction_session_timeout, in milliseconds as text; "0" is none.
	IdleTimeout string
	// Status is the transaction status, InBatch whether an implicit transaction is open.
	Status  byte
	InBatch bool
	// Skipped: the server did not answer. It ignores everything up to Sync, so it would not run the statement either; or
	// the transaction has failed, and it runs nothing but its end.
	Skipped bool
	// Failed is the second of these, within a batch: the server refused to answer, and ignores the rest of the batch until
	// Resume.
	Failed bool
}

// ProbeSQL is what Probe asks. It names everything by its schema: the search_path is what is asked about.
const ProbeSQL = `SELECT pg_catalog.concat(pg_catalog.current_setting('role'), '/', current_user), pg_catalog.current_setting('search_path'),` +
	` pg_catalog.pg_my_temp_schema()::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text,` +
	` (SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'idle_in_transaction_session_timeout'),` +
	` pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text,` +
	` pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('client_encoding')`

const probeColumns = 8

// probe is a question of the engine's own.
type probe struct {
	once   sync.Once
	values [probeColumns]string
	seen   bool
	result chan State
	asked  State
	// flushed: it was asked by Flush, behind messages without a Sync.
	flushed bool
}

func (p *probe) finish(s State) {
	p.once.Do(func() {
		p.result <- s
		close(p.result)
	})
}

// complete tells what the server answered.
func (p *probe) complete() {
	s := p.asked
	s.Role, s.SearchPath, s.TempSchema, s.Database, s.IdleTimeout = p.values[0], p.values[1], p.values[2], p.values[3], p.values[4]
	s.Path, s.StandardStrings, s.Encoding = p.values[5], p.values[6], p.values[7]
	s.Skipped = !p.seen
	p.finish(s)
}

// probeFailed: the server has an error for the question. Behind one of a batch it ignores the rest of that, which the agent
// must hear of; but not if the transaction had failed before: then the rest may be its end.
func (e *Engine) probeFailed(p *probe, msg, body []byte, out *Output) error {
	fields, ok := decodeErrorFields(body)
	switch severity := fields.get('V'); {
	case !ok:
		return violation("server", "malformed error or notice")
	case severity == "FATAL" || severity == "PANIC", p.flushed && fields.get('C') != "25P02":
		if _, _, err := e.relay('E', msg, body, nil, out); err != nil {
			return err
		}
	case p.flushed:
		p.finish(State{Skipped: true, Failed: true, InBatch: p.asked.InBatch, Status: 'E'})
	}
	e.skip(out)
	return nil
}

// Resume lets the server read on behind a question that Failed, by a Sync of the engine's own: it ends no transaction that
// has failed. It belongs to the agent's side, between a Question and its Answer.
func (e *Engine) Resume(out *Output) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.push(awaiting{kind: awaitSync, own: true}, out)
	out.ToServer.make(appendSync)
}

// Flush asks the server to send what it has answered.
func (e *Engine) Flush(out *Output) { out.ToServer.make(appendFlush) }

// Prepares reports whether the batch at hand has only prepared statements so far: nothing in it ran, so that no transaction
// of it would end with a Sync.
func (e *Engine) Prepares() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.client.unsynced && !e.client.bound && e.shared.status == 'I'
}

// Probe asks the server for its state, after everything that was forwarded. It belongs to the agent's side, between
// a Question and its Answer. The channel is closed after one State. Within a batch it asks by Flush, so that no
// transaction ends, and behind messages without a Sync, which the server may be ignoring up to the next; else by Sync, so that
// no transaction is left open while a statement is held, and what may run in none can run after it. A batch that only
// Prepares is as good as none, once all of it is answered: what was prepared stays.
func (e *Engine) Probe(out *Output) <-chan State {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := &e.shared; e.client.unsynced && !e.client.bound && s.status == 'I' && s.queue.len == 0 && !s.skips {
		e.client.inBatch, e.client.unsynced = false, false
	}
	p := &probe{result: make(chan State, 1), asked: State{InBatch: e.client.inBatch}, flushed: e.client.unsynced}
	for _, kind := range []awaitKind{awaitClose, awaitParse, awaitBind, awaitExecute, awaitClose, awaitClose} {
		e.push(awaiting{kind: kind, own: true, probe: p}, out)
	}
	const name = reserved + "probe"
	out.ToServer.make(func(b []byte) []byte {
		b = appendClose(b, 'S', name) // one that was interrupted has left it
		b = appendParse(b, name, ProbeSQL)
		b = appendBind(b, name, name)
		b = appendExecute(b, name)
		b = appendClose(b, 'P', name)
		b = appendClose(b, 'S', name)
		if p.flushed {
			return appendFlush(b)
		}
		return appendSync(b)
	})
	if !p.flushed {
		e.push(awaiting{kind: awaitSync, own: true, probe: p}, out)
	}
	return p.result
}
