package approval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/oplog"
)

const (
	defaultPage = 100
	maxPage     = 1000
	// maxPageBytes ends a page early: one text alone may have 1 MiB.
	maxPageBytes = 2 << 20
	// maxScan is how many approvals one request looks at for those that the caller may see.
	maxScan = 5000
	// scanBatch is how many are listed, and readAtOnce how many are read, at a time.
	scanBatch  = 200
	readAtOnce = 16
)

// Caller is who calls. It fails where nobody proved who they are.
type Caller func(ctx context.Context) (*identityv1.Principal, error)

// Access says what the policy of this moment lets somebody do in the API.
type Access interface {
	// May reports whether p has the permission.
	May(p *identityv1.Principal, permission policyv1.Permission) bool
}

// Service is how people see approvals and decide: the Connect handler of sluice.approval.v1.ApprovalService.
type Service struct {
	store  Store
	feed   *Feed
	signer *Signer
	caller Caller
	access Access
	log    *slog.Logger
	told   *oplog.Log
}

var _ approvalv1connect.ApprovalServiceHandler = (*Service)(nil)

// NewService serves the approvals of a store and signs the votes that it hears. told hears of them, too.
func NewService(store Store, feed *Feed, signer *Signer, caller Caller, access Access, log *slog.Logger, told *oplog.Log) *Service {
	return &Service{store: store, feed: feed, signer: signer, caller: caller, access: access, log: log, told: told}
}

// Get implements the service. What one may not see is not found.
func (s *Service) Get(ctx context.Context, req *connect.Request[approvalv1.GetRequest]) (*connect.Response[approvalv1.GetResponse], error) {
	who, err := s.who(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.one(ctx, req.Msg.GetId())
	if err != nil {
		return nil, err
	}
	if !s.visible(ctx, who, a) {
		return nil, notFound()
	}
	return connect.NewResponse(&approvalv1.GetResponse{Approval: a}), nil
}

// List implements the service.
func (s *Service) List(ctx context.Context, req *connect.Request[approvalv1.ListRequest]) (*connect.Response[approvalv1.ListResponse], error) {
	who, err := s.who(ctx)
	if err != nil {
		return nil, err
	}
	limit := int(req.Msg.GetPageSize())
	if limit == 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	q := Query{States: req.Msg.GetStates(), Limit: scanBatch}
	for _, state := range q.States {
		if _, known := approvalv1.State_name[int32(state)]; !known || state == approvalv1.State_STATE_UNSPECIFIED {
			return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("unknown state %d", state))
		}
	}
	slices.Sort(q.States)
	q.States = slices.Compact(q.States)
	if token := req.Msg.GetPageToken(); token != "" {
		if q.Before, err = strconv.ParseInt(token, 10, 64); err != nil || q.Before <= 0 {
			return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("page_token is not from a response"))
		}
	}
	resp := &approvalv1.ListResponse{}
	size := 0
	more, err := s.scan(ctx, &q, func(a *approvalv1.Approval) bool {
		if s.visible(ctx, who, a) {
			resp.Approvals = append(resp.Approvals, a)
			size += proto.Size(a)
		}
		return len(resp.GetApprovals()) < limit && size < maxPageBytes
	})
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	if more {
		resp.NextPageToken = strconv.FormatInt(q.Before, 10)
	}
	return connect.NewResponse(resp), nil
}

// scan reads approvals, newest first, until there are no others, f has enough, or maxScan are read. It moves q.Before
// past the last one that f saw, and reports whether there may be more.
func (s *Service) scan(ctx context.Context, q *Query, f func(*approvalv1.Approval) bool) (bool, error) {
	for scanned := 0; scanned < maxScan; {
		page, err := s.store.List(ctx, *q)
		if err != nil {
			return false, err
		}
		at := make(map[string]int64, len(page.IDs))
		for i, id := range page.IDs {
			at[id] = page.Positions[i]
		}
		for chunk := range slices.Chunk(page.IDs, readAtOnce) {
			all, err := s.store.Get(ctx, chunk...)
			if err != nil {
				return false, err
			}
			for _, a := range all {
				// It may have left the states that were asked for since it was listed.
				fits := len(q.States) == 0 || slices.Contains(q.States, a.GetState())
				position, listed := at[a.GetId()]
				if !listed {
					continue // stored under another id than its own: tampered with
				}
				q.Before = position
				if fits && !f(a) {
					return true, nil
				}
			}
			q.Before = at[chunk[len(chunk)-1]]
		}
		if !page.More {
			return false, nil
		}
		scanned += len(page.IDs)
	}
	return true, nil
}

// who is the caller, with a live proof.
func (s *Service) who(ctx context.Context) (*identityv1.Principal, error) {
	who, err := s.caller(ctx)
	if err == nil && (who.GetSubject() == "" || who.GetIssuerUrl() == "") {
		err = errors.New("nobody is logged in")
	}
	if err == nil {
		return who, nil
	}
	var known *connect.Error
	if errors.As(err, &known) {
		return nil, known
	}
	return nil, connect.NewError(connect.CodeUnauthenticated, err)
}

// one reads one approval.
func (s *Service) one(ctx context.Context, id string) (*approvalv1.Approval, error) {
	if id == "" || len(id) > 64 {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("id needs 1 to 64 characters"))
	}
	all, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	if len(all) != 1 || all[0].GetId() != id {
		return nil, notFound()
	}
	return all[0], nil
}

// visible reports whether somebody may see an approval: one's own, those that one may decide, or all by permission. An
// approval whose action is not what was recorded is shown to nobody: the store was tampered with.
func (s *Service) visible(ctx context.Context, who *identityv1.Principal, a *approvalv1.Approval) bool {
	if !intact(a) {
		s.log.ErrorContext(ctx, "approval: an action is not what was recorded", slog.String("approval", a.GetId()))
		return false
	}
	return s.mayKnow(who, a)
}

// mayKnow reports whether an approval is somebody's business at all.
func (s *Service) mayKnow(who *identityv1.Principal, a *approvalv1.Approval) bool {
	return personOf(who) == personOf(a.GetRequester()) || eligible(who, a) || s.access.May(who, policyv1.Permission_approvals_read)
}

// eligible reports whether somebody's vote could serve a requirement.
func eligible(who *identityv1.Principal, a *approvalv1.Approval) bool {
	return who.GetKind() == identityv1.Principal_HUMAN && memberOfAny(who, a)
}

// memberOfAny reports whether somebody, a machine too, is of a group that is asked.
func memberOfAny(who *identityv1.Principal, a *approvalv1.Approval) bool {
	return slices.ContainsFunc(a.GetRequirements(), func(r *approvalv1.Requirement) bool { return member(who, r) })
}

// intact reports whether an approval's action is the one that its recorded digest is of.
func intact(a *approvalv1.Approval) bool {
	return len(a.GetDigest()) == DigestSize && bytes.Equal(a.GetRecordedDigest(), RecordedDigest(a.GetAction()))
}

func notFound() error { return connect.NewError(connect.CodeNotFound, ErrNotFound) }

// fault turns an error of the store into one of the API. Causes go to the log: they name servers.
func (s *Service) fault(ctx context.Context, err error) error {
	var state *StateError
	switch {
	case errors.Is(err, ErrNotFound):
		return notFound()
	case errors.As(err, &state):
		return connect.NewError(connect.CodeFailedPrecondition, state)
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, ctx.Err())
	}
	s.log.WarnContext(ctx, "approval: the store failed", slog.Any("error", err))
	return connect.NewError(connect.CodeUnavailable, ErrUnavailable)
}
