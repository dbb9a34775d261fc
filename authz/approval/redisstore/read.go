package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

// maxVotes bounds what is read of one approval.
const maxVotes = 1000

// Get implements approval.Store.
func (s *Store) Get(ctx context.Context, ids ...string) ([]*approvalv1.Approval, error) {
	out := make([]*approvalv1.Approval, 0, len(ids))
	err := s.eachBatch(ctx, s.scripts.get, ids, batch, func(_ string, row []string) error {
		if len(row) == 0 {
			return nil
		}
		a, err := assemble(row)
		if err != nil {
			return err
		}
		out = append(out, a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Progress implements approval.Store.
func (s *Store) Progress(ctx context.Context, ids []string) ([]approval.Progress, error) {
	out := make([]approval.Progress, 0, len(ids))
	err := s.eachBatch(ctx, s.scripts.progress, ids, progressBatch, func(id string, row []string) error {
		p := approval.Progress{ID: id}
		if len(row) > 0 {
			var err error
			if p, err = progress(id, row); err != nil {
				return err
			}
		}
		out = append(out, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eachBatch runs a script that answers a list of strings for each id.
func (s *Store) eachBatch(ctx context.Context, script *redis.Script, ids []string, size int, f func(id string, row []string) error) error {
	for chunk := range slices.Chunk(ids, size) {
		args := make([]any, len(chunk))
		for i, id := range chunk {
			args[i] = id
		}
		rows, err := script.Run(ctx, s.client, []string{prefix}, args...).Slice()
		if err != nil {
			return unavailable(err)
		}
		if len(rows) != len(chunk) {
			return unexpected(rows)
		}
		for i, raw := range rows {
			row, err := stringsOf(raw)
			if err != nil {
				return err
			}
			if err := f(chunk[i], row); err != nil {
				return fmt.Errorf("%w: approval %s: %w", approval.ErrUnavailable, chunk[i], err)
			}
		}
	}
	return nil
}

func stringsOf(raw any) ([]string, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: %T instead of a list", approval.ErrUnavailable, raw)
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("%w: %T instead of a string", approval.ErrUnavailable, v)
		}
	}
	return out, nil
}

// progress reads a row of progress.lua.
func progress(id string, row []string) (approval.Progress, error) {
	if len(row) < 3 || len(row) > 3+maxVotes {
		return approval.Progress{}, errors.New("damaged")
	}
	state, err := parseState(row[0])
	if err != nil {
		return approval.Progress{}, err
	}
	p := approval.Progress{ID: id, State: state, Reason: row[2]}
	if row[1] != "" {
		if p.DecidedAt, err = parseMillis(row[1]); err != nil {
			return approval.Progress{}, err
		}
	}
	for _, raw := range row[3:] {
		v, err := vote(raw)
		if err != nil {
			return approval.Progress{}, err
		}
		p.Votes = append(p.Votes, v)
	}
	return p, nil
}

// immutable is what is stored of an approval when it is created; the rest are fields that scripts write.
func immutable(a *approvalv1.Approval) *approvalv1.Approval {
	a = proto.CloneOf(a)
	a.State, a.CreatedAt, a.DecidedAt, a.Votes, a.Reason = 0, nil, nil, nil, ""
	return a
}

// assemble builds an approval from its hash.
func assemble(row []string) (*approvalv1.Approval, error) {
	if len(row)%2 != 0 {
		return nil, errors.New("damaged")
	}
	f := make(map[string]string, len(row)/2)
	for i := 0; i < len(row); i += 2 {
		f[row[i]] = row[i+1]
	}
	a := &approvalv1.Approval{}
	if err := proto.Unmarshal([]byte(f["body"]), a); err != nil {
		return nil, errors.New("its body is damaged")
	}
	var err error
	if a.State, err = parseState(f["state"]); err != nil {
		return nil, err
	}
	created, err := parseMillis(f["created"])
	if err != nil {
		return nil, err
	}
	a.CreatedAt = timestamppb.New(created)
	if f["decided"] != "" {
		decided, err := parseMillis(f["decided"])
		if err != nil {
			return nil, err
		}
		a.DecidedAt = timestamppb.New(decided)
	}
	a.Reason = f["reason"]
	n, err := strconv.Atoi(f["votes"])
	if err != nil || n < 0 || n > maxVotes {
		return nil, errors.New("its votes are damaged")
	}
	for i := range n {
		v, err := vote(f["vote:"+strconv.Itoa(i+1)])
		if err != nil {
			return nil, err
		}
		a.Votes = append(a.Votes, v)
	}
	return a, nil
}

func vote(raw string) (*approvalv1.Vote, error) {
	v := &approvalv1.Vote{}
	if raw == "" || proto.Unmarshal([]byte(raw), v) != nil {
		return nil, errors.New("a vote is damaged")
	}
	return v, nil
}

func parseState(s string) (approval.State, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if _, known := approvalv1.State_name[int32(n)]; err != nil || !known || n == 0 {
		return 0, fmt.Errorf("%w: a state is damaged", approval.ErrUnavailable)
	}
	return approval.State(n), nil
}

func parseMillis(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: a time is damaged", approval.ErrUnavailable)
	}
	return time.UnixMilli(n).UTC(), nil
}
