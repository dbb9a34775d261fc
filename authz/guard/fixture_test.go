package guard_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/go/protoyaml"
	"connectrpc.com/connect"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/approval/redisstore"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog/oplogtest"
	"github.com/sluicegate/sluice/policies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
rules:
- {name: read, who: {groups: [agents]}, on: {targets: [orders], sql: {effects: [READ]}}, allow: {}}
- name: writes
  who: {groups: [agents]}
  on: {targets: [orders], sql: {effects: [DELETE]}}
  approve: {by: [{groups: [dba], count: 2}], within: 900s}
- {name: drop, on: {targets: ["*"], sql: {commands: [DROP]}}, deny: {message: No dropping.}}
- {name: banned, who: {groups: [banned]}, on: {targets: [orders]}, deny: {message: Go away.}}
`

func compile(t testing.TB, text, version string) *policies.Policy {
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

// source gives a policy, or an error.
type source struct {
	policy atomic.Pointer[policies.Policy]
	err    atomic.Pointer[error]
}

func (s *source) Current() (*policies.Policy, error) {
	if err := s.err.Load(); err != nil {
		return nil, *err
	}
	return s.policy.Load(), nil
}

func (s *source) fail(err error) { s.err.Store(&err) }

// tokens proves the token "good".
type tokens struct {
	who   *identity.Identity
	again *atomic.Pointer[func(*identity.Identity) (*identity.Identity, error)]
}

func (i tokens) Again(who *identity.Identity) (*identity.Identity, error) {
	if again := i.again.Load(); again != nil {
		return (*again)(who)
	}
	return who, nil
}

func (i tokens) Verify(_ context.Context, token string) (*identity.Identity, error) {
	if token != "good" {
		return nil, errors.New("a bad token")
	}
	return i.who, nil
}

// everybody may do all in the API.
type everybody struct{}

func (everybody) May(*identityv1.Principal, policyv1.Permission) bool { return true }

// door is a guard with all that stands behind it.
type door struct {
	*guard.Guard
	policies *source
	redis    *miniredis.Miniredis
	store    *redisstore.Store
	told     *oplogtest.Book
	service  *approval.Service
	signer   *approval.Signer
	ahead    atomic.Int64
	durable  atomic.Pointer[error]
	again    atomic.Pointer[func(*identity.Identity) (*identity.Identity, error)]
}

// issuers changes what the issuers of the policy make of a token.
func (d *door) issuers(again func(*identity.Identity) (*identity.Identity, error)) {
	d.again.Store(&again)
}

func (d *door) now() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }

func signerOf(seed byte) *approval.Signer {
	return approval.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(seed), ed25519.SeedSize))))
}

type voterKey struct{}

func open(t *testing.T) *door {
	t.Helper()
	d := &door{policies: &source{}, redis: miniredis.RunT(t), signer: signerOf('k')}
	d.policies.policy.Store(compile(t, bundle, "v1"))
	client := redis.NewClient(&redis.Options{Addr: d.redis.Addr(), MaxRetries: -1, DialTimeout: 200 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	d.store = redisstore.New(client)
	log := slog.New(slog.DiscardHandler)
	d.told = oplogtest.New(d.now)
	feed := approval.NewFeed(d.store, log)
	t.Cleanup(feed.Close)
	desk := approval.NewDesk(d.store, feed, approval.NewKeyring(d.signer.Public()), "p1", d.now, log)
	t.Cleanup(desk.Close)
	d.service = approval.NewService(d.store, feed, d.signer, func(ctx context.Context) (*identityv1.Principal, error) {
		return ctx.Value(voterKey{}).(*identityv1.Principal), nil
	}, everybody{}, log, d.told.Log)
	d.Guard = guard.New(d.policies, tokens{agent(time.Hour), &d.again}, desk, func(context.Context) error {
		if err := d.durable.Load(); err != nil {
			return *err
		}
		return nil
	}, d.told.Log, d.now)
	return d
}

// agent is who asks, with a token that ends in d.
func agent(d time.Duration, groups ...string) *identity.Identity {
	return &identity.Identity{Principal: &identityv1.Principal{
		Issuer: "corp", IssuerUrl: "https://idp.example", Subject: "agent", Groups: append(groups, "agents"), Kind: identityv1.Principal_MACHINE,
		ExpiresAt: timestamppb.New(time.Now().Add(d)),
	}}
}

func human(name string) *identityv1.Principal {
	return &identityv1.Principal{
		Issuer: "corp", IssuerUrl: "https://idp.example", Subject: name, Groups: []string{"dba"}, Kind: identityv1.Principal_HUMAN,
		ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	}
}

func deleting() []policies.Operation {
	return []policies.Operation{{Command: "DELETE", Pairs: []policies.Pair{{Effect: policyv1.Effect_DELETE, Object: "public.orders"}}}}
}

func reading() []policies.Operation {
	return []policies.Operation{{Command: "SELECT", Pairs: []policies.Pair{{Effect: policyv1.Effect_READ, Object: "public.orders"}}}}
}

func binding() []guard.Field {
	return []guard.Field{{Name: "role", Value: []byte("app")}, {Name: "statement", Value: []byte("delete from orders")}}
}

func (d *door) admit(t *testing.T) *guard.Admission {
	t.Helper()
	a, err := d.Connect(agent(time.Hour), "orders")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *door) asked(t *testing.T, a *guard.Admission) guard.Asked {
	t.Helper()
	v, err := d.Decide(a, deleting(), nil)
	if err != nil || v.Verdict != policies.Hold {
		t.Fatalf("got %v, %v", v.Verdict, err)
	}
	return guard.Asked{
		Admission: a, Verdict: v, SessionID: "s1", Binding: binding(), Warnings: []string{"locks are held"},
		Action: &approvalv1.Action{Summary: "DELETE", Text: "delete from orders where x = ‹hidden, 3 bytes›"},
	}
}

func (d *door) hold(t *testing.T) *guard.Pending {
	t.Helper()
	p, err := d.Hold(t.Context(), d.asked(t, d.admit(t)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// vote is a person's by the API.
func (d *door) vote(t *testing.T, id, who string, choice approvalv1.Vote_Choice) {
	t.Helper()
	_, err := d.service.Decide(context.WithValue(t.Context(), voterKey{}, human(who)), connect.NewRequest(&approvalv1.DecideRequest{
		Id: id, Choice: choice, Reason: "because " + who,
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// approve gives the two votes that are needed and waits for them.
func (d *door) approve(t *testing.T, p *guard.Pending) {
	t.Helper()
	id := p.Approval().GetId()
	d.vote(t, id, "alice", approvalv1.Vote_APPROVE)
	d.vote(t, id, "bob", approvalv1.Vote_APPROVE)
	a, err := p.Wait(patient(t))
	if err != nil || a.GetState() != approvalv1.State_APPROVED || len(a.GetVotes()) != 2 {
		t.Fatalf("got %v, %v", a, err)
	}
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// state is the approval's, as the store has it.
func (d *door) state(t *testing.T, id string) approval.State {
	t.Helper()
	all, err := d.store.Get(t.Context(), id)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d, %v", len(all), err)
	}
	return all[0].GetState()
}

func wantDenied(t *testing.T, err error, kind guard.Kind, words string) {
	t.Helper()
	var d *guard.Denied
	if !errors.As(err, &d) {
		t.Fatalf("got %v", err)
	}
	if d.Kind != kind || !strings.Contains(d.Error(), words) {
		t.Errorf("got kind %d: %s; want %d: %s", d.Kind, d, kind, words)
	}
	if d.Message == "" || d.Detail == "" || d.Hint == "" {
		t.Errorf("a denial without explanation: %+v", d.Decision)
	}
}

// release tries with all as it was.
func (d *door) release(t *testing.T, p *guard.Pending) error {
	t.Helper()
	a, _, err := p.Release(t.Context(), deleting(), nil, binding())
	if err == nil && a.GetState() != approvalv1.State_CONSUMED {
		t.Errorf("released as %v", a.GetState())
	}
	return err
}
