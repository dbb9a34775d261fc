package approval_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/oplog"
)

// people are who may call; the header says who does.
func people() map[string]*identityv1.Principal {
	out := map[string]*identityv1.Principal{}
	for _, p := range []*identityv1.Principal{
		human("alice", "dba"), human("bob", "dba"), human("carol", "auditors"), human("mallory"),
		{Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "agent", Groups: []string{"agents"}, Kind: identityv1.Principal_MACHINE},
		{Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "robot", Groups: []string{"dba"}, Kind: identityv1.Principal_MACHINE},
	} {
		out[p.GetSubject()] = living(p)
	}
	late := human("late", "dba") // its token ended in the past of the real clock
	late.ExpiresAt.Seconds = 1000
	out["late"] = late
	soon := human("soon", "dba")
	soon.ExpiresAt = timestamppb.New(time.Now().Add(1500 * time.Millisecond))
	out["soon"] = soon
	return out
}

type callerKey struct{}

// auditors may read all approvals.
type auditors struct{}

func (auditors) May(p *identityv1.Principal, permission policyv1.Permission) bool {
	return permission == policyv1.Permission_approvals_read && slices.Contains(p.GetGroups(), "auditors")
}

// as is a client that calls as somebody.
type as string

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Caller", string(a))
	return http.DefaultTransport.RoundTrip(r)
}

// serve runs the service on a real port.
func (o *office) serve(t *testing.T) func(who string) approvalv1connect.ApprovalServiceClient {
	t.Helper()
	caller := func(ctx context.Context) (*identityv1.Principal, error) {
		p, ok := ctx.Value(callerKey{}).(*identityv1.Principal)
		if !ok {
			return nil, errors.New("no token")
		}
		return p, nil
	}
	var told *oplog.Log
	if o.told != nil {
		told = o.told.Log
	}
	_, handler := approvalv1connect.NewApprovalServiceHandler(
		approval.NewService(o.store, o.feed, o.signer, caller, auditors{}, slog.New(slog.DiscardHandler), told))
	known := people()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := known[r.Header.Get("X-Caller")]; p != nil {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, p))
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		srv.Close()
	})
	return func(who string) approvalv1connect.ApprovalServiceClient {
		return approvalv1connect.NewApprovalServiceClient(&http.Client{Transport: as(who)}, srv.URL)
	}
}

func approve(id string) *connect.Request[approvalv1.DecideRequest] {
	return connect.NewRequest(&approvalv1.DecideRequest{Id: id, Choice: approvalv1.Vote_APPROVE})
}

func reject(id, reason string) *connect.Request[approvalv1.DecideRequest] {
	return connect.NewRequest(&approvalv1.DecideRequest{Id: id, Choice: approvalv1.Vote_REJECT, Reason: reason})
}

func TestPeopleApproveAndTheHolderVerifies(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(2, "corp:dba"))
	first, err := client("alice").Decide(t.Context(), approve(h.ID()))
	if err != nil || first.Msg.GetApproval().GetState() != approvalv1.State_PENDING {
		t.Fatalf("got %v, %v", first, err)
	}
	again, err := client("alice").Decide(t.Context(), approve(h.ID()))
	if err != nil || len(again.Msg.GetApproval().GetVotes()) != 1 {
		t.Errorf("the same vote again: %v, %v", again, err)
	}
	if _, err := client("alice").Decide(t.Context(), reject(h.ID(), "on second thought")); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("another vote: %v", err)
	}
	second, err := client("bob").Decide(t.Context(), approve(h.ID()))
	if err != nil || second.Msg.GetApproval().GetState() != approvalv1.State_APPROVED {
		t.Fatalf("got %v, %v", second, err)
	}
	if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
		t.Fatalf("got %v", a)
	}
	if _, err := h.Consume(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client("bob").Decide(t.Context(), reject(h.ID(), "too late")); connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "consumed") {
		t.Errorf("got %v", err)
	}
}

