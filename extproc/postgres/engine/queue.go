package engine

// awaiting is one message that the server will answer.
type awaiting struct {
	kind awaitKind
	// own: the engine asked, so the answer is swallowed.
	own bool
	// key is the name that a Parse, Bind, Close or Query changes, if changes is set; portal tells which map.
	key             string
	portal, changes bool
	run             *Run
	// grant is what names were looked up by, of a Parse and of a Describe behind it, which have no run.
	grant *Grant
	// refusal replaces the server's error, unless asks is set and it is the server's parser that raised it.
	refusal *Refusal
	asks    bool
	probe   *probe
	// impure: it may run a function outside the pure list; copies: it reads COPY data.
	impure, copies bool
	// readies counts the ReadyForQuery that came for a resync.
	readies int
}

type awaitKind uint8

const (
	awaitParse awaitKind = iota + 1
	awaitBind
	awaitClose
	// awaitStatement and awaitPortal are Describe.
	awaitStatement
	awaitPortal
	awaitExecute
	awaitSync
	awaitQuery
	// awaitResync is a Sync and a Close of the engine's own, behind Syncs that the server may have ignored.
	awaitResync
)

// queue is a ring of what the server has yet to answer, oldest first.
type queue struct {
	ring []awaiting
	head int
	len  int
	// bytes is what is known of the queries in it.
	bytes int
}

// maxAwaiting and maxAwaitingBytes bound what an agent may pipeline before the server answers.
const (
	maxAwaiting      = 1 << 16
	maxAwaitingBytes = 64 << 20
)

// bytes is what is known of a query: a prepared statement's counts with its name.
func (a *awaiting) bytes() int {
	if a.kind != awaitQuery || a.run == nil || a.run.Facts == nil {
		return 0
	}
	return a.run.Facts.Size
}

func (q *queue) push(a awaiting) {
	if q.len == len(q.ring) {
		grown := make([]awaiting, max(16, 2*len(q.ring)))
		for i := range q.len {
			grown[i] = *q.at(i)
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = a
	q.len++
	q.bytes += a.bytes()
}

func (q *queue) at(i int) *awaiting { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// front is the oldest, nil if none.
func (q *queue) front() *awaiting {
	if q.len == 0 {
		return nil
	}
	return q.at(0)
}

// last is the newest, nil if none.
func (q *queue) last() *awaiting {
	if q.len == 0 {
		return nil
	}
	return q.at(q.len - 1)
}

// impure reports whether any of them may run a function outside the pure list.
func (q *queue) impure() bool {
	for i := range q.len {
		if q.at(i).impure {
			return true
		}
	}
	return false
}

// unjudged reports whether any of them was granted so.
func (q *queue) unjudged() bool {
	for i := range q.len {
		if run := q.at(i).run; run != nil && run.Unjudged {
			return true
		}
	}
	return false
}

func (q *queue) pop() awaiting {
	a := q.ring[q.head]
	q.ring[q.head] = awaiting{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	q.bytes -= a.bytes()
	return a
}
