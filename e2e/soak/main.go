// Command soak shows that a request may be held for longer than anything on its way waits by default: Envoy alone would
// cut it after 300 s. Two clients, curl and Go's with HTTP/2, each wait for as long as is asked for, are approved, and
// must succeed.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

const (
	// every is how often it is said that all is well.
	every = 30 * time.Second
	// grace is how long an answer may take once it was approved.
	grace = 20 * time.Second
)

func main() {
	seconds := flag.Int("seconds", 330, "how long the requests are held")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := soak(ctx, time.Duration(*seconds)*time.Second)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(ctx context.Context, held time.Duration) error {
	dir, err := os.MkdirTemp("", "sluice-soak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the way of nobody
	starting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := stage.Start(starting, stage.Options{Dir: filepath.Join(dir, "stage")})
	if err != nil {
		return err
	}
	defer s.Stop()
	token, err := s.Token(ctx, "agent")
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, held+3*time.Minute)
	defer cancel()
	all := clients()
	ends := make(chan end, len(all))
	for i, c := range all {
		go func() {
			err := c.ask(ctx, s, token, fmt.Sprintf("/customers/%d", 900+i))
			ends <- end{c.name, err}
		}()
	}
	if err := hold(ctx, s, ends, len(all), held); err != nil {
		return err
	}
	return release(ctx, s, ends, len(all))
}

// end is how one client's request ended.
type end struct {
	client string
	err    error
}

// errUnapproved says that a request went through without anybody's consent.
var errUnapproved = errors.New("it was let through")

// hold waits, and looks whether all wait.
func hold(ctx context.Context, s *stage.Stage, ends <-chan end, n int, held time.Duration) error {
	start := time.Now()
	next := min(2*time.Second, held) // time to be held at all
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-ends:
			return fmt.Errorf("%s ended after %.0f s, before anybody approved: %w", e.client, time.Since(start).Seconds(), cmp.Or(e.err, errUnapproved))
		case <-time.After(time.Until(start.Add(next))):
		}
		pending, err := waiting(ctx, s)
		if err != nil {
			return err
		}
		if len(pending) != n {
			return fmt.Errorf("after %.0f s %d approvals are pending, not %d", time.Since(start).Seconds(), len(pending), n)
		}
		fmt.Printf("%4.0f s: %d requests are held\n", time.Since(start).Seconds(), len(pending))
		if next == held {
			return nil
		}
		next = min(next.Truncate(every)+every, held)
	}
}

// release approves all, and waits for the answers.
func release(ctx context.Context, s *stage.Stage, ends <-chan end, n int) error {
	pending, err := waiting(ctx, s)
	if err != nil {
		return err
	}
	for _, id := range pending {
		if out, err := s.Sluice(ctx, "alice", "approve", id, "--reason", "soak"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	var faults []error
	late := time.After(grace)
	for range n {
		select {
		case e := <-ends:
			if e.err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", e.client, e.err))
				continue
			}
			fmt.Printf("%s: 204 after the approval\n", e.client)
		case <-late:
			return errors.Join(append(faults, fmt.Errorf("no answer %v after the approval", grace))...)
		}
	}
	left, err := waiting(ctx, s)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d approvals are left", len(left))
	}
	return errors.Join(append(faults, err)...)
}

// waiting are the ids of pending approvals.
func waiting(ctx context.Context, s *stage.Stage) ([]string, error) {
	out, err := s.Sluice(ctx, "alice", "approvals", "list", "--state", "pending", "-o", "json")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var all []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("%w: %.200s", err, out)
	}
	ids := make([]string, len(all))
	for i, a := range all {
		ids[i] = a.ID
	}
	return ids, nil
}
