package engine

import (
	"slices"

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
	// AtBind: the full decision. Planning at Bind can run functions.
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
	// Prepared is the context of the grant at Parse, at AtBind. The server looks names up then, and anew at a Bind or a Describe
	// only if what it has found was changed: Looked says that there was such a Describe.
	Prepared any
	Looked   bool
	// Bind is set at AtBind.
	Bind *Bind
	// Run is set at AtExecute: what was granted at Bind. Resumed: the server has begun with it before, and goes on only. An Execute
	// that was sent is no proof of that: behind an error the server skips it, and the portal lives on past ROLLBACK TO.
	Run     *Run
	Resumed bool
	// InBatch: messages since the last Sync went to the server already.
	InBatch bool
	// Unjudged: what is bound or executed may be another statement than Facts say, which something has put in its place that
	// was granted unjudged.
	Unjudged bool
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
	// Uncertain: nobody but the session can see the catalog by which it runs, so what it reads and calls is not known.
	Uncertain bool
	// Unjudged: it was let through whatever it does.
	Unjudged bool
	// Context is the driver's own: it comes back in questions and notes.
	Context any
}

// Run is a granted statement on its way: a simple query, or a portal.
type Run struct {
	Grant
	// What the server was found to answer with, so far.
	agent, record masks
	rows, bytes   uint64
	// started: its execution was noted. suspended: the server said that there is more of it.
	started, suspended bool
	// copies counts the COPY … TO STDOUT that began; copying: the last has not ended.
	copies  int
	copying bool
	// statement counts those of the run that ended.
	statement int
	// doubtful: the portal may not be what was granted any more, so that only its description counts.
	doubtful bool
	// epoch is the session's when it was bound.
	epoch uint64
	// source is the prepared statement behind a portal, nil for a simple query.
	source *prepared
	shape  shape
	// asked: the description of the portal has been asked for, by whomever.
	asked bool
	// counted is what it counts for as a portal, in bytes; 0 if it is none.
	counted int
}

// shape is what a description says of rows: how many columns they have, and that the views over them hide nothing.
type shape struct {
	known   bool
	columns int
	// agent and record are the views; another hides other things.
	agent, record *masking.View
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
	if g.Uncertain {
		return r.doubted()
	}
	return r
}

func newMasks(v *masking.View, f *sqlfacts.Facts) masks {
	if v == nil || f == nil {
		return masks{}
	}
	return masks{view: v, touches: v.Touches(f.Statements)}
}

// inspects reports whether each row must be seen whole, since something in it may have to be hidden.
func (r *Run) inspects() bool { return r.agent.touches || r.record.touches }

// passes reports whether nobody has anything to hide, whatever comes.
func (r *Run) passes() bool { return r.agent.passes() && r.record.passes() }

func (m *masks) passes() bool { return m.view == nil || m.view.Passes() }

// undescribed reports whether a description must be had before the portal is executed, so that no row comes unseen.
func (r *Run) undescribed() bool {
	switch {
	case r.doubtful:
		return true
	case r.asked, r.passes(), r.Facts == nil || len(r.Facts.Statements) == 0:
		return false
	case r.source != nil && !r.inspects():
		s := &r.source.shape
		if s.known && s.agent == r.Agent && s.record == r.Record {
			r.shape = *s
			return false
		}
	}
	return true
}

// under is the run as another grant lets it go on: what comes from now on is hidden as that says.
func (r *Run) under(g Grant) *Run {
	n := newRun(g)
	n.Number, n.started, n.suspended, n.copies, n.copying, n.statement, n.source, n.epoch = r.Number, r.started, r.suspended, r.copies, r.copying, r.statement, r.source, r.epoch
	if r.doubtful {
		return n.doubted()
	}
	return n
}

// doubted is the run of a portal that may be something else by now: it is described anew before each execution, and
// nothing is taken as proven. What was sent on before keeps the old run.
func (r *Run) doubted() *Run {
	d := *r
	d.doubtful, d.shape = true, shape{}
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

// pure reports whether nothing outside the list of pure functions runs in it, and no name of a portal or prepared statement
// comes to mean what the engine has not seen.
func (r *Run) pure() bool { return r == nil || !r.Uncertain && pure(r.Facts) }

// runsDeferred reports whether what a transaction has put off runs with it at the latest, such as deferred triggers.
func (r *Run) runsDeferred() bool {
	return r.Facts != nil && slices.ContainsFunc(r.Facts.Statements, func(st sqlfacts.Statement) bool {
		return st.Kind == sqlfacts.Commit || st.Operation.Command == "SET CONSTRAINTS"
	})
}

func pure(f *sqlfacts.Facts) bool {
	if f == nil {
		return true
	}
	for i := range f.Statements {
		st := &f.Statements[i]
		if len(st.Calls) > 0 || st.Kind == sqlfacts.Prepare || st.Kind == sqlfacts.DeclareCursor {
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

// givesRows reports whether the statement that the server is at may give rows.
func (r *Run) givesRows() bool {
	s := r.current()
	if s == nil {
		return r.Facts == nil
	}
	switch s.Kind {
	case sqlfacts.Plain, sqlfacts.Show, sqlfacts.Explain, sqlfacts.Execute, sqlfacts.Fetch:
		return true
	}
	return false
}

// given reports whether the server is at a SET to a value that stands in the text.
func (r *Run) given() bool { return r != nil && r.current() != nil && r.current().Given }

// current is the statement of the run that the server is at; a portal has only one, however often it is executed.
func (r *Run) current() *sqlfacts.Statement {
	at := r.statement
	if r.source != nil {
		at = 0
	}
	if r.Facts == nil || at >= len(r.Facts.Statements) {
		return nil
	}
	return &r.Facts.Statements[at]
}
