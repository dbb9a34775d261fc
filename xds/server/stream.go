package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/xds/resources"
)

const (
	// maxUnanswered bounds the responses of a stream that wait for their ACK.
	maxUnanswered = 64
	// maxNames bounds the names that one stream may ask for in its life.
	maxNames = 100_000
)

// nodeID is what package envoy accepts as one; processors keep to less.
var nodeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

var errRetry = errors.New("it refused something: it is asked again")

// stream is one peer's stream: who it is, and what it has not answered yet. go-control-plane calls its methods one
// after the other.
type stream struct {
	server *Server
	ctx    context.Context
	name   peer.Name // what mutual TLS proved; zero on a unix socket
	cancel context.CancelCauseFunc
	header func() error // tells the peer that its first message was accepted

	node     *envoy_config_core_v3.Node // of the first message
	key      nodeKey                    // its role is set by the first type asked for
	acquired bool
	names    int
	waiting  map[string]sent // by nonce
	answered map[string]bool // types that had an ACK on this stream
	retry    *time.Timer
}

// sent is a response without its answer.
type sent struct {
	typeURL, version string
	names            []string
}

func newStream(s *Server, ctx context.Context, name peer.Name, cancel context.CancelCauseFunc, header func() error) *stream { //nolint:revive // the stream comes with its context
	return &stream{
		server: s, ctx: ctx, name: name, cancel: cancel, header: header,
		waiting: map[string]sent{}, answered: map[string]bool{},
	}
}

// OnDeltaStreamOpen implements delta.Callbacks.
func (s *stream) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed implements delta.Callbacks.
func (s *stream) OnDeltaStreamClosed(int64, *envoy_config_core_v3.Node) {
	if s.retry != nil {
		s.retry.Stop()
	}
	if s.acquired {
		s.server.release(s.key.id)
	}
	if s.key.role != "" {
		s.server.ledger.disconnect(s.key)
		s.server.options.Logger.InfoContext(s.ctx, "xds node gone", s.key.attrs()...)
	}
}

// OnStreamDeltaRequest implements delta.Callbacks: nothing of a message counts before it is known who sent it.
func (s *stream) OnStreamDeltaRequest(_ int64, req *envoy_service_discovery_v3.DeltaDiscoveryRequest) error {
	err := s.request(req)
	if err != nil {
		s.server.nodes.tell(s.ctx, s.server.options.Logger, "xds node refused", slog.String("node", clip(req.GetNode().GetId())),
			slog.String("certificate", certificateOf(s.name)), slog.String("type", clip(req.GetTypeUrl())), slog.String("error", status.Convert(err).Message()))
	}
	return err
}

func (s *stream) request(req *envoy_service_discovery_v3.DeltaDiscoveryRequest) error {
	if err := s.identify(req.GetNode()); err != nil {
		return err
	}
	req.Node = s.node
	if err := s.enroll(req.GetTypeUrl()); err != nil {
		return err
	}
	if s.names += len(req.GetResourceNamesSubscribe()); s.names > maxNames {
		return status.Errorf(codes.ResourceExhausted, "more than %d names asked for on one stream", maxNames)
	}
	return s.answer(req)
}

// identify holds a stream to the node of its first message, and that to the certificate.
func (s *stream) identify(n *envoy_config_core_v3.Node) error {
	if s.node != nil {
		if n.GetId() != "" && n.GetId() != s.node.GetId() {
			return status.Errorf(codes.PermissionDenied, "the stream is of node %q, the message of %q", s.node.GetId(), n.GetId())
		}
		return nil
	}
	if !nodeID.MatchString(n.GetId()) {
		return status.Errorf(codes.InvalidArgument, "the first message must name a node: 1 to 128 letters, digits, '.', '_' or '-'; got %.130q", n.GetId())
	}
	if s.name.Verified() && s.name.ID != n.GetId() {
		return status.Errorf(codes.PermissionDenied, "the certificate is of %s/%s, the message of node %q", s.name.Role, s.name.ID, n.GetId())
	}
	s.node = n
	return nil
}

