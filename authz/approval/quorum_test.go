package approval_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

const (
	goldenDigest   = "af42ca981eb0d72a3d0fcd0956d5acea06b0cc07fd8fe9db32b99d7af2f3196f"
	goldenRecorded = "66255d9f57b0f768227dfb8b166ceefa709a690252755cfae87fcf5867544df8"
	goldenVote     = "fc86cdaf67618f526ef6c2e0fcde4efcb08e64b326858c24ed9413089a5b3e82"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func human(subject string, groups ...string) *identityv1.Principal {
	return &identityv1.Principal{
		Issuer: "corp", IssuerUrl: "https://idp.example", Subject: subject, Groups: groups,
		Kind: identityv1.Principal_HUMAN, ExpiresAt: timestamppb.New(noon.Add(time.Hour)), DisplayName: subject,
	}
}

func testKey(seed byte) *approval.Signer {
	return approval.NewSigner(ed25519.NewKeyFromSeed(append(make([]byte, 31), seed)))
}

// held is an approval as its holder knows it.
func held(requirements ...*approvalv1.Requirement) *approvalv1.Approval {
	action := &approvalv1.Action{Summary: "DELETE", Text: "delete from orders"}
	return &approvalv1.Approval{
		Id: "A1", State: approvalv1.State_APPROVED, Requester: &identityv1.Principal{Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "agent"},
		Action: action, Requirements: requirements,
		CreatedAt: timestamppb.New(noon), ExpiresAt: timestamppb.New(noon.Add(15 * time.Minute)),
		Digest: approval.NewDigest().Field("nonce", []byte("n")).Sum(), RecordedDigest: approval.RecordedDigest(action),
	}
}

func need(count uint32, groups ...string) *approvalv1.Requirement {
	return &approvalv1.Requirement{Groups: groups, Count: count}
}

func voteFor(a *approvalv1.Approval, who *identityv1.Principal) *approvalv1.Vote {
	return &approvalv1.Vote{
		ApprovalId: a.GetId(), Voter: who, Choice: approvalv1.Vote_APPROVE, Reason: "fine", At: timestamppb.New(noon.Add(time.Minute)),
		Digest: a.GetDigest(), RecordedDigest: a.GetRecordedDigest(),
	}
}

func goodVote() *approvalv1.Vote {
	v := voteFor(held(need(1, "corp:dba")), human("alice", "dba", "oncall"))
	testKey(1).Sign(v)
	return v
}

func faultOf(t *testing.T, err error) approval.QuorumFault {
	t.Helper()
	if err == nil {
		return 0
	}
	var q *approval.QuorumError
	if !errors.As(err, &q) {
		t.Fatalf("%v is no quorum error", err)
	}
	return q.Fault
}

func TestAQuorumIsAcceptedAndWhateverIsNotRightSpoilsIt(t *testing.T) {
	signer := testKey(1)
	keys := approval.NewKeyring(signer.Public())
	for name, tt := range map[string]struct {
		change func(a *approvalv1.Approval, v *approvalv1.Vote) // before signing
		forge  func(v *approvalv1.Vote)                         // after signing
		now    time.Time
		want   approval.QuorumFault
	}{
		"good":                    {},
		"past the deadline now":   {now: noon.Add(15 * time.Minute), want: approval.PastDeadline},
		"voted past the deadline": {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.At = timestamppb.New(noon.Add(15 * time.Minute)) }, want: approval.PastDeadline},
		"voted at no time":        {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.At = nil }, want: approval.PastDeadline},
		"a no":                    {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Choice = approvalv1.Vote_REJECT }, want: approval.Rejected},
		"no choice":               {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Choice = 0 }, want: approval.Rejected},
		"another approval":        {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.ApprovalId = "A2" }, want: approval.OtherApproval},
		"other bytes":             {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) { a.Digest = approval.NewDigest().Sum() }, want: approval.OtherApproval},
		"other words":             {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) { a.RecordedDigest = approval.NewDigest().Sum() }, want: approval.OtherApproval},
		"no digests at all":       {change: func(a *approvalv1.Approval, v *approvalv1.Vote) { a.Digest, v.Digest = nil, nil }, want: approval.OtherApproval},
		"a machine":               {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.Kind = identityv1.Principal_MACHINE }, want: approval.NotHuman},
		"of no kind":              {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.Kind = 0 }, want: approval.NotHuman},
		"the requester":           {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) { a.Requester.Subject = "alice" }, want: approval.OwnRequest},
		"the requester, as other": {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) {
			a.Requester = human("alice")
			a.Requester.Issuer = "renamed"
		}, want: approval.OwnRequest},
		"a namesake elsewhere": {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) {
			a.Requester = human("alice")
			a.Requester.IssuerUrl = "https://other.example"
		}},
		"an expired token":         {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.ExpiresAt = v.At }, want: approval.VoterExpired},
		"a token without end":      {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.ExpiresAt = nil }, want: approval.VoterExpired},
		"no member":                {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.Groups = []string{"dbas", "corp:dba"} }, want: approval.TooFewVotes},
		"member at another issuer": {change: func(_ *approvalv1.Approval, v *approvalv1.Vote) { v.Voter.Issuer = "partner" }, want: approval.TooFewVotes},
		"nothing required":         {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) { a.Requirements = nil }, want: approval.NoRequirements},
		"two required":             {change: func(a *approvalv1.Approval, _ *approvalv1.Vote) { a.Requirements[0].Count = 2 }, want: approval.TooFewVotes},
		"signed by another key":    {forge: func(v *approvalv1.Vote) { testKey(2).Sign(v) }, want: approval.UnknownKey},
		"another key, our id":      {forge: func(v *approvalv1.Vote) { id := v.GetKeyId(); testKey(2).Sign(v); v.KeyId = id }, want: approval.BadSignature},
		"not signed":               {forge: func(v *approvalv1.Vote) { v.Signature = nil }, want: approval.BadSignature},
		"changed after signing":    {forge: func(v *approvalv1.Vote) { v.Voter.Groups = append(v.Voter.Groups, "x") }, want: approval.BadSignature},
	} {
		a := held(need(1, "corp:dba"))
		v := voteFor(a, human("alice", "dba"))
		if tt.change != nil {
			tt.change(a, v)
		}
		signer.Sign(v)
		if tt.forge != nil {
			tt.forge(v)
		}
		a.Votes = []*approvalv1.Vote{v}
		now := tt.now
		if now.IsZero() {
			now = noon.Add(2 * time.Minute)
		}
		if got := faultOf(t, approval.VerifyQuorum(a, keys, now)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestOneBadVoteBesideAQuorumSpoilsIt(t *testing.T) {
	signer := testKey(1)
	a := held(need(1, "corp:dba"))
	good, bad := voteFor(a, human("alice", "dba")), voteFor(a, human("bob", "dba"))
	signer.Sign(good)
	testKey(2).Sign(bad)
	a.Votes = []*approvalv1.Vote{good, bad}
	err := approval.VerifyQuorum(a, approval.NewKeyring(signer.Public()), noon)
	if faultOf(t, err) != approval.UnknownKey {
		t.Errorf("got %v", err)
	}
}

func TestWhoMeetsWhatRequirements(t *testing.T) {
	alice, bob, carol := human("alice", "dba", "sec"), human("bob", "dba"), human("carol", "sec")
	for name, tt := range map[string]struct {
		need   []*approvalv1.Requirement
		voters []*identityv1.Principal
		want   bool
	}{
		"one of one":                      {[]*approvalv1.Requirement{need(1, "corp:dba")}, []*identityv1.Principal{bob}, true},
		"count 0 is 1":                    {[]*approvalv1.Requirement{need(0, "corp:dba")}, nil, false},
		"one person twice is one":         {[]*approvalv1.Requirement{need(2, "corp:dba")}, []*identityv1.Principal{bob, proto.CloneOf(bob)}, false},
		"two people":                      {[]*approvalv1.Requirement{need(2, "corp:dba")}, []*identityv1.Principal{alice, bob}, true},
		"any of the groups":               {[]*approvalv1.Requirement{need(2, "corp:dba", "corp:sec")}, []*identityv1.Principal{bob, carol}, true},
		"one person serves one only":      {[]*approvalv1.Requirement{need(1, "corp:dba"), need(1, "corp:sec")}, []*identityv1.Principal{alice}, false},
		"the greedy choice must be moved": {[]*approvalv1.Requirement{need(1, "corp:dba"), need(1, "corp:sec")}, []*identityv1.Principal{alice, bob}, true},
		"moved the other way":             {[]*approvalv1.Requirement{need(1, "corp:sec"), need(1, "corp:dba")}, []*identityv1.Principal{alice, carol}, true},
		"all three":                       {[]*approvalv1.Requirement{need(2, "corp:dba"), need(1, "corp:sec")}, []*identityv1.Principal{alice, bob, carol}, true},
		"same group twice":                {[]*approvalv1.Requirement{need(1, "corp:dba"), need(1, "corp:dba")}, []*identityv1.Principal{alice, carol}, false},
	} {
		if got := approval.Satisfied(tt.need, tt.voters) == 0; got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The matching is compared with trying every assignment.
func TestSatisfiedAgreesWithTryingEverything(t *testing.T) {
	groups := []string{"a", "b", "c"}
	rapid.Check(t, func(rt *rapid.T) {
		var people []*identityv1.Principal
		for i := range rapid.IntRange(0, 5).Draw(rt, "people") {
			people = append(people, human(fmt.Sprint(i), rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 0, 3, rapid.ID).Draw(rt, "groups")...))
		}
		var needs []*approvalv1.Requirement
		var seats []*approvalv1.Requirement
		for range rapid.IntRange(1, 3).Draw(rt, "needs") {
			r := need(rapid.Uint32Range(1, 2).Draw(rt, "count"))
			for _, g := range rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 1, 3, rapid.ID).Draw(rt, "of") {
				r.Groups = append(r.Groups, "corp:"+g)
			}
			needs = append(needs, r)
			for range r.GetCount() {
				seats = append(seats, r)
			}
		}
		var try func(seat int, used map[int]bool) bool
		try = func(seat int, used map[int]bool) bool {
			if seat == len(seats) {
				return true
			}
			for i, p := range people {
				fits := false
				for _, g := range p.GetGroups() {
					for _, want := range seats[seat].GetGroups() {
						fits = fits || "corp:"+g == want
					}
				}
				if fits && !used[i] {
					used[i] = true
					if try(seat+1, used) {
						return true
					}
					delete(used, i)
				}
			}
			return false
		}
		if got, want := approval.Satisfied(needs, people) == 0, try(0, map[int]bool{}); got != want {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestEveryFieldOfAVoteIsSigned(t *testing.T) {
	base := string(approval.SigningBytes(goodVote()))
	for name, change := range map[string]func(*approvalv1.Vote){
		"approval":     func(v *approvalv1.Vote) { v.ApprovalId = "x" },
		"issuer":       func(v *approvalv1.Vote) { v.Voter.Issuer = "x" },
		"issuer url":   func(v *approvalv1.Vote) { v.Voter.IssuerUrl = "x" },
		"subject":      func(v *approvalv1.Vote) { v.Voter.Subject = "x" },
		"groups":       func(v *approvalv1.Vote) { v.Voter.Groups = []string{"dba"} },
		"groups moved": func(v *approvalv1.Vote) { v.Voter.Groups = []string{"dbaon", "call"} },
		"kind":         func(v *approvalv1.Vote) { v.Voter.Kind = 1 },
		"token's end":  func(v *approvalv1.Vote) { v.Voter.ExpiresAt.Seconds++ },
		"name":         func(v *approvalv1.Vote) { v.Voter.DisplayName = "x" },
		"choice":       func(v *approvalv1.Vote) { v.Choice = approvalv1.Vote_REJECT },
		"reason":       func(v *approvalv1.Vote) { v.Reason = "x" },
		"second":       func(v *approvalv1.Vote) { v.At.Seconds++ },
		"nanosecond":   func(v *approvalv1.Vote) { v.At.Nanos++ },
		"digest":       func(v *approvalv1.Vote) { v.Digest[0] ^= 1 },
		"recorded":     func(v *approvalv1.Vote) { v.RecordedDigest[0] ^= 1 },
		"key":          func(v *approvalv1.Vote) { v.KeyId = "x" },
	} {
		v := goodVote()
		change(v)
		if string(approval.SigningBytes(v)) == base {
			t.Errorf("%s is not signed", name)
		}
	}
	if want := goodVote().ProtoReflect().Descriptor().Fields().Len(); want != 9 {
		t.Errorf("a vote has %d fields: is the new one signed?", want)
	}
	if want := (&identityv1.Principal{}).ProtoReflect().Descriptor().Fields().Len(); want != 7 {
		t.Errorf("a principal has %d fields: is the new one signed?", want)
	}
}

func TestAVoteKeyIsMadeOnceAndKeptToItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "vote.key")
	signers := make([]*approval.Signer, 8)
	var wg sync.WaitGroup
	for i := range signers {
		wg.Go(func() {
			var err error
			if signers[i], err = approval.OpenSigner(path, rand.Reader); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, s := range signers {
		if !s.Public().Equal(signers[0].Public()) {
			t.Fatal("two processes have two keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 2 {
		t.Errorf("files %v, %v", left, err)
	}
	keys, err := approval.LoadKeyring(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	a := held(need(1, "corp:dba"))
	v := voteFor(a, human("alice", "dba"))
	signers[0].Sign(v)
	a.Votes = []*approvalv1.Vote{v}
	if err := approval.VerifyQuorum(a, keys, noon); err != nil {
		t.Error(err)
	}

	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := approval.OpenSigner(path, rand.Reader); err == nil {
		t.Error("a key that others may read was used")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := approval.OpenSigner(bad, rand.Reader); err == nil {
		t.Error("nonsense was a key")
	}
	if _, err := approval.LoadKeyring(bad); err == nil {
		t.Error("nonsense was a public key")
	}
	if _, err := approval.LoadKeyring(path); err == nil {
		t.Error("a private key was a public key")
	}
	if _, err := approval.LoadKeyring(); err == nil {
		t.Error("no keys were a keyring")
	}
}
