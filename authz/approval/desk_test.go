package approval_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/approval/redisstore"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// office is a store, a desk, and people who vote without the service.
type office struct {
	redis  *miniredis.Miniredis
	store  *redisstore.Store
	feed   *approval.Feed
	desk   *approval.Desk
	signer *approval.Signer
	told   *oplogtest.Book // nil: nobody is told
}

func open(t *testing.T) *office {
	t.Helper()
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1, DialTimeout: 200 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	o := &office{redis: m, store: redisstore.New(client), signer: testKey(1)}
	log := slog.New(slog.DiscardHandler)
	o.feed = approval.NewFeed(o.store, log)
	t.Cleanup(o.feed.Close)
	o.desk = approval.NewDesk(o.store, o.feed, approval.NewKeyring(o.signer.Public()), "p1", time.Now, log)
	t.Cleanup(o.desk.Close)
	return o
}

// ask is a request of the agent's.
func ask(t testing.TB, within time.Duration, requirements ...*approvalv1.Requirement) *approvalv1.Approval {
	t.Helper()
	a := held(requirements...)
	var err error
	if a.Id, err = approval.NewID(rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.ExpiresAt = timestamppb.New(time.Now().Add(within))
	return a
}

func (o *office) hold(t testing.TB, within time.Duration, requirements ...*approvalv1.Requirement) *approval.Hold {
	t.Helper()
	h, err := o.desk.Hold(context.Background(), ask(t, within, requirements...))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func living(who *identityv1.Principal) *identityv1.Principal {
	who = proto.CloneOf(who)
	who.ExpiresAt = timestamppb.New(time.Now().Add(time.Hour))
	return who
}

// vote stores a vote as the API would.
func (o *office) vote(t testing.TB, h *approval.Hold, who *identityv1.Principal, signer *approval.Signer, change func(*approvalv1.Vote), next approval.State, seen int) {
	t.Helper()
	v := voteFor(h.Approval(), living(who))
	v.At = timestamppb.Now()
	if change != nil {
		change(v)
	}
	signer.Sign(v)
	if err := o.store.Vote(context.Background(), v, next, seen); err != nil {
		t.Fatal(err)
	}
}

func wait(t testing.TB, h *approval.Hold) *approvalv1.Approval {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	a, err := h.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAHoldThatIsApprovedIsConsumedOnce(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(2, "corp:dba"))
	go func() {
		o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_PENDING, 0)
		o.vote(t, h, human("bob", "dba"), o.signer, nil, approvalv1.State_APPROVED, 1)
	}()
	a := wait(t, h)
	if a.GetState() != approvalv1.State_APPROVED || len(a.GetVotes()) != 2 || a.GetHolder() != "p1" || a.GetDecidedAt() == nil {
		t.Fatalf("got %v", a)
	}
	done, err := h.Consume(t.Context())
	if err != nil || done.GetState() != approvalv1.State_CONSUMED || len(done.GetVotes()) != 2 {
		t.Fatalf("got %v, %v", done, err)
	}
	// The store is made to say approved again: the holder remembers.
	o.redis.HSet("sluice:{approval}:a:"+h.ID(), "state", "2")
	if _, err := h.Consume(t.Context()); !isState(err, approvalv1.State_CONSUMED) {
		t.Errorf("consumed twice: %v", err)
	}
}

func isState(err error, want approval.State) bool {
	var s *approval.StateError
	return errors.As(err, &s) && s.State == want
}

func TestARejectionTellsItsReason(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.vote(t, h, human("alice", "dba"), o.signer, func(v *approvalv1.Vote) {
		v.Choice, v.Reason = approvalv1.Vote_REJECT, "not on a Friday"
	}, approvalv1.State_REJECTED, 0)
	if a := wait(t, h); a.GetState() != approvalv1.State_REJECTED || a.GetReason() != "not on a Friday" {
		t.Errorf("got %v", a)
	}
	if _, err := h.Consume(t.Context()); !isState(err, approvalv1.State_REJECTED) {
		t.Errorf("consumed: %v", err)
	}
}

func TestWhoeverCanWriteToTheStoreCannotApprove(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*approvalv1.Vote)
		signer byte
		want   approval.QuorumFault
	}{
		"a forged vote":               {nil, 9, approval.UnknownKey},
		"a true vote for other bytes": {func(v *approvalv1.Vote) { v.Digest = approval.NewDigest().Sum() }, 1, approval.OtherApproval},
		"a true vote for other words": {func(v *approvalv1.Vote) { v.RecordedDigest = approval.NewDigest().Sum() }, 1, approval.OtherApproval},
		"a true vote of no member":    {func(v *approvalv1.Vote) { v.Voter.Groups = nil }, 1, approval.TooFewVotes},
	} {
		o := open(t)
		h := o.hold(t, time.Minute, need(1, "corp:dba"))
		o.vote(t, h, human("alice", "dba"), testKey(tt.signer), tt.change, approvalv1.State_APPROVED, 0)
		if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
			t.Fatalf("%s: the store does not even say so: %v", name, a)
		}
		if _, err := h.Consume(t.Context()); faultOf(t, err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequirementsAreTheHoldersNotTheStores(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(2, "corp:dba"))
	easier := proto.CloneOf(h.Approval())
	easier.Requirements, easier.State, easier.CreatedAt = []*approvalv1.Requirement{need(1, "corp:dba")}, 0, nil
	body, err := proto.Marshal(easier)
	if err != nil {
		t.Fatal(err)
	}
	o.redis.HSet("sluice:{approval}:a:"+h.ID(), "body", string(body))
	o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	if a := wait(t, h); a.GetRequirements()[0].GetCount() != 2 {
		t.Errorf("got %v", a)
	}
	if _, err := h.Consume(t.Context()); faultOf(t, err) != approval.TooFewVotes {
		t.Errorf("got %v", err)
	}
}

