package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/session/v1/sessionv1connect"
)

func TestAVoteSaysWhatItCameTo(t *testing.T) {
	vote := func(state approvalv1.State, votes int) *approvalv1.Approval {
		a := &approvalv1.Approval{Id: "A", State: state, Reason: "the client left", Requirements: []*approvalv1.Requirement{{Count: 2}}, Action: &approvalv1.Action{Text: "delete"}}
		for range votes {
			a.Votes = append(a.Votes, &approvalv1.Vote{})
		}
		return a
	}
	for name, c := range map[string]struct {
		before, after *approvalv1.Approval
		choice        approvalv1.Vote_Choice
		out, err      string
	}{
		"the first of two":       {vote(approvalv1.State_PENDING, 0), vote(approvalv1.State_PENDING, 1), approvalv1.Vote_APPROVE, "your vote counts, 1 of 2", ""},
		"the same once more":     {vote(approvalv1.State_PENDING, 1), vote(approvalv1.State_PENDING, 1), approvalv1.Vote_APPROVE, "you have voted already, 1 of 2", ""},
		"the second":             {vote(approvalv1.State_PENDING, 1), vote(approvalv1.State_APPROVED, 2), approvalv1.Vote_APPROVE, "A is approved: delete", ""},
		"executed already":       {vote(approvalv1.State_PENDING, 1), vote(approvalv1.State_CONSUMED, 2), approvalv1.Vote_APPROVE, "A is consumed", ""},
		"withdrawn meanwhile":    {vote(approvalv1.State_WITHDRAWN, 1), vote(approvalv1.State_WITHDRAWN, 1), approvalv1.Vote_APPROVE, "", "A is withdrawn: the client left"},
		"expired meanwhile":      {vote(approvalv1.State_EXPIRED, 1), vote(approvalv1.State_EXPIRED, 1), approvalv1.Vote_APPROVE, "", "A is expired"},
		"rejected by another":    {vote(approvalv1.State_REJECTED, 2), vote(approvalv1.State_REJECTED, 2), approvalv1.Vote_APPROVE, "", "A is rejected"},
		"a rejection":            {vote(approvalv1.State_PENDING, 0), vote(approvalv1.State_REJECTED, 1), approvalv1.Vote_REJECT, "A is rejected", ""},
		"a rejection, withdrawn": {vote(approvalv1.State_PENDING, 0), vote(approvalv1.State_WITHDRAWN, 0), approvalv1.Vote_REJECT, "", "A is withdrawn"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := report(streams{out: &out}, c.before, c.after, c.choice)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || !strings.Contains(out.String(), c.out) {
				t.Errorf("%q, %v", out.String(), err)
			}
		})
	}
}

func TestXdsStatusEndsWithOneUnlessAllIsGood(t *testing.T) {
	node := func(state controlv1.Subscription_State, gone bool) *controlv1.Node {
		n := &controlv1.Node{Id: "edge", Role: "envoy", Subscriptions: []*controlv1.Subscription{{TypeUrl: "a/Listener", State: state}}}
		if gone {
			n.GoneAt = timestamppb.New(time.Unix(1, 0))
		}
		return n
	}
	for name, c := range map[string]struct {
		status *controlv1.StatusResponse
		bad    bool
		state  string
	}{
		"all accepted":           {&controlv1.StatusResponse{BundleVersion: "v", Nodes: []*controlv1.Node{node(controlv1.Subscription_ACKED, false)}}, false, "ACKED"},
		"one refuses":            {&controlv1.StatusResponse{BundleVersion: "v", Nodes: []*controlv1.Node{node(controlv1.Subscription_NACKED, false)}}, true, "NACKED"},
		"one that is gone":       {&controlv1.StatusResponse{BundleVersion: "v", Nodes: []*controlv1.Node{node(controlv1.Subscription_ACKED, true)}}, false, "GONE"},
		"gone, having refused":   {&controlv1.StatusResponse{BundleVersion: "v", Nodes: []*controlv1.Node{node(controlv1.Subscription_NACKED, true)}}, false, "GONE"},
		"a fault of the policy":  {&controlv1.StatusResponse{BundleVersion: "v", PolicyFaults: []string{"f"}, Nodes: []*controlv1.Node{node(controlv1.Subscription_ACKED, false)}}, true, "ACKED"},
		"nothing served at all":  {&controlv1.StatusResponse{}, true, ""},
		"no node, but a policy":  {&controlv1.StatusResponse{BundleVersion: "v"}, false, ""},
		"sent, not answered yet": {&controlv1.StatusResponse{BundleVersion: "v", Nodes: []*controlv1.Node{node(controlv1.Subscription_SENT, false)}}, false, "SENT"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := verdict(c.status); (err != nil) != c.bad {
				t.Error(err)
			}
			rows := nodeRows(c.status)
			if c.state != "" && (len(rows) != 1 || rows[0][3] != c.state) {
				t.Errorf("%v", rows)
			}
		})
	}
}

func TestTheWrongAPISaysWhichToAsk(t *testing.T) {
	i := newPlace(t).run().instance
	srv := httptest.NewServer(i.services())
	defer srv.Close()
	_, err := approvalv1connect.NewApprovalServiceClient(srv.Client(), srv.URL).Get(t.Context(), connect.NewRequest(&approvalv1.GetRequest{Id: "x"}))
	if err == nil || !strings.Contains(err.Error(), "in that of a processor (SLUICE_API)") {
		t.Errorf("approvals: %v", err)
	}
	_, err = sessionv1connect.NewSessionServiceClient(srv.Client(), srv.URL).List(t.Context(), connect.NewRequest(&sessionv1.ListRequest{}))
	if err == nil || !strings.Contains(err.Error(), "in that of a processor (SLUICE_API)") {
		t.Errorf("sessions: %v", err)
	}
	stream, err := sessionv1connect.NewSessionServiceClient(srv.Client(), srv.URL).Replay(t.Context(), connect.NewRequest(&sessionv1.ReplayRequest{Id: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if stream.Receive() || stream.Err() == nil || !strings.Contains(stream.Err().Error(), "SLUICE_API") {
		t.Errorf("a stream: %v", stream.Err())
	}
}

func TestCountsReadRight(t *testing.T) {
	for got, want := range map[string]string{
		count(uint64(1), "session"): "1 session", count(0, "finding"): "0 findings", count(2, "leaf", "leaves"): "2 leaves",
		heldCount(1): "1 execution of a held statement, with its quorum", heldCount(2): "2 executions of held statements, each with its quorum",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestARefusedLoginIsALineAndACount(t *testing.T) {
	r := newPlace(t).run()
	c := newCallers(r.instance)
	srv := httptest.NewServer(c.middleware(r.services()))
	defer srv.Close()
	for range 30 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/sluice.control.v1.ControlService/Status", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer not-a-token")
		req.Header.Set("Content-Type", "application/json")
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Fatal(res.Status)
		}
	}
	lines := strings.Count(r.log.text(), `"login refused"`)
	if lines == 0 || lines > 2*20 || strings.Contains(r.log.text(), "not-a-token") {
		t.Errorf("%d lines: %s", lines, r.log.text())
	}
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() == "sluice_logins_refused_total" {
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	if total != 30 {
		t.Errorf("%v are counted", total)
	}
}
