package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
)

// Field is something that an approval is bound to, by name and exact bytes.
type Field struct {
	Name  string
	Value []byte
}

// Asked is what a session asks people for.
type Asked struct {
	Admission *Admission
	Verdict   Verdict
	SessionID string
	// Protocol and Number, of the command within its session, are for operators.
	Protocol string
	Number   uint64
	// Action is what people see: hidden values are hidden in it.
	Action *approvalv1.Action
	// Binding is what it is, in true bytes and in order.
	Binding []Field
	// Before is a deadline of the protocol's own; zero for none.
	Before   time.Time
	Warnings []string
}

// Pending is something that waits for people.
type Pending struct {
	guard *Guard
	asked Asked
	hold  *approval.Hold
	nonce []byte
	bound []byte
	// groups are those of whoever asks, by the policy that was in force then.
	groups []string

	command oplog.Command
	over    sync.Once // its end is told
}

// Ends of a hold, where it is no denial that ends it.
const (
	approved  = "approved"
	withdrawn = "withdrawn"
)

// withdrawTimeout bounds how long the store is told that nobody waits any more.
const withdrawTimeout = 5 * time.Second

// Hold puts an action before people. The error is a *Denied.
func (g *Guard) Hold(ctx context.Context, asked Asked) (*Pending, error) {
	switch {
	case g.desk == nil:
		return nil, unavailable(errors.New("this process has no approval store"))
	case asked.Verdict.Verdict != policies.Hold || asked.Verdict.Policy == nil:
		return nil, unavailable(errors.New("nothing asks for an approval"))
	}
	who, err := g.still(asked.Admission)
	if err != nil {
		return nil, err
	}
	if err := g.durable(ctx); err != nil {
		return nil, unavailable(err)
	}
	nonce, err := approval.NewNonce(g.random)
	if err != nil {
		return nil, unavailable(err)
	}
	id, err := approval.NewID(g.random)
	if err != nil {
		return nil, unavailable(err)
	}
	p := &Pending{guard: g, asked: asked, nonce: nonce, groups: who.GetGroups()}
	p.asked.Action, p.asked.Binding, p.asked.Warnings = nil, nil, nil // many may wait, and these are not needed again
	if p.bound, err = p.digest(asked.Verdict, asked.Binding); err != nil {
		return nil, unavailable(err)
	}
	until := p.until()
	if !g.now().Before(until) {
		return nil, &Denied{Kind: Expired, Decision: policies.Decision{
			Message: "there is no time left for an approval", Detail: "It would have to be given before " + until.UTC().Format(time.RFC3339) + ".",
			Hint: "Nothing was run. Run it where it may wait for longer.", Version: asked.Verdict.Version,
		}}
	}
	a := &approvalv1.Approval{
		Id: id, Requester: asked.Admission.Principal, Target: asked.Admission.Target.GetName(), SessionId: asked.SessionID,
		Action: asked.Action, BundleVersion: asked.Verdict.Version,
		ExpiresAt: timestamppb.New(until), Digest: p.bound,
		RecordedDigest: approval.RecordedDigest(asked.Action), Warnings: asked.Warnings,
	}
	for _, r := range asked.Verdict.Requirements {
		a.Requirements = append(a.Requirements, &approvalv1.Requirement{Groups: r.Groups, Count: r.Count})
		if !slices.Contains(a.Rules, r.Rule) {
			a.Rules = append(a.Rules, r.Rule)
		}
	}
	if p.hold, err = g.desk.Hold(ctx, a); err != nil {
		return nil, unavailable(err)
	}
	p.command = oplog.Command{
		Protocol: asked.Protocol, Target: a.GetTarget(), Session: asked.SessionID, Principal: a.GetRequester(), Number: asked.Number,
		Rules: asked.Verdict.Rules, Policy: asked.Verdict.Version,
	}
	if len(a.GetRules()) > 0 {
		p.command.Rule = a.GetRules()[0]
	}
	g.told.Held(&p.command, id, until)
	return p, nil
}

