package transcript

import (
	"fmt"
	"io"
	"strings"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Writer writes events one after the other.
type Writer struct {
	out    io.Writer
	screen screen
	err    error
	// asked are the statements that were neither refused nor forwarded so far.
	asked map[uint64]*recordv1.Statement
}

// NewWriter writes to out. The first error of out is kept and returned by Event.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, asked: map[uint64]*recordv1.Statement{}}
	w.screen.out = w
	return w
}

// Write implements io.Writer for the parts of a transcript.
func (w *Writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.out.Write(b)
	w.err = err
	return n, err
}

func (w *Writer) printf(format string, args ...any) { w.screen.printf(format, args...) }

// Event writes one event.
func (w *Writer) Event(e *recordv1.Event) error {
	at := e.GetAt().AsTime().UTC().Format("15:04:05.000")
	if e.GetData().GetDirection() != recordv1.Data_TO_AGENT {
		w.screen.flush() // rows that came before stand before
	}
	switch k := e.GetKind().(type) {
	case *recordv1.Event_SessionStart:
		s := k.SessionStart
		p := s.GetPrincipal()
		w.printf("%s session of %s:%s (%s) from %s\n", e.GetAt().AsTime().UTC().Format(time.RFC3339), line(p.GetIssuer()), line(p.GetSubject()),
			strings.ToLower(p.GetKind().String()), line(s.GetClientAddress()))
		w.printf("  target %s, database %s as %s, policy %s\n", line(s.GetTarget()), line(s.GetDatabase()), line(s.GetRole()), version(s.GetBundleVersion()))
	case *recordv1.Event_Statement:
		w.statement(at, k.Statement)
	case *recordv1.Event_Decision:
		w.decision(at, k.Decision)
	case *recordv1.Event_HoldStart:
		a := k.HoldStart.GetApproval()
		w.printf("%s   held: approval %s, until %s\n", at, line(a.GetId()), a.GetExpiresAt().AsTime().UTC().Format(time.RFC3339))
	case *recordv1.Event_HoldEnd:
		w.holdEnd(at, k.HoldEnd.GetApproval())
	case *recordv1.Event_Execution:
		w.forwarded(k.Execution.GetNumber())
		w.printf("%s   forwarded%s\n", at, approvalText(k.Execution.GetApprovalId()))
	case *recordv1.Event_Data:
		if k.Data.GetDirection() == recordv1.Data_TO_AGENT {
			w.screen.data(k.Data.GetBytes())
		} else {
			w.printf("%s   %d bytes of COPY data from the agent\n", at, len(k.Data.GetBytes()))
		}
	case *recordv1.Event_Outcome:
		w.outcome(at, k.Outcome)
	case *recordv1.Event_SessionEnd:
		w.printf("%s session ended: %s\n", at, line(k.SessionEnd.GetReason()))
	default:
		w.printf("%s   (an event that this version does not know)\n", at)
	}
	return w.err
}

// forwarded notes how many answers of a statement to expect, and in what formats. A statement that asks again, such as
// a portal fetched in parts, is noted once.
func (w *Writer) forwarded(number uint64) {
	st := w.asked[number]
	if st == nil {
		return
	}
	delete(w.asked, number)
	answers := 1
	if st.GetProtocol() == recordv1.Statement_SIMPLE {
		answers = max(1, len(st.GetCommands())) // an empty string is answered too
	}
	for range answers {
		w.screen.running = append(w.screen.running, running{number, st.GetResultFormats()})
	}
}

// version is the beginning of a bundle's version, which tells it from others.
func version(v string) string { return line(fmt.Sprintf("%.12s", v)) }

func approvalText(id string) string {
	if id == "" {
		return ""
	}
	return ", by approval " + line(id)
}

func (w *Writer) statement(at string, s *recordv1.Statement) {
	w.asked[s.GetNumber()] = s
	// Deeper than anything else stands, so that no line of a statement passes for one of ours.
	w.printf("%s #%d %s\n", at, s.GetNumber(), strings.ReplaceAll(Escape(s.GetText()), "\n", "\n        "))
	for i, p := range s.GetParameters() {
		value := line(p.GetValue())
		if p.GetIsNull() {
			value = "NULL"
		}
		w.printf("    $%d = %s\n", i+1, value)
	}
}

func (w *Writer) decision(at string, d *recordv1.Decision) {
	if d.GetVerdict() == recordv1.Decision_DENY {
		delete(w.asked, d.GetNumber())
	}
	w.printf("%s   %s", at, strings.ToLower(d.GetVerdict().String()))
	if len(d.GetRules()) > 0 {
		w.printf(" by %s", line(strings.Join(d.GetRules(), ", ")))
	}
	w.printf(" (policy %s)", version(d.GetBundleVersion()))
	if d.GetCode() != "" {
		w.printf(": %s %s", line(d.GetCode()), line(d.GetMessage()))
	}
	w.printf("\n")
}

func (w *Writer) holdEnd(at string, a *approvalv1.Approval) {
	w.printf("%s   %s", at, strings.ToLower(a.GetState().String()))
	for _, v := range a.GetVotes() {
		word := "approved"
		if v.GetChoice() == approvalv1.Vote_REJECT {
			word = "rejected"
		}
		w.printf("; %s by %s:%s at %s", word, line(v.GetVoter().GetIssuer()), line(v.GetVoter().GetSubject()), v.GetAt().AsTime().UTC().Format(time.TimeOnly))
		if v.GetReason() != "" {
			w.printf(" (%s)", line(v.GetReason()))
		}
	}
	w.printf("\n")
}

func (w *Writer) outcome(at string, o *recordv1.Outcome) {
	what := o.GetCommandTag()
	if o.GetCode() != "" {
		what = "error " + o.GetCode() + " " + o.GetMessage()
	}
	w.printf("%s   outcome of #%d: %s, %d rows, %d bytes, %s\n", at, o.GetNumber(), line(what), o.GetRows(), o.GetBytes(),
		o.GetTook().AsDuration().Round(time.Microsecond))
}
