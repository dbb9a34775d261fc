package check

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	"connectrpc.com/connect"
	"github.com/alicebob/miniredis/v2"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/approval/redisstore"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httptag"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: api
  listener: {address: 127.0.0.1, port: 18443}
  http:
    endpoints: [{host: 127.0.0.1, port: 8080}]
    certificate: {chain: {file: c}, key: {file: k}}
    tls: {mode: DISABLE}
  credential: {bearer: {token: {env: API_TOKEN}}}
- name: keyed
  listener: {address: 127.0.0.1, port: 18444}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}], certificate: {chain: {file: c}, key: {file: k}}}
  credential: {header: {name: x-api-key, value: {env: API_TOKEN}}}
- name: basic
  listener: {address: 127.0.0.1, port: 18445}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}], certificate: {chain: {file: c}, key: {file: k}}}
  credential: {static: {username: app, password: {env: API_TOKEN}}}
rules:
- {name: read, who: {groups: [agents]}, on: {targets: ["*"], http: {methods: [GET, HEAD]}}, allow: {}}
- name: writes
  who: {groups: [agents]}
  on: {targets: [api], http: {methods: [DELETE, POST], paths: ["/customers/{id}"]}}
  approve: {by: [{groups: [dba]}], within: 60s}
- {name: admin, on: {targets: ["*"], http: {paths: ["/admin/**"]}}, deny: {message: Not here.}}
- {name: pay, who: {groups: [agents]}, on: {targets: [api], http: {methods: [POST], paths: [/pay]}}, when: "request.http.body.amount < 100 && request.http.query.size() == 0", allow: {}}
`

const realToken = "the-real-token"

// source gives a policy, or an error.
type source struct {
	policy atomic.Pointer[policies.Policy]
}

func (s *source) Current() (*policies.Policy, error) {
	if p := s.policy.Load(); p != nil {
		return p, nil
	}
	return nil, errors.New("no policy yet")
}

// tokens proves every token that begins with "good". What stands behind ~ is its spelling.
type tokens struct{ now func() time.Time }

func (i tokens) Again(who *identity.Identity) (*identity.Identity, error) { return who, nil }

func (i tokens) Verify(_ context.Context, token string) (*identity.Identity, error) {
	if !strings.HasPrefix(token, "good") {
		return nil, &identity.Error{Kind: identity.Missing}
	}
	said, _, _ := strings.Cut(token, "~")
	return &identity.Identity{Key: sha256.Sum256([]byte(said)), Principal: &identityv1.Principal{
		Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "agent", Groups: []string{"agents"},
		ExpiresAt: timestamppb.New(i.now().Add(time.Hour)),
	}}, nil
}

type everybody struct{}

func (everybody) May(*identityv1.Principal, policyv1.Permission) bool { return true }

// tape is a recorder in memory that fails when told to.
type tape struct {
	mu     sync.Mutex
	events map[string][]*recordv1.Event
	order  []string
	fail   error
	slow   time.Duration // what an end takes, as where it is sealed; it is given up with its context
}

type take struct {
	*tape
	id string
}

func (t *tape) Hide(v []byte) string { return fmt.Sprintf("‹hidden, %d bytes›", len(v)) }

func (t *tape) Begin(_ context.Context, id string, start *recordv1.SessionStart) (Recording, error) {
	t.mu.Lock()
	t.order = append(t.order, id)
	t.mu.Unlock()
	r := take{t, id}
	return r, r.Append(true, &recordv1.Event{Kind: &recordv1.Event_SessionStart{SessionStart: start}})
}

func (r take) Append(_ bool, events ...*recordv1.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	for _, e := range events {
		r.events[r.id] = append(r.events[r.id], proto.CloneOf(e))
	}
	return nil
}

func (r take) AppendData(events []*recordv1.Event, d recordv1.Data_Direction, number uint64, parts ...[]byte) error {
	data := &recordv1.Data{Direction: d, Number: number}
	for _, p := range parts {
		data.Bytes = append(data.Bytes, p...)
	}
	return r.Append(false, append(events, &recordv1.Event{Kind: &recordv1.Event_Data{Data: data}})...)
}

func (r take) End(ctx context.Context, reason string) error {
	r.mu.Lock()
	slow := r.slow
	r.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return r.Append(false, &recordv1.Event{Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{Reason: reason}}})
}

// kinds are the events of the first session in short.
func (t *tape) kinds() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, e := range t.events[t.order[0]] {
		word := fmt.Sprintf("%T", e.GetKind())
		word = strings.TrimPrefix(word, "*recordv1.Event_")
		if d := e.GetDecision(); d != nil {
			word += ":" + d.GetVerdict().String()
		}
		if a := e.GetHoldEnd().GetApproval(); a != nil {
			word += ":" + a.GetState().String()
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func (t *tape) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, id := range t.order {
		for _, e := range t.events[id] {
			b.WriteString(e.String() + "\n")
			b.Write(e.GetData().GetBytes())
		}
	}
	return b.String()
}

// plain shows everything but the word "secret".
type plain struct{}

func (plain) Body(_ *policies.Policy, _, _ string, b []byte) []byte {
	return []byte(strings.ReplaceAll(string(b), "secret", "[masked]"))
}

func (plain) Asked(_ *policies.Policy, _, _ string, b []byte) (string, bool) {
	return strings.ReplaceAll(string(b), "secret", "[masked]"), !strings.Contains(string(b), "unshowable")
}

func (p plain) Header(policy *policies.Policy, target, _, v string) string {
	return p.Value(policy, target, v)
}

func (plain) Value(_ *policies.Policy, _, v string) string {
	return strings.ReplaceAll(v, "secret", "[masked]")
}

func compiled(t *testing.T, text, version string) *policies.Policy {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	b.Version = version
	p, err := policies.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type fixture struct {
	*Server
	policies *source
	tape     *tape
	store    *redisstore.Store
	told     *oplogtest.Book
	service  *approval.Service
	ahead    atomic.Int64
	ids      atomic.Int64
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

type voterKey struct{}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{policies: &source{}, tape: &tape{events: map[string][]*recordv1.Event{}}}
	f.policies.policy.Store(compiled(t, bundle, "v1"))
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	f.store = redisstore.New(client)
	log := slog.New(slog.DiscardHandler)
	f.told = oplogtest.New(f.now)
	feed := approval.NewFeed(f.store, log)
	t.Cleanup(feed.Close)
	signer := approval.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", ed25519.SeedSize))))
	desk := approval.NewDesk(f.store, feed, approval.NewKeyring(signer.Public()), "p1", f.now, log)
	t.Cleanup(desk.Close)
	f.service = approval.NewService(f.store, feed, signer, func(ctx context.Context) (*identityv1.Principal, error) {
		return ctx.Value(voterKey{}).(*identityv1.Principal), nil
	}, everybody{}, log, f.told.Log)
	tags, err := httptag.New([]byte(strings.Repeat("t", 32)))
	if err != nil {
		t.Fatal(err)
	}
	f.Server = NewServer(Options{
		Tags:      tags,
		Processor: "p1", Guard: guard.New(f.policies, tokens{f.now}, desk, func(context.Context) error { return nil }, f.told.Log, f.now),
		Credentials: credential.NewBroker(identity.Sources{LookupEnv: func(name string) (string, bool) { return realToken, name == "API_TOKEN" }}),
		Recorder:    f.tape, Shown: plain{}, Metrics: NewMetrics(prometheus.NewRegistry()), Told: f.told.Log, Now: f.now, Random: rand.Reader, Logger: log,
		SessionID: func() (string, error) { return fmt.Sprintf("p1-%d", f.ids.Add(1)), nil },
	})
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

// ask makes a CheckRequest; headers are "name: value".
func ask(target, method, path string, headers ...string) *envoy_service_auth_v3.CheckRequest {
	h := &envoy_service_auth_v3.AttributeContext_HttpRequest{
		Method: method, Path: path, Scheme: "https", Host: "API.example:18443",
		HeaderMap: &envoy_config_core_v3.HeaderMap{Headers: []*envoy_config_core_v3.HeaderValue{{Key: ":path", RawValue: []byte(path)}}},
	}
	for _, line := range append(headers, "x-request-id: r-1") {
		name, value, _ := strings.Cut(line, ": ")
		h.HeaderMap.Headers = append(h.HeaderMap.Headers, &envoy_config_core_v3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	return &envoy_service_auth_v3.CheckRequest{Attributes: &envoy_service_auth_v3.AttributeContext{
		Source: &envoy_service_auth_v3.AttributeContext_Peer{Address: &envoy_config_core_v3.Address{Address: &envoy_config_core_v3.Address_SocketAddress{
			SocketAddress: &envoy_config_core_v3.SocketAddress{Address: "192.0.2.7", PortSpecifier: &envoy_config_core_v3.SocketAddress_PortValue{PortValue: 4711}},
		}}},
		Request:           &envoy_service_auth_v3.AttributeContext_Request{Http: h},
		ContextExtensions: map[string]string{ExtensionTarget: target, ExtensionNode: "envoy-1", ExtensionRevision: "abc"},
	}}
}

func withBody(in *envoy_service_auth_v3.CheckRequest, body string) *envoy_service_auth_v3.CheckRequest {
	in.Attributes.Request.Http.RawBody = []byte(body)
	return in
}

const good = "authorization: Bearer good"

func (f *fixture) check(t *testing.T, in *envoy_service_auth_v3.CheckRequest) *envoy_service_auth_v3.CheckResponse {
	t.Helper()
	out, err := f.Check(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// problemOf is the refusal in a response.
func problemOf(t *testing.T, r *envoy_service_auth_v3.CheckResponse) problem {
	t.Helper()
	d := r.GetDeniedResponse()
	if d == nil {
		t.Fatalf("let through: %v", r)
	}
	var p problem
	if err := json.Unmarshal([]byte(d.GetBody()), &p); err != nil {
		t.Fatalf("%v: %s", err, d.GetBody())
	}
	if int(d.GetStatus().GetCode()) != p.Status || headerOf(d.GetHeaders(), "content-type") != "application/problem+json" {
		t.Errorf("status %d, problem %+v, headers %v", d.GetStatus().GetCode(), p, d.GetHeaders())
	}
	return p
}

func headerOf(all []*envoy_config_core_v3.HeaderValueOption, name string) string {
	for _, h := range all {
		if h.GetHeader().GetKey() == name {
			return h.GetHeader().GetValue()
		}
	}
	return ""
}

func ticketOf(r *envoy_service_auth_v3.CheckResponse) string {
	return r.GetDynamicMetadata().GetFields()[MetadataTicket].GetStringValue()
}

// held waits for the one approval that is pending.
func (f *fixture) held(t *testing.T) *approvalv1.Approval {
	t.Helper()
	for range 200 {
		res, err := f.service.List(context.WithValue(t.Context(), voterKey{}, human("alice")), connect.NewRequest(&approvalv1.ListRequest{States: []approvalv1.State{approvalv1.State_PENDING}}))
		if err != nil {
			t.Fatal(err)
		}
		if all := res.Msg.GetApprovals(); len(all) == 1 {
			return all[0]
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("nothing is held")
	return nil
}

func human(name string) *identityv1.Principal {
	return &identityv1.Principal{
		Issuer: "corp", IssuerUrl: "https://idp.example", Subject: name, Groups: []string{"dba"}, Kind: identityv1.Principal_HUMAN,
		ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	}
}

func (f *fixture) vote(t *testing.T, id string, choice approvalv1.Vote_Choice) {
	t.Helper()
	_, err := f.service.Decide(context.WithValue(t.Context(), voterKey{}, human("alice")), connect.NewRequest(&approvalv1.DecideRequest{Id: id, Choice: choice, Reason: "because"}))
	if err != nil {
		t.Fatal(err)
	}
}
