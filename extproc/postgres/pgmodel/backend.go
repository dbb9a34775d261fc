package pgmodel

import (
	"encoding/binary"
	"iter"
)

// Censor makes the model the ideal of a guarded server. A nil Censor is PostgreSQL itself.
type Censor struct {
	// RefuseText and RefuseValue say what is refused, with 42501: a whole text at Query and Parse, one with its
	// parameters at Bind.
	RefuseText  func(text string) bool
	RefuseValue func(text string, values [][]byte) bool
	// Hide is what is shown in place of vault.key, nil for nothing hidden. Lifted reports whether that does not hold for
	// an Execute of so many rows (0: all).
	Hide   func(secret string) string
	Lifted func(most int) bool
}

// Backend is one server process. It belongs to one goroutine.
type Backend struct {
	// Status is that of the last ReadyForQuery: I, T or E.
	Status byte
	// Closed: the process has ended, and reads nothing more.
	Closed bool

	censor *Censor
	in     []byte
	// buffered is what it has written and not flushed, sent what it has.
	buffered, sent []byte
	resume         func() (struct{}, bool)
	stop           func()
	wait           func(struct{}) bool

	block      blockState
	statements map[string]*prepared
	portals    map[string]*portal
	// pipelining: an Execute has run since the last commit, so what follows is in an implicit transaction block.
	pipelining bool
}

// blockState is that of a transaction block (xact.c).
type blockState uint8

const (
	blockNone blockState = iota
	// blockImplicit: several statements of one string, or of messages without Sync between them, are one transaction.
	blockImplicit
	blockOpen
	blockFailed
)

// sendBuffer is when the server flushes by itself (pqcomm.c, PQ_SEND_BUFFER_SIZE).
const sendBuffer = 8192

// New starts a backend that has said ReadyForQuery. Stop ends it.
func New(c *Censor) *Backend {
	if c == nil {
		c = &Censor{}
	}
	b := &Backend{Status: 'I', censor: c, statements: map[string]*prepared{}, portals: map[string]*portal{}}
	b.resume, b.stop = iter.Pull(func(yield func(struct{}) bool) {
		b.wait = yield
		b.main()
		b.flush()
		b.Closed = true
	})
	return b
}

// Feed gives it bytes of the frontend's.
func (b *Backend) Feed(in []byte) {
	b.in = append(b.in, in...)
	if !b.Closed {
		b.resume()
	}
}

// Stop ends it.
func (b *Backend) Stop() {
	b.Closed = true
	b.stop()
}

// Take returns what was flushed since the last Take.
func (b *Backend) Take() []byte {
	out := b.sent
	b.sent = nil
	return out
}

func (b *Backend) flush() {
	b.sent = append(b.sent, b.buffered...)
	b.buffered = b.buffered[:0]
}

func (b *Backend) put(msg []byte) {
	b.buffered = append(b.buffered, msg...)
	if len(b.buffered) >= sendBuffer {
		b.flush()
	}
}

// ended says that the process must end: panics carry it to main.
type ended struct{}

// readType waits for the type byte of the next message.
func (b *Backend) readType() byte {
	for len(b.in) < 1 {
		if !b.wait(struct{}{}) {
			panic(ended{})
		}
	}
	return b.in[0]
}

// read waits for the whole next message and takes it.
func (b *Backend) read() (kind byte, body []byte) {
	for len(b.in) < 5 || len(b.in) < 1+int(binary.BigEndian.Uint32(b.in[1:])) {
		if !b.wait(struct{}{}) {
			panic(ended{})
		}
	}
	size := 1 + int(binary.BigEndian.Uint32(b.in[1:]))
	kind, body = b.in[0], append([]byte(nil), b.in[5:size]...)
	b.in = b.in[size:]
	return kind, body
}

// main is PostgresMain's loop.
func (b *Backend) main() {
	defer func() {
		if r := recover(); r != nil {
			if _, end := r.(ended); !end {
				panic(r)
			}
		}
	}()
	ignoring := false
	for {
		kind, body := b.read()
		extended := kind == 'P' || kind == 'B' || kind == 'D' || kind == 'E' || kind == 'C' || kind == 'H'
		switch {
		case kind == 'X':
			return
		case kind == 'S':
			ignoring = false
		case ignoring:
			continue
		}
		if err := b.command(kind, body); err != nil {
			b.failed(err)
			if extended {
				ignoring = true
			} else {
				b.ready()
			}
		}
	}
}

// command handles one message; an error aborts the transaction.
func (b *Backend) command(kind byte, body []byte) *failure {
	switch kind {
	case 'Q':
		text, _ := cstring(body)
		return b.simple(text)
	case 'P':
		return b.parse(body)
	case 'B':
		return b.bind(body)
	case 'D':
		return b.describe(body)
	case 'E':
		return b.execute(body)
	case 'C':
		return b.close(body)
	case 'H':
		b.flush()
	case 'S':
		b.endImplicit()
		b.finish()
		b.ready()
	case 'F':
		return &failure{code: "0A000"}
	case 'd', 'c', 'f': // left over from a COPY that failed
	default:
		b.fatal("08P01")
	}
	return nil
}

// ready says so, which ends implicit transactions.
func (b *Backend) ready() {
	b.Status = [...]byte{blockNone: 'I', blockImplicit: 'T', blockOpen: 'T', blockFailed: 'E'}[b.block]
	b.put([]byte{'Z', 0, 0, 0, 5, b.Status})
	b.flush()
}

// failed tells an error and aborts the transaction: an open block waits for its end, else all is over.
func (b *Backend) failed(f *failure) {
	b.put(f.encode("ERROR"))
	b.flush()
	if b.block == blockNone || b.block == blockImplicit {
		b.endTransaction()
		return
	}
	b.block = blockFailed
	for _, p := range b.portals {
		p.failed = true
	}
}

func (b *Backend) fatal(code string) {
	b.put((&failure{code: code}).encode("FATAL"))
	b.flush()
	panic(ended{})
}

// endTransaction is commit or abort: portals do not outlive it.
func (b *Backend) endTransaction() {
	b.block, b.pipelining = blockNone, false
	clear(b.portals)
}

// start is start_xact_command: what follows an Execute without Sync is in one transaction with it.
func (b *Backend) start() {
	if b.pipelining {
		b.beginImplicit()
	}
}

func (b *Backend) beginImplicit() {
	if b.block == blockNone {
		b.block = blockImplicit
	}
}

func (b *Backend) endImplicit() {
	if b.block == blockImplicit {
		b.block = blockNone
	}
}

// finish ends what is no block: at Sync, and at the end of a simple Query. A Query of one statement behind an Execute
// leaves the implicit block open.
func (b *Backend) finish() {
	if b.block == blockNone {
		b.endTransaction()
	}
}
