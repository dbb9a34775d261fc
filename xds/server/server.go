package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/resources"
)

// Options are what a Server needs.
type Options struct {
	// Resources say where processors and egress sockets are.
	Resources resources.Options
	// RetryFirst and RetryMost bound the time after which a node that refused something is asked again; 0 means 1 s
	// and 60 s. It doubles with each refusal in a row.
	RetryFirst, RetryMost time.Duration
	// Now is the clock of the ledger; nil means time.Now.
	Now func() time.Time
	// Logger gets who comes, goes and refuses.
	Logger *slog.Logger
	// Metrics takes the sluice_xds_* metrics; nil means none.
	Metrics prometheus.Registerer
}

const (
	defaultRetryFirst = time.Second
	defaultRetryMost  = time.Minute
)

// probe is a node for which a bundle is built before it is taken, so that it is refused before any Envoy gets it.
const probe = "probe"

// Server is a control plane. Its methods may be called at the same time.
type Server struct {
	options Options
	ledger  *ledger
	mux     *cache.MuxCache
	bundles cache.SnapshotCache
	envoys  cache.SnapshotCache

	// peers are strangers, who must not hide nodes that are set up wrongly.
	peers, nodes refusals

	mu       sync.Mutex
	bundle   *policyv1.Bundle // the last good one; nil before there is one
	bundleAt time.Time
	faults   []string
	stale    string            // why files that were renewed cannot be sent; empty while they are
	secrets  map[string]string // digests of those that are served, by name
	refs     map[string]*ref   // by node id, of Envoys that are connected
}

// ref is an Envoy with at least one stream.
type ref struct {
	node    resources.Node
	streams int
}

// New makes a control plane without a policy. The error is that of registering its metrics.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RetryFirst == 0 {
		o.RetryFirst = defaultRetryFirst
	}
	if o.RetryMost == 0 {
		o.RetryMost = defaultRetryMost
	}
	s := &Server{
		options: o, ledger: newLedger(o.Now), refs: map[string]*ref{},
		bundles: cache.NewSnapshotCache(false, oneForAll{}, nil),
		envoys:  cache.NewSnapshotCache(true, cache.IDHash{}, nil),
	}
	s.mux = newMux(s.bundles, s.envoys)
	if o.Metrics != nil {
		if err := o.Metrics.Register(&collector{server: s}); err != nil {
			return nil, fmt.Errorf("xds server: %w", err)
		}
	}
	return s, nil
}

// SetBundle serves a bundle, unless faults says why the newest policy cannot be: then b is left alone. A bundle that
// does not compile, or for which no resources can be built, is refused with the reason, a policies.Faults where it is
// the bundle's. Whatever the reason, it is shown in Status, and the last good bundle stays. b must not be changed
// afterwards.
func (s *Server) SetBundle(ctx context.Context, b *policyv1.Bundle, faults error) error {
	if faults == nil {
		faults = s.check(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if faults == nil && b.GetVersion() != s.bundle.GetVersion() {
		faults = s.push(ctx, b)
	}
	if faults != nil {
		s.faults = strings.Split(faults.Error(), "\n")
		return faults
	}
	s.faults = nil
	return nil
}

func (s *Server) check(b *policyv1.Bundle) error {
	if b.GetVersion() == "" {
		return errors.New("xds server: a bundle without a version")
	}
	if size := proto.Size(b); size > resources.MaxBundle {
		return fmt.Errorf("xds server: the bundle has %d bytes, at most %d can be sent", size, resources.MaxBundle)
	}
	if _, err := policies.Compile(b); err != nil {
		return err
	}
	_, err := resources.Build(b, resources.Node{ID: probe}, s.options.Resources)
	return err
}

// push gives the bundle to everybody. What can fail comes before the first is told.
func (s *Server) push(ctx context.Context, b *policyv1.Bundle) error {
	snapshots, err := s.snapshots(b)
	if err != nil {
		return err
	}
	secrets, err := s.digests(b)
	if err != nil {
		return err
	}
	// A caller that goes away must not leave half of them without the push.
	ctx = context.WithoutCancel(ctx)
	// Processors first: a connection for a new target is then known when it comes.
	if err := s.bundles.SetSnapshot(ctx, resources.Stable, newBundleSnapshot(b)); err != nil {
		return fmt.Errorf("xds server: %w", err)
	}
	changes := policies.Changes(s.bundle, b)
	s.bundle, s.bundleAt = b, s.options.Now()
	s.stale, s.secrets = "", secrets
	if err := s.send(ctx, snapshots); err != nil {
		return err
	}
	s.options.Logger.InfoContext(ctx, "policy served", slog.String("version", b.GetVersion()), slog.Int("envoys", len(snapshots)),
		slog.Any("changes", changes))
	return nil
}

// snapshots are those of a bundle for all Envoys that are connected.
func (s *Server) snapshots(b *policyv1.Bundle) (map[string]*cache.Snapshot, error) {
	out := make(map[string]*cache.Snapshot, len(s.refs))
	for id, r := range s.refs {
		var err error
		if out[id], err = s.snapshot(b, r.node); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// send gives Envoys their snapshots; what is the same is not sent again.
func (s *Server) send(ctx context.Context, snapshots map[string]*cache.Snapshot) error {
	for id, snapshot := range snapshots {
		if err := s.envoys.SetSnapshot(ctx, id, snapshot); err != nil {
			return fmt.Errorf("xds server: node %q: %w", id, err)
		}
	}
	return nil
}

func (s *Server) snapshot(b *policyv1.Bundle, n resources.Node) (*cache.Snapshot, error) {
	built, err := resources.Build(b, n, s.options.Resources)
	if err != nil {
		return nil, err
	}
	return built.Cache()
}

// acquire makes sure that an Envoy that connects has its snapshot.
func (s *Server) acquire(ctx context.Context, n resources.Node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refs[n.ID]
	if r == nil {
		r = &ref{}
	}
	if s.bundle != nil && (r.streams == 0 || r.node != n) {
		snapshot, err := s.snapshot(s.bundle, n)
		if err != nil {
			return err
		}
		if err := s.envoys.SetSnapshot(context.WithoutCancel(ctx), n.ID, snapshot); err != nil {
			return err
		}
	}
	r.node = n
	r.streams++
	s.refs[n.ID] = r
	return nil
}

// release forgets the snapshot of an Envoy whose last stream has ended.
func (s *Server) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refs[id]
	if r.streams--; r.streams == 0 {
		delete(s.refs, id)
		s.envoys.ClearSnapshot(id)
	}
}

// Bundle is the one being served, nil before there is one: read only.
func (s *Server) Bundle() *policyv1.Bundle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bundle
}
