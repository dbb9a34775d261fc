package guard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
)

// Policies gives the policy in force. An error means that there is none, or none fresh enough to decide by.
type Policies interface {
	Current() (*policies.Policy, error)
}

// Identities proves tokens.
type Identities interface {
	Verify(ctx context.Context, token string) (*identity.Identity, error)
	// Again is who somebody proven before is by the policy of the moment.
	Again(who *identity.Identity) (*identity.Identity, error)
}

// Guard is the door. It is safe for concurrent use.
type Guard struct {
	policies   Policies
	identities Identities
	desk       *approval.Desk
	durable    func(context.Context) error
	now        func() time.Time
	random     io.Reader
	told       *oplog.Log
	ended      endings
}

// New makes a guard. desk may be nil where nothing can be held; durable tells whether the approval store keeps what
// it acknowledged, and is asked before each hold. told hears of holds and their ends.
func New(p Policies, i Identities, desk *approval.Desk, durable func(context.Context) error, told *oplog.Log, now func() time.Time) *Guard {
	return &Guard{policies: p, identities: i, desk: desk, durable: durable, told: told, now: now, random: rand.Reader}
}

// Admission is somebody who was let in to a target, for one session.
type Admission struct {
	Principal *identityv1.Principal
	Target    *policyv1.Target
	// Ends is when the session must end: no decision and no release after it.
	Ends time.Time
	// Version is of the bundle that let them in.
	Version string

	// who was proven, as the policy asked for last has it; nil where nobody was.
	who atomic.Pointer[identity.Identity]
}

// Token tells by what the admission's token says whose it is: the same for every spelling of it.
func (a *Admission) Token() identity.Key {
	if who := a.who.Load(); who != nil {
		return who.Key
	}
	return identity.Key{}
}

// Who is who the session is of, by the policy under which that was asked last: at each decision. What the issuer's settings
// made of the token when it was admitted is Principal.
func (a *Admission) Who() *identityv1.Principal {
	if who := a.who.Load(); who != nil {
		return who.Principal
	}
	return a.Principal
}

// Identify proves a token. The error is an *identity.Error.
func (g *Guard) Identify(ctx context.Context, token string) (*identity.Identity, error) {
	return g.identities.Verify(ctx, token)
}

// Connect decides whether a session to a target may be opened. The error is a *Denied. A token within the leeway of
// its exp is proven, but opens no session: nothing could be decided in it.
func (g *Guard) Connect(who *identity.Identity, target string) (*Admission, error) {
	p, err := g.policies.Current()
	if err != nil {
		return nil, &Denied{Kind: NotReady, Decision: notReady(err), Err: err}
	}
	now := g.now()
	if why, ok := g.ended.find(who.Key, now); ok {
		return nil, stopped(why)
	}
	d := p.Decide(&policies.Request{Principal: who.Principal, Target: target, Time: now})
	if d.Verdict != policies.Allow {
		kind := Forbidden
		if p.Target(target) == nil {
			kind = NotReady // it may be on its way to this process
		}
		return nil, &Denied{Kind: kind, Decision: d}
	}
	a := &Admission{Principal: who.Principal, Target: p.Target(target), Ends: who.SessionEnd(now), Version: p.Version()}
	a.who.Store(who)
	if !now.Before(a.Ends) {
		return nil, ended(a)
	}
	return a, nil
}

// Verdict is a decision with the policy that made it.
type Verdict struct {
	policies.Decision
	Policy *policies.Policy
}

// Decide decides what a session wants to do, by the policy of this moment. The error is a *Denied: the session has
// ended, or nothing can be decided.
func (g *Guard) Decide(a *Admission, operations []policies.Operation, attributes map[string]any) (Verdict, error) {
	now := g.now()
	p, err := g.policies.Current()
	if err != nil {
		return Verdict{}, &Denied{Kind: NotReady, Decision: notReady(err), Err: err}
	}
	who, err := g.still(a)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Policy: p, Decision: p.Decide(&policies.Request{
		Principal: who, Target: a.Target.GetName(), Operations: operations, Time: now, Attributes: attributes,
	})}, nil
}

// Current is the policy in force. The error is a *Denied.
func (g *Guard) Current() (*policies.Policy, error) {
	p, err := g.policies.Current()
	if err != nil {
		return nil, &Denied{Kind: NotReady, Decision: notReady(err), Err: err}
	}
	return p, nil
}

// Ended reports whether a session must end: its token has, or its issuer does not vouch for it any more.
func (g *Guard) Ended(a *Admission) error {
	_, err := g.still(a)
	return err
}

// Principal is who a session is of by the policy of the moment. The error is a *Denied: the session must end.
func (g *Guard) Principal(a *Admission) (*identityv1.Principal, error) { return g.still(a) }

func (g *Guard) still(a *Admission) (*identityv1.Principal, error) {
	if !g.now().Before(a.Ends) {
		return nil, ended(a)
	}
	who := a.who.Load()
	if who == nil {
		return a.Principal, nil
	}
	again, err := g.identities.Again(who)
	if err != nil {
		return nil, disowned(err)
	}
	if again != who {
		a.who.Store(again)
	}
	return again.Principal, nil
}

// EndToken ends what an admission's token can open: it is refused from now on, however it is spelled, at every target.
func (g *Guard) EndToken(a *Admission, reason string) {
	until := a.Ends
	if left := a.Principal.GetExpiresAt().AsTime().Add(identity.Leeway); left.After(until) {
		until = left
	}
	g.ended.add(a.Token(), reason, until, g.now())
}

// disowned is the end of a session whose issuer left the policy, or takes the token no more.
func disowned(err error) *Denied {
	why := "the issuer of its token vouches for it no more"
	var refused *identity.Error
	if errors.As(err, &refused) {
		why = refused.Public()
	}
	return &Denied{Kind: SessionEnded, Err: err, Decision: policies.Decision{
		Message: "the session has ended: " + why, Detail: "The policy changed.",
		Hint: "Get a token from an issuer that the policy names, and connect again.",
	}}
}

// stopped is the refusal of a token whose session somebody ended.
func stopped(reason string) *Denied {
	return &Denied{Kind: SessionEnded, Decision: policies.Decision{
		Message: "The session was ended: " + reason, Detail: "Its token is not accepted any more.", Hint: "Get a new token.",
	}}
}

func ended(a *Admission) *Denied {
	return &Denied{Kind: SessionEnded, Decision: policies.Decision{
		Message: "the session has ended with the token it was opened with",
		Detail:  fmt.Sprintf("It ended at %s.", a.Ends.UTC().Format(time.RFC3339)),
		Hint:    "Get a new token and connect again.",
	}}
}

func notReady(err error) policies.Decision {
	return policies.Decision{
		Message: "nothing can be decided at the moment: " + err.Error(),
		Detail:  "Without a policy in force everything is denied.",
		Hint:    "Try again in a moment.",
	}
}
