package transcript

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

// shownBody is how much of a body is shown, in bytes; how much more there is, is said.
const shownBody = 16 << 10

// dialect shows requests and their answers. Those of several requests at once come mixed, so a body is shown with the
// outcome of its request.
type dialect struct {
	out  io.Writer
	open map[uint64]*exchange
	// asked is the body of the newest request as long as more of it may come: a long one is recorded in parts.
	asked body
}

// exchange is a request whose outcome has not come.
type exchange struct {
	response body
}

// body is the beginning of a body, and how much more there is.
type body struct {
	text []byte
	more int
}

func (b *body) add(p []byte) {
	n := min(len(p), shownBody-len(b.text))
	b.text = append(b.text, p[:n]...)
	b.more += len(p) - n
}

// New makes a dialect that writes to out.
func New(out io.Writer) transcript.Dialect { return &dialect{out: out, open: map[uint64]*exchange{}} }

// Flush implements transcript.Dialect.
func (*dialect) Flush() {}

// End implements transcript.Dialect: what agents got of answers that have not ended.
func (d *dialect) End() {
	d.ask()
	for _, number := range slices.Sorted(maps.Keys(d.open)) {
		if x := d.open[number]; len(x.response.text) > 0 {
			d.printf("    so far of the answer to #%d:\n", number)
			d.body(x.response)
		}
	}
	clear(d.open)
}

// ask shows the body of the newest request.
func (d *dialect) ask() {
	d.body(d.asked)
	d.asked = body{}
}

// Show implements transcript.Dialect.
func (d *dialect) Show(at string, e *recordv1.Event) bool {
	if e.GetData().GetDirection() != recordv1.Data_FROM_AGENT {
		d.ask()
	}
	switch k := e.GetKind().(type) {
	case *recordv1.Event_HttpRequest:
		d.request(at, k.HttpRequest)
	case *recordv1.Event_HttpResponse:
		d.printf("%s   answer to #%d: %d\n", at, k.HttpResponse.GetNumber(), k.HttpResponse.GetStatus())
		d.headers(k.HttpResponse.GetHeaders())
	case *recordv1.Event_Data:
		x := d.open[k.Data.GetNumber()]
		if x == nil {
			return false
		}
		if k.Data.GetDirection() == recordv1.Data_TO_AGENT {
			x.response.add(k.Data.GetBytes())
			return true
		}
		d.asked.add(k.Data.GetBytes())
	case *recordv1.Event_Decision:
		if k.Decision.GetVerdict() == recordv1.Decision_DENY {
			delete(d.open, k.Decision.GetNumber()) // nothing comes behind it
		}
		return false
	case *recordv1.Event_Outcome:
		x := d.open[k.Outcome.GetNumber()]
		if x == nil {
			return false
		}
		delete(d.open, k.Outcome.GetNumber())
		d.outcome(at, k.Outcome)
		d.body(x.response)
		d.trailers(k.Outcome.GetTrailers())
	case *recordv1.Event_SessionEnd:
		d.End()
		return false
	default:
		return false
	}
	return true
}

func (d *dialect) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format, args...) // the Writer keeps the error
}

func (d *dialect) request(at string, r *recordv1.HttpRequest) {
	d.open[r.GetNumber()] = &exchange{}
	d.printf("%s #%d %s %s://%s%s\n", at, r.GetNumber(), transcript.Line(r.GetMethod()), transcript.Line(r.GetScheme()),
		transcript.Line(r.GetHost()), transcript.Line(r.GetPath()))
	d.printf("    from %s, request %s\n", transcript.Line(r.GetClientAddress()), transcript.Line(r.GetRequestId()))
	d.headers(r.GetHeaders())
}

func (d *dialect) headers(all []*recordv1.Header) {
	for _, h := range all {
		d.printf("    %s: %s\n", transcript.Line(h.GetName()), transcript.Line(h.GetValue()))
	}
}

// trailers are what a response ended with.
func (d *dialect) trailers(all []*recordv1.Header) {
	if len(all) > 0 {
		d.printf("    trailers:\n")
		d.headers(all)
	}
}

func (d *dialect) body(b body) {
	if len(b.text) == 0 {
		return
	}
	text := b.text
	for len(text) > 0 && !utf8.Valid(text) && len(b.text)-len(text) < utf8.UTFMax && b.more > 0 {
		text = text[:len(text)-1] // a character that the limit cuts
	}
	for line := range strings.Lines(transcript.Escape(string(text))) {
		d.printf("    | %s\n", strings.TrimSuffix(line, "\n"))
	}
	if more := b.more + len(b.text) - len(text); more > 0 {
		d.printf("    (and %d bytes more)\n", more)
	}
}

func (d *dialect) outcome(at string, o *recordv1.Outcome) {
	what := transcript.Line(o.GetCode())
	if what == "" {
		what = "no answer"
	}
	if o.GetMessage() != "" {
		what += ", given up: " + transcript.Line(o.GetMessage())
	}
	d.printf("%s   outcome of #%d: %s, %d bytes, %s\n", at, o.GetNumber(), what, o.GetBytes(), o.GetTook().AsDuration().Round(time.Microsecond))
}
