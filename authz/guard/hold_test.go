package guard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
)

func TestAnApprovedActionIsReleasedOnce(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	a := p.Approval()
	if len(a.GetRequirements()) != 1 || a.GetRequirements()[0].GetCount() != 2 || a.GetRequirements()[0].GetGroups()[0] != "corp:dba" ||
		a.GetTarget() != "orders" || a.GetSessionId() != "s1" || a.GetBundleVersion() != "v1" || strings.Join(a.GetRules(), " ") != "writes" ||
		a.GetWarnings()[0] != "locks are held" || a.GetRequester().GetSubject() != "agent" {
		t.Errorf("people see %v", a)
	}
	d.approve(t, p)
	if err := d.release(t, p); err != nil {
		t.Fatal(err)
	}
	if got := d.state(t, a.GetId()); got != approvalv1.State_CONSUMED {
		t.Errorf("state %v", got)
	}
	// The store is made to say approved again.
	d.redis.HSet("sluice:{approval}:a:"+a.GetId(), "state", "2")
	wantDenied(t, d.release(t, p), guard.Unavailable, "consumed")
}

func TestOfManyReleasesAtOnceOneSucceeds(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.approve(t, p)
	var all sync.WaitGroup
	var released atomic.Int32
	for range 8 {
		all.Go(func() {
			if _, _, err := p.Release(t.Context(), deleting(), nil, binding()); err == nil {
				released.Add(1)
			}
		})
	}
	all.Wait()
	if released.Load() > 1 {
		t.Errorf("released %d times", released.Load())
	}
}

func TestWhatPeopleDoNotApproveIsNotReleased(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		name  string
		votes map[string]approvalv1.Vote_Choice
		state approval.State
		kind  guard.Kind
		words string
	}{
		{"rejected", map[string]approvalv1.Vote_Choice{"alice": approvalv1.Vote_REJECT}, approvalv1.State_REJECTED, guard.Rejected, "rejected: because alice"},
		{"one of two", map[string]approvalv1.Vote_Choice{"alice": approvalv1.Vote_APPROVE}, approvalv1.State_PENDING, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := d.hold(t)
			for who, choice := range c.votes {
				d.vote(t, p.Approval().GetId(), who, choice)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			if c.kind == 0 {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			}
			defer cancel()
			a, err := p.Wait(ctx)
			if c.kind != 0 {
				wantDenied(t, err, c.kind, c.words)
				if a.GetState() != c.state {
					t.Errorf("state %v", a.GetState())
				}
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if err := d.release(t, p); err == nil {
				t.Error("released")
			}
		})
	}
}

func TestARejectionSaysWhoRejected(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.vote(t, p.Approval().GetId(), "alice", approvalv1.Vote_APPROVE)
	d.vote(t, p.Approval().GetId(), "bob", approvalv1.Vote_REJECT)
	_, err := p.Wait(patient(t))
	var denied *guard.Denied
	if !errors.As(err, &denied) || !strings.Contains(denied.Detail, "was rejected by corp:bob.") {
		t.Errorf("got %+v", denied)
	}
}

func TestAnExpiredHoldIsNotReleased(t *testing.T) {
	t.Parallel()
	d := open(t)
	asked := d.asked(t, d.admit(t))
	asked.Before = time.Now().Add(300 * time.Millisecond)
	p, err := d.Hold(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Wait(patient(t))
	wantDenied(t, err, guard.Expired, "approval expired")
	if err := d.release(t, p); err == nil {
		t.Error("released")
	}
}

func TestAHoldWaitsUntilTheFirstOfItsDeadlines(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		name           string
		token, within  time.Duration
		before, expect time.Duration
	}{
		{"the rule's", time.Hour, 15 * time.Minute, 0, 15 * time.Minute},
		{"the token's end", time.Minute, 15 * time.Minute, 0, time.Minute},
		{"the protocol's", time.Hour, 15 * time.Minute, 10 * time.Second, 10 * time.Second},
		{"the token's before the protocol's", 5 * time.Second, 15 * time.Minute, 10 * time.Second, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			a, err := d.Connect(agent(c.token), "orders")
			if err != nil {
				t.Fatal(err)
			}
			asked := d.asked(t, a)
			asked.Verdict.Within = c.within
			if c.before > 0 {
				asked.Before = now.Add(c.before)
			}
			p, err := d.Hold(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Withdraw(t.Context(), "done")
			if off := p.Approval().GetExpiresAt().AsTime().Sub(now.Add(c.expect)); off.Abs() > 2*time.Second {
				t.Errorf("off by %s", off)
			}
		})
	}
	t.Run("none that is over", func(t *testing.T) {
		asked := d.asked(t, d.admit(t))
		asked.Before = time.Now().Add(-time.Second)
		_, err := d.Hold(t.Context(), asked)
		wantDenied(t, err, guard.Expired, "no time left")
	})
	t.Run("not past the end of the session", func(t *testing.T) {
		asked := d.asked(t, d.admit(t))
		d.ahead.Store(int64(2 * time.Hour))
		defer d.ahead.Store(0)
		_, err := d.Hold(t.Context(), asked)
		wantDenied(t, err, guard.SessionEnded, "has ended")
	})
}