func TestAWithdrawnHoldIsOver(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	if err := h.Withdraw(t.Context(), "client gone"); err != nil {
		t.Fatal(err)
	}
	if err := h.Withdraw(t.Context(), "again"); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := h.Consume(t.Context()); err == nil {
		t.Error("consumed")
	}
	all, err := o.store.Get(t.Context(), h.ID())
	if err != nil || all[0].GetState() != approvalv1.State_WITHDRAWN || all[0].GetReason() != "client gone" {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestWaitEndsWithItsContextAndTheHoldGoesOn(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
		t.Errorf("got %v", a)
	}
}

func TestAHoldExpiresByItselfWithoutTheStore(t *testing.T) {
	t.Parallel()
	o := open(t)
	h := o.hold(t, 400*time.Millisecond, need(1, "corp:dba"))
	o.redis.Close()
	if a := wait(t, h); a.GetState() != approvalv1.State_EXPIRED {
		t.Errorf("got %v", a)
	}
	if _, err := h.Consume(t.Context()); !errors.Is(err, approval.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := h.Withdraw(t.Context(), "x"); !errors.Is(err, approval.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAWaitSurvivesAnOutageOfTheStore(t *testing.T) {
	t.Parallel()
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.redis.Close()
	if _, err := o.desk.Hold(t.Context(), ask(t, time.Minute, need(1, "corp:dba"))); !errors.Is(err, approval.ErrUnavailable) {
		t.Errorf("a hold without a store: %v", err)
	}
	time.Sleep(1200 * time.Millisecond) // long enough for the poller to notice
	if err := o.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
		t.Errorf("got %v", a)
	}
	if _, err := h.Consume(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAHoldThatTheStoreLostIsNotReleased(t *testing.T) {
	t.Parallel()
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.redis.FlushAll()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// Another one moves the history on, so that it is seen to be another history.
	o.hold(t, time.Minute, need(1, "corp:dba"))
	o.redis.Close()
	time.Sleep(1200 * time.Millisecond)
	if err := o.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Wait(ctx); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Consume(t.Context()); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedDeskEndsWaits(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.desk.Close()
	if _, err := h.Wait(t.Context()); !errors.Is(err, approval.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAThousandHoldsShareOneSubscription(t *testing.T) {
	t.Parallel()
	o := open(t)
	n := 1000
	if testing.Short() {
		n = 100
	}
	holds := make([]*approval.Hold, n)
	for i := range holds {
		holds[i] = o.hold(t, 5*time.Minute, need(1, "corp:dba"))
	}
	var wg sync.WaitGroup
	for _, h := range holds {
		wg.Go(func() {
			if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
				t.Errorf("got %v", a)
			}
		})
	}
	if subs := o.redis.PubSubNumSub("sluice:{approval}:changed")["sluice:{approval}:changed"]; subs != 1 {
		t.Errorf("%d subscriptions", subs)
	}
	before := o.redis.CommandCount()
	time.Sleep(2500 * time.Millisecond)
	if idle := o.redis.CommandCount() - before; idle > 100 {
		t.Errorf("%d commands in 2.5 s for holds that nothing happens to", idle)
	}
	for _, h := range holds {
		o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	}
	wg.Wait()
}

func TestAnIncompleteApprovalIsNotHeld(t *testing.T) {
	o := open(t)
	for name, change := range map[string]func(*approvalv1.Approval){
		"no id":           func(a *approvalv1.Approval) { a.Id = "" },
		"no requester":    func(a *approvalv1.Approval) { a.Requester = nil },
		"no requirements": func(a *approvalv1.Approval) { a.Requirements = nil },
		"no groups": func(a *approvalv1.Approval) {
			a.Requirements = append(a.Requirements, &approvalv1.Requirement{Count: 1})
		},
		"no deadline":        func(a *approvalv1.Approval) { a.ExpiresAt = nil },
		"deadline passed":    func(a *approvalv1.Approval) { a.ExpiresAt = timestamppb.New(time.Now().Add(-time.Second)) },
		"no digest":          func(a *approvalv1.Approval) { a.Digest = nil },
		"no recorded digest": func(a *approvalv1.Approval) { a.RecordedDigest = nil },
		"another action":     func(a *approvalv1.Approval) { a.Action.Text = "drop table orders" },
	} {
		a := ask(t, time.Minute, need(1, "corp:dba"))
		change(a)
		if _, err := o.desk.Hold(t.Context(), a); !errors.Is(err, approval.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConcurrentConsumersOfOneHoldReleaseOnce(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.vote(t, h, human("alice", "dba"), o.signer, nil, approvalv1.State_APPROVED, 0)
	results := make(chan error, 10)
	for range cap(results) {
		go func() {
			_, err := h.Consume(context.Background())
			results <- err
		}()
	}
	released := 0
	for range cap(results) {
		if err := <-results; err == nil {
			released++
		} else if !isState(err, approvalv1.State_CONSUMED) {
			t.Error(fmt.Errorf("a loser got %w", err))
		}
	}
	if released != 1 {
		t.Errorf("released %d times", released)
	}
}
