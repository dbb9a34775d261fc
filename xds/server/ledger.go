package server

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sluicegate/sluice/api/peer"
)

const (
	// keepGone is how long a node that is gone stays in the ledger.
	keepGone = 10 * time.Minute
	// maxNodes bounds the ledger, those that are gone included.
	maxNodes = 10_000
	// maxDetail bounds the text of a refusal that is kept, in bytes.
	maxDetail = 4096
)

// nodeKey names a node. An Envoy and a processor may have the same id.
type nodeKey struct {
	role peer.Role
	id   string
}

// ledger is what each node was sent and said to it.
type ledger struct {
	now func() time.Time

	mu     sync.Mutex
	nodes  map[nodeKey]*entry
	totals map[string]*total // by type
}

// total counts over all nodes, those that are forgotten included.
type total struct{ acks, nacks uint64 }

// entry is one node.
type entry struct {
	build       string
	connectedAt time.Time
	goneAt      time.Time // while streams is 0
	streams     int
	types       map[string]*exchange
}

// exchange is one type of one node.
type exchange struct {
	sent, acked       string // versions
	waiting           bool   // sent, not answered
	ackedAt, nackedAt time.Time
	detail            string
	acks, nacks       uint64
	// refused holds the resources of refused responses that no ACK has covered since; true for those that the detail
	// does not name: the node may or may not have taken them.
	refused map[string]bool
	streak  int // refusals in a row
}

func newLedger(now func() time.Time) *ledger {
	return &ledger{now: now, nodes: map[nodeKey]*entry{}, totals: map[string]*total{}}
}

// connect notes a stream. The error says that there are too many nodes.
func (l *ledger) connect(k nodeKey, build string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	e := l.nodes[k]
	if e == nil {
		if len(l.nodes) >= maxNodes && !l.evict() {
			return fmt.Errorf("%d nodes are connected: no more are taken", maxNodes)
		}
		e = &entry{types: map[string]*exchange{}}
		l.nodes[k] = e
	}
	e.build, e.connectedAt = build, l.now()
	e.streams++
	return nil
}

func (l *ledger) disconnect(k nodeKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.nodes[k]
	if e.streams--; e.streams == 0 {
		e.goneAt = l.now()
	}
}

// prune forgets nodes that are gone for long.
func (l *ledger) prune() {
	now := l.now()
	for k, e := range l.nodes {
		if e.streams == 0 && now.Sub(e.goneAt) >= keepGone {
			delete(l.nodes, k)
		}
	}
}

// evict forgets the node that is gone longest; false if all are there.
func (l *ledger) evict() bool {
	var oldest nodeKey
	found := false
	for k, e := range l.nodes {
		if e.streams == 0 && (!found || e.goneAt.Before(l.nodes[oldest].goneAt)) {
			oldest, found = k, true
		}
	}
	delete(l.nodes, oldest)
	return found
}

// exchange finds the record of a type; mu is held.
func (l *ledger) exchange(k nodeKey, typeURL string) (*exchange, *total) {
	e := l.nodes[k]
	x := e.types[typeURL]
	if x == nil {
		x = &exchange{refused: map[string]bool{}}
		e.types[typeURL] = x
	}
	t := l.totals[typeURL]
	if t == nil {
		t = &total{}
		l.totals[typeURL] = t
	}
	return x, t
}

func (l *ledger) sent(k nodeKey, r sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, _ := l.exchange(k, r.typeURL)
	x.sent, x.waiting = r.version, true
}

// acked notes an ACK. all says that it covers everything that was ever refused.
func (l *ledger) acked(k nodeKey, r sent, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, t := l.exchange(k, r.typeURL)
	x.acked, x.ackedAt, x.waiting = r.version, l.now(), false
	x.acks++
	t.acks++
	if all {
		clear(x.refused)
	}
	for _, name := range r.names {
		delete(x.refused, name)
	}
	delete(x.refused, "")
	if len(x.refused) == 0 {
		x.streak = 0
	}
}

// nacked notes a refusal and returns how many there have been in a row.
func (l *ledger) nacked(k nodeKey, r sent, detail string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, t := l.exchange(k, r.typeURL)
	x.detail, x.nackedAt, x.waiting = clip(detail), l.now(), false
	x.nacks++
	t.nacks++
	x.streak++
	for _, name := range r.names {
		x.refused[name] = !names(detail, name)
	}
	if len(r.names) == 0 {
		x.refused[""] = false // an empty response was refused: no resource is in doubt
	}
	return x.streak
}

// refuses reports whether something of any type is still refused.
func (l *ledger) refuses(k nodeKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.nodes[k].types {
		if len(x.refused) > 0 {
			return true
		}
	}
	return false
}

// names reports whether a text has a name as a word of its own: postgres/a does not stand in postgres/ab.
func names(text, name string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(name)
		if (start == 0 || !partOfName(text[start-1])) && (end == len(text) || !partOfName(text[end])) {
			return true
		}
		from = start + 1
	}
}

func partOfName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/'
}

// clip bounds a peer's text and says that it did.
func clip(s string) string {
	if len(s) > maxDetail {
		cut := maxDetail
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// buildOf is what a node says that it is, such as "envoy 1.40.0".
func buildOf(n *envoy_config_core_v3.Node) string {
	version := n.GetUserAgentVersion()
	if v := n.GetUserAgentBuildVersion().GetVersion(); v != nil {
		version = fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	const enough = 64
	return fmt.Sprintf("%.*s %.*s", enough, n.GetUserAgentName(), enough, version)
}