func TestWhoMayNotDecide(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba", "corp:agents"))
	id := h.ID()
	for name, tt := range map[string]struct {
		who  string
		req  *connect.Request[approvalv1.DecideRequest]
		code connect.Code
		say  string
	}{
		"nobody":                   {"", approve(id), connect.CodeUnauthenticated, "token"},
		"the requester":            {"agent", approve(id), connect.CodePermissionDenied, "yourself"},
		"a machine of the group":   {"robot", approve(id), connect.CodePermissionDenied, "machines"},
		"somebody of no group":     {"mallory", approve(id), connect.CodeNotFound, "no such"},
		"a reader":                 {"carol", approve(id), connect.CodePermissionDenied, "corp:dba"},
		"with an expired token":    {"late", approve(id), connect.CodeUnauthenticated, "expired"},
		"without a choice":         {"alice", connect.NewRequest(&approvalv1.DecideRequest{Id: id}), connect.CodeInvalidArgument, "choice"},
		"a rejection in silence":   {"alice", reject(id, " \n"), connect.CodeInvalidArgument, "reason"},
		"a reason without end":     {"alice", reject(id, strings.Repeat("é", 1025)), connect.CodeInvalidArgument, "1024"},
		"no id":                    {"alice", approve(""), connect.CodeInvalidArgument, "id"},
		"an id that is none":       {"alice", approve("ABSENT"), connect.CodeNotFound, "no such"},
		"having seen other things": {"alice", connect.NewRequest(&approvalv1.DecideRequest{Id: id, Choice: approvalv1.Vote_APPROVE, Digest: []byte("x")}), connect.CodeFailedPrecondition, "look at it again"},
	} {
		_, err := client(tt.who).Decide(t.Context(), tt.req)
		if connect.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, req := range []func(string) *connect.Request[approvalv1.DecideRequest]{approve, func(id string) *connect.Request[approvalv1.DecideRequest] { return reject(id, "no") }} {
		there, absent := errText(client("mallory").Decide(t.Context(), req(id))), errText(client("mallory").Decide(t.Context(), req("ABSENT")))
		if there != absent {
			t.Errorf("who may not see it learns that it is there: %q, %q", there, absent)
		}
	}
	if got, err := o.store.Get(t.Context(), id); err != nil || len(got[0].GetVotes()) != 0 {
		t.Errorf("votes were stored: %v, %v", got, err)
	}
	if resp, err := client("alice").Decide(t.Context(), connect.NewRequest(&approvalv1.DecideRequest{
		Id: id, Choice: approvalv1.Vote_APPROVE, Digest: h.Approval().GetDigest(),
	})); err != nil || resp.Msg.GetApproval().GetState() != approvalv1.State_APPROVED {
		t.Errorf("who may, after all these: %v, %v", resp, err)
	}
}

func errText(_ any, err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestARejectionReachesTheHolder(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	if _, err := client("alice").Decide(t.Context(), reject(h.ID(), "not on a Friday")); err != nil {
		t.Fatal(err)
	}
	if a := wait(t, h); a.GetState() != approvalv1.State_REJECTED || a.GetReason() != "not on a Friday" {
		t.Errorf("got %v", a)
	}
}

func TestConcurrentVotesAllCount(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(2, "corp:dba"))
	var wg sync.WaitGroup
	for _, who := range []string{"alice", "bob"} {
		wg.Go(func() {
			if _, err := client(who).Decide(t.Context(), approve(h.ID())); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a := wait(t, h); a.GetState() != approvalv1.State_APPROVED {
		t.Errorf("got %v", a)
	}
}

func TestOneSeesOnesOwnAndWhatOneMayDecide(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	for who, sees := range map[string]bool{"agent": true, "alice": true, "carol": true, "mallory": false, "robot": false} {
		got, err := client(who).Get(t.Context(), connect.NewRequest(&approvalv1.GetRequest{Id: h.ID()}))
		if sees && (err != nil || got.Msg.GetApproval().GetId() != h.ID()) || !sees && connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s gets %v, %v", who, got, err)
		}
		list, err := client(who).List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{}))
		if err != nil || (len(list.Msg.GetApprovals()) == 1) != sees {
			t.Errorf("%s lists %v, %v", who, list, err)
		}
	}
	if _, err := client("").List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{})); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("nobody: %v", err)
	}
}

