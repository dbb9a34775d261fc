package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
)

func TestPeopleSeeWhereLinesEnd(t *testing.T) {
	a := &approvalv1.Approval{Action: &approvalv1.Action{Text: "select 1 -- a\n, 2", Parameters: []*approvalv1.Parameter{
		{Type: "body", Value: "# clean up old rows\nDROP TABLE customers;\n"}, {Value: "one line"}, {IsNull: true}, {Value: "# a\rDROP\u2028x"}, {Value: "\n"},
	}}}
	var out bytes.Buffer
	if err := show(streams{out: &out}, a); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"\n        | # clean up old rows\n        | DROP TABLE customers;\n", "$2 = one line\n", "$3 = NULL\n", `$4 = # a\rDROP\u2028x`, "    select 1 -- a\n    , 2\n", "$5 = (text, 1 bytes)\n        | \n",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is missing in:\n%s", part, out.String())
		}
	}
	if got := cli.OneLine("select 1 -- a\n, 2"); got != "select 1 -- a↵, 2" {
		t.Errorf("on one line: %q", got)
	}
}

// A vote is for what was shown: what is held in its place later is not what the voter said yes to.
func TestAVoteIsForWhatWasShown(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	shown := &approvalv1.Approval{Id: "A1", Action: &approvalv1.Action{Text: "delete from orders where id = 1"}}
	swapped := &approvalv1.Approval{Id: "A1", Action: &approvalv1.Action{Text: "delete from orders"}}
	want := approval.RecordedDigest(shown.GetAction())
	if got, err := (vote{id: "A1"}).digest(swapped); err != nil || !bytes.Equal(got, approval.RecordedDigest(swapped.GetAction())) {
		t.Errorf("nothing was shown: %x %v", got, err)
	}
	shownHere().remember("A1", want, time.Now())
	if got, err := (vote{id: "A1"}).digest(swapped); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the vote is for %x, shown was %x: %v", got, want, err)
	}
	named := hex.EncodeToString(want)
	for _, given := range []string{named, named[:16], strings.ToUpper(named[:20])} {
		if _, err := (vote{id: "A1", yesTo: given}).digest(shown); err != nil {
			t.Errorf("%s: %v", given, err)
		}
		if _, err := (vote{id: "A1", yesTo: given}).digest(swapped); err == nil {
			t.Errorf("%s: another action was taken for it", given)
		}
	}
	for _, given := range []string{named[:15], named + "0", "zz"} {
		if _, err := (vote{id: "A1", yesTo: given}).digest(shown); err == nil {
			t.Errorf("%q was taken", given)
		}
	}
	shownHere().remember("../A2", want, time.Now())
	if shownHere().last("../A2") != nil {
		t.Error("a path was taken for an id")
	}
	shownHere().remember("A3", want, time.Now().Add(2*shownFor))
	if shownHere().last("A1") != nil {
		t.Error("what was shown long ago is still remembered")
	}
}
