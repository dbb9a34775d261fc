package resources

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_config_route_v3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/envoy"
	"github.com/sluicegate/sluice/policies"
)

const (
	connectTimeout = 5 * time.Second
	// bufferLimit bounds what Envoy holds of one connection in one direction, in bytes. Envoy's default is 1 MiB, which
	// hides a client's end for long and costs 1 GiB with 1,000 slow readers.
	bufferLimit = 256 << 10
	// breakerLimit lifts Envoy's default of 1,024 connections to a cluster: the limit is the listener's.
	breakerLimit = 1_000_000
	// A peer that is gone without a word is seen after keepaliveIdle + keepaliveProbes × keepaliveInterval: 2 minutes.
	keepaliveIdle     = 60
	keepaliveInterval = 10
	keepaliveProbes   = 6
)

// Node is what of an Envoy its resources depend on.
type Node struct {
	// ID is the node id: processors get it with each connection (TLV 0xE1).
	ID string
	// PostgresProxy says that it has the contrib filter, which reads statistics off plaintext PostgreSQL.
	PostgresProxy bool
}

// NodeOf takes an Envoy at its word. What it does not report, it does not have.
func NodeOf(n *envoy_config_core_v3.Node) Node {
	return Node{ID: n.GetId(), PostgresProxy: envoy.HasExtension(n, envoy.PostgresProxy)}
}

// Options are what the control plane knows of the place.
type Options struct {
	// Postgres is where Envoy finds the processors: a unix socket, or an address with mutual TLS whose files are
	// Envoy's own, read on its host.
	Postgres *configv1.Socket
	// HTTP is where Envoy asks about HTTP requests, as Postgres: ext_authz and ext_proc in one. HTTP targets need it.
	HTTP *configv1.Socket
	// Read is the content of a certificate, key or CA that a policy names. Its error names the source, never its content.
	// HTTP targets with TLS need it.
	Read func(*policyv1.DataSource) ([]byte, error)
	// Roots are the system's authorities in PEM (SystemRoots): Envoy knows none of its own. HTTP targets whose tls names
	// no ca need it.
	Roots func() ([]byte, error)
	// EgressDir is the directory of Envoy's egress sockets, absolute, mode 0700. Targets with via: ENVOY need it.
	EgressDir string
	// NoSecrets leaves out certificates, keys and authorities, unread: for a check of the rest where their files are not.
	NoSecrets bool
}

// Snapshot is what one Envoy gets, each list sorted by name.
type Snapshot struct {
	Listeners []*envoy_config_listener_v3.Listener
	Clusters  []*envoy_config_cluster_v3.Cluster
	// Endpoints are those of the clusters that ask for them (EDS).
	Endpoints []*envoy_config_endpoint_v3.ClusterLoadAssignment
	// Routes are those of HTTP listeners.
	Routes []*envoy_config_route_v3.RouteConfiguration
	// Secrets are certificates with their keys, and authorities: for Envoys only, and never to be shown.
	Secrets []*envoy_extensions_transport_sockets_tls_v3.Secret
}

// Build makes what an Envoy must be for a bundle that compiles. The error is a policies.Faults for what the bundle
// asks and this place cannot give; anything else is about o.
func Build(b *policyv1.Bundle, n Node, o Options) (*Snapshot, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	builder := builder{node: n, options: o, out: &Snapshot{}}
	if err := builder.processor(); err != nil {
		return nil, fmt.Errorf("resources of processors: %w", err)
	}
	var services []httpTarget
	for i, t := range b.GetTargets() {
		field := fmt.Sprintf("targets[%d]", i)
		if t.GetHttp() != nil {
			services = append(services, httpTarget{Target: t, field: field})
			continue
		}
		if err := builder.target(t, field); err != nil {
			return nil, fmt.Errorf("resources of target %q: %w", t.GetName(), err)
		}
	}
	if err := builder.http(services); err != nil {
		return nil, err
	}
	if len(builder.faults) > 0 {
		return nil, builder.faults
	}
	builder.out.sort()
	return builder.out, nil
}

