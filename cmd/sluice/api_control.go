package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/check"
)

// controlService shows what is served and what would be decided.
type controlService struct {
	instance *instance
	may      access
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

// Explain implements the service.
func (s *controlService) Explain(ctx context.Context, req *connect.Request[controlv1.ExplainRequest]) (*connect.Response[controlv1.ExplainResponse], error) {
	who, err := s.subject(ctx, req.Msg)
	if err != nil {
		return nil, err
	}
	if s.instance.process == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errElsewhere("this is the API of a control plane; ask that of a processor, which reads statements"))
	}
	p, err := s.instance.policy().Current()
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	target := p.Target(req.Msg.GetTarget())
	if target == nil {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("no target is named %q", req.Msg.GetTarget()))
	}
	if target.GetHttp() != nil {
		answer, err := check.Explain(p, who, target, req.Msg.GetSql(), time.Now())
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
		return connect.NewResponse(answer), nil
	}
	answer, err := s.instance.process.server.Explain(ctx, p, who, target, req.Msg.GetSql())
	if err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return connect.NewResponse(answer), nil
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
