package approval

import (
	"strings"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

func TestAQuorumErrorSaysWhyAndWhichVote(t *testing.T) {
	for want, e := range map[string]*QuorumError{
		"no quorum: no requirements":                        {Fault: NoRequirements, Vote: -1},
		"no quorum: a machine voted (vote 1)":               {Fault: NotHuman, Vote: 0},
		"no quorum: a vote's signature is false (vote 3)":   {Fault: BadSignature, Vote: 2},
		"no quorum: the votes do not meet the requirements": {Fault: TooFewVotes, Vote: -1},
		"no quorum: a voter's token had expired (vote 2)":   {Fault: VoterExpired, Vote: 1},
		"no quorum: the requester voted (vote 1)":           {Fault: OwnRequest, Vote: 0},
		"no quorum: too many votes":                         {Fault: TooManyVotes, Vote: -1},
		"no quorum: past the deadline":                      {Fault: PastDeadline, Vote: -1},
		"no quorum: somebody rejected it (vote 1)":          {Fault: Rejected, Vote: 0},
		"no quorum: a vote is for something else (vote 1)":  {Fault: OtherApproval, Vote: 0},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAReasonIsCountedInCharacters(t *testing.T) {
	req := &approvalv1.DecideRequest{Choice: approvalv1.Vote_REJECT, Reason: strings.Repeat("ä", 1024)}
	if err := checkRequest(req); err != nil {
		t.Error(err)
	}
	req.Reason += "x"
	if err := checkRequest(req); err == nil {
		t.Error("1,025 characters are taken")
	}
}
