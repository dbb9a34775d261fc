package approval_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

func TestEveryMoveOfTheMachine(t *testing.T) {
	legal := map[approval.State]map[approval.Event]approval.State{
		approvalv1.State_PENDING: {
			approval.Quorum: approvalv1.State_APPROVED, approval.Reject: approvalv1.State_REJECTED,
			approval.Expire: approvalv1.State_EXPIRED, approval.Withdraw: approvalv1.State_WITHDRAWN,
		},
		approvalv1.State_APPROVED: {
			approval.Consume: approvalv1.State_CONSUMED, approval.Expire: approvalv1.State_EXPIRED, approval.Withdraw: approvalv1.State_WITHDRAWN,
		},
	}
	for n := range approvalv1.State_name {
		for e := approval.Event(0); e <= approval.Consume+1; e++ {
			from := approval.State(n)
			got, err := approval.Next(from, e)
			want, ok := legal[from][e]
			if (err == nil) != ok || (ok && got != want) || (!ok && got != from) {
				t.Errorf("%v in %v: %v, %v", e, from, got, err)
			}
		}
	}
}

func TestAnApprovalIsConsumedOnceAndOnlyAfterAQuorum(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		state := approvalv1.State_PENDING
		var happened []approval.Event
		for _, e := range rapid.SliceOf(rapid.SampledFrom([]approval.Event{
			approval.Quorum, approval.Reject, approval.Expire, approval.Withdraw, approval.Consume,
		})).Draw(rt, "events") {
			next, err := approval.Next(state, e)
			if !approval.Open(state) && err == nil {
				rt.Fatalf("%v moved from the end %v", e, state)
			}
			if err == nil {
				happened = append(happened, e)
			}
			state = next
		}
		if state == approvalv1.State_CONSUMED && !slices.Equal(happened, []approval.Event{approval.Quorum, approval.Consume}) {
			rt.Fatalf("consumed after %v", happened)
		}
		if len(happened) > 2 {
			rt.Fatalf("%d moves", len(happened))
		}
	})
}