func TestListPagesOverWhatOneSees(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	var want []string
	for i := range 9 {
		group := "corp:dba"
		if i%3 == 0 {
			group = "corp:others"
		}
		h := o.hold(t, time.Minute, need(1, group))
		if group == "corp:dba" {
			want = append(want, h.ID())
		}
	}
	slices.Reverse(want)
	var got []string
	token := ""
	for pages := 0; ; pages++ {
		resp, err := client("alice").List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{
			PageSize: 4, PageToken: token, States: []approvalv1.State{approvalv1.State_PENDING},
		}))
		if err != nil || pages > 5 {
			t.Fatal(pages, err)
		}
		for _, a := range resp.Msg.GetApprovals() {
			got = append(got, a.GetId())
		}
		if token = resp.Msg.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, req := range map[string]*approvalv1.ListRequest{
		"a token of one's own": {PageToken: "x"}, "an unknown state": {States: []approvalv1.State{77}}, "no state": {States: []approvalv1.State{0}},
	} {
		if _, err := client("alice").List(t.Context(), connect.NewRequest(req)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnActionThatIsNotWhatWasRecordedIsNotShownOrDecided(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	harmless := h.Approval()
	harmless.State, harmless.CreatedAt, harmless.Action = 0, nil, &approvalv1.Action{Summary: "SELECT", Text: "select 1"}
	body, err := proto.Marshal(harmless)
	if err != nil {
		t.Fatal(err)
	}
	o.redis.HSet("sluice:{approval}:a:"+h.ID(), "body", string(body))
	if _, err := client("alice").Get(t.Context(), connect.NewRequest(&approvalv1.GetRequest{Id: h.ID()})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("shown: %v", err)
	}
	if _, err := client("alice").Decide(t.Context(), approve(h.ID())); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("decided: %v", err)
	}
}

func TestWatchSendsWhatIsPendingAndThenEachChange(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	before := o.hold(t, time.Minute, need(1, "corp:dba"))
	o.hold(t, time.Minute, need(1, "corp:others"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := client("alice").Watch(ctx, connect.NewRequest(&approvalv1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	next := func(id string, state approval.State) {
		t.Helper()
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		if a := stream.Msg().GetApproval(); a.GetId() != id || a.GetState() != state {
			t.Fatalf("got %s %v, want %s %v", a.GetId(), a.GetState(), id, state)
		}
	}
	next(before.ID(), approvalv1.State_PENDING)
	after := o.hold(t, time.Minute, need(1, "corp:dba"))
	next(after.ID(), approvalv1.State_PENDING)
	if _, err := client("bob").Decide(t.Context(), approve(before.ID())); err != nil {
		t.Fatal(err)
	}
	next(before.ID(), approvalv1.State_APPROVED)
	if _, err := before.Consume(t.Context()); err != nil {
		t.Fatal(err)
	}
	next(before.ID(), approvalv1.State_CONSUMED)
	if err := after.Withdraw(t.Context(), "client gone"); err != nil {
		t.Fatal(err)
	}
	next(after.ID(), approvalv1.State_WITHDRAWN)
}

func TestWatchBeginsWithAllThatIsPending(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	holds := map[string]*approval.Hold{}
	for range 3 {
		h := o.hold(t, time.Minute, need(1, "corp:dba"))
		holds[h.ID()] = h
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := client("alice").Watch(ctx, connect.NewRequest(&approvalv1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	all := func(state approval.State) {
		t.Helper()
		left := maps.Clone(holds)
		for len(left) > 0 && stream.Receive() {
			a := stream.Msg().GetApproval()
			if a.GetState() != state || left[a.GetId()] == nil {
				t.Fatalf("got %s %v", a.GetId(), a.GetState())
			}
			delete(left, a.GetId())
		}
		if len(left) > 0 {
			t.Fatalf("%d were not sent: %v", len(left), stream.Err())
		}
	}
	all(approvalv1.State_PENDING)
	for _, h := range holds {
		if err := h.Withdraw(t.Context(), "client gone"); err != nil {
			t.Fatal(err)
		}
	}
	all(approvalv1.State_WITHDRAWN)
}

func TestAListHasPages(t *testing.T) {
	o := open(t)
	client := o.serve(t)("alice")
	want := map[string]bool{}
	for range 5 {
		want[o.hold(t, time.Minute, need(1, "corp:dba")).ID()] = true
	}
	token, sizes := "", []int{}
	for {
		page, err := client.List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{PageSize: 2, PageToken: token}))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Msg.GetApprovals() {
			delete(want, a.GetId())
		}
		sizes = append(sizes, len(page.Msg.GetApprovals()))
		if token = page.Msg.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(sizes, []int{2, 2, 1}) || len(want) > 0 {
		t.Errorf("pages of %v, and %d are missing", sizes, len(want))
	}
	page, err := client.List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{}))
	if err != nil || len(page.Msg.GetApprovals()) != 5 || page.Msg.GetNextPageToken() != "" {
		t.Errorf("without a size: %d, %v", len(page.Msg.GetApprovals()), err)
	}
	for _, bad := range []string{"0", "-1", "x"} {
		if _, err := client.List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{PageToken: bad})); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("token %q: %v", bad, err)
		}
	}
}

func TestAnIDHasALongestLength(t *testing.T) {
	client := open(t).serve(t)("alice")
	for id, want := range map[string]connect.Code{
		"": connect.CodeInvalidArgument, strings.Repeat("x", 64): connect.CodeNotFound, strings.Repeat("x", 65): connect.CodeInvalidArgument,
	} {
		if _, err := client.Get(t.Context(), connect.NewRequest(&approvalv1.GetRequest{Id: id})); connect.CodeOf(err) != want {
			t.Errorf("%d characters: %v", len(id), err)
		}
	}
}

func TestWatchEndsWithTheCallersToken(t *testing.T) {
	t.Parallel()
	o := open(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	client := o.serve(t)
	stream, err := client("soon").Watch(t.Context(), connect.NewRequest(&approvalv1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if !stream.Receive() || stream.Msg().GetApproval().GetId() != h.ID() {
		t.Fatalf("got %v, %v", stream.Msg(), stream.Err())
	}
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("got %v", stream.Err())
	}
}

func TestAnExpiredTokenWatchesNothing(t *testing.T) {
	o := open(t)
	o.hold(t, time.Minute, need(1, "corp:dba"))
	stream, err := o.serve(t)("late").Watch(t.Context(), connect.NewRequest(&approvalv1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("got %v", stream.Err())
	}
}

func TestWithoutTheStoreTheAPISaysUnavailable(t *testing.T) {
	o := open(t)
	client := o.serve(t)
	h := o.hold(t, time.Minute, need(1, "corp:dba"))
	addr := o.redis.Addr()
	o.redis.Close()
	_, get := client("alice").Get(t.Context(), connect.NewRequest(&approvalv1.GetRequest{Id: h.ID()}))
	_, list := client("alice").List(t.Context(), connect.NewRequest(&approvalv1.ListRequest{}))
	_, decide := client("alice").Decide(t.Context(), approve(h.ID()))
	for name, err := range map[string]error{"get": get, "list": list, "decide": decide} {
		if connect.CodeOf(err) != connect.CodeUnavailable || strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
