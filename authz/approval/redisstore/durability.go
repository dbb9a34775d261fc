package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegate/sluice/authz/approval"
)

// CheckDurability asks the server whether it keeps what it acknowledges: appendonly yes, appendfsync
// always, maxmemory-policy noeviction. Else, or where the server does not tell, it returns approval.ErrMayLose with
// every reason; where the server does not answer, approval.ErrUnavailable.
func (s *Store) CheckDurability(ctx context.Context) error {
	wants := [...][2]string{{"appendonly", "yes"}, {"appendfsync", "always"}, {"maxmemory-policy", "noeviction"}}
	var ping *redis.StatusCmd
	var answers [len(wants)]*redis.MapStringStringCmd
	_, _ = s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each answer has its error
		ping = p.Ping(ctx)
		for i, want := range wants {
			answers[i] = p.ConfigGet(ctx, want[0])
		}
		return nil
	})
	if err := ping.Err(); err != nil {
		return unavailable(err)
	}
	var faults []error
	for i, want := range wants {
		got, err := answers[i].Result()
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s cannot be read: %w", want[0], err))
		case got[want[0]] != want[1]:
			faults = append(faults, fmt.Errorf("%s is %q, needed is %q", want[0], got[want[0]], want[1]))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", approval.ErrMayLose, errors.Join(faults...))
	}
	return nil
}
