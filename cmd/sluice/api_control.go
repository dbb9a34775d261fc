package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/share"
	"github.com/sluicegate/sluice/policies"
)

// controlService shows what is served and what would be decided.
type controlService struct {
	instance *instance
	may      access
	pace     *pace
}

// Status implements the service.
func (s *controlService) Status(ctx context.Context, _ *connect.Request[controlv1.StatusRequest]) (*connect.Response[controlv1.StatusResponse], error) {
	if err := s.may.require(ctx, policyv1.Permission_policy_read); err != nil {
		return nil, err
	}
	if s.instance.control == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errElsewhere("this is the API of a processor; ask that of the control plane"))
	}
	return connect.NewResponse(s.instance.control.server.Status()), nil
}

// GetPolicy implements the service.
func (s *controlService) GetPolicy(ctx context.Context, _ *connect.Request[controlv1.GetPolicyRequest]) (*connect.Response[controlv1.GetPolicyResponse], error) {
	if err := s.may.require(ctx, policyv1.Permission_policy_read); err != nil {
		return nil, err
	}
	p, err := s.instance.policy().Current()
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&controlv1.GetPolicyResponse{Bundle: p.Bundle()}), nil
}

// Explain implements the service: for whoever the target lets in, about the rules that concern them; with policy_read
// about everybody and everything.
func (s *controlService) Explain(ctx context.Context, req *connect.Request[controlv1.ExplainRequest]) (*connect.Response[controlv1.ExplainResponse], error) {
	caller, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	who, err := s.subject(ctx, req.Msg)
	if err != nil {
		return nil, err
	}
	if s.instance.process == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errElsewhere("this is the API of a control plane; ask that of a processor, which reads statements"))
	}
	if !s.pace.take(share.Name(caller), time.Now()) {
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("you ask too often: %d times at once, and then once in %v", explainBurst, explainEvery))
	}
	p, err := s.instance.policy().Current()
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	reader := s.may.May(caller, policyv1.Permission_policy_read)
	target := p.Target(req.Msg.GetTarget())
	if target == nil || !reader && !admitted(p, who, target.GetName()) {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("no target is named %q, or no rule lets you use it", req.Msg.GetTarget()))
	}
	answer, err := s.explain(ctx, p, who, target, req.Msg.GetSql())
	if err != nil {
		return nil, err
	}
	if !reader {
		answer.Trace = slices.DeleteFunc(answer.GetTrace(), func(t *controlv1.RuleTrace) bool { return t.GetReason() == policies.OfOthers })
	}
	return connect.NewResponse(answer), nil
}

// admitted reports whether somebody may open a session to a target.
func admitted(p *policies.Policy, who *identityv1.Principal, target string) bool {
	return p.Decide(&policies.Request{Principal: who, Target: target, Time: time.Now()}).Verdict == policies.Allow
}

func (s *controlService) explain(ctx context.Context, p *policies.Policy, who *identityv1.Principal, target *policyv1.Target, text string) (*controlv1.ExplainResponse, error) {
	if target.GetHttp() != nil {
		answer, err := check.Explain(p, who, target, text, time.Now())
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
		return answer, nil
	}
	answer, err := s.instance.process.server.Explain(ctx, p, who, target, text)
	if err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return answer, nil
}

// subject is whom the question is about: the caller, or with policy_read anybody.
func (s *controlService) subject(ctx context.Context, req *controlv1.ExplainRequest) (*identityv1.Principal, error) {
	who, err := callerOf(ctx)
	if err != nil || req.GetAs() == "" {
		return who, err
	}
	if err := s.may.require(ctx, policyv1.Permission_policy_read); err != nil {
		return nil, err
	}
	issuer, subject, ok := strings.Cut(req.GetAs(), ":")
	if !ok || issuer == "" || subject == "" {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("as: %q is not of the form ISSUER:SUBJECT", req.GetAs()))
	}
	return &identityv1.Principal{Issuer: issuer, Subject: subject, Groups: req.GetGroups()}, nil
}
