package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/policies"
)

// DefaultMaxAge is how long a processor goes on without its control plane.
const DefaultMaxAge = 15 * time.Minute

// ErrNoPolicy says that nothing can be decided yet.
var ErrNoPolicy = errors.New("no policy received yet")

// ErrStale says that nothing may be decided any more. Current returns it within a StaleError.
var ErrStale = errors.New("cut off from the control plane")

// StaleError is ErrStale with what is known of it.
type StaleError struct {
	MaxAge time.Duration
	// Seen is when the control plane was last proven to be there.
	Seen time.Time
}

// Error implements error.
func (e *StaleError) Error() string {
	return fmt.Sprintf("%v for longer than %s", ErrStale, e.MaxAge)
}

// Is makes it an ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// Options are what a Client needs.
type Options struct {
	// Socket is where the control plane listens: a unix socket, or an address with mutual TLS, whose files are read again
	// when they change. The other end must then have the role control.
	Socket *configv1.Socket
	// NodeID is the processor's id, that of its certificate.
	NodeID string
	// Build is what the processor says that it is, such as a version.
	Build string
	// Apply compiles a bundle. It is called before the bundle is acknowledged, one call at a time.
	Apply func(*policyv1.Bundle) (*policies.Policy, error)
	// StateFile keeps the last good bundle for a restart, with mode 0600; empty: a restart begins without one.
	StateFile string
	// MaxAge is how long a policy may be used without the control plane; 0 means 15 minutes.
	MaxAge time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Jitter is a number from 0 to 1 by which waiting times differ; nil means a random one.
	Jitter func() float64
	// Logger gets connections, policies and refusals.
	Logger *slog.Logger
}

// nodeID is the pattern of process.id in the configuration.
var nodeID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Client is a subscription. Run keeps it; the other methods may be called at any time.
type Client struct {
	options Options
	state   atomic.Pointer[state]
	live    atomic.Bool               // a stream is accepted: what is read proves that the peer is there
	seen    atomic.Pointer[time.Time] // when it was last proven
	save    chan struct{}
	files   atomic.Pointer[peer.Files] // nil: a unix socket, or not read yet

	mu      sync.Mutex
	changed chan struct{}
}

// state is what Current needs, in one piece.
type state struct {
	policy *policies.Policy
	bundle *policyv1.Bundle
	up     bool
	// staleAt and stale are set while the stream is not up.
	staleAt time.Time
	stale   error
}

// New makes a Client and takes up the state file, if it is there and young enough; a bad one is logged and left alone.
// The error is that of the options.
func New(ctx context.Context, o Options) (*Client, error) {
	switch {
	case o.Socket.GetUnix() == "" && o.Socket.GetMtls() == nil:
		return nil, errors.New("xds client: no control plane is set")
	case !nodeID.MatchString(o.NodeID):
		return nil, fmt.Errorf("xds client: %q is no processor's id", o.NodeID)
	case o.Apply == nil || o.Logger == nil:
		return nil, errors.New("xds client: Apply and Logger are needed")
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	c := &Client{options: o, save: make(chan struct{}, 1), changed: make(chan struct{})}
	c.restore(ctx)
	return c, nil
}

// Current is the policy in force. The error is ErrNoPolicy, or ErrStale once the control plane was not seen for MaxAge:
// then nothing may be decided. It costs one atomic load, and a look at the clock while cut off.
func (c *Client) Current() (*policies.Policy, error) {
	s := c.state.Load()
	if s == nil {
		return nil, ErrNoPolicy
	}
	if !s.up && !c.options.Now().Before(s.staleAt) {
		return nil, s.stale
	}
	return s.policy, nil
}

// Changed returns a channel that is closed when another policy comes into force. Ask for it before Current.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Run keeps the subscription until ctx ends, then writes the state file and returns nil.
func (c *Client) Run(ctx context.Context) error {
	var keeper sync.WaitGroup
	keeper.Go(func() { c.keep(ctx) })
	keeper.Go(func() { c.watchFiles(ctx) })
	defer keeper.Wait()
	for attempt := 0; ; attempt++ {
		up, err := c.stream(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if up {
			attempt = 0
		}
		wait := c.backoff(attempt)
		c.options.Logger.WarnContext(ctx, "the control plane is away", slog.Any("error", err), slog.String("retry_after", wait.Round(time.Millisecond).String()))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 10 * time.Second
)

// backoff doubles with each attempt and takes off up to half, so that processors do not come back all at once.
func (c *Client) backoff(attempt int) time.Duration {
	wait := retryFirst
	for range attempt {
		if wait *= 2; wait >= retryMost {
			wait = retryMost
			break
		}
	}
	return wait - time.Duration(c.options.Jitter()*float64(wait/2))
}

// apply compiles a bundle and puts it in force. up says whether the stream is.
func (c *Client) apply(b *policyv1.Bundle, s state) error {
	p, err := c.options.Apply(b)
	if err != nil {
		return err
	}
	old := c.state.Load()
	s.policy, s.bundle = p, b
	c.state.Store(&s)
	if old == nil || old.bundle.GetVersion() != b.GetVersion() {
		c.mu.Lock()
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
	}
	select {
	case c.save <- struct{}{}:
	default:
	}
	return nil
}

// cutOff is the state while the control plane, last seen at seen, is away.
func (c *Client) cutOff(seen time.Time) state {
	return state{staleAt: seen.Add(c.options.MaxAge), stale: &StaleError{MaxAge: c.options.MaxAge, Seen: seen}}
}

// setUp notes that the stream was accepted, or has ended. Only the goroutine of Run changes the state.
func (c *Client) setUp(up bool) {
	c.live.Store(up)
	s := c.state.Load()
	if s == nil {
		return
	}
	next := state{up: true}
	if !up {
		next = c.cutOff(c.lastSeen())
	}
	next.policy, next.bundle = s.policy, s.bundle
	c.state.Store(&next)
}

// lastSeen is when the control plane was last proven to be there; zero for never.
func (c *Client) lastSeen() time.Time {
	if t := c.seen.Load(); t != nil {
		return *t
	}
	return time.Time{}
}