// ended tells operators how the wait ended; the first word counts.
func (p *Pending) ended(how string) {
	p.over.Do(func() { p.guard.told.HoldEnded(&p.command, p.hold.ID(), how) })
}

// until is the least of what the rules give, the session's end, and the protocol's own deadline.
func (p *Pending) until() time.Time {
	until := p.guard.now().Add(p.asked.Verdict.Within)
	for _, t := range []time.Time{p.asked.Admission.Ends, p.asked.Before} {
		if !t.IsZero() && t.Before(until) {
			until = t
		}
	}
	return until
}

// digest binds who, where, under what rules, in which session, and what exactly, with a nonce that is nowhere else.
func (p *Pending) digest(v Verdict, binding []Field) ([]byte, error) {
	a := p.asked.Admission
	revision, err := v.Policy.Revision(a.Target.GetName(), p.asked.Verdict.Rules)
	if err != nil {
		return nil, err
	}
	d := approval.NewDigest().
		Field("issuer", []byte(a.Principal.GetIssuerUrl())).
		Field("subject", []byte(a.Principal.GetSubject())).
		Field("target", []byte(a.Target.GetName())).
		Field("revision", revision).
		Field("session", []byte(p.asked.SessionID))
	for _, f := range binding {
		d.Field(f.Name, f.Value)
	}
	return d.Field("nonce", p.nonce).Sum(), nil
}

// Approval is what people were asked, with its id and deadline. It must not be changed.
func (p *Pending) Approval() *approvalv1.Approval { return p.hold.Approval() }

// Withdrawn is what people were asked as it stands once it is withdrawn.
func (p *Pending) Withdrawn() *approvalv1.Approval {
	a := proto.CloneOf(p.hold.Approval())
	a.State = approvalv1.State_WITHDRAWN
	return a
}

// Wait waits for people, or for the context to end. It returns the approval as they left it: with a nil error it is
// approved, and may be released. A *Denied says that they did not approve, or that the session must end; any other error
// is the context's.
func (p *Pending) Wait(ctx context.Context) (*approvalv1.Approval, error) {
	watched, stop := p.watched(ctx)
	defer stop()
	a, err := p.hold.Wait(watched)
	if err != nil {
		var d *Denied
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &d):
			p.ended(d.Kind.String())
			p.Withdraw(ctx, d.Message)
			return nil, d
		}
		p.ended(Unavailable.String())
		return nil, unavailable(err)
	}
	switch a.GetState() {
	case approvalv1.State_APPROVED:
		return a, nil // it ends with its release
	case approvalv1.State_REJECTED:
		p.ended(Rejected.String())
		return a, &Denied{Kind: Rejected, Decision: policies.Decision{
			Message: "rejected: " + reasonOf(a), Detail: "Approval " + a.GetId() + " was rejected" + by(a) + ".",
			Hint: "Nothing was run. Change what was objected to, and ask again.",
		}}
	case approvalv1.State_EXPIRED:
		p.ended(Expired.String())
		return a, &Denied{Kind: Expired, Decision: policies.Decision{
			Message: "approval expired", Detail: fmt.Sprintf("Nobody decided on approval %s before %s.", a.GetId(), a.GetExpiresAt().AsTime().UTC().Format(time.RFC3339)),
			Hint: "Nothing was run. Ask somebody who can approve, and try again.",
		}}
	default:
		p.ended(withdrawn)
		return a, &Denied{Kind: Changed, Decision: policies.Decision{
			Message: "the approval was withdrawn: " + reasonOf(a), Detail: "Approval " + a.GetId() + ".", Hint: "Nothing was run.",
		}}
	}
}

func reasonOf(a *approvalv1.Approval) string {
	if a.GetReason() == "" {
		return "no reason was given"
	}
	return a.GetReason()
}

func by(a *approvalv1.Approval) string {
	for _, v := range a.GetVotes() {
		if v.GetChoice() == approvalv1.Vote_REJECT {
			return " by " + v.GetVoter().GetIssuer() + ":" + v.GetVoter().GetSubject()
		}
	}
	return ""
}

