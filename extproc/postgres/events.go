package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// granted is what the session keeps of a statement that was let through: it comes back with the engine's notes.
type granted struct {
	// decided is the policy that decided, policy the one that let it through in the end.
	decided    *policies.Policy
	policy     *policies.Policy
	approvalID string
	began      time.Time
	// released is when people's approval was used.
	released time.Time
	// alters: it may change the catalog; unbounded: what it means decided nothing.
	alters, unbounded bool
	// alterations is how many of the session may have changed the catalog, this one included.
	alterations int
	// catalog is the version of the one that it was read by.
	catalog uint64
}

// The events of a statement are made with one allocation each, if any.
type (
	// head is a statement and what was decided.
	head struct {
		statement recordv1.Statement
		decision  recordv1.Decision
		kinds     struct {
			statement recordv1.Event_Statement
			decision  recordv1.Event_Decision
		}
		events [2]recordv1.Event
	}
	executed struct {
		execution recordv1.Execution
		kind      recordv1.Event_Execution
		event     recordv1.Event
	}
	ended struct {
		outcome recordv1.Outcome
		took    durationpb.Duration
		kind    recordv1.Event_Outcome
		event   recordv1.Event
	}
)

// event is what the record says of a note, and whether that must survive a loss of power before it goes on.
func (s *scribe) event(n *engine.Note, from *stock) (e *recordv1.Event, durable bool) {
	var g *granted
	if n.Run != nil {
		g, _ = n.Run.Context.(*granted)
	}
	switch n.Kind {
	case engine.NoteRefused:
		return &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: n.Number, Code: n.Code, Message: n.Message}}}, false
	case engine.NoteExecute:
		x := from.executed.next()
		x.execution.Number, x.execution.ApprovalId = n.Run.Number, g.approvalID
		if v := g.policy.Version(); v != g.decided.Version() {
			x.execution.BundleVersion = v
		}
		x.kind.Execution = &x.execution
		x.event.Kind = &x.kind
		return &x.event, g.approvalID != "" || !n.Run.ReadOnly()
	case engine.NoteOutcome:
		x := from.ended.next()
		o := &x.outcome
		o.Number, o.CommandTag, o.Code, o.Message, o.Rows, o.Bytes = n.Run.Number, n.Tag, n.Code, n.Message, n.Rows, n.Bytes
		if !g.began.IsZero() {
			took := s.now().Sub(g.began)
			x.took.Seconds, x.took.Nanos = int64(took/time.Second), int32(took%time.Second)
			o.Took = &x.took
		}
		x.kind.Outcome = o
		x.event.Kind = &x.kind
		return &x.event, false
	}
	return nil, false
}

// described is a statement in the words of the record: what must be hidden is hidden.
type described struct {
	text       string
	parameters []*approvalv1.Parameter
	doings
	formats []uint32
}

// doings are what statements do, in the words of the record.
type doings struct {
	commands []string
	pairs    []*recordv1.Pair
}

// doingsOf keeps those of the last facts: a statement is often the one before, or of its form.
func (s *scribe) doingsOf(facts *sqlfacts.Facts) doings {
	if s.last.facts == facts || facts.Form != nil && s.last.form == facts.Form {
		return s.last.doings
	}
	var d doings
	for i := range facts.Statements {
		op := &facts.Statements[i].Operation
		d.commands = append(d.commands, op.Command)
		for _, p := range op.Pairs {
			d.pairs = append(d.pairs, &recordv1.Pair{Effect: p.Effect, Object: p.Object})
		}
		for _, p := range op.ReachedShown() {
			d.pairs = append(d.pairs, &recordv1.Pair{Effect: p.Effect, Object: p.Object, Reached: true})
		}
	}
	s.last.facts, s.last.form, s.last.doings = facts, facts.Form, d
	return d
}

// longestParameter is how much of a parameter a record shows; a longer one stands as its length and digest.
const longestParameter = 64 << 10

// shownInAll is how much of a statement's parameters, and of its text, a record shows: an event of it has at most 16 MiB.
// Parameters beyond it stand as longer ones do; in a longer text what is hidden has no length and no digest.
const shownInAll = 4 << 20

