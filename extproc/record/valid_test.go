package record_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

func TestNothingThatIsNoUTF8StopsARecording(t *testing.T) {
	r := open(t, t.TempDir())
	first := start()
	first.Application = "app\xff"
	s, err := r.Begin(t.Context(), "p1-A", first)
	if err != nil {
		t.Fatal(err)
	}
	const bad = "ä\xff\xc3(�"
	statement := &recordv1.Statement{Number: 1, Text: bad, PreparedName: bad, Commands: []string{"ok", bad}, Pairs: []*recordv1.Pair{{Object: bad}}, Parameters: []*approvalv1.Parameter{{Value: bad}}}
	must(t, s.Append(true, &recordv1.Event{Kind: &recordv1.Event_Statement{Statement: statement}}))
	must(t, s.Append(true, &recordv1.Event{Kind: &recordv1.Event_HoldStart{HoldStart: &recordv1.HoldStart{Number: 1, Approval: &approvalv1.Approval{Action: &approvalv1.Action{Text: bad}}}}}))
	must(t, s.Append(true, &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 1, Message: bad + strings.Repeat("x", 20<<10)}}}))
	must(t, s.AppendData([]*recordv1.Event{{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 1, CommandTag: bad}}}}, recordv1.Data_TO_AGENT, 0, []byte("\xff")))
	if statement.GetText() != bad {
		t.Error("what belongs to the caller was changed")
	}
	must(t, s.End(t.Context(), bad))
	found := 0
	for _, e := range collect(t, r.Events(t.Context(), "p1-A")) {
		found += strings.Count(protojson.Format(e), `ä\\xff\\xc3(�`)
	}
	if found != 9 {
		t.Errorf("%d strings are there, escaped", found)
	}
}
