package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

// model calls the store at random on a few approvals and compares it with the machine.
func model(t *testing.T, h Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		type held struct {
			a     *approvalv1.Approval
			state approval.State
			votes int
		}
		var all []*held
		pick := func(rt *rapid.T) *held {
			if len(all) == 0 {
				rt.Skip("none yet")
			}
			return all[rapid.IntRange(0, len(all)-1).Draw(rt, "which")]
		}
		// expect compares an answer with the machine's.
		expect := func(rt *rapid.T, m *held, e approval.Event, err error) {
			next, illegal := approval.Next(m.state, e)
			if illegal == nil {
				if err != nil {
					rt.Fatalf("%v in %v: %v", e, m.state, err)
				}
				m.state = next
				return
			}
			var state *approval.StateError
			if !errors.As(err, &state) || state.State != m.state {
				rt.Fatalf("%v in %v: %v", e, m.state, err)
			}
		}
		decide := func(c approvalv1.Vote_Choice, e approval.Event) func(*rapid.T) {
			return func(rt *rapid.T) {
				m := pick(rt)
				to, illegal := approval.Next(m.state, e)
				if illegal != nil {
					to, _ = approval.Next(approvalv1.State_PENDING, e)
				}
				err := h.Store.Vote(ctx, vote(m.a, "alice", c), to, m.votes)
				expect(rt, m, e, err)
				if err == nil {
					m.votes++
				}
			}
		}
		actions := map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				if len(all) == 3 {
					rt.Skip("enough")
				}
				all = append(all, &held{a: create(t, h.Store, time.Hour), state: approvalv1.State_PENDING})
			},
			"approve": decide(approvalv1.Vote_APPROVE, approval.Quorum),
			"reject":  decide(approvalv1.Vote_REJECT, approval.Reject),
			"vote": func(rt *rapid.T) {
				m := pick(rt)
				err := h.Store.Vote(ctx, vote(m.a, "alice", approvalv1.Vote_APPROVE), approvalv1.State_PENDING, m.votes)
				if (err == nil) != (m.state == approvalv1.State_PENDING) {
					rt.Fatalf("a vote in %v: %v", m.state, err)
				}
				if err == nil {
					m.votes++
				}
			},
			"withdraw": func(rt *rapid.T) {
				m := pick(rt)
				expect(rt, m, approval.Withdraw, h.Store.Withdraw(ctx, m.a.GetId(), "x"))
			},
			"consume": func(rt *rapid.T) {
				m := pick(rt)
				expect(rt, m, approval.Consume, h.Store.Consume(ctx, m.a.GetId()))
			},
			"": func(rt *rapid.T) {
				for _, m := range all {
					got := get(t, h.Store, m.a.GetId())
					if got.GetState() != m.state || len(got.GetVotes()) != m.votes {
						rt.Fatalf("%v with %d votes, want %v with %d", got.GetState(), len(got.GetVotes()), m.state, m.votes)
					}
				}
			},
		}
		if h.Advance != nil {
			actions["time passes"] = func(*rapid.T) {
				h.Advance(2 * time.Hour)
				for _, m := range all {
					if next, err := approval.Next(m.state, approval.Expire); err == nil {
						m.state = next
					}
				}
			}
		}
		rt.Repeat(actions)
	})
}
