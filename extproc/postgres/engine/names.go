package engine

// names is what one kind of name (prepared statements, or portals) means at the server, as far as is known. Changes
// are pending from the message that asks for them until the server answers it. SQL and protocol share one namespace
// of prepared statements (PostgreSQL, PREPARE), so this is the only map.
type names[T any] struct {
	known map[string]*name[T]
	// settled counts those with a value; it bounds the memory of a session. asked counts pending changes.
	settled, asked int
	// held is told of each value that a name comes to have, or may in a moment (by 1), and has no more (by -1).
	held func(value *T, by int)
}

type name[T any] struct {
	value   *T
	pending []change[T]
}

// change is what a name will mean once its message succeeds; a nil value closes it.
type change[T any] struct {
	batch uint64
	value *T
}

func newNames[T any](held func(value *T, by int)) names[T] {
	return names[T]{known: map[string]*name[T]{}, held: held}
}

// propose notes a change that a message of the batch asks for.
func (n *names[T]) propose(key string, batch uint64, value *T) {
	e := n.known[key]
	if e == nil {
		e = &name[T]{}
		n.known[key] = e
	}
	e.pending = append(e.pending, change[T]{batch, value})
	n.asked++
	n.hold(value, 1)
}

func (n *names[T]) hold(value *T, by int) {
	if value != nil {
		n.held(value, by)
	}
}

// settlement is what became of a message that changes a name.
type settlement uint8

const (
	succeeded settlement = iota + 1
	// failed: it ran, and gave an error.
	failed
	// skipped: it never ran.
	skipped
)

// settle applies or drops the oldest pending change of a name. A message that failed has taken with it what the unnamed
// statement or portal was before.
func (n *names[T]) settle(key string, how settlement) {
	e := n.known[key]
	if e == nil || len(e.pending) == 0 {
		return
	}
	value := e.pending[0].value
	e.pending = append(e.pending[:0], e.pending[1:]...)
	n.asked--
	n.hold(value, -1)
	switch {
	case how == succeeded:
		n.set(e, value)
	case how == failed && key == "":
		n.set(e, nil)
	}
	n.forget(key, e)
}

func (n *names[T]) set(e *name[T], value *T) {
	if e.value != nil {
		n.settled--
	}
	if value != nil {
		n.settled++
	}
	n.hold(e.value, -1)
	n.hold(value, 1)
	e.value = value
}

func (n *names[T]) forget(key string, e *name[T]) {
	if e.value == nil && len(e.pending) == 0 {
		delete(n.known, key)
	}
}

// lookup finds what a name means for a message of the batch. Within a batch a failure skips what follows, so the
// newest pending change counts; one of an earlier batch may still fail while this message is run: then unsure is
// true, and the message must wait for the server's answer.
func (n *names[T]) lookup(key []byte, batch uint64) (value *T, unsure bool) {
	e := n.known[string(key)]
	if e == nil {
		return nil, false
	}
	if k := len(e.pending); k > 0 {
		return e.pending[k-1].value, e.pending[k-1].batch != batch
	}
	return e.value, false
}

// drop forgets the settled meaning of a name; pending changes stay.
func (n *names[T]) drop(key string) {
	if e := n.known[key]; e != nil {
		n.set(e, nil)
		n.forget(key, e)
	}
}

// replace changes what every name means, or will mean.
func (n *names[T]) replace(by func(*T) *T) {
	for _, e := range n.known {
		if e.value != nil {
			n.set(e, by(e.value))
		}
		for i := range e.pending {
			if v := e.pending[i].value; v != nil {
				n.hold(v, -1)
				e.pending[i].value = by(v)
				n.hold(e.pending[i].value, 1)
			}
		}
	}
}

// dropAll forgets all settled meanings.
func (n *names[T]) dropAll() {
	n.dropNamed()
	n.drop("")
}

// dropNamed forgets all settled meanings but that of the unnamed one.
func (n *names[T]) dropNamed() {
	if n.settled == 0 {
		return
	}
	for key, e := range n.known {
		if key != "" {
			n.set(e, nil)
			n.forget(key, e)
		}
	}
}

// knows reports whether a name means something, or may in a moment.
func (n *names[T]) knows(key string) bool { return n.known[key] != nil }
