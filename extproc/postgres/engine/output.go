package engine

// Output collects what a step wants to be sent and recorded, in order. Its slices point into the input or into
// storage of its own; both are valid until the next step or Reset.
type Output struct {
	ToServer Stream
	ToAgent  Stream
	// ForRecord is what the record shows in place of ToAgent, if Dual.
	ForRecord Stream
	Dual      bool
	Notes     []Note
	// FromAgent are bytes of COPY … FROM STDIN, for the record.
	FromAgent Stream
}

// Reset makes it ready for the next step.
func (o *Output) Reset() {
	o.ToServer.reset()
	o.ToAgent.reset()
	o.ForRecord.reset()
	o.FromAgent.reset()
	clear(o.Notes)
	o.Notes = o.Notes[:0]
}

// split makes what goes to the agent from here on, and what the record has of it, two things.
func (o *Output) split() {
	if o.Dual {
		return
	}
	o.Dual = true
	o.ForRecord.Parts, o.ForRecord.Size = append(o.ForRecord.Parts, o.ToAgent.Parts...), o.ToAgent.Size
}

// Stream is a sequence of byte slices that are sent one after the other.
type Stream struct {
	Parts [][]byte
	Size  int
	// own holds what was made here. It is never grown in place: parts point into it.
	own []byte
}

const ownChunk = 8 << 10

func (s *Stream) reset() {
	clear(s.Parts)
	s.Parts, s.Size = s.Parts[:0], 0
	if cap(s.own) > 1<<20 {
		s.own = nil
	}
	s.own = s.own[:0]
}

// pass appends bytes of the input. Neighbours become one part.
func (s *Stream) pass(b []byte) {
	if len(b) == 0 {
		return
	}
	s.Size += len(b)
	if n := len(s.Parts); n > 0 {
		last := s.Parts[n-1]
		if len(last)+len(b) <= cap(last) && &last[:len(last)+1][len(last)] == &b[0] {
			s.Parts[n-1] = last[:len(last)+len(b)]
			return
		}
	}
	s.Parts = append(s.Parts, b)
}

// make appends what build writes.
func (s *Stream) make(build func([]byte) []byte) {
	if cap(s.own)-len(s.own) < ownChunk {
		s.own = make([]byte, 0, 2*ownChunk)
	}
	start := len(s.own)
	grown := build(s.own[start:start])
	if cap(grown) == cap(s.own)-start {
		s.own = s.own[:start+len(grown)]
	}
	s.pass(grown)
}

// NoteKind says what happened.
type NoteKind uint8

// Kinds of notes.
const (
	// NoteExecute: the run is about to be executed by the server.
	NoteExecute NoteKind = iota + 1
	// NoteOutcome: one statement of the run ended.
	NoteOutcome
	// NoteSettings: a setting left what Sluice needs; the session must end.
	NoteSettings
	// NoteRefused: the agent got another code than the refusal's, for the statement with the Number: the server's.
	NoteRefused
)

// Note tells the driver what happened, for the record and the metrics.
type Note struct {
	Kind   NoteKind
	Run    *Run
	Number uint64
	// Tag is the command tag of an outcome; Code and Message those of an error, as the record may show them.
	Tag, Code, Message string
	Rows, Bytes        uint64
}