func (o Options) check() error {
	if o.Postgres.GetAddress() == nil {
		return errors.New("control.postgres: where Envoy finds the processors is not set")
	}
	if err := checkSocket("control.postgres", o.Postgres); err != nil {
		return err
	}
	if o.HTTP != nil {
		if err := checkSocket("control.http", o.HTTP); err != nil {
			return err
		}
	}
	if o.EgressDir != "" && !filepath.IsAbs(o.EgressDir) {
		return fmt.Errorf("control.egress_dir: %q is no absolute path", o.EgressDir)
	}
	return nil
}

func checkSocket(field string, s *configv1.Socket) error {
	switch a := s.GetAddress().(type) {
	case *configv1.Socket_Unix:
		if !filepath.IsAbs(a.Unix) || len(a.Unix) > envoy.MaxSocketPath {
			return fmt.Errorf("%s.unix: %q must be an absolute path of at most %d bytes", field, a.Unix, envoy.MaxSocketPath)
		}
	case *configv1.Socket_Mtls:
		if _, _, err := hostPort(a.Mtls.GetAddress()); err != nil {
			return fmt.Errorf("%s.mtls.address: %w", field, err)
		}
	default:
		return fmt.Errorf("%s: it has neither unix nor mtls", field)
	}
	return nil
}

// builder collects the resources of one bundle for one node.
type builder struct {
	node    Node
	options Options
	out     *Snapshot
	faults  policies.Faults
	// rootsAsked says that the system's authorities are there, or a fault says why not.
	rootsAsked bool
}

func (b *builder) fault(field, format string, args ...any) {
	b.faults = append(b.faults, &policies.Fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (b *builder) target(t *policyv1.Target, field string) error {
	l, err := ingress(t, b.node)
	if err != nil {
		return err
	}
	b.out.Listeners = append(b.out.Listeners, l)
	if t.GetPostgres().GetVia() == policyv1.Postgres_DIRECT {
		return nil
	}
	if b.options.EgressDir == "" {
		b.fault(field+".postgres.via", "ENVOY needs control.egress_dir in the configuration; DIRECT does without")
		return nil
	}
	for i, e := range t.GetPostgres().GetEndpoints() {
		if err := b.endpoint(t, i, e, field); err != nil {
			return err
		}
	}
	return nil
}

func (s *Snapshot) sort() {
	slices.SortFunc(s.Listeners, func(a, b *envoy_config_listener_v3.Listener) int { return cmp.Compare(a.GetName(), b.GetName()) })
	slices.SortFunc(s.Clusters, func(a, b *envoy_config_cluster_v3.Cluster) int { return cmp.Compare(a.GetName(), b.GetName()) })
	slices.SortFunc(s.Endpoints, func(a, b *envoy_config_endpoint_v3.ClusterLoadAssignment) int {
		return cmp.Compare(a.GetClusterName(), b.GetClusterName())
	})
	slices.SortFunc(s.Routes, func(a, b *envoy_config_route_v3.RouteConfiguration) int { return cmp.Compare(a.GetName(), b.GetName()) })
	slices.SortFunc(s.Secrets, func(a, b *envoy_extensions_transport_sockets_tls_v3.Secret) int {
		return cmp.Compare(a.GetName(), b.GetName())
	})
}

// digest is the hex SHA-256 over messages, cut to n characters.
func digest[M proto.Message](n int, messages ...M) (string, error) {
	h := sha256.New()
	for _, m := range messages {
		data, err := (proto.MarshalOptions{Deterministic: true}).Marshal(m)
		if err != nil {
			return "", err
		}
		// The size goes first, so that no two lists read the same. hash.Hash never returns an error.
		_, _ = fmt.Fprintf(h, "%d\n", len(data))
		_, _ = h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:n], nil
}

// packed is anypb.New with the same bytes for the same message.
func packed(m proto.Message) (*anypb.Any, error) {
	out := &anypb.Any{}
	return out, anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true})
}

func keepalive() *envoy_config_core_v3.TcpKeepalive {
	return &envoy_config_core_v3.TcpKeepalive{
		KeepaliveTime:     wrapperspb.UInt32(keepaliveIdle),
		KeepaliveInterval: wrapperspb.UInt32(keepaliveInterval),
		KeepaliveProbes:   wrapperspb.UInt32(keepaliveProbes),
	}
}

func bytesLimit() *wrapperspb.UInt32Value { return wrapperspb.UInt32(bufferLimit) }

func seconds(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
