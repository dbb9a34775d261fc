package server

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	"github.com/sluicegate/sluice/api/peer"
)

// Status is what is served, to whom, and what they said of it: nodes by role and id, types by name. Nodes that are
// gone are shown for 10 minutes, with gone_at in place of connected_at.
func (s *Server) Status() *controlv1.StatusResponse {
	s.mu.Lock()
	out := &controlv1.StatusResponse{
		BundleVersion: s.bundle.GetVersion(), BundleAt: timestamp(s.bundleAt), PolicyFaults: slices.Clone(s.faults),
	}
	if s.stale != "" {
		for _, line := range strings.Split(s.stale, "\n") {
			out.PolicyFaults = append(out.PolicyFaults, "the files of the policy that is served: "+line)
		}
	}
	s.mu.Unlock()
	out.Nodes = s.ledger.list()
	return out
}

func (l *ledger) list() []*controlv1.Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	keys := slices.SortedFunc(maps.Keys(l.nodes), func(a, b nodeKey) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.id, b.id))
	})
	out := make([]*controlv1.Node, 0, len(keys))
	for _, k := range keys {
		e := l.nodes[k]
		n := &controlv1.Node{Id: k.id, Role: string(k.role), Build: e.build}
		if e.streams > 0 {
			n.ConnectedAt = timestamp(e.connectedAt)
		} else {
			n.GoneAt = timestamp(e.goneAt)
		}
		for _, u := range slices.Sorted(maps.Keys(e.types)) {
			n.Subscriptions = append(n.Subscriptions, e.types[u].subscription(u))
		}
		out = append(out, n)
	}
	return out
}

func (x *exchange) subscription(typeURL string) *controlv1.Subscription {
	out := &controlv1.Subscription{
		TypeUrl: typeURL, State: x.state(), SentVersion: x.sent, AckedVersion: x.acked,
		AckedAt: timestamp(x.ackedAt), NackedAt: timestamp(x.nackedAt), Acks: x.acks, Nacks: x.nacks,
	}
	if len(x.refused) > 0 { // else it is of the past
		out.NackDetail = x.detail
	}
	for _, name := range slices.Sorted(maps.Keys(x.refused)) {
		if x.refused[name] {
			out.InDoubt = append(out.InDoubt, name)
		}
	}
	return out
}

// state is NACKED for as long as anything is refused, also when later pushes of other things were accepted.
func (x *exchange) state() controlv1.Subscription_State {
	switch {
	case x.waiting:
		return controlv1.Subscription_SENT
	case len(x.refused) > 0:
		return controlv1.Subscription_NACKED
	}
	return controlv1.Subscription_ACKED
}

// connected counts nodes with a stream, by role.
func (l *ledger) connected() map[peer.Role]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[peer.Role]int{peer.Envoy: 0, peer.Process: 0}
	for k, e := range l.nodes {
		if e.streams > 0 {
			out[k.role]++
		}
	}
	return out
}

func (l *ledger) counts() map[string]total {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]total, len(l.totals))
	for u, t := range l.totals {
		out[u] = *t
	}
	return out
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
