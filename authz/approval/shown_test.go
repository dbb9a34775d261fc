package approval_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// TestAVoteForSomethingElseThanIsHeldIsRefused: whoever writes the store could show one thing and have another signed.
func TestAVoteForSomethingElseThanIsHeldIsRefused(t *testing.T) {
	o := open(t)
	client := o.serve(t)("alice")
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	held := h.Approval()
	other := &approvalv1.Approval{Digest: []byte(strings.Repeat("d", 32)), RecordedDigest: []byte(strings.Repeat("r", 32))}
	for name, req := range map[string]*approvalv1.DecideRequest{
		"another digest":              {Digest: other.GetDigest()},
		"another action's":            {RecordedDigest: []byte(strings.Repeat("x", 32))},
		"both, of the other":          {Digest: other.GetDigest(), RecordedDigest: other.GetRecordedDigest()},
		"one is right, one is not":    {Digest: held.GetDigest(), RecordedDigest: []byte(strings.Repeat("x", 32))},
		"the other way round":         {Digest: held.GetRecordedDigest(), RecordedDigest: held.GetRecordedDigest()},
		"a beginning of it":           {Digest: held.GetDigest()[:16]},
		"a rejection of another, too": {Digest: other.GetDigest(), Choice: approvalv1.Vote_REJECT, Reason: "no"},
	} {
		req.Id = h.ID()
		if req.GetChoice() == 0 {
			req.Choice = approvalv1.Vote_APPROVE
		}
		if _, err := client.Decide(t.Context(), connect.NewRequest(req)); connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "not what is held") {
			t.Errorf("%s: %v", name, err)
		}
	}
	res, err := client.Decide(t.Context(), connect.NewRequest(&approvalv1.DecideRequest{
		Id: h.ID(), Choice: approvalv1.Vote_APPROVE, Digest: held.GetDigest(), RecordedDigest: held.GetRecordedDigest(),
	}))
	if err != nil || res.Msg.GetApproval().GetState() != approvalv1.State_APPROVED {
		t.Errorf("what is held: %v, %v", res, err)
	}
}
