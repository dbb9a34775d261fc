package main

import (
	"bytes"
	"strings"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
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
