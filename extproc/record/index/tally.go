package index

import (
	"maps"
	"slices"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Counts are a session's totals.
type Counts struct {
	Statements uint64
	Denied     uint64
	Held       uint64
	// Rows and Bytes are the sums of the outcomes'.
	Rows  uint64
	Bytes uint64
}

// Tally follows a session's events, counts, and tells which statements are worth a row: those
// that were not plainly allowed, and those that do more than read. Reads alone are a database's every minute; they are
// counted, and found by replay. The zero value is the beginning of a session.
type Tally struct {
	Counts Counts
	open   map[uint64]struct{} // statements worth a row, without an outcome yet
}

// maxOpen bounds what is remembered of statements that never end.
const maxOpen = 4096

// Add counts an event and returns the number of the statement whose row changes by it, or 0.
func (t *Tally) Add(e *recordv1.Event) uint64 {
	number := Number(e)
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Statement:
		t.Counts.Statements++
		if doesMore(k.Statement) {
			t.keep(number)
		}
	case *recordv1.Event_HttpRequest:
		t.Counts.Statements++
		if !safe(k.HttpRequest.GetMethod()) {
			t.keep(number)
		}
	case *recordv1.Event_Decision:
		if k.Decision.GetVerdict() == recordv1.Decision_DENY {
			t.Counts.Denied++
		}
		if k.Decision.GetVerdict() != recordv1.Decision_ALLOW {
			t.keep(number)
		}
	case *recordv1.Event_HoldStart:
		t.Counts.Held++
		t.keep(number)
	case *recordv1.Event_Outcome:
		t.Counts.Rows += k.Outcome.GetRows()
		t.Counts.Bytes += k.Outcome.GetBytes()
		if _, ok := t.open[number]; ok {
			delete(t.open, number)
			return number
		}
	}
	if _, ok := t.open[number]; ok {
		return number
	}
	return 0
}

func (t *Tally) keep(number uint64) {
	if t.open == nil {
		t.open = map[uint64]struct{}{}
	}
	if len(t.open) >= maxOpen {
		clear(t.open) // the rows that are written stay; only their outcomes are lost to the index
	}
	t.open[number] = struct{}{}
}

// Number is the statement that an event belongs to, 0 if it belongs to none or is bytes.
func Number(e *recordv1.Event) uint64 {
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Statement:
		return k.Statement.GetNumber()
	case *recordv1.Event_Decision:
		return k.Decision.GetNumber()
	case *recordv1.Event_HoldStart:
		return k.HoldStart.GetNumber()
	case *recordv1.Event_HoldEnd:
		return k.HoldEnd.GetNumber()
	case *recordv1.Event_Execution:
		return k.Execution.GetNumber()
	case *recordv1.Event_Outcome:
		return k.Outcome.GetNumber()
	case *recordv1.Event_HttpRequest:
		return k.HttpRequest.GetNumber()
	case *recordv1.Event_HttpResponse:
		return k.HttpResponse.GetNumber()
	}
	return 0
}

// safe methods ask for nothing to change (RFC 9110, 9.2.1).
func safe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

func doesMore(s *recordv1.Statement) bool {
	for _, p := range s.GetPairs() {
		if p.GetReached() {
			continue // it comes of those that were named
		}
		switch p.GetEffect() {
		case policyv1.Effect_READ, policyv1.Effect_SESSION, policyv1.Effect_TRANSACTION:
		default:
			return true
		}
	}
	return false
}

// Summary gathers the rows of some statements from the events of a chunk. What stands in an earlier chunk is not among
// them; a Store keeps what it knows.
type Summary struct {
	session string
	numbers map[uint64]struct{}
	by      map[uint64]*Statement
}

// NewSummary is for the statements with these numbers.
func NewSummary(session string, numbers map[uint64]struct{}) *Summary {
	return &Summary{session: session, numbers: numbers, by: make(map[uint64]*Statement, len(numbers))}
}

// Add takes an event.
func (s *Summary) Add(e *recordv1.Event) {
	number := Number(e)
	if _, ok := s.numbers[number]; !ok {
		return
	}
	st := s.by[number]
	if st == nil {
		st = &Statement{Session: s.session, Number: number}
		s.by[number] = st
	}
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Statement:
		st.At, st.Text, st.Commands = e.GetAt().AsTime(), k.Statement.GetText(), k.Statement.GetCommands()
	case *recordv1.Event_HttpRequest:
		r := k.HttpRequest
		st.At, st.Text = e.GetAt().AsTime(), r.GetMethod()+" "+r.GetScheme()+"://"+r.GetHost()+r.GetPath()
		st.Commands = []string{r.GetMethod()}
	case *recordv1.Event_Decision:
		st.Verdict, st.Rules = k.Decision.GetVerdict(), k.Decision.GetRules()
		st.Code, st.Message = k.Decision.GetCode(), k.Decision.GetMessage()
	case *recordv1.Event_HoldStart:
		st.ApprovalID = k.HoldStart.GetApproval().GetId()
	case *recordv1.Event_Outcome:
		st.CommandTag, st.Rows, st.Bytes = k.Outcome.GetCommandTag(), k.Outcome.GetRows(), k.Outcome.GetBytes()
		st.Took = k.Outcome.GetTook().AsDuration()
		if k.Outcome.GetCode() != "" {
			st.Code, st.Message = k.Outcome.GetCode(), k.Outcome.GetMessage()
		}
	}
}

// Statements are the rows, in order.
func (s *Summary) Statements() []Statement {
	out := make([]Statement, 0, len(s.by))
	for _, n := range slices.Sorted(maps.Keys(s.by)) {
		out = append(out, *s.by[n])
	}
	return out
}
