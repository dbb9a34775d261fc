package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

// NewApproval is a complete approval that ends in d by the store's clock.
func NewApproval(t testing.TB, store approval.Store, d time.Duration) *approvalv1.Approval {
	t.Helper()
	now, err := store.ServerTime(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id, err := approval.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := approval.NewNonce(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	action := &approvalv1.Action{
		Summary: "DELETE", Text: "delete from orders where note = '\x00\xe2\x80\xae'",
		Parameters: []*approvalv1.Parameter{{Type: "int4", Value: "7"}, {Type: "text", IsNull: true}},
		Details:    []*approvalv1.Detail{{Name: "database", Value: "orders"}},
	}
	return &approvalv1.Approval{
		Id: id, Target: "orders", SessionId: "s1", Action: action, Rules: []string{"writes-are-held"}, BundleVersion: "b1",
		Requester:      &identityv1.Principal{Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "agent", Groups: []string{"agents"}, Kind: identityv1.Principal_MACHINE},
		Requirements:   []*approvalv1.Requirement{{Groups: []string{"corp:dba"}, Count: 2}},
		ExpiresAt:      timestamppb.New(now.Add(d)),
		Digest:         approval.NewDigest().Field("nonce", nonce).Sum(),
		RecordedDigest: approval.RecordedDigest(action),
		Warnings:       []string{"locks are held"}, Holder: "p1",
	}
}

func vote(a *approvalv1.Approval, who string, c approvalv1.Vote_Choice) *approvalv1.Vote {
	return &approvalv1.Vote{
		ApprovalId: a.GetId(), Choice: c, Reason: "because " + who, Digest: a.GetDigest(), RecordedDigest: a.GetRecordedDigest(),
		Voter:     &identityv1.Principal{Issuer: "corp", IssuerUrl: "https://idp.example", Subject: who, Groups: []string{"dba"}, Kind: identityv1.Principal_HUMAN},
		Signature: []byte{0, 1, 0xff},
	}
}

func create(t testing.TB, s approval.Store, d time.Duration) *approvalv1.Approval {
	t.Helper()
	a := NewApproval(t, s, d)
	if _, err := s.Create(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func get(t testing.TB, s approval.Store, id string) *approvalv1.Approval {
	t.Helper()
	all, err := s.Get(context.Background(), id)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d approvals, %v", len(all), err)
	}
	return all[0]
}

func wantState(t testing.TB, s approval.Store, id string, want approval.State) {
	t.Helper()
	if got := get(t, s, id).GetState(); got != want {
		t.Errorf("state %v, want %v", got, want)
	}
}

func wantStateError(t testing.TB, err error, want approval.State) {
	t.Helper()
	var state *approval.StateError
	if !errors.As(err, &state) || state.State != want {
		t.Errorf("got %v, want a state error of %v", err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
