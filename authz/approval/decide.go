package approval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/oplog"
)

const (
	maxReason = 1024 // characters, as in the schema
	// maxTries bounds how often a vote is tried again because others voted in between.
	maxTries = 20
)

// Decide implements the service. The vote is signed here; the holder checks it again.
func (s *Service) Decide(ctx context.Context, req *connect.Request[approvalv1.DecideRequest]) (*connect.Response[approvalv1.DecideResponse], error) {
	who, err := s.who(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkRequest(req.Msg); err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	for range maxTries {
		a, err := s.one(ctx, req.Msg.GetId())
		if err != nil {
			return nil, err
		}
		if err := s.mayDecide(who, a, req.Msg); err != nil {
			s.tell(who, a, req.Msg.GetChoice(), oplog.Refused)
			return nil, err
		}
		if voted(who, a, req.Msg.GetChoice()) { // the answer to the first try was lost
			return connect.NewResponse(&approvalv1.DecideResponse{Approval: a}), nil
		}
		err = s.vote(ctx, who, a, req.Msg)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		a, err = s.one(ctx, req.Msg.GetId())
		if err != nil {
			return nil, err
		}
		s.tell(who, a, req.Msg.GetChoice(), Word(a.GetState()))
		return connect.NewResponse(&approvalv1.DecideResponse{Approval: a}), nil
	}
	return nil, connect.NewError(connect.CodeUnavailable, errors.New("others vote at the same time; try again"))
}

// tell tells operators of a vote, without the words that people give for it.
func (s *Service) tell(who *identityv1.Principal, a *approvalv1.Approval, choice approvalv1.Vote_Choice, state string) {
	s.told.Voted(&oplog.Vote{
		Approval: a.GetId(), Target: a.GetTarget(), Rules: a.GetRules(), Voter: who, Choice: strings.ToLower(choice.String()), State: state,
	})
}

func checkRequest(req *approvalv1.DecideRequest) error {
	switch {
	case req.GetChoice() != approvalv1.Vote_APPROVE && req.GetChoice() != approvalv1.Vote_REJECT:
		return errors.New("choice must be APPROVE or REJECT")
	case utf8.RuneCountInString(req.GetReason()) > maxReason:
		return fmt.Errorf("reason has more than %d characters", maxReason)
	case req.GetChoice() == approvalv1.Vote_REJECT && strings.TrimSpace(req.GetReason()) == "":
		return errors.New("a rejection needs a reason: the requester reads it")
	}
	return nil
}

// mayDecide says why somebody may not decide an approval as it is now.
func (s *Service) mayDecide(who *identityv1.Principal, a *approvalv1.Approval, req *approvalv1.DecideRequest) error {
	deny := func(format string, args ...any) error {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf(format, args...))
	}
	switch {
	case !s.mayKnow(who, a) && !memberOfAny(who, a):
		return notFound() // whether it exists is not for the caller to know, as with Get
	case personOf(who) == personOf(a.GetRequester()):
		return deny("you asked for it yourself: somebody else must decide")
	case who.GetKind() != identityv1.Principal_HUMAN:
		return deny("machines cannot decide")
	case !eligible(who, a):
		return deny("you are in none of the groups that can decide: %s", strings.Join(groupsOf(a), ", "))
	}
	refuse := func(err error) error { return connect.NewError(connect.CodeFailedPrecondition, err) }
	switch {
	case !intact(a):
		return refuse(errors.New("the action is not what was recorded; it cannot be decided"))
	case len(req.GetDigest()) > 0 && !bytes.Equal(req.GetDigest(), a.GetDigest()),
		len(req.GetRecordedDigest()) > 0 && !bytes.Equal(req.GetRecordedDigest(), a.GetRecordedDigest()):
		return refuse(errors.New("what you were shown is not what is held; look at it again"))
	case voted(who, a, req.GetChoice()):
		return nil
	case a.GetState() != approvalv1.State_PENDING:
		return refuse(&StateError{State: a.GetState()})
	case hasVoted(who, a):
		return refuse(errors.New("you have voted already"))
	case len(a.GetVotes()) >= maxVotes:
		return refuse(errors.New("it has too many votes"))
	case len(a.GetKeyIds()) > 0 && !slices.Contains(a.GetKeyIds(), s.signer.ID()):
		return refuse(fmt.Errorf("a vote at this API would not count, and would end what is held: it is signed by key %s, which "+
			"vote_keys of processor %s does not name; vote at that processor's API, or name the key there", s.signer.ID(), a.GetHolder()))
	}
	return nil
}

// vote signs a vote and stores it with the state that follows.
func (s *Service) vote(ctx context.Context, who *identityv1.Principal, a *approvalv1.Approval, req *approvalv1.DecideRequest) error {
	at, err := s.store.ServerTime(ctx)
	if err != nil {
		return s.fault(ctx, err)
	}
	if who.GetExpiresAt() == nil || !at.Before(who.GetExpiresAt().AsTime()) {
		return tokenExpired()
	}
	v := &approvalv1.Vote{
		ApprovalId: a.GetId(), Voter: proto.CloneOf(who), Choice: req.GetChoice(), Reason: req.GetReason(),
		At: timestamppb.New(at.Truncate(time.Millisecond)), Digest: a.GetDigest(), RecordedDigest: a.GetRecordedDigest(),
	}
	s.signer.Sign(v)
	event := Event(0)
	if v.GetChoice() == approvalv1.Vote_REJECT {
		event = Reject
	} else if Satisfied(a.GetRequirements(), append(voters(a), who)) == 0 {
		event = Quorum
	}
	next := a.GetState()
	if event != 0 {
		if next, err = Next(a.GetState(), event); err != nil {
			return s.fault(ctx, err)
		}
	}
	err = s.store.Vote(ctx, v, next, len(a.GetVotes()))
	if err == nil || errors.Is(err, ErrConflict) {
		return err
	}
	return s.fault(ctx, err)
}

// voters are those whose votes are there.
func voters(a *approvalv1.Approval) []*identityv1.Principal {
	out := make([]*identityv1.Principal, 0, len(a.GetVotes())+1)
	for _, v := range a.GetVotes() {
		out = append(out, v.GetVoter())
	}
	return out
}

// voted reports whether somebody has voted just so.
func voted(who *identityv1.Principal, a *approvalv1.Approval, choice approvalv1.Vote_Choice) bool {
	return slices.ContainsFunc(a.GetVotes(), func(v *approvalv1.Vote) bool {
		return personOf(v.GetVoter()) == personOf(who) && v.GetChoice() == choice
	})
}

// hasVoted reports whether somebody has voted in any way.
func hasVoted(who *identityv1.Principal, a *approvalv1.Approval) bool {
	return voted(who, a, approvalv1.Vote_APPROVE) || voted(who, a, approvalv1.Vote_REJECT)
}

// groupsOf are the groups of all requirements, each once.
func groupsOf(a *approvalv1.Approval) []string {
	var out []string
	for _, r := range a.GetRequirements() {
		out = append(out, r.GetGroups()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
