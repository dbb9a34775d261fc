package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/audit"
)

func held(approval *approvalv1.Approval) []*recordv1.Event {
	return []*recordv1.Event{
		{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{
			Number: 1, Text: "delete from orders", Pairs: []*recordv1.Pair{{Effect: policyv1.Effect_DELETE, Object: "public.orders"}},
		}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 1, Verdict: recordv1.Decision_HOLD}}},
		{Kind: &recordv1.Event_HoldStart{HoldStart: &recordv1.HoldStart{Number: 1, Approval: approval}}},
	}
}

func TestHeldStatementsNeedTheirQuorum(t *testing.T) {
	const session = "p1-A"
	approval := func(id string, state approvalv1.State) *approvalv1.Approval {
		return &approvalv1.Approval{Id: id, State: state, SessionId: session, RecordedDigest: []byte("r")}
	}
	end := func(n uint64, a *approvalv1.Approval) *recordv1.Event {
		return &recordv1.Event{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: n, Approval: a}}}
	}
	execute := func(n uint64, id string) *recordv1.Event {
		return &recordv1.Event{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: n, ApprovalId: id}}}
	}
	good := func(*approvalv1.Approval) error { return nil }
	pending, consumed := approval("X", approvalv1.State_PENDING), approval("X", approvalv1.State_CONSUMED)
	other := approval("X", approvalv1.State_CONSUMED)
	other.RecordedDigest = []byte("other")
	elsewhere := approval("X", approvalv1.State_CONSUMED)
	elsewhere.SessionId = "p1-B"
	for name, c := range map[string]struct {
		events []*recordv1.Event
		quorum audit.QuorumCheck
		held   uint64
		want   string // of the finding
	}{
		"approved and executed":        {append(held(pending), end(1, consumed), execute(1, "X")), good, 1, ""},
		"held and never executed":      {append(held(pending), end(1, approval("X", approvalv1.State_REJECTED))), good, 0, ""},
		"executed without an approval": {append(held(pending), end(1, consumed), execute(1, "")), good, 0, "no approval"},
		"no end of the hold":           {append(held(pending), execute(1, "X")), good, 0, "does not say"},
		"rejected and executed":        {append(held(pending), end(1, approval("X", approvalv1.State_REJECTED)), execute(1, "X")), good, 0, "ended as REJECTED"},
		"votes that are not good":      {append(held(pending), end(1, consumed), execute(1, "X")), func(*approvalv1.Approval) error { return errors.New("forged") }, 0, "forged"},
		"nobody can check votes":       {append(held(pending), end(1, consumed), execute(1, "X")), nil, 0, "keys of votes"},
		"given for something else":     {append(held(pending), end(1, other), execute(1, "X")), good, 0, "something else"},
		"given for another statement":  {append(held(pending), end(1, consumed), execute(2, "X")), good, 0, "was for statement 1"},
		"given for another session":    {append(held(pending), end(1, elsewhere), execute(1, "X")), good, 0, "another session"},
		"claimed without a hold":       {[]*recordv1.Event{execute(7, "Y")}, good, 0, "does not say"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := open(t, dir)
			s, err := r.Begin(t.Context(), session, &recordv1.SessionStart{})
			must(t, err)
			must(t, s.Append(true, c.events...))
			must(t, r.Close(context.Background()))
			rep := verify(t, dir, func(o *audit.Options) { o.Quorum = c.quorum })
			if rep.Held != c.held {
				t.Errorf("held %d", rep.Held)
			}
			switch {
			case c.want == "" && rep.OK:
			case len(rep.Findings) == 1 && rep.Findings[0].Kind == audit.Unapproved && c.want != "" && strings.Contains(rep.Findings[0].Message, c.want):
			default:
				t.Fatal(show(rep))
			}
		})
	}
	t.Run("one approval is used by two sessions", func(t *testing.T) {
		dir := t.TempDir()
		r := open(t, dir)
		for _, id := range []string{"p1-A", "p1-B"} {
			s, err := r.Begin(t.Context(), id, &recordv1.SessionStart{})
			must(t, err)
			start, last := approval("X", approvalv1.State_PENDING), approval("X", approvalv1.State_CONSUMED)
			start.SessionId, last.SessionId = id, id
			must(t, s.Append(true, append(held(start), end(1, last), execute(1, "X"))...))
		}
		must(t, r.Close(context.Background()))
		rep := verify(t, dir, func(o *audit.Options) { o.Quorum = good })
		if len(rep.Findings) != 1 || rep.Findings[0].Session != "p1-B" || !strings.Contains(rep.Findings[0].Message, "used before") {
			t.Fatal(show(rep))
		}
	})
}
