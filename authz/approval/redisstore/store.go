package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

// prefix starts every key. The hash tag keeps them on one node.
const prefix = "sluice:{approval}:"

const (
	// batch is how many approvals one script reads: each may hold a text of 1 MiB.
	batch = 16
	// progressBatch is the same for progress, which holds no text.
	progressBatch = 500
	// changesLimit is how many changes one answer holds.
	changesLimit = 1000
)

// Store implements approval.Store.
type Store struct {
	client  redis.UniversalClient
	scripts scripts
}

var _ approval.Store = (*Store)(nil)

// New keeps approvals in the server that the client is connected to. The client stays the caller's to close.
func New(client redis.UniversalClient) *Store {
	return &Store{client: client, scripts: newScripts()}
}

// Create implements approval.Store.
func (s *Store) Create(ctx context.Context, a *approvalv1.Approval) (time.Time, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(immutable(a))
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", approval.ErrInvalid, err)
	}
	out, err := s.strings(ctx, s.scripts.create, a.GetId(), body, a.GetExpiresAt().AsTime().UnixMilli())
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case len(out) == 2 && out[0] == "ok":
		return parseMillis(out[1])
	case len(out) == 1 && out[0] == "exists":
		return time.Time{}, approval.ErrExists
	case len(out) == 2 && out[0] == "late":
		return time.Time{}, fmt.Errorf("%w: its deadline has passed", approval.ErrInvalid)
	}
	return time.Time{}, unexpected(out)
}

// Vote implements approval.Store.
func (s *Store) Vote(ctx context.Context, v *approvalv1.Vote, next approval.State, seen int) error {
	switch next {
	case approvalv1.State_PENDING, approvalv1.State_APPROVED, approvalv1.State_REJECTED:
	default:
		return fmt.Errorf("%w: a vote cannot make it %s", approval.ErrInvalid, approval.Word(next))
	}
	vote, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", approval.ErrInvalid, err)
	}
	return s.move(ctx, s.scripts.vote, v.GetApprovalId(), vote, int(next), seen, v.GetReason())
}

// Withdraw implements approval.Store.
func (s *Store) Withdraw(ctx context.Context, id, reason string) error {
	return s.move(ctx, s.scripts.finish, id, int(approvalv1.State_WITHDRAWN), reason)
}

// Consume implements approval.Store.
func (s *Store) Consume(ctx context.Context, id string) error {
	return s.move(ctx, s.scripts.finish, id, int(approvalv1.State_CONSUMED), "")
}

// move runs a script that answers ok, absent, conflict or the state that forbids it.
func (s *Store) move(ctx context.Context, script *redis.Script, args ...any) error {
	out, err := s.strings(ctx, script, args...)
	if err != nil {
		return err
	}
	switch {
	case len(out) == 1 && out[0] == "ok":
		return nil
	case len(out) == 1 && out[0] == "absent":
		return approval.ErrNotFound
	case len(out) == 1 && out[0] == "conflict":
		return approval.ErrConflict
	case len(out) == 2 && out[0] == "state":
		state, err := parseState(out[1])
		if err != nil {
			return err
		}
		return &approval.StateError{State: state}
	}
	return unexpected(out)
}

// List implements approval.Store.
func (s *Store) List(ctx context.Context, q approval.Query) (approval.Page, error) {
	args := []any{q.Before, q.Limit}
	for _, state := range q.States {
		args = append(args, int(state))
	}
	out, err := s.strings(ctx, s.scripts.list, args...)
	if err != nil {
		return approval.Page{}, err
	}
	if len(out)%2 != 0 {
		return approval.Page{}, unexpected(out)
	}
	var page approval.Page
	for i := 0; i < len(out); i += 2 {
		if len(page.IDs) == q.Limit {
			page.More = true
			break
		}
		position, err := strconv.ParseInt(out[i+1], 10, 64)
		if err != nil {
			return approval.Page{}, unexpected(out)
		}
		page.IDs = append(page.IDs, out[i])
		page.Positions = append(page.Positions, position)
	}
	return page, nil
}

// Changes implements approval.Store.
func (s *Store) Changes(ctx context.Context, after int64) (approval.Changes, error) {
	out, err := s.strings(ctx, s.scripts.changes, after, changesLimit)
	if err != nil {
		return approval.Changes{}, err
	}
	if len(out) < 3 {
		return approval.Changes{}, unexpected(out)
	}
	seq, err := strconv.ParseInt(out[0], 10, 64)
	if err != nil {
		return approval.Changes{}, unexpected(out)
	}
	return approval.Changes{Seq: seq, More: out[1] == "1", Reset: out[2] == "1", IDs: out[3:]}, nil
}

// ServerTime implements approval.Store.
func (s *Store) ServerTime(ctx context.Context) (time.Time, error) {
	t, err := s.client.Time(ctx).Result()
	if err != nil {
		return time.Time{}, unavailable(err)
	}
	return t.UTC(), nil
}

// strings runs a script whose answer is a list of strings.
func (s *Store) strings(ctx context.Context, script *redis.Script, args ...any) ([]string, error) {
	out, err := script.Run(ctx, s.client, []string{prefix}, args...).StringSlice()
	if err != nil {
		return nil, unavailable(err)
	}
	return out, nil
}

// unavailable wraps whatever is not an answer.
func unavailable(err error) error { return fmt.Errorf("%w: %w", approval.ErrUnavailable, err) }

// unexpected is an answer that no script of ours gives. It is not quoted: it may hold an approval.
func unexpected[T any](out []T) error {
	return fmt.Errorf("%w: an answer of %d parts was not understood", approval.ErrUnavailable, len(out))
}