// enroll holds a stream to one role: that of the first type it asks for, which must be the certificate's.
func (s *stream) enroll(typeURL string) error {
	role := roleOf(typeURL)
	switch {
	case role == "":
		return status.Errorf(codes.InvalidArgument, "type %.200q is not served", typeURL)
	case s.name.Verified() && s.name.Role != role:
		return status.Errorf(codes.PermissionDenied, "%s is for a %s, the certificate is of %s/%s", typeURL, role, s.name.Role, s.name.ID)
	case s.key.role == role:
		return nil
	case s.key.role != "":
		return status.Errorf(codes.PermissionDenied, "%s is for a %s, the stream is of a %s", typeURL, role, s.key.role)
	}
	key := nodeKey{role: role, id: s.node.GetId()}
	if err := s.server.ledger.connect(key, buildOf(s.node)); err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	s.key = key
	if role == peer.Envoy {
		if err := s.server.acquire(s.ctx, resources.NodeOf(s.node)); err != nil {
			return status.Errorf(codes.Internal, "its resources cannot be built: %v", err)
		}
		s.acquired = true
	}
	s.server.options.Logger.InfoContext(s.ctx, "xds node connected", append(key.attrs(), slog.String("build", buildOf(s.node)))...)
	return s.header()
}

// answer takes an ACK or a NACK, if the message is one.
func (s *stream) answer(req *envoy_service_discovery_v3.DeltaDiscoveryRequest) error {
	r, ok := s.waiting[req.GetResponseNonce()]
	if !ok {
		return nil
	}
	if r.typeURL != req.GetTypeUrl() {
		return status.Errorf(codes.InvalidArgument, "an answer to %s in a message about %s", r.typeURL, req.GetTypeUrl())
	}
	delete(s.waiting, req.GetResponseNonce())
	if req.GetErrorDetail() == nil {
		// The first response of a stream holds whatever the peer has not: with its ACK nothing is refused any more.
		s.server.ledger.acked(s.key, r, !s.answered[r.typeURL])
		s.answered[r.typeURL] = true
		if s.retry != nil && !s.server.ledger.refuses(s.key) {
			s.retry.Stop()
		}
		return nil
	}
	s.answered[r.typeURL] = true
	detail := shown(r, req.GetErrorDetail().GetMessage())
	streak := s.server.ledger.nacked(s.key, r, detail)
	wait := backoff(streak, s.server.options.RetryFirst, s.server.options.RetryMost)
	s.server.options.Logger.WarnContext(s.ctx, "xds push refused", append(s.key.attrs(),
		slog.String("type", r.typeURL), slog.String("version", r.version),
		slog.String("detail", clip(detail)), slog.String("retry_after", wait.String()))...)
	if s.retry != nil {
		s.retry.Stop()
	}
	// A node does not get again what it refused, unless its stream begins anew.
	s.retry = time.AfterFunc(wait, func() { s.cancel(errRetry) })
	return nil
}

// shown is what may be kept of a refusal's text: one of secrets may quote what it refuses, so only their names stay.
func shown(r sent, detail string) string {
	if r.typeURL != resource.SecretType {
		return detail
	}
	text := "secrets refused; what Envoy says of them stands in its own log"
	for _, name := range r.names {
		if names(detail, name) {
			text += ", " + name
		}
	}
	return text
}

// OnStreamDeltaResponse implements delta.Callbacks.
func (s *stream) OnStreamDeltaResponse(_ int64, _ *envoy_service_discovery_v3.DeltaDiscoveryRequest, res *envoy_service_discovery_v3.DeltaDiscoveryResponse) {
	r := sent{typeURL: res.GetTypeUrl(), version: res.GetSystemVersionInfo(), names: res.GetRemovedResources()}
	for _, one := range res.GetResources() {
		r.names = append(r.names, one.GetName())
	}
	s.waiting[res.GetNonce()] = r
	s.server.ledger.sent(s.key, r)
	if len(s.waiting) > maxUnanswered {
		s.cancel(fmt.Errorf("%d responses without an answer", len(s.waiting)))
	}
}

// backoff doubles from first to most with each refusal in a row; streak counts from 1.
func backoff(streak int, first, most time.Duration) time.Duration {
	wait := first
	for range streak - 1 {
		if wait *= 2; wait >= most {
			return most
		}
	}
	return min(wait, most)
}

func (k nodeKey) attrs() []any {
	return []any{slog.String("node", k.id), slog.String("role", string(k.role))}
}
