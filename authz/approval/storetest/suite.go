package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

// Harness is a store under test.
type Harness struct {
	// Store is empty.
	Store approval.Store
	// Advance moves the store's clock on. Nil: its clock is the real one, and the suite sleeps.
	Advance func(time.Duration)
}

func (h Harness) wait(d time.Duration) {
	if h.Advance == nil {
		time.Sleep(d)
		return
	}
	h.Advance(d)
}

// Run runs the suite. start gives an empty store each time.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Harness){
		"WhatIsCreatedIsRead":                       createAndGet,
		"CreateIsIdempotentAndIDsAreTakenOnce":      createTwice,
		"MissingApprovalsAreLeftOutOrUnspecified":   missing,
		"VotesAddUpAndDecide":                       votes,
		"AVoteOnAnOldViewConflicts":                 conflict,
		"OfConcurrentVotesOnOneViewOneIsTaken":      concurrentVotes,
		"OfConcurrentConsumersOneSucceeds":          concurrentConsume,
		"WhatIsPastItsDeadlineIsExpired":            deadline,
		"AWithdrawnApprovalIsNeverConsumed":         withdraw,
		"ListIsNewestFirstInPagesAndByState":        list,
		"ChangesAreToldOnceEachInPages":             changes,
		"ChangesOfALostHistoryAreAReset":            lostHistory,
		"DeadlinesAreChangesWithoutAnybodyReading":  deadlineChange,
		"WatchHintsAndEndsWithItsContext":           watch,
		"TheStatesFollowTheMachineWhateverIsCalled": model,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

func createAndGet(t *testing.T, h Harness) {
	a := NewApproval(t, h.Store, time.Minute)
	before, err := h.Store.ServerTime(t.Context())
	must(t, err)
	created, err := h.Store.Create(t.Context(), a)
	must(t, err)
	if created.Before(before.Truncate(time.Millisecond)) || created.After(before.Add(time.Minute)) {
		t.Errorf("created at %v, the store's time was %v", created, before)
	}
	want := proto.CloneOf(a)
	want.State, want.CreatedAt = approvalv1.State_PENDING, timestamppb.New(created)
	if got := get(t, h.Store, a.GetId()); !proto.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func createTwice(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	if _, err := h.Store.Create(t.Context(), a); err != nil {
		t.Errorf("the same again: %v", err)
	}
	other := proto.CloneOf(a)
	other.Target = "elsewhere"
	if _, err := h.Store.Create(t.Context(), other); !errors.Is(err, approval.ErrExists) {
		t.Errorf("another one with its id: %v", err)
	}
	if _, err := h.Store.Create(t.Context(), NewApproval(t, h.Store, -time.Second)); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("one whose deadline has passed: %v", err)
	}
	page, err := h.Store.List(t.Context(), approval.Query{Limit: 10})
	must(t, err)
	if len(page.IDs) != 1 {
		t.Errorf("%d in the list", len(page.IDs))
	}
}