func TestOnlyWhatAsksForApprovalIsHeld(t *testing.T) {
	d := open(t)
	for _, ops := range [][]policies.Operation{reading(), {{Command: "DROP TABLE"}}} {
		a := d.admit(t)
		asked := d.asked(t, a)
		var err error
		if asked.Verdict, err = d.Decide(a, ops, nil); err != nil {
			t.Fatal(err)
		}
		_, err = d.Hold(t.Context(), asked)
		wantDenied(t, err, guard.Unavailable, "internal error")
	}
	asked := d.asked(t, d.admit(t))
	asked.Verdict.Policy = nil
	_, err := d.Hold(t.Context(), asked)
	wantDenied(t, err, guard.Unavailable, "internal error")
}

func TestAnApprovalIsBoundToExactBytes(t *testing.T) {
	d := open(t)
	for name, change := range map[string]func([]guard.Field) []guard.Field{
		"another role":      func(f []guard.Field) []guard.Field { f[0].Value = []byte("admin"); return f },
		"another statement": func(f []guard.Field) []guard.Field { f[1].Value = []byte("delete from payments"); return f },
		"one byte more":     func(f []guard.Field) []guard.Field { f[1].Value = append(f[1].Value, ' '); return f },
		"a field less":      func(f []guard.Field) []guard.Field { return f[:1] },
		"a field more":      func(f []guard.Field) []guard.Field { return append(f, guard.Field{Name: "x"}) },
		"another order":     func(f []guard.Field) []guard.Field { return []guard.Field{f[1], f[0]} },
		"a byte that moves": func(f []guard.Field) []guard.Field { f[0].Name, f[0].Value = "rolea", []byte("pp"); return f },
		"nothing at all":    func([]guard.Field) []guard.Field { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := d.hold(t)
			d.approve(t, p)
			_, _, err := p.Release(t.Context(), deleting(), nil, change(binding()))
			wantDenied(t, err, guard.Changed, "has changed")
			if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_WITHDRAWN {
				t.Errorf("state %v", got)
			}
			if err := d.release(t, p); err == nil {
				t.Error("released afterwards")
			}
		})
	}
}

func TestTwoHoldsOfTheSameActionAreNotTheSame(t *testing.T) {
	d := open(t)
	a, b := d.hold(t), d.hold(t)
	if string(a.Approval().GetDigest()) == string(b.Approval().GetDigest()) || a.Approval().GetId() == b.Approval().GetId() {
		t.Error("the digests or ids are equal")
	}
	// Votes for one are none for the other.
	d.approve(t, a)
	votes, err := d.redis.HKeys("sluice:{approval}:a:" + a.Approval().GetId())
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range votes {
		if field != "body" {
			d.redis.HSet("sluice:{approval}:a:"+b.Approval().GetId(), field, d.redis.HGet("sluice:{approval}:a:"+a.Approval().GetId(), field))
		}
	}
	if err := d.release(t, b); err == nil {
		t.Error("released by the votes for another")
	}
}