func (s *scribe) describe(q *engine.Question, facts *sqlfacts.Facts, view *masking.View) described {
	if facts == nil {
		// It could not be read, so nothing tells which of its constants is a secret.
		return described{text: sqlfacts.HideQuoted(q.Text)}
	}
	d := described{text: q.Text, doings: s.doingsOf(facts)}
	var spans []sqlfacts.Span
	for i := range facts.Statements {
		st := &facts.Statements[i]
		for _, l := range st.Literals {
			if view.Hides(l.Meets) {
				spans = append(spans, sqlfacts.Span{Start: st.Offset + l.Start, End: st.Offset + l.End})
			}
		}
	}
	if len(spans) > 0 {
		d.text = sqlfacts.Redact(q.Text, spans, func(literal string) string { return s.hide([]byte(unquote(literal))) })
		if len(d.text) > shownInAll {
			d.text = sqlfacts.Redact(q.Text, spans, func(string) string { return "‹hidden›" })
		}
	}
	if q.Bind != nil {
		d.parameters = parametersOf(q.Bind, facts, view, s.hide)
		for _, f := range q.Bind.ResultFormats {
			d.formats = append(d.formats, uint32(f)) //nolint:gosec // 0 or 1
		}
	}
	return d
}

// unquote gives the value of a plain string constant, so that it hides like the same value in a parameter.
func unquote(literal string) string {
	if n := len(literal); n >= 2 && literal[0] == '\'' && literal[n-1] == '\'' {
		return strings.ReplaceAll(literal[1:n-1], "''", "'")
	}
	return literal
}

func parametersOf(b *engine.Bind, facts *sqlfacts.Facts, view *masking.View, hide func([]byte) string) []*approvalv1.Parameter {
	out := make([]*approvalv1.Parameter, len(b.Values))
	shown := 0
	for i, value := range b.Values {
		oid := parameterType(b, i)
		p := &approvalv1.Parameter{IsNull: value == nil}
		if oid != 0 {
			p.Type = typeName(oid)
		}
		switch {
		case value == nil:
		case hidesParameter(facts, view, i):
			p.Value = hide(value)
		case len(value) > longestParameter || shown+len(value) > shownInAll:
			sum := sha256.Sum256(value)
			p.Value = fmt.Sprintf("‹%d bytes, sha256 %s›", len(value), hex.EncodeToString(sum[:]))
		default:
			p.Value = valueText(oid, b.Format(i), value)
			shown += len(p.Value)
		}
		out[i] = p
	}
	return out
}

// parameterType is the type that the client named, or else the one that the server settled on; 0 if neither is known.
func parameterType(b *engine.Bind, i int) uint32 {
	if i < len(b.ParameterTypes) && b.ParameterTypes[i] != 0 {
		return b.ParameterTypes[i]
	}
	if i < len(b.DescribedTypes) {
		return b.DescribedTypes[i]
	}
	return 0
}

// hidesParameter: a parameter that the facts do not know is hidden if anything is.
func hidesParameter(facts *sqlfacts.Facts, view *masking.View, i int) bool {
	for j := range facts.Statements {
		meets := facts.Statements[j].Parameters
		if i < len(meets) {
			return view.Hides(meets[i])
		}
	}
	return !view.Empty()
}

// events are the statement's and the decision's.
func (h *head) fill(q *engine.Question, number uint64, d *described) {
	st := &h.statement
	st.Number, st.Text, st.Parameters, st.PreparedName = number, d.text, d.parameters, q.Name
	st.Commands, st.Pairs, st.ResultFormats = d.commands, d.pairs, d.formats
	st.Protocol = recordv1.Statement_EXTENDED
	if q.Stage == engine.AtQuery {
		st.Protocol = recordv1.Statement_SIMPLE
	}
	h.kinds.statement.Statement = st
	h.events[0].Kind = &h.kinds.statement
	h.kinds.decision.Decision = &h.decision
	h.events[1].Kind = &h.kinds.decision
}

func fillDecision(out *recordv1.Decision, number uint64, verdict recordv1.Decision_Verdict, d policies.Decision, r *engine.Refusal) {
	out.Number, out.Verdict, out.Rules, out.Masks, out.BundleVersion = number, verdict, d.Rules, d.Masks, d.Version
	if r != nil {
		out.Code, out.Message, out.Detail, out.Hint = r.Code, r.Message, r.Detail, r.Hint
	}
}

func decisionOf(number uint64, verdict recordv1.Decision_Verdict, d policies.Decision, r *engine.Refusal) *recordv1.Decision {
	out := &recordv1.Decision{}
	fillDecision(out, number, verdict, d, r)
	return out
}

// summary names what is to be done, for people.
func (d described) summary() string { return strings.Join(d.commands, "; ") }
