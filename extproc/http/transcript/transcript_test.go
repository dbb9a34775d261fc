package transcript_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	httptext "github.com/sluicegate/sluice/extproc/http/transcript"
	pgtext "github.com/sluicegate/sluice/extproc/postgres/transcript"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

var update = flag.Bool("update", false, "write the golden file")

func data(number uint64, d recordv1.Data_Direction, text string) *recordv1.Event {
	return &recordv1.Event{Kind: &recordv1.Event_Data{Data: &recordv1.Data{Direction: d, Number: number, Bytes: []byte(text)}}}
}

func request(number uint64, method, path string) *recordv1.Event {
	return &recordv1.Event{Kind: &recordv1.Event_HttpRequest{HttpRequest: &recordv1.HttpRequest{
		Number: number, Method: method, Scheme: "https", Host: "api.example", Path: path, RequestId: "r-1\x1b", ClientAddress: "192.0.2.1:5",
		Headers: []*recordv1.Header{{Name: "accept", Value: "*/*\n12:00:00.000 #9 GET"}},
	}}}
}

// Two requests at once: their answers come mixed.
func session() []*recordv1.Event {
	events := []*recordv1.Event{
		{Kind: &recordv1.Event_SessionStart{SessionStart: &recordv1.SessionStart{
			Principal: &identityv1.Principal{Issuer: "corp", Subject: "ci", Kind: identityv1.Principal_MACHINE}, ClientAddress: "192.0.2.1:5",
			Target: "api", BundleVersion: "0123456789abcdef",
		}}},
		request(1, "GET", "/customers"),
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 1, Verdict: recordv1.Decision_ALLOW, Rules: []string{"read"}, Masks: []string{"secrets", "mail\x1b"}, BundleVersion: "0123456789abcdef"}}},
		{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: 1}}},
		request(2, "POST", "/customers/7"),
		data(2, recordv1.Data_FROM_AGENT, "{\"a\":\n \"[masked]\"}"),
		{Kind: &recordv1.Event_HttpResponse{HttpResponse: &recordv1.HttpResponse{Number: 1, Status: 200, Headers: []*recordv1.Header{{Name: "content-type", Value: "application/json"}}}}},
		data(1, recordv1.Data_TO_AGENT, "[1,"),
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 2, Verdict: recordv1.Decision_DENY, Code: "403 Forbidden", Message: "no rule allows it"}}},
		data(1, recordv1.Data_TO_AGENT, strings.Repeat("2,", 9000)+"\x1b[31m]"),
		{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 1, Code: "200 OK", Bytes: 18009, Took: durationpb.New(12 * time.Millisecond)}}},
		request(3, "GET", "/events"),
		{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: 3, ApprovalId: "A1"}}},
		{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 3, Message: "the agent or the service went away"}}},
		{Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{Reason: "idle"}}},
	}
	for i, e := range events {
		e.At = timestamppb.New(time.Date(2026, 11, 24, 12, 0, 0, i*1e6, time.UTC))
	}
	return events
}

func TestATranscriptReadsAsTheSessionWas(t *testing.T) {
	var out bytes.Buffer
	w := transcript.NewWriter(&out, httptext.New, pgtext.New)
	for _, e := range session() {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.ReplaceAll(out.String(), strings.Repeat("2,", 100), "2,…") // for the golden file's reader
	if *update {
		if err := os.WriteFile("testdata/session.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/session.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "\n12:00:00.000 #9") {
		t.Error("the transcript can be made to lie")
	}
}

// A session that is live, or whose process was killed, has no outcome: what its agent got is shown all the same.
func TestWhatHasNotEndedIsShown(t *testing.T) {
	got := written(t,
		request(1, "GET", "/events"),
		&recordv1.Event{Kind: &recordv1.Event_HttpResponse{HttpResponse: &recordv1.HttpResponse{Number: 1, Status: 200}}},
		data(1, recordv1.Data_TO_AGENT, "data: 1\n\n"),
		request(2, "POST", "/customers"),
		data(2, recordv1.Data_FROM_AGENT, "last"),
	)
	for _, words := range []string{"    | last\n", "    so far of the answer to #1:\n    | data: 1\n"} {
		if !strings.Contains(got, words) {
			t.Errorf("%q is missing in\n%s", words, got)
		}
	}
}

// A long body is recorded in parts; it is one body all the same.
func TestABodyInPartsIsShownOnce(t *testing.T) {
	got := written(t,
		request(1, "POST", "/customers"),
		data(1, recordv1.Data_FROM_AGENT, "begins"+strings.Repeat(" ", 16<<10)),
		data(1, recordv1.Data_FROM_AGENT, strings.Repeat(" ", 100)),
		&recordv1.Event{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 1, Verdict: recordv1.Decision_DENY}}},
	)
	if strings.Count(got, "begins") != 1 || strings.Count(got, "bytes more") != 1 || !strings.Contains(got, "(and 106 bytes more)") {
		t.Errorf("got\n%s", got)
	}
	if strings.Index(got, "begins") > strings.Index(got, "deny") {
		t.Error("it stands behind the decision")
	}
}

func written(t *testing.T, events ...*recordv1.Event) string {
	t.Helper()
	var out bytes.Buffer
	w := transcript.NewWriter(&out, httptext.New, pgtext.New)
	for _, e := range events {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
