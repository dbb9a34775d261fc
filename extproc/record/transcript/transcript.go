package transcript

import (
	"fmt"
	"io"
	"strings"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Dialect shows what is a protocol's own.
type Dialect interface {
	// Show sees each event before it is written, at a time of day. It is true if it has written all that there is to say.
	Show(at string, e *recordv1.Event) bool
	// Flush writes what came before and was held back.
	Flush()
	// End writes what is still held back when nothing comes any more: the session may be live, or its process was killed.
	End()
}

// Writer writes events one after the other.
type Writer struct {
	out      io.Writer
	dialects []Dialect
	err      error
	// newest is what was asked last: what is said of it needs no number.
	newest uint64
}

// NewWriter writes to out; each dialect is made to write to the same. The first error of out is kept and returned by
// Event.
func NewWriter(out io.Writer, dialects ...func(io.Writer) Dialect) *Writer {
	w := &Writer{out: out}
	for _, make := range dialects {
		w.dialects = append(w.dialects, make(w))
	}
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

func (w *Writer) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...) // the error is kept
}

// Event writes one event.
func (w *Writer) Event(e *recordv1.Event) error {
	w.newest = max(w.newest, e.GetStatement().GetNumber(), e.GetHttpRequest().GetNumber())
	at := e.GetAt().AsTime().UTC().Format("15:04:05.000")
	for _, d := range w.dialects {
		if e.GetData().GetDirection() != recordv1.Data_TO_AGENT {
			d.Flush() // what came before stands before
		}
		if d.Show(at, e) {
			return w.err
		}
	}
	switch k := e.GetKind().(type) {
	case *recordv1.Event_SessionStart:
		s := k.SessionStart
		p := s.GetPrincipal()
		w.printf("%s session of %s:%s (%s) from %s\n", e.GetAt().AsTime().UTC().Format(time.RFC3339), Line(p.GetIssuer()), Line(p.GetSubject()),
			strings.ToLower(p.GetKind().String()), Line(s.GetClientAddress()))
		database := ""
		if s.GetDatabase() != "" {
			database = ", database " + Line(s.GetDatabase()) + " as " + Line(s.GetRole())
		}
		w.printf("  target %s%s, policy %s\n", Line(s.GetTarget()), database, version(s.GetBundleVersion()))
	case *recordv1.Event_Decision:
		w.decision(at, k.Decision)
	case *recordv1.Event_HoldStart:
		a := k.HoldStart.GetApproval()
		w.printf("%s   held%s: approval %s, until %s\n", at, w.of(k.HoldStart.GetNumber()), Line(a.GetId()), a.GetExpiresAt().AsTime().UTC().Format(time.RFC3339))
	case *recordv1.Event_HoldEnd:
		w.holdEnd(at, k.HoldEnd)
	case *recordv1.Event_Execution:
		w.printf("%s   forwarded%s%s\n", at, w.of(k.Execution.GetNumber()), approvalText(k.Execution.GetApprovalId()))
	case *recordv1.Event_Outcome:
		w.outcome(at, k.Outcome)
	case *recordv1.Event_SessionEnd:
		w.printf("%s session ended: %s\n", at, Line(k.SessionEnd.GetReason()))
	default:
		w.printf("%s   (an event that this version does not know)\n", at)
	}
	return w.err
}

// End writes what is held back. Call it behind the last event.
func (w *Writer) End() error {
	for _, d := range w.dialects {
		d.End()
	}
	return w.err
}

// of names what something is said of, where that is not what was asked last.
func (w *Writer) of(number uint64) string {
	if number == w.newest {
		return ""
	}
	return fmt.Sprintf(" #%d", number)
}

// version is the beginning of a bundle's version, which tells it from others.
func version(v string) string { return Line(fmt.Sprintf("%.12s", v)) }

func approvalText(id string) string {
	if id == "" {
		return ""
	}
	return ", by approval " + Line(id)
}

func (w *Writer) decision(at string, d *recordv1.Decision) {
	w.printf("%s   %s%s", at, strings.ToLower(d.GetVerdict().String()), w.of(d.GetNumber()))
	if len(d.GetRules()) > 0 {
		w.printf(" by %s", Line(strings.Join(d.GetRules(), ", ")))
	}
	if len(d.GetMasks()) > 0 {
		w.printf(" with masks %s", Line(strings.Join(d.GetMasks(), ", ")))
	}
	w.printf(" (policy %s)", version(d.GetBundleVersion()))
	if d.GetCode() != "" {
		w.printf(": %s %s", Line(d.GetCode()), Line(d.GetMessage()))
	}
	w.printf("\n")
}

func (w *Writer) holdEnd(at string, e *recordv1.HoldEnd) {
	a := e.GetApproval()
	w.printf("%s   %s%s", at, strings.ToLower(a.GetState().String()), w.of(e.GetNumber()))
	for _, v := range a.GetVotes() {
		word := "approved"
		if v.GetChoice() == approvalv1.Vote_REJECT {
			word = "rejected"
		}
		w.printf("; %s by %s:%s at %s", word, Line(v.GetVoter().GetIssuer()), Line(v.GetVoter().GetSubject()), v.GetAt().AsTime().UTC().Format(time.TimeOnly))
		if v.GetReason() != "" {
			w.printf(" (%s)", Line(v.GetReason()))
		}
	}
	w.printf("\n")
}

func (w *Writer) outcome(at string, o *recordv1.Outcome) {
	w.printf("%s   outcome of #%d: %s %s, %d bytes, %s\n", at, o.GetNumber(), Line(o.GetCode()), Line(o.GetMessage()), o.GetBytes(),
		o.GetTook().AsDuration().Round(time.Microsecond))
}
