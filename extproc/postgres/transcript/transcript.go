package transcript

import (
	"io"
	"strings"
	"time"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

// dialect shows statements and what came back.
type dialect struct {
	screen screen
	// asked are the statements that were neither refused nor forwarded so far.
	asked map[uint64]*recordv1.Statement
}

// New makes a dialect that writes to out.
func New(out io.Writer) transcript.Dialect {
	return &dialect{screen: screen{out: out}, asked: map[uint64]*recordv1.Statement{}}
}

// Flush implements transcript.Dialect: rows are lined up together.
func (w *dialect) Flush() { w.screen.flush() }

// End implements transcript.Dialect.
func (w *dialect) End() { w.screen.flush() }

// Show implements transcript.Dialect.
func (w *dialect) Show(at string, e *recordv1.Event) bool {
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Statement:
		w.statement(at, k.Statement)
	case *recordv1.Event_Data:
		if k.Data.GetDirection() == recordv1.Data_TO_AGENT {
			w.screen.data(k.Data.GetBytes())
		} else {
			w.screen.printf("%s   %d bytes of COPY data from the agent\n", at, len(k.Data.GetBytes()))
		}
	case *recordv1.Event_Outcome:
		w.outcome(at, k.Outcome)
	case *recordv1.Event_Decision:
		if k.Decision.GetVerdict() == recordv1.Decision_DENY {
			delete(w.asked, k.Decision.GetNumber())
		}
		return false
	case *recordv1.Event_Execution:
		w.forwarded(k.Execution.GetNumber())
		return false
	default:
		return false
	}
	return true
}

// forwarded notes how many answers of a statement to expect, and in what formats. A statement that asks again, such as
// a portal fetched in parts, is noted once.
func (w *dialect) forwarded(number uint64) {
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

func (w *dialect) statement(at string, s *recordv1.Statement) {
	w.asked[s.GetNumber()] = s
	// Deeper than anything else stands, so that no line of a statement passes for one of ours.
	w.screen.printf("%s #%d %s\n", at, s.GetNumber(), strings.ReplaceAll(transcript.Escape(s.GetText()), "\n", "\n        "))
	for i, p := range s.GetParameters() {
		value := transcript.Line(p.GetValue())
		if p.GetIsNull() {
			value = "NULL"
		}
		w.screen.printf("    $%d = %s\n", i+1, value)
	}
}

func (w *dialect) outcome(at string, o *recordv1.Outcome) {
	what := o.GetCommandTag()
	if o.GetCode() != "" {
		what = "error " + o.GetCode() + " " + o.GetMessage()
	}
	w.screen.printf("%s   outcome of #%d: %s, %d rows, %d bytes, %s\n", at, o.GetNumber(), transcript.Line(what), o.GetRows(), o.GetBytes(),
		o.GetTook().AsDuration().Round(time.Microsecond))
}
