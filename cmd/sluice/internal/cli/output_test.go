package cli_test

import (
	"bytes"
	"encoding/json"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
)

// TestOnlyTheStateOfAMessageItselfIsInLowerCase: programs read both.
func TestOnlyTheStateOfAMessageItselfIsInLowerCase(t *testing.T) {
	var out bytes.Buffer
	a := &approvalv1.Approval{State: approvalv1.State_PENDING, Votes: []*approvalv1.Vote{{Choice: approvalv1.Vote_APPROVE}}}
	if err := cli.List(cli.Output{W: &out, JSON: true}, []*approvalv1.Approval{a}); err != nil {
		t.Fatal(err)
	}
	var got []struct {
		State string
		Votes []struct{ Choice string }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].State != "pending" || got[0].Votes[0].Choice != "APPROVE" {
		t.Errorf("got %+v", got)
	}
}
