package server

import (
	"testing"
	"time"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	"github.com/sluicegate/sluice/api/peer"
)

func TestANodeThatIsGoneIsShownAsGoneAndWhen(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLedger(func() time.Time { return now })
	k := nodeKey{role: peer.Envoy, id: "edge"}
	if err := l.connect(k, "envoy"); err != nil {
		t.Fatal(err)
	}
	if n := l.list()[0]; n.GetGoneAt() != nil || n.GetConnectedAt() == nil {
		t.Errorf("while it is there: %v", n)
	}
	now = now.Add(time.Minute)
	l.disconnect(k)
	if n := l.list()[0]; !n.GetGoneAt().AsTime().Equal(now) || n.GetConnectedAt() != nil {
		t.Errorf("gone: %v", n)
	}
	if err := l.connect(k, "envoy"); err != nil {
		t.Fatal(err)
	}
	if n := l.list()[0]; n.GetGoneAt() != nil {
		t.Errorf("back: %v", n)
	}
}

func TestAnAcceptedTypeHasNoOldRefusalsText(t *testing.T) {
	l := newLedger(time.Now)
	k := nodeKey{role: peer.Envoy, id: "edge"}
	if err := l.connect(k, "envoy"); err != nil {
		t.Fatal(err)
	}
	r := sent{typeURL: "t", version: "1", names: []string{"a", "b"}}
	l.sent(k, r)
	l.nacked(k, r, "a is bad")
	one := func() *controlv1.Subscription { return l.list()[0].GetSubscriptions()[0] }
	if s := one(); s.GetNackDetail() != "a is bad" {
		t.Errorf("refused: %v", s)
	}
	l.acked(k, sent{typeURL: "t", names: []string{"b"}}, false)
	if s := one(); s.GetNackDetail() != "a is bad" || s.GetState() != controlv1.Subscription_NACKED {
		t.Errorf("a is still refused: %v", s)
	}
	l.acked(k, sent{typeURL: "t", names: []string{"a"}}, false)
	if s := one(); s.GetNackDetail() != "" || s.GetNacks() != 1 || s.GetNackedAt() == nil {
		t.Errorf("accepted: %v", s)
	}
}
