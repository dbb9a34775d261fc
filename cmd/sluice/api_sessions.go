package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"connectrpc.com/connect"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/index"
)

// sessionService answers from the recorder of this process.
type sessionService struct {
	process *processRole
	may     access
}

// List implements the service: one's own, or all with audit_read.
func (s *sessionService) List(ctx context.Context, req *connect.Request[sessionv1.ListRequest]) (*connect.Response[sessionv1.ListResponse], error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	f := index.Filter{States: req.Msg.GetStates(), Target: req.Msg.GetTarget(), Principal: req.Msg.GetPrincipal()}
	if !s.may.May(who, policyv1.Permission_audit_read) {
		own := who.GetIssuer() + ":" + who.GetSubject()
		if f.Principal != "" && f.Principal != own {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New("the policy lets you see your own sessions only (audit_read is needed)"))
		}
		f.Principal, f.Owner = "", index.OwnerOf(who) // an alias may have been another issuer's
	}
	found, next, err := s.process.recorder.Index().ListSessions(ctx, f, index.Page{Size: int(req.Msg.GetPageSize()), Token: req.Msg.GetPageToken()})
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	return connect.NewResponse(&sessionv1.ListResponse{Sessions: found, NextPageToken: next}), nil
}

// one finds a session that the caller may see.
func (s *sessionService) one(ctx context.Context, id string) (*sessionv1.Session, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.process.recorder.Index().GetSession(ctx, id)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	// The index says where a session is; whose it is, its recording says.
	start, err := s.process.recorder.Start(ctx, id)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	owner := index.OwnerOf(start.GetPrincipal())
	if found.GetId() != id || index.OwnerOf(found.GetPrincipal()) != owner {
		return nil, s.fault(ctx, fmt.Errorf("the index's row of session %s: %w", id, record.ErrNotAsLogged))
	}
	own := owner == index.OwnerOf(who) && who.GetIssuerUrl() != ""
	if !own && !s.may.May(who, policyv1.Permission_audit_read) {
		// Whether it exists is not for the caller to know.
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such session"))
	}
	return found, nil
}

// Get implements the service.
func (s *sessionService) Get(ctx context.Context, req *connect.Request[sessionv1.GetRequest]) (*connect.Response[sessionv1.GetResponse], error) {
	found, err := s.one(ctx, req.Msg.GetId())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&sessionv1.GetResponse{Session: found}), nil
}

// Replay implements the service.
func (s *sessionService) Replay(ctx context.Context, req *connect.Request[sessionv1.ReplayRequest], out *connect.ServerStream[sessionv1.ReplayResponse]) error {
	if _, err := s.one(ctx, req.Msg.GetId()); err != nil {
		return err
	}
	for event, err := range s.process.recorder.Events(ctx, req.Msg.GetId()) {
		if err != nil {
			return s.fault(ctx, err)
		}
		if err := out.Send(&sessionv1.ReplayResponse{Event: event}); err != nil {
			return err
		}
	}
	return nil
}

// End implements the service.
func (s *sessionService) End(ctx context.Context, req *connect.Request[sessionv1.EndRequest]) (*connect.Response[sessionv1.EndResponse], error) {
	if err := s.may.require(ctx, policyv1.Permission_session_end); err != nil {
		return nil, err
	}
	reason := req.Msg.GetReason()
	if reason == "" {
		reason = "ended by an operator"
	}
	if !s.process.endSession(req.Msg.GetId(), reason) {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no live session of this processor has that id"))
	}
	return connect.NewResponse(&sessionv1.EndResponse{}), nil
}

func (s *sessionService) fault(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, index.ErrNotFound), errors.Is(err, record.ErrNotFound):
		return connect.NewError(connect.CodeNotFound, errors.New("no such session"))
	case errors.Is(err, index.ErrPageToken):
		return connect.NewError(connect.CodeInvalidArgument, errors.New("page_token: not one of this list's"))
	}
	if errors.Is(err, record.ErrNotAsLogged) {
		s.process.logger.ErrorContext(ctx, "a recording is not shown", slog.Any("error", err))
		return connect.NewError(connect.CodeDataLoss, errors.New("the recording, or the index, is not what was recorded: it is not shown; `sluice audit verify` says more"))
	}
	s.process.logger.ErrorContext(ctx, "sessions cannot be read", slog.Any("error", err))
	return connect.NewError(connect.CodeInternal, errors.New("the recordings cannot be read"))
}
