package engine

import (
	"sync"

	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Limits of what a session may keep at the server.
const (
	maxPrepared      = 10_000
	maxPreparedBytes = 64 << 20
	maxPortals       = 10_000
	maxPortalBytes   = 64 << 20
)

// Engine is one session between an agent and a server, from the first ReadyForQuery on.
type Engine struct {
	client client
	server server

	mu     sync.Mutex
	shared shared
}

// shared is what both directions need; mu guards it.
type shared struct {
	queue      queue
	statements names[prepared]
	portals    names[Run]
	// preparedBytes is what is kept of all prepared statements, portalBytes what is kept of all portals beside those, what
	// the server has not answered yet included.
	preparedBytes, portalBytes int
	// keeps bounds all sessions together, and has been asked for so many bytes; spent is why it gave no more.
	keeps func(more int) error
	asked int
	spent error
	// status is of the last ReadyForQuery: I, T or E. ran: a statement has ended since, whose transaction has not. open: what
	// was sent on has no Sync behind it, so that its transaction does not end with the answers.
	status    byte
	ran, open bool
	// skips: the server failed in a batch whose Sync is not queued yet, so it ignores what comes before that.
	skips bool
	copy  copying
	// impure: a function outside the pure list ran in this transaction, so even COMMIT may report values.
	impure bool
	// epoch counts what was granted unjudged, and what ran in its transaction: any of it may have put something else in the place
	// of each name, by a trigger or a cursor as well. unjudged: such a transaction has not ended.
	epoch    uint64
	unjudged bool
	// agent and record are the newest views, for messages that belong to no run.
	agent, record *masking.View
	// hidesAgent and hidesRecord: masks apply by the policy of now, which may be later than those views.
	hidesAgent, hidesRecord bool
	// dual: the record hides what the agent may see, or has at some time, so that both are made.
	dual bool
	// waiting: Client stands still until the server answers; progress tells it.
	waiting  bool
	progress chan struct{}
}

// prepared is a prepared statement.
type prepared struct {
	kept  *kept
	text  string
	facts *sqlfacts.Facts
	types []uint32
	// described are the types that the server settled on, once somebody has asked.
	described []uint32
	// shape is what its rows have been found to be, for runs of the same views.
	shape shape
	// doubtful: a function may have put another statement in its place.
	doubtful bool
	// epoch is the session's when it was prepared.
	epoch uint64
	// grant let it be prepared. looked: it was described since the server had answered to that.
	grant  *Grant
	looked bool
}

// New makes an engine. status is the transaction status that the server reported when it became ready.
func New(status byte) *Engine {
	e := &Engine{shared: shared{status: status, progress: make(chan struct{}, 1)}}
	e.shared.statements, e.shared.portals = newNames(e.shared.holdStatement), newNames(e.shared.holdPortal)
	return e
}

// Masked tells whether masks apply at this moment, for the agent and for the record: so much of what the server says of its own
// accord is hidden as of what belongs to a statement.
func (e *Engine) Masked(agent, record bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shared.hidesAgent, e.shared.hidesRecord = agent, record
	e.shared.dual = e.shared.dual || agent != record
}

// Progress is signalled when Client should be called again after a Stalled step.
func (e *Engine) Progress() <-chan struct{} { return e.shared.progress }

// Status is the transaction status of the last ReadyForQuery: I, T or E.
func (e *Engine) Status() byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shared.status
}

// Committed reports whether all that has ended stands in no open transaction any more.
func (e *Engine) Committed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shared.status == 'I' && !e.shared.ran
}

// Idle reports whether the server has answered everything, reads no data and has no transaction open.
func (e *Engine) Idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shared.answered() && e.shared.status == 'I' && !e.shared.open
}

// Running reports whether something for whose grant a question holds is on its way to the server, or not answered yet.
func (e *Engine) Running(holds func(*Grant) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.shared.queue.len {
		a := e.shared.queue.at(i)
		grant := a.grant
		if a.run != nil {
			grant = &a.run.Grant
		}
		if grant != nil && grant.Facts != nil && holds(grant) {
			return true
		}
	}
	return false
}

// Answered reports whether the server has answered everything.
func (e *Engine) Answered() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shared.answered()
}

// answered: nothing is on its way to the server that it will answer.
func (s *shared) answered() bool { return s.queue.len == 0 && s.copy.phase == copyNone }

// Await is Answered; if it is false, Progress is signalled once the server has answered more.
func (e *Engine) Await() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	answered := e.shared.answered()
	e.shared.waiting = !answered
	return answered
}

// push queues what the server will answer. While the server ignores everything up to Sync, it will not.
func (e *Engine) push(a awaiting, out *Output) {
	s := &e.shared
	if s.skips {
		if a.kind != awaitSync {
			e.abandon(&a, out)
			return
		}
		s.skips = false
	}
	switch {
	case a.kind == awaitSync, a.kind == awaitQuery, a.kind == awaitResync:
		s.open = false
	case !a.own:
		s.open = true
	}
	s.queue.push(a)
}

// settle applies or drops the change of a name that a message asked for.
func (e *Engine) settle(a *awaiting, how settlement) {
	if !a.changes {
		return
	}
	if a.portal {
		e.shared.portals.settle(a.key, how)
	} else {
		e.shared.statements.settle(a.key, how)
	}
}

// deallocate follows DEALLOCATE and DISCARD ALL, which share the map (PostgreSQL, PREPARE). The unnamed statement stands
// apart from both.
func (e *Engine) deallocate(name string) {
	if name == "" {
		e.shared.statements.dropNamed()
		return
	}
	e.shared.statements.drop(name)
}

// abandon drops a message that the server will never run.
func (e *Engine) abandon(a *awaiting, out *Output) {
	e.settle(a, skipped)
	if a.copies {
		e.copyOver(false, false)
	}
	if a.probe != nil {
		a.probe.finish(State{Skipped: true})
	}
	if a.run != nil && !a.own && (a.kind == awaitExecute || a.kind == awaitBind) {
		out.Notes = append(out.Notes, Note{
			Kind: NoteOutcome, Run: a.run, Code: "25P02", Message: "not run: something before it in the same batch failed",
		})
	}
}

// wake lets a stalled Client go on.
func (e *Engine) wake() {
	if !e.shared.waiting {
		return
	}
	e.shared.waiting = false
	select {
	case e.shared.progress <- struct{}{}:
	default:
	}
}