func missing(t *testing.T, h Harness) {
	a, b := create(t, h.Store, time.Minute), create(t, h.Store, time.Minute)
	all, err := h.Store.Get(t.Context(), b.GetId(), "absent", a.GetId())
	must(t, err)
	if len(all) != 2 || all[0].GetId() != b.GetId() || all[1].GetId() != a.GetId() {
		t.Errorf("got %v", all)
	}
	progress, err := h.Store.Progress(t.Context(), []string{"absent", a.GetId()})
	must(t, err)
	if len(progress) != 2 || progress[0].State != 0 || progress[0].ID != "absent" || progress[1].State != approvalv1.State_PENDING {
		t.Errorf("got %+v", progress)
	}
	for name, err := range map[string]error{
		"vote":     h.Store.Vote(t.Context(), &approvalv1.Vote{ApprovalId: "absent"}, approvalv1.State_APPROVED, 0),
		"withdraw": h.Store.Withdraw(t.Context(), "absent", ""),
		"consume":  h.Store.Consume(t.Context(), "absent"),
	} {
		if !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func votes(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	alice, bob := vote(a, "alice", approvalv1.Vote_APPROVE), vote(a, "bob", approvalv1.Vote_APPROVE)
	must(t, h.Store.Vote(t.Context(), alice, approvalv1.State_PENDING, 0))
	wantState(t, h.Store, a.GetId(), approvalv1.State_PENDING)
	wantStateError(t, h.Store.Consume(t.Context(), a.GetId()), approvalv1.State_PENDING)
	must(t, h.Store.Vote(t.Context(), bob, approvalv1.State_APPROVED, 1))
	got := get(t, h.Store, a.GetId())
	if got.GetState() != approvalv1.State_APPROVED || got.GetDecidedAt() == nil || len(got.GetVotes()) != 2 ||
		!proto.Equal(got.GetVotes()[0], alice) || !proto.Equal(got.GetVotes()[1], bob) {
		t.Errorf("got %v", got)
	}
	progress, err := h.Store.Progress(t.Context(), []string{a.GetId()})
	must(t, err)
	p := progress[0]
	if p.State != approvalv1.State_APPROVED || len(p.Votes) != 2 || !proto.Equal(p.Votes[1], bob) || !p.DecidedAt.Equal(got.GetDecidedAt().AsTime()) {
		t.Errorf("got %+v", p)
	}
	wantStateError(t, h.Store.Vote(t.Context(), vote(a, "carol", approvalv1.Vote_REJECT), approvalv1.State_REJECTED, 2), approvalv1.State_APPROVED)

	b := create(t, h.Store, time.Minute)
	must(t, h.Store.Vote(t.Context(), vote(b, "alice", approvalv1.Vote_REJECT), approvalv1.State_REJECTED, 0))
	if got := get(t, h.Store, b.GetId()); got.GetState() != approvalv1.State_REJECTED || got.GetReason() != "because alice" {
		t.Errorf("got %v", got)
	}
	if err := h.Store.Vote(t.Context(), vote(b, "bob", approvalv1.Vote_APPROVE), approvalv1.State_CONSUMED, 1); !errors.Is(err, approval.ErrInvalid) {
		t.Errorf("a vote that consumes: %v", err)
	}
}

func conflict(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	must(t, h.Store.Vote(t.Context(), vote(a, "alice", approvalv1.Vote_APPROVE), approvalv1.State_PENDING, 0))
	if err := h.Store.Vote(t.Context(), vote(a, "bob", approvalv1.Vote_APPROVE), approvalv1.State_PENDING, 0); !errors.Is(err, approval.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if n := len(get(t, h.Store, a.GetId()).GetVotes()); n != 1 {
		t.Errorf("%d votes", n)
	}
}

func concurrently(n int, f func() bool) int64 {
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if f() {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	return ok.Load()
}

func concurrentVotes(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	if n := concurrently(20, func() bool {
		return h.Store.Vote(t.Context(), vote(a, "alice", approvalv1.Vote_APPROVE), approvalv1.State_PENDING, 0) == nil
	}); n != 1 {
		t.Errorf("%d votes were taken", n)
	}
}

func concurrentConsume(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	must(t, h.Store.Vote(t.Context(), vote(a, "alice", approvalv1.Vote_APPROVE), approvalv1.State_APPROVED, 0))
	if n := concurrently(20, func() bool { return h.Store.Consume(t.Context(), a.GetId()) == nil }); n != 1 {
		t.Errorf("consumed %d times", n)
	}
	wantState(t, h.Store, a.GetId(), approvalv1.State_CONSUMED)
	wantStateError(t, h.Store.Withdraw(t.Context(), a.GetId(), ""), approvalv1.State_CONSUMED)
}

func deadline(t *testing.T, h Harness) {
	pending, approved := create(t, h.Store, 500*time.Millisecond), create(t, h.Store, 500*time.Millisecond)
	must(t, h.Store.Vote(t.Context(), vote(approved, "alice", approvalv1.Vote_APPROVE), approvalv1.State_APPROVED, 0))
	h.wait(600 * time.Millisecond)
	wantStateError(t, h.Store.Consume(t.Context(), approved.GetId()), approvalv1.State_EXPIRED)
	wantStateError(t, h.Store.Vote(t.Context(), vote(pending, "alice", approvalv1.Vote_APPROVE), approvalv1.State_APPROVED, 0), approvalv1.State_EXPIRED)
	for _, a := range []*approvalv1.Approval{pending, approved} {
		wantState(t, h.Store, a.GetId(), approvalv1.State_EXPIRED)
	}
}

func withdraw(t *testing.T, h Harness) {
	a := create(t, h.Store, time.Minute)
	must(t, h.Store.Vote(t.Context(), vote(a, "alice", approvalv1.Vote_APPROVE), approvalv1.State_APPROVED, 0))
	must(t, h.Store.Withdraw(t.Context(), a.GetId(), "client gone"))
	wantStateError(t, h.Store.Consume(t.Context(), a.GetId()), approvalv1.State_WITHDRAWN)
	if got := get(t, h.Store, a.GetId()); got.GetState() != approvalv1.State_WITHDRAWN || got.GetReason() != "client gone" {
		t.Errorf("got %v", got)
	}
}

func list(t *testing.T, h Harness) {
	var ids []string
	for range 7 {
		ids = append(ids, create(t, h.Store, time.Minute).GetId())
	}
	slices.Reverse(ids) // newest first
	must(t, h.Store.Withdraw(t.Context(), ids[2], ""))
	must(t, h.Store.Vote(t.Context(), &approvalv1.Vote{ApprovalId: ids[4]}, approvalv1.State_APPROVED, 0))
	read := func(q approval.Query) []string {
		var out []string
		for {
			page, err := h.Store.List(t.Context(), q)
			must(t, err)
			if len(page.IDs) > q.Limit || len(page.IDs) != len(page.Positions) {
				t.Fatalf("page %+v", page)
			}
			out = append(out, page.IDs...)
			if !page.More {
				return out
			}
			q.Before = page.Positions[len(page.Positions)-1]
		}
	}
	if got := read(approval.Query{Limit: 3}); !slices.Equal(got, ids) {
		t.Errorf("all: %v, want %v", got, ids)
	}
	if got := read(approval.Query{Limit: 7}); !slices.Equal(got, ids) {
		t.Errorf("all in one page: %v, want %v", got, ids)
	}
	if got, want := read(approval.Query{Limit: 1, States: []approval.State{approvalv1.State_WITHDRAWN, approvalv1.State_APPROVED}}), []string{ids[2], ids[4]}; !slices.Equal(got, want) {
		t.Errorf("withdrawn and approved: %v, want %v", got, want)
	}
	if got := read(approval.Query{Limit: 10, States: []approval.State{approvalv1.State_PENDING}}); len(got) != 5 {
		t.Errorf("pending: %v", got)
	}
}

func changes(t *testing.T, h Harness) {
	create(t, h.Store, time.Minute)
	c, err := h.Store.Changes(t.Context(), approval.FromNow)
	must(t, err)
	if len(c.IDs) != 0 || c.Reset || c.More {
		t.Errorf("from now: %+v", c)
	}
	want := map[string]bool{}
	for range 1100 {
		want[create(t, h.Store, time.Minute).GetId()] = true
	}
	pages := 0
	for more := true; more; pages++ {
		after := c.Seq
		c, err = h.Store.Changes(t.Context(), after)
		must(t, err)
		for _, id := range c.IDs {
			if !want[id] {
				t.Fatalf("%s was not asked for, or told before", id)
			}
			delete(want, id)
		}
		more = c.More
	}
	if len(want) != 0 || pages < 2 {
		t.Errorf("%d were not told, in %d pages", len(want), pages)
	}
	c, err = h.Store.Changes(t.Context(), c.Seq)
	must(t, err)
	if len(c.IDs) != 0 {
		t.Errorf("told again: %v", c.IDs)
	}
}

func lostHistory(t *testing.T, h Harness) {
	create(t, h.Store, time.Minute)
	c, err := h.Store.Changes(t.Context(), 1_000_000)
	must(t, err)
	if !c.Reset {
		t.Errorf("got %+v", c)
	}
}

func deadlineChange(t *testing.T, h Harness) {
	a := create(t, h.Store, 300*time.Millisecond)
	c, err := h.Store.Changes(t.Context(), approval.FromNow)
	must(t, err)
	h.wait(400 * time.Millisecond)
	c, err = h.Store.Changes(t.Context(), c.Seq)
	must(t, err)
	if !slices.Equal(c.IDs, []string{a.GetId()}) {
		t.Errorf("got %+v", c)
	}
	page, err := h.Store.List(t.Context(), approval.Query{Limit: 10, States: []approval.State{approvalv1.State_EXPIRED}})
	must(t, err)
	if !slices.Equal(page.IDs, []string{a.GetId()}) {
		t.Errorf("expired: %v", page.IDs)
	}
}

func watch(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hints := h.Store.Watch(ctx)
	deadline := time.After(10 * time.Second)
	// The first hint may be that the watch has begun: changes go on until one comes after it.
	for heard := 0; heard < 2; {
		create(t, h.Store, time.Minute)
		select {
		case <-hints:
			heard++
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatal("no hint")
		}
	}
	cancel()
	for {
		select {
		case _, ok := <-hints:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("the watch did not end")
		}
	}
}