// Release uses the approval, once: the policy and the session of this moment must still ask for no more than was
// approved, what it is bound to must be as it was, and the votes must bear it. The error is a *Denied; then the
// approval is withdrawn.
func (p *Pending) Release(ctx context.Context, operations []policies.Operation, attributes map[string]any, binding []Field) (*approvalv1.Approval, Verdict, error) {
	v, err := p.stillHolds(operations, attributes, binding)
	if err != nil {
		var d *Denied
		if errors.As(err, &d) {
			p.ended(d.Kind.String())
		}
		p.Withdraw(ctx, err.Error())
		return nil, v, err
	}
	a, err := p.hold.Consume(ctx)
	if err != nil {
		p.ended(Unavailable.String())
		p.Withdraw(ctx, "it could not be used")
		return nil, v, unavailable(err)
	}
	p.ended(approved)
	return a, v, nil
}

func (p *Pending) stillHolds(operations []policies.Operation, attributes map[string]any, binding []Field) (Verdict, error) {
	v, err := p.guard.Decide(p.asked.Admission, operations, attributes)
	if err != nil {
		return v, err
	}
	if v.Verdict == policies.Deny {
		return v, &Denied{Kind: Forbidden, Decision: v.Decision}
	}
	now, err := p.digest(v, binding)
	if err != nil {
		return v, unavailable(err)
	}
	// The names of rules and groups can stay while what they mean changes, as with another list of issuers.
	sameNeeds := v.Verdict == policies.Allow || slices.Equal(v.Rules, p.asked.Verdict.Rules) &&
		slices.EqualFunc(v.Requirements, p.asked.Verdict.Requirements, sameRequirement)
	if !sameNeeds || !bytes.Equal(now, p.bound) {
		return v, p.changed(v.Version)
	}
	return v, nil
}

// changed is the end of what was asked under other circumstances, by the policy of that version.
func (p *Pending) changed(version string) *Denied {
	return &Denied{Kind: Changed, Decision: policies.Decision{
		Message: "something that the approval was bound to has changed: run it again", Version: version,
		Detail: "Approval " + p.hold.ID() + " was asked for under another policy or in another state.", Hint: "Nothing was run.",
	}}
}

func sameRequirement(a, b policies.Requirement) bool {
	return a.Rule == b.Rule && a.Count == b.Count && slices.Equal(a.Groups, b.Groups)
}

// Withdraw ends the wait: nothing can be released from then on. It needs no answer from the store to be true here, and
// the store is told although ctx has ended.
func (p *Pending) Withdraw(ctx context.Context, reason string) {
	p.ended(withdrawn)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	// The hold is dead in this process whatever the store says; there it ends at its deadline at the latest.
	_ = p.hold.Withdraw(ctx, reason)
}

func unavailable(err error) *Denied {
	d := &Denied{Kind: Unavailable, Err: err, Decision: policies.Decision{
		Message: "this needs approval, and approvals are not available: " + public(err),
		Detail:  "Nothing was run.", Hint: "Try again later, or ask whoever runs Sluice.",
	}}
	var quorum *approval.QuorumError
	if errors.As(err, &quorum) && quorum.Fault == approval.UnknownKey {
		d.Hint = "Whoever runs Sluice can name the key in process.vote_keys: it is vote.key.pub in the state_dir of the processor whose API took the vote."
	}
	return d
}

// public says which part is missing, and no more.
func public(err error) string {
	var quorum *approval.QuorumError
	var state *approval.StateError
	switch {
	case errors.Is(err, approval.ErrMayLose):
		return approval.ErrMayLose.Error()
	case errors.Is(err, approval.ErrNotFound):
		return "the approval store lost the approval"
	case errors.As(err, &quorum):
		return "the votes do not bear it: " + quorum.Fault.String()
	case errors.As(err, &state):
		return state.Error()
	case errors.Is(err, approval.ErrUnavailable):
		return "the approval store (Redis) does not answer"
	}
	return "an internal error"
}
