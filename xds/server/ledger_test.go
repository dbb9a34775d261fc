package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_discovery_v3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/xds/resources"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{t: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)} }

func key(i int) nodeKey { return nodeKey{role: peer.Envoy, id: fmt.Sprintf("e%d", i)} }

func TestNodesThatAreGoneAreKeptForTenMinutes(t *testing.T) {
	c := newClock()
	l := newLedger(c.now)
	for i := range 2 {
		if err := l.connect(key(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	l.sent(key(0), sent{typeURL: "t", version: "1"})
	l.disconnect(key(0))
	c.t = c.t.Add(keepGone - time.Second)
	nodes := l.list()
	if len(nodes) != 2 || nodes[0].GetConnectedAt() != nil || nodes[1].GetConnectedAt() == nil || len(nodes[0].GetSubscriptions()) != 1 {
		t.Errorf("got %v", nodes)
	}
	c.t = c.t.Add(time.Second)
	if nodes := l.list(); len(nodes) != 1 || nodes[0].GetId() != "e1" {
		t.Errorf("got %v", nodes)
	}
}

func TestTwoStreamsOfANodeAreOneNode(t *testing.T) {
	l := newLedger(newClock().now)
	for range 2 {
		if err := l.connect(key(0), "x"); err != nil {
			t.Fatal(err)
		}
	}
	l.disconnect(key(0))
	if l.connected()[peer.Envoy] != 1 {
		t.Error("the node is there until its last stream ends")
	}
}

func TestTheLedgerIsBounded(t *testing.T) {
	c := newClock()
	l := newLedger(c.now)
	for i := range maxNodes {
		if err := l.connect(key(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.connect(key(maxNodes), "x"); err == nil || len(l.nodes) != maxNodes {
		t.Fatalf("took node %d of %d: %v", len(l.nodes), maxNodes, err)
	}
	if err := l.connect(key(7), "x"); err != nil {
		t.Errorf("a known node was turned away: %v", err)
	}
	for _, i := range []int{3, 4} {
		l.disconnect(key(i))
		c.t = c.t.Add(time.Second)
	}
	if err := l.connect(key(maxNodes), "x"); err != nil || len(l.nodes) != maxNodes || l.nodes[key(3)] != nil {
		t.Errorf("the node that is gone longest must go: %v", err)
	}
}

func TestNamesAreFoundAsWords(t *testing.T) {
	for text, want := range map[string]bool{
		"Error adding/updating listener(s) postgres/a: cannot bind": true,
		"postgres/a":                true,
		"postgres/ab: no":           false,
		"xpostgres/a: no":           false,
		"postgres/ab, postgres/a, ": true,
		"":                          false,
	} {
		if names(text, "postgres/a") != want {
			t.Errorf("%q", text)
		}
	}
}

func TestDetailsAreClipped(t *testing.T) {
	got := clip(strings.Repeat("ä", maxDetail))
	if len(got) > maxDetail+32 || !strings.HasSuffix(got, "… (8192 bytes)") || !utf8.ValidString(got) {
		t.Errorf("%d bytes, ends %q", len(got), got[len(got)-20:])
	}
	if got := clip("a\xff"); got != "a\uFFFD" {
		t.Errorf("%q", got)
	}
}

func TestBackoffDoublesToItsBound(t *testing.T) {
	var got []time.Duration
	for streak := range 9 {
		got = append(got, backoff(streak+1, defaultRetryFirst, defaultRetryMost)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}, got); diff != "" {
		t.Error(diff)
	}
	if backoff(1_000_000_000, time.Second, time.Minute) != time.Minute {
		t.Error("a long row of refusals")
	}
}

// TestTheLedgerAgreesWithAModel runs pushes and answers at random. The model: a resource is refused from its NACK to
// an ACK that covers it.
func TestTheLedgerAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(newClock().now)
		if err := l.connect(key(0), "x"); err != nil {
			t.Fatal(err)
		}
		refused, streak := map[string]bool{}, 0
		acks, nacks := uint64(0), uint64(0)
		var push sent
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			push = sent{typeURL: "t", version: fmt.Sprint(i), names: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "names")}
			l.sent(key(0), push)
			if l.list()[0].GetSubscriptions()[0].GetState() != controlv1.Subscription_SENT {
				t.Fatal("a push without an answer is not SENT")
			}
			if rapid.Bool().Draw(t, "good") {
				all := rapid.Bool().Draw(t, "first of a stream")
				l.acked(key(0), push, all)
				acks++
				for _, n := range push.names {
					delete(refused, n)
				}
				if all {
					clear(refused)
				}
				if len(refused) == 0 {
					streak = 0
				}
			} else {
				named := rapid.SampledFrom(push.names).Draw(t, "named")
				streak++
				nacks++
				for _, n := range push.names {
					refused[n] = n != named
				}
				if got := l.nacked(key(0), push, named+": bad"); got != streak {
					t.Fatalf("streak %d, want %d", got, streak)
				}
			}
			s := l.list()[0].GetSubscriptions()[0]
			want := controlv1.Subscription_ACKED
			if len(refused) > 0 {
				want = controlv1.Subscription_NACKED
			}
			var doubt []string
			for _, n := range slices.Sorted(maps.Keys(refused)) {
				if refused[n] {
					doubt = append(doubt, n)
				}
			}
			if s.GetState() != want || s.GetAcks() != acks || s.GetNacks() != nacks || !slices.Equal(s.GetInDoubt(), doubt) || l.refuses(key(0)) != (len(refused) > 0) {
				t.Fatalf("got %v; want %v, in doubt %v", s, want, doubt)
			}
		}
		if got := l.counts()["t"]; got != (total{acks, nacks}) {
			t.Fatalf("totals %v", got)
		}
	})
}

func TestARefusedEmptyResponseIsARefusal(t *testing.T) {
	l := newLedger(newClock().now)
	if err := l.connect(key(0), "x"); err != nil {
		t.Fatal(err)
	}
	l.nacked(key(0), sent{typeURL: "t"}, "no")
	if s := l.list()[0].GetSubscriptions()[0]; s.GetState() != controlv1.Subscription_NACKED || len(s.GetInDoubt()) > 0 {
		t.Errorf("got %v", s)
	}
	l.acked(key(0), sent{typeURL: "t"}, false)
	if l.refuses(key(0)) {
		t.Error("still refused")
	}
}

func envoyNode(id string) *envoy_config_core_v3.Node { return &envoy_config_core_v3.Node{Id: id} }

func newTestServer(t *testing.T, r prometheus.Registerer) *Server {
	t.Helper()
	s, err := New(Options{
		Resources: resources.Options{Postgres: &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/p"}}},
		Now:       newClock().now, Logger: slog.New(slog.DiscardHandler), Metrics: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStreamThatAnswersNothingEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := newTestServer(t, nil)
	str := newStream(s, ctx, peer.Name{}, cancel, func() error { return nil })
	if err := str.OnStreamDeltaRequest(1, &envoy_service_discovery_v3.DeltaDiscoveryRequest{Node: envoyNode("a"), TypeUrl: resources.BundleType()}); err != nil {
		t.Fatal(err)
	}
	for i := range maxUnanswered + 1 {
		if ctx.Err() != nil {
			t.Fatalf("ended after %d", i)
		}
		str.OnStreamDeltaResponse(1, nil, &envoy_service_discovery_v3.DeltaDiscoveryResponse{TypeUrl: resources.BundleType(), Nonce: fmt.Sprint(i)})
	}
	if context.Cause(ctx) == nil {
		t.Error("it goes on")
	}
	str.OnDeltaStreamClosed(1, nil)
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	s := newTestServer(t, registry)
	if err := s.SetBundle(t.Context(), &policyv1.Bundle{Version: "v1"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.connect(key(0), "x"); err != nil {
		t.Fatal(err)
	}
	listener := "type.googleapis.com/envoy.config.listener.v3.Listener"
	s.ledger.acked(key(0), sent{typeURL: listener}, true)
	s.ledger.nacked(key(0), sent{typeURL: listener}, "x")
	s.ledger.nacked(key(0), sent{typeURL: listener}, "x")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"sluice_xds_nodes envoy": 1, "sluice_xds_nodes process": 0, "sluice_xds_bundle_info v1": 1,
		"sluice_xds_acks_total Listener": 1, "sluice_xds_nacks_total Listener": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := New(Options{Metrics: registry}); err == nil {
		t.Error("registered twice")
	}
}
