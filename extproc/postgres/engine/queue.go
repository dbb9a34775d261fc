package engine

// awaiting is one message that the server will answer.
type awaiting struct {
	kind awaitKind
	// own: the engine asked, so the answer is swallowed.
	own bool
	// key is the name that a Parse, Bind or Close changes; portal tells which map.
	key    string
	portal bool
	run    *Run
	// refusal replaces the server's error.
	refusal *Refusal
	probe   *probe
	// impure: it may run a function outside the pure list.
	impure bool
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
	// awaitCopyEnd marks a CopyDone or CopyFail: nothing answers it.
	awaitCopyEnd
)

// queue is a ring of what the server has yet to answer, oldest first.
type queue struct {
	ring []awaiting
	head int
	len  int
}

// maxAwaiting bounds what an agent may pipeline before the server answers.
const maxAwaiting = 1 << 16

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
}

func (q *queue) at(i int) *awaiting { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// front is the oldest, nil if none.
func (q *queue) front() *awaiting {
	if q.len == 0 {
		return nil
	}
	return q.at(0)
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

func (q *queue) pop() awaiting {
	a := q.ring[q.head]
	q.ring[q.head] = awaiting{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	return a
}

// remove takes out those for which drop holds, keeping the order.
func (q *queue) remove(from int, drop func(*awaiting) bool) {
	to := from
	for i := from; i < q.len; i++ {
		a := *q.at(i)
		if drop(&a) {
			continue
		}
		*q.at(to) = a
		to++
	}
	for i := to; i < q.len; i++ {
		*q.at(i) = awaiting{}
	}
	q.len = to
}
