package oplog

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// none stands where no rule decided, other for what is beyond maxSeries: no rule or target can be called so.
	none  = "(none)"
	other = "(other)"
	// maxSeries bounds the label sets of one metric. Names come from the policy; but policies come and go.
	maxSeries = 4096
)

// labels are the values of one series, in the metric's order.
type labels [4]string

// counters are the series of one metric. Those that were counted before are found without a lock.
type counters struct {
	vec   *prometheus.CounterVec
	n     int   // labels that it has
	named []int // those that the policy names: they are other beyond the bound

	known atomic.Pointer[map[labels]prometheus.Counter]
	mu    sync.Mutex // to add one
}

func newCounters(name, help string, named []int, names ...string) *counters {
	c := &counters{n: len(names), named: named, vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, names)}
	c.known.Store(&map[labels]prometheus.Counter{})
	return c
}

func (c *counters) inc(l labels) {
	if counter, ok := (*c.known.Load())[l]; ok {
		counter.Inc()
		return
	}
	c.add(l).Inc()
}

func (c *counters) add(l labels) prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.known.Load()
	if counter, ok := known[l]; ok {
		return counter
	}
	shown, full := l, len(known) >= maxSeries
	for _, i := range c.named {
		switch {
		case full:
			shown[i] = other
		case l[i] == "":
			shown[i] = none
		}
	}
	counter := c.vec.WithLabelValues(shown[:c.n]...)
	if full {
		return counter
	}
	more := maps.Clone(known)
	more[l] = counter
	c.known.Store(&more)
	return counter
}
