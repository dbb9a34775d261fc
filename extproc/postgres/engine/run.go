package engine

import (
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Stage is where in the protocol a statement asks to go on.
type Stage uint8

// Stages.
const (
	// AtQuery: a simple query, all of its statements at once.
	AtQuery Stage = iota + 1
	// AtParse: refused only if no parameters could make it allowed; never held.
	AtParse
	// AtBind: the full decision. Planning at Bind can run functions (DESIGN 3.8).
	AtBind
	// AtExecute: once more against the policy of the moment.
	AtExecute
)

// Question is a statement that wants to go on. Its slices point into the input: they are valid until Answer.
type Question struct {
	Stage Stage
	// Text is the SQL.
	Text string
	// Name of the prepared statement, if it has one.
	Name string
	// Facts are what was found at Parse; nil at AtQuery and AtParse, where the driver finds them.
	Facts *sqlfacts.Facts
	// Bind is set at AtBind.
	Bind *Bind
	// Run is set at AtExecute: what was granted at Bind.
	Run *Run
	// InBatch: messages since the last Sync went to the server already.
	InBatch bool
}

// Bind is a decoded Bind message.
type Bind struct {
	Portal, Statement []byte
	// Raw is the whole message.
	Raw []byte
	// Formats has none, one or as many entries as Values; nil values are NULL.
	Formats []int16
	Values  [][]byte
	// ParameterTypes are the OIDs that Parse named; 0 where it left them to the server.
	ParameterTypes []uint32
	// DescribedTypes are the OIDs that the server settled on; nil if nobody has asked it. They are for people.
	DescribedTypes []uint32
	ResultFormats  []int16
}

// Format of a parameter: 0 text, 1 binary.
func (b *Bind) Format(i int) int16 {
	switch {
	case len(b.Formats) == 0:
		return 0
	case len(b.Formats) == 1:
		return b.Formats[0]
	case i < len(b.Formats):
		return b.Formats[i]
	}
	return 0
}

// Grant lets a statement go on.
type Grant struct {
	// Number of the statement within the session.
	Number uint64
	Facts  *sqlfacts.Facts
	// Agent and Record are how rows are shown to the agent and in the record. The same pointer if they are alike.
	Agent, Record *masking.View
	// Context is the driver's own: it comes back in questions and notes.
	Context any
}

// Run is a granted statement on its way: a simple query, or a portal.
type Run struct {
	Grant
	// What the server was found to answer with, so far.
	agent, record masks
	rows, bytes   uint64
	// started: its execution was noted.
	started bool
	// copies counts the COPY … TO STDOUT that began.
	copies int
	// statement counts those of the run that ended.
	statement int
	// doubtful: the portal may not be what was granted any more, so that only its description counts.
	doubtful bool
}

// masks are what is hidden in a run's results at the moment.
type masks struct {
	view    *masking.View
	touches bool
	planned bool
	plan    masking.Plan
	copy    *masking.CopyPlan
}

func newRun(g Grant) *Run {
	r := &Run{Grant: g}
	r.agent = newMasks(g.Agent, g.Facts)
	if g.Record == g.Agent {
		r.record = r.agent
	} else {
		r.record = newMasks(g.Record, g.Facts)
	}
	return r
}

func newMasks(v *masking.View, f *sqlfacts.Facts) masks {
	if v == nil || f == nil {
		return masks{}
	}
	return masks{view: v, touches: v.Touches(f.Statements)}
}

// needsDescription reports whether rows cannot be sent before their description is known.
func (r *Run) needsDescription() bool { return r.agent.touches || r.record.touches }

// doubted is the run of a portal that may be something else by now: it is described anew before each execution, and
// nothing is taken as proven. What was sent on before keeps the old run.
func (r *Run) doubted() *Run {
	d := *r
	d.doubtful = true
	for _, m := range []*masks{&d.agent, &d.record} {
		if m.view != nil && !m.view.Passes() {
			m.touches, m.planned, m.plan = true, false, nil
		}
	}
	return &d
}

// cursor stands for a query that nobody has seen.
var cursor = []sqlfacts.Statement{{Calls: []sqlfacts.Call{{Function: "cursor", Output: true}}}}

// statements are those that a description is read with.
func (r *Run) statements() []sqlfacts.Statement {
	if r.doubtful {
		return cursor
	}
	return r.Facts.Statements
}

// pure reports whether nothing outside the list of pure functions runs in it.
func (r *Run) pure() bool { return r == nil || pure(r.Facts) }

func pure(f *sqlfacts.Facts) bool {
	if f == nil {
		return true
	}
	for i := range f.Statements {
		if len(f.Statements[i].Calls) > 0 {
			return false
		}
	}
	return true
}

// ReadOnly reports whether every statement of the run is proven to read only.
func (r *Run) ReadOnly() bool {
	for i := range r.Facts.Statements {
		if !r.Facts.Statements[i].ReadOnly {
			return false
		}
	}
	return true
}

// current is the statement of the run that the server is at.
func (r *Run) current() *sqlfacts.Statement {
	if r.Facts == nil || r.statement >= len(r.Facts.Statements) {
		return nil
	}
	return &r.Facts.Statements[r.statement]
}
