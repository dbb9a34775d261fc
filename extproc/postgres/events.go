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
	policy     *policies.Policy
	approvalID string
	began      time.Time
}

// event is what the record says of a note, and whether that must survive a loss of power before it goes on.
func (s *session) event(n *engine.Note) (e *recordv1.Event, durable bool) {
	g, _ := n.Run.Context.(*granted)
	switch n.Kind {
	case engine.NoteExecute:
		return &recordv1.Event{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{
			Number: n.Run.Number, ApprovalId: g.approvalID, BundleVersion: g.policy.Version(),
		}}}, g.approvalID != "" || !n.Run.ReadOnly()
	case engine.NoteOutcome:
		o := &recordv1.Outcome{
			Number: n.Run.Number, CommandTag: n.Tag, Code: n.Code, Message: n.Message, Rows: n.Rows, Bytes: n.Bytes,
		}
		if !g.began.IsZero() {
			o.Took = durationpb.New(s.server.o.Now().Sub(g.began))
		}
		return &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: o}}, false
	}
	return nil, false
}

// described is a statement in the words of the record: what must be hidden is hidden.
type described struct {
	text       string
	parameters []*approvalv1.Parameter
	commands   []string
	pairs      []*recordv1.Pair
	formats    []uint32
}

// longestParameter is how much of a parameter a record shows; a longer one stands as its length and digest.
const longestParameter = 64 << 10

func (s *session) describe(q *engine.Question, facts *sqlfacts.Facts, view *masking.View) described {
	hide := s.server.o.Recorder.Hide
	if facts == nil {
		// It could not be read, so nothing tells which of its constants is a secret.
		return described{text: sqlfacts.HideQuoted(q.Text)}
	}
	d := described{text: q.Text}
	var spans []sqlfacts.Span
	for i := range facts.Statements {
		st := &facts.Statements[i]
		d.commands = append(d.commands, st.Operation.Command)
		for _, p := range st.Operation.Pairs {
			d.pairs = append(d.pairs, &recordv1.Pair{Effect: p.Effect, Object: p.Object})
		}
		for _, l := range st.Literals {
			if view.Hides(l.Meets) {
				spans = append(spans, sqlfacts.Span{Start: st.Offset + l.Start, End: st.Offset + l.End})
			}
		}
	}
	if len(spans) > 0 {
		d.text = sqlfacts.Redact(q.Text, spans, func(literal string) string { return hide([]byte(unquote(literal))) })
	}
	if q.Bind != nil {
		d.parameters = parametersOf(q.Bind, facts, view, hide)
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
		case len(value) > longestParameter:
			sum := sha256.Sum256(value)
			p.Value = fmt.Sprintf("‹%d bytes, sha256 %s›", len(value), hex.EncodeToString(sum[:]))
		default:
			p.Value = valueText(oid, b.Format(i), value)
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

func (d described) event(q *engine.Question, number uint64) *recordv1.Event {
	protocol := recordv1.Statement_EXTENDED
	if q.Stage == engine.AtQuery {
		protocol = recordv1.Statement_SIMPLE
	}
	return &recordv1.Event{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{
		Number: number, Text: d.text, Parameters: d.parameters, PreparedName: q.Name,
		Protocol: protocol, Commands: d.commands, Pairs: d.pairs, ResultFormats: d.formats,
	}}}
}

func decisionEvent(number uint64, verdict recordv1.Decision_Verdict, d policies.Decision, r *engine.Refusal) *recordv1.Event {
	out := &recordv1.Decision{Number: number, Verdict: verdict, Rules: d.Rules, BundleVersion: d.Version}
	if r != nil {
		out.Code, out.Message, out.Detail, out.Hint = r.Code, r.Message, r.Detail, r.Hint
	}
	return &recordv1.Event{Kind: &recordv1.Event_Decision{Decision: out}}
}

// summary names what is to be done, for people.
func (d described) summary() string { return strings.Join(d.commands, "; ") }
