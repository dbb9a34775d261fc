package audit

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// held follows the statements of one session that were held.
type held struct {
	statements map[uint64]bool // that policy held
	started    map[string]*approvalv1.Approval
	ended      map[string]*recordv1.HoldEnd
	executed   []*recordv1.Execution // that were held, or claim an approval
}

// usedBy is where an approval was used.
type usedBy struct {
	session string
	number  uint64
}

func newHeld() *held {
	return &held{statements: map[uint64]bool{}, started: map[string]*approvalv1.Approval{}, ended: map[string]*recordv1.HoldEnd{}}
}

func (h *held) event(e *recordv1.Event) {
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Decision:
		if k.Decision.GetVerdict() == recordv1.Decision_HOLD {
			h.statements[k.Decision.GetNumber()] = true
		}
	case *recordv1.Event_HoldStart:
		h.statements[k.HoldStart.GetNumber()] = true
		h.started[k.HoldStart.GetApproval().GetId()] = k.HoldStart.GetApproval()
	case *recordv1.Event_HoldEnd:
		h.ended[k.HoldEnd.GetApproval().GetId()] = k.HoldEnd
	case *recordv1.Event_Execution:
		if k.Execution.GetApprovalId() != "" || h.statements[k.Execution.GetNumber()] {
			h.executed = append(h.executed, k.Execution)
		}
	}
}

// judgeHeld checks that each held statement that was executed has its own quorum.
func (a *audit) judgeHeld(r *reading) {
	for _, x := range r.held.executed {
		if why := a.unapproved(r, x); why != "" {
			a.report.add(Finding{
				Kind: Unapproved, Session: r.id, Statement: x.GetNumber(),
				Message: fmt.Sprintf("Statement %d of session %s was held and executed, but %s.", x.GetNumber(), r.id, why),
			})
			continue
		}
		a.report.Held++
	}
}

// unapproved says what an execution lacks, nothing if it lacks nothing.
func (a *audit) unapproved(r *reading, x *recordv1.Execution) string {
	id := x.GetApprovalId()
	if id == "" {
		return "no approval is recorded with its execution"
	}
	start, end := r.held.started[id], r.held.ended[id]
	if end == nil {
		return "the record does not say how approval " + id + " ended"
	}
	approval := end.GetApproval()
	switch s := approval.GetState(); {
	case end.GetNumber() != x.GetNumber():
		return fmt.Sprintf("approval %s was for statement %d", id, end.GetNumber())
	case approval.GetSessionId() != r.id:
		return "approval " + id + " was for another session"
	case s != approvalv1.State_APPROVED && s != approvalv1.State_CONSUMED:
		return fmt.Sprintf("approval %s ended as %s", id, s)
	case start != nil && !bytes.Equal(start.GetRecordedDigest(), approval.GetRecordedDigest()):
		return "approval " + id + " was given for something else than was held"
	}
	here := usedBy{r.id, x.GetNumber()}
	if by, ok := a.used[id]; ok && by != here {
		return fmt.Sprintf("approval %s was used before, by statement %d of session %s", id, by.number, by.session)
	}
	a.used[id] = here
	if a.opts.Quorum == nil {
		return "without the keys of votes its approval " + id + " cannot be verified"
	}
	if err := a.opts.Quorum(approval); err != nil {
		return fmt.Sprintf("approval %s is not good: %v", id, err)
	}
	return ""
}

// sorted are the keys of a map, in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