func TestAPolicyThatChangesDuringAHold(t *testing.T) {
	replace := func(old, fresh string) string {
		if !strings.Contains(bundle, old) {
			panic(old)
		}
		return strings.Replace(bundle, old, fresh, 1)
	}
	const more = "- {name: closed, on: {targets: [orders], sql: {effects: [DELETE]}}, deny: {message: Closed.}}\n"
	for _, c := range []struct {
		name   string
		bundle string
		kind   guard.Kind // 0: released
		words  string
	}{
		{"in nothing", bundle, 0, ""},
		{"in a rule that has nothing to do with it", replace("No dropping.", "Never."), 0, ""},
		{"in an allow rule for something else", replace("effects: [READ]", "effects: [READ, INSERT]"), 0, ""},
		{"by a mask", bundle + "masks:\n- {name: m, on: {targets: [orders]}, columns: [\"public.orders.x\"], redact: {}}\n", 0, ""},
		{"to a denial", bundle + more, guard.Forbidden, "Closed."},
		{"to more approvers", replace("count: 2", "count: 3"), guard.Changed, "has changed"},
		{"to fewer approvers", replace("count: 2", "count: 1"), guard.Changed, "has changed"},
		{"to other approvers", replace("groups: [dba]", "groups: [owners]"), guard.Changed, "has changed"},
		{"to a further rule that asks", bundle + "- {name: also, on: {targets: [orders], sql: {effects: [DELETE]}}, approve: {by: [{groups: [owners]}]}}\n", guard.Changed, "has changed"},
		{"to a rule of another name", replace("name: writes", "name: deletes"), guard.Changed, "has changed"},
		{"to no rule", replace("sql: {effects: [DELETE]}", "sql: {effects: [TRUNCATE]}"), guard.Forbidden, "no rule allows"},
		{"in the target", replace("database: orders", "database: others"), guard.Changed, "has changed"},
		{"to another issuer of the groups", replace("name: corp", "name: evil"), guard.Forbidden, "no rule allows"},
		{"to no target", replace("name: orders\n", "name: others\n"), guard.Forbidden, "is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t)
			p := d.hold(t)
			d.approve(t, p)
			text := c.bundle
			if strings.Contains(text, "name: others\n") {
				text = strings.ReplaceAll(text, "targets: [orders]", "targets: [others]")
			}
			d.policies.policy.Store(compile(t, text, "v2"))
			err := d.release(t, p)
			if c.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantDenied(t, err, c.kind, c.words)
			if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_WITHDRAWN {
				t.Errorf("state %v", got)
			}
		})
	}
}

func TestGroupsThatMeanOthersEndAHold(t *testing.T) {
	// A rule for all stays as it is to the byte; its approvers are those of another issuer.
	text := strings.Replace(bundle, "- name: writes\n  who: {groups: [agents]}\n", "- name: writes\n", 1)
	d := open(t)
	d.policies.policy.Store(compile(t, text, "v1"))
	p := d.hold(t)
	d.approve(t, p)
	d.policies.policy.Store(compile(t, strings.Replace(text, "name: corp", "name: evil", 1), "v2"))
	wantDenied(t, d.release(t, p), guard.Changed, "has changed")
}

func TestASessionThatEndsDuringAHold(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.approve(t, p)
	d.ahead.Store(int64(2 * time.Hour))
	wantDenied(t, d.release(t, p), guard.SessionEnded, "has ended")
	d.ahead.Store(0)
	if err := d.release(t, p); err == nil {
		t.Error("released when the clock went back")
	}
	if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_WITHDRAWN {
		t.Errorf("state %v", got)
	}
}

func TestAPolicyThatIsGoneAtReleaseReleasesNothing(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.approve(t, p)
	d.policies.fail(errors.New("the policy is too old"))
	wantDenied(t, d.release(t, p), guard.NotReady, "too old")
}

func TestWhatIsWithdrawnCanNeverBeReleased(t *testing.T) {
	d := open(t)
	for name, first := range map[string]func(*guard.Pending){
		"while it waits":     func(*guard.Pending) {},
		"after the approval": func(p *guard.Pending) { d.approve(t, p) },
	} {
		t.Run(name, func(t *testing.T) {
			p := d.hold(t)
			first(p)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			p.Withdraw(gone, "the client went away") // the caller's context has ended: the store is told all the same
			id := p.Approval().GetId()
			if got := d.state(t, id); got != approvalv1.State_WITHDRAWN {
				t.Errorf("state %v", got)
			}
			if name == "while it waits" {
				_, err := p.Wait(patient(t))
				wantDenied(t, err, guard.Changed, "withdrawn: the client went away")
			}
			d.redis.HSet("sluice:{approval}:a:"+id, "state", "2") // the store is made to say approved
			if err := d.release(t, p); err == nil {
				t.Error("released")
			}
		})
	}
}

func TestWithdrawnWhileTheStoreIsAway(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.approve(t, p)
	d.redis.SetError("LOADING")
	p.Withdraw(t.Context(), "gone")
	d.redis.SetError("")
	if got := d.state(t, p.Approval().GetId()); got != approvalv1.State_APPROVED {
		t.Fatalf("the store heard of it: %v", got)
	}
	if err := d.release(t, p); err == nil {
		t.Error("released")
	}
}

