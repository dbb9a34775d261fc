package approval_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// A vote that the holder's keys do not carry would spoil the quorum, and the statement with it.
func TestAnAPIRefusesAVoteThatItsKeyCannotCarryAndNothingIsLost(t *testing.T) {
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	own := o.signer
	o.signer = testKey(2) // the API of another processor
	other := o.serve(t)
	for name, req := range map[string]*connect.Request[approvalv1.DecideRequest]{"approve": approve(h.ID()), "reject": reject(h.ID(), "no")} {
		_, err := other("alice").Decide(t.Context(), req)
		if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "vote_keys of processor p1") || !strings.Contains(err.Error(), o.signer.ID()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.signer = own
	if res, err := o.serve(t)("alice").Decide(t.Context(), approve(h.ID())); err != nil || res.Msg.GetApproval().GetState() != approvalv1.State_APPROVED {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := h.Consume(t.Context()); err != nil {
		t.Errorf("it was destroyed: %v", err)
	}
}
