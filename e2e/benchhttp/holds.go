package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/e2e/stack"
)

const (
	// maxHoldRatio is how much more memory sluice may take for held requests than a bare Check server.
	maxHoldRatio = 2
	// eachConnection is how many held requests share an HTTP/2 connection: fewer than the listener allows.
	eachConnection = 100
	// settling is how long memory is looked at while all are held; the greatest counts.
	settling = 5 * time.Second
	// holdPatience is how long all of them may take to be held, and to be gone.
	holdPatience = 2 * time.Minute
)

// holds compares what held requests cost sluice with what they cost the no-op processor, from the same kind of Envoy.
func holds(ctx context.Context, p *place, n int) error {
	fmt.Printf("\n%d requests held at once (growth of the processor's memory)\n", n)
	bare, err := p.held(ctx, p.arm(noop), p.plain, n)
	if err != nil {
		return fmt.Errorf("%s: %w", noop, err)
	}
	ours, err := p.held(ctx, p.arm(masked), p.stage.Envoy, n)
	if err != nil {
		return fmt.Errorf("%s: %w", masked, err)
	}
	if bare <= 0 {
		return fmt.Errorf("%d held requests are too few: the bare server's memory did not grow", n)
	}
	ratio := float64(ours) / float64(bare)
	fmt.Printf("  sluice's is %.2f of the bare server's\n", ratio)
	if ratio > maxHoldRatio {
		return fmt.Errorf("%d held requests take %.2f of a bare server's memory, the limit is %d", n, ratio, maxHoldRatio)
	}
	return nil
}

// held holds n requests in one arm, and lets go of them.
func (p *place) held(ctx context.Context, a arm, envoy *stack.Envoy, n int) (int64, error) {
	if err := p.warm(ctx, a); err != nil {
		return 0, err
	}
	before, err := resident(a.processor)
	if err != nil {
		return 0, err
	}
	crowd, err := p.newCrowd(ctx, a, n)
	if err != nil {
		return 0, err
	}
	defer crowd.leave()
	start := time.Now()
	if err := eventually(ctx, func(ctx context.Context) error { return p.waiting(ctx, crowd, a, envoy, n) }); err != nil {
		return 0, err
	}
	took := time.Since(start)
	var most int64
	for end := time.Now().Add(settling); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		now, err := resident(a.processor)
		if err != nil {
			return 0, err
		}
		most = max(most, now)
	}
	// To list them takes memory of the same process: so not before that has been measured.
	if err := errors.Join(p.waiting(ctx, crowd, a, envoy, n), p.pending(ctx, a, n)); err != nil {
		return 0, fmt.Errorf("they were not held all the time: %w", err)
	}
	start = time.Now()
	crowd.leave()
	left := func(ctx context.Context) error {
		return errors.Join(p.waiting(ctx, crowd, a, envoy, 0), p.pending(ctx, a, 0))
	}
	if err := eventually(ctx, left); err != nil {
		return 0, fmt.Errorf("left behind: %w", err)
	}
	growth := most - before
	fmt.Printf("  %-26s %6.1f MB (%.1f KB each)   held after %.1f s, all gone %.1f s after their clients\n", a.name,
		float64(growth)/1e6, float64(growth)/1e3/float64(n), took.Seconds(), time.Since(start).Seconds())
	return growth, nil
}

// warm makes a processor use what it uses anyway.
func (p *place) warm(ctx context.Context, a arm) error {
	c, err := newCrew(ctx, p, a, "/body/1k")
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.closed(ctx, 2*time.Second)
	return err
}

// pending is an error unless as many approvals as wanted wait in Valkey, as the API tells an auditor.
func (p *place) pending(ctx context.Context, a arm, want int) error {
	if !a.sluice {
		return nil
	}
	out, err := p.stage.Sluice(ctx, "carol", "approvals", "list", "--state", "pending", "-o", "json", "--limit", "100000")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var all []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return fmt.Errorf("%w: %.200s", err, out)
	}
	if len(all) != want {
		return fmt.Errorf("%d approvals are pending, not %d", len(all), want)
	}
	return nil
}

// waiting is an error unless as many requests as wanted wait, as Envoy sees it, and sluice.
func (p *place) waiting(ctx context.Context, c *crowd, a arm, envoy *stack.Envoy, want int) error {
	if n := c.answered.Load(); n > 0 {
		return &endedError{fmt.Sprintf("%d were answered, the first: %s", n, *c.first.Load())}
	}
	text, err := envoy.Admin(ctx, "/stats?filter=^cluster.processor/http.upstream_rq_active$")
	if err != nil {
		return err
	}
	if err := counted(string(text), "cluster.processor/http.upstream_rq_active: ", want); err != nil || !a.sluice {
		return err
	}
	metrics, err := p.stage.Metrics(ctx)
	if err != nil {
		return err
	}
	return counted(metrics, "sluice_http_holding ", want)
}

// counted is an error unless the line of a text that begins so ends with the number.
func counted(text, begin string, want int) error {
	for l := range strings.Lines(text) {
		if number, ok := strings.CutPrefix(strings.TrimSpace(l), begin); ok {
			if number != strconv.Itoa(want) {
				return fmt.Errorf("%s%s, not %d", begin, number, want)
			}
			return nil
		}
	}
	return fmt.Errorf("nothing says %q", begin)
}

// crowd is many requests that wait.
type crowd struct {
	cancel  context.CancelFunc
	waiting sync.WaitGroup
	clients []*http.Transport
	// answered counts those that do not wait any more, with what the first of them was told.
	answered atomic.Int64
	first    atomic.Pointer[string]
}

func (p *place) newCrowd(ctx context.Context, a arm, n int) (*crowd, error) {
	c := &crowd{}
	token, err := p.token(ctx, a)
	if err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(ctx)
	for i := range n {
		if i%eachConnection == 0 {
			if err := c.connect(ctx, a, token); err != nil {
				c.leave()
				return nil, err
			}
		}
		req, err := request(ctx, a, http.MethodPost, heldPath+strconv.Itoa(i), token)
		if err != nil {
			c.leave()
			return nil, err
		}
		client := c.clients[len(c.clients)-1]
		c.waiting.Go(func() { c.wait(ctx, client, req) })
	}
	return c, nil
}

// connect makes an HTTP/2 connection with a first request: many at once would each make one.
func (c *crowd) connect(ctx context.Context, a arm, token string) error {
	t := &http.Transport{Protocols: &http.Protocols{}}
	t.Protocols.SetUnencryptedHTTP2(true)
	c.clients = append(c.clients, t)
	req, err := request(ctx, a, http.MethodGet, "/body/1k", token)
	if err != nil {
		return err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

func (c *crowd) wait(ctx context.Context, client *http.Transport, req *http.Request) {
	res, err := client.RoundTrip(req)
	if err == nil {
		_ = res.Body.Close() // only that there is an answer counts
		err = errors.New(res.Status)
	}
	if ctx.Err() == nil {
		text := err.Error()
		c.first.CompareAndSwap(nil, &text)
		c.answered.Add(1)
	}
}

// leave ends all requests as clients do that go away.
func (c *crowd) leave() {
	c.cancel()
	c.waiting.Wait()
	for _, t := range c.clients {
		t.CloseIdleConnections()
	}
}

// endedError says that waiting longer is of no use.
type endedError struct{ text string }

// Error implements error.
func (e *endedError) Error() string { return e.text }

// eventually tries until it is so.
func eventually(ctx context.Context, so func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	for {
		err := so(ctx)
		var ended *endedError
		if err == nil || errors.As(err, &ended) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