func TestForgedVotesReleaseNothing(t *testing.T) {
	for name, forge := range map[string]func(*testing.T, *door, *approvalv1.Approval){
		"a state": func(*testing.T, *door, *approvalv1.Approval) {},
		"votes with another key": func(t *testing.T, d *door, a *approvalv1.Approval) {
			t.Helper()
			forged(t, d, a, signerOf('x'), "alice", "bob")
		},
		"one person's twice": func(t *testing.T, d *door, a *approvalv1.Approval) {
			t.Helper()
			forged(t, d, a, d.signer, "alice", "alice")
		},
		"the requester's": func(t *testing.T, d *door, a *approvalv1.Approval) {
			t.Helper()
			forged(t, d, a, d.signer, "alice", "agent")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			p := d.hold(t)
			a := p.Approval()
			forge(t, d, a)
			d.redis.HSet("sluice:{approval}:a:"+a.GetId(), "state", "2")
			wantDenied(t, d.release(t, p), guard.Unavailable, "the votes do not bear it")
			if err := d.release(t, p); err == nil {
				t.Error("released")
			}
		})
	}
}

// forged writes votes past the API.
func forged(t *testing.T, d *door, a *approvalv1.Approval, signer *approval.Signer, voters ...string) {
	t.Helper()
	for i, who := range voters {
		v := &approvalv1.Vote{
			ApprovalId: a.GetId(), Voter: human(who), Choice: approvalv1.Vote_APPROVE, At: timestamppb.Now(),
			Digest: a.GetDigest(), RecordedDigest: a.GetRecordedDigest(),
		}
		signer.Sign(v)
		if err := d.store.Vote(t.Context(), v, approvalv1.State_PENDING, i); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutAStoreNothingIsHeldOrReleased(t *testing.T) {
	t.Run("away at the hold", func(t *testing.T) {
		d := open(t)
		asked := d.asked(t, d.admit(t))
		d.redis.SetError("LOADING")
		_, err := d.Hold(t.Context(), asked)
		wantDenied(t, err, guard.Unavailable, "Redis")
	})
	t.Run("away at the release", func(t *testing.T) {
		d := open(t)
		p := d.hold(t)
		d.approve(t, p)
		d.redis.SetError("LOADING")
		wantDenied(t, d.release(t, p), guard.Unavailable, "Redis")
		d.redis.SetError("")
		if err := d.release(t, p); err == nil {
			t.Error("released afterwards")
		}
	})
	t.Run("one that lost the approval", func(t *testing.T) {
		d := open(t)
		p := d.hold(t)
		d.redis.FlushAll()
		_, err := p.Wait(patient(t))
		wantDenied(t, err, guard.Unavailable, "lost the approval")
		wantDenied(t, d.release(t, p), guard.Unavailable, "lost the approval")
	})
	t.Run("one that may lose it", func(t *testing.T) {
		d := open(t)
		asked := d.asked(t, d.admit(t))
		loss := approval.ErrMayLose
		d.durable.Store(&loss)
		_, err := d.Hold(t.Context(), asked)
		wantDenied(t, err, guard.Unavailable, "may lose")
	})
	t.Run("none at all", func(t *testing.T) {
		d := open(t)
		bare := guard.New(d.policies, tokens{}, nil, nil, nil, time.Now)
		_, err := bare.Hold(t.Context(), d.asked(t, d.admit(t)))
		wantDenied(t, err, guard.Unavailable, "not available")
	})
	t.Run("one whose error says more than the agent may know", func(t *testing.T) {
		d := open(t)
		secret := errors.New("dial tcp 10.0.0.7:6379: password is hunter2")
		d.durable.Store(&secret)
		_, err := d.Hold(t.Context(), d.asked(t, d.admit(t)))
		wantDenied(t, err, guard.Unavailable, "internal error")
		if strings.Contains(err.Error(), "hunter2") || !errors.Is(err, secret) {
			t.Errorf("got %q", err)
		}
	})
}

func TestAPolicyThatNowAllowsReleasesWhatItWasBoundTo(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	d.approve(t, p)
	// The statement of this moment needs no approval, and nothing that it was bound to has changed.
	ops := []policies.Operation{{Command: "SELECT", Pairs: []policies.Pair{{Effect: policyv1.Effect_READ, Object: "public.orders"}}}}
	a, v, err := p.Release(t.Context(), ops, nil, binding())
	if err != nil || v.Verdict != policies.Allow || a.GetState() != approvalv1.State_CONSUMED {
		t.Errorf("got %v, %v, %v", a, v.Verdict, err)
	}
}
