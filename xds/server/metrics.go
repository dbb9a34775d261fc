package server

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// collector reads the ledger when it is asked, so that a bundle's version leaves no old series behind.
type collector struct{ server *Server }

func nodesDesc() *prometheus.Desc {
	return prometheus.NewDesc("sluice_xds_nodes", "Connected xDS nodes.", []string{"role"}, nil)
}

func acksDesc() *prometheus.Desc {
	return prometheus.NewDesc("sluice_xds_acks_total", "Pushes that nodes accepted.", []string{"type"}, nil)
}

func nacksDesc() *prometheus.Desc {
	return prometheus.NewDesc("sluice_xds_nacks_total", "Pushes that nodes refused.", []string{"type"}, nil)
}

func bundleDesc() *prometheus.Desc {
	return prometheus.NewDesc("sluice_xds_bundle_info", "The policy bundle being served.", []string{"version"}, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- nodesDesc()
	ch <- acksDesc()
	ch <- nacksDesc()
	ch <- bundleDesc()
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for role, n := range c.server.ledger.connected() {
		ch <- prometheus.MustNewConstMetric(nodesDesc(), prometheus.GaugeValue, float64(n), string(role))
	}
	for typeURL, t := range c.server.ledger.counts() {
		short := typeURL[strings.LastIndexByte(typeURL, '.')+1:]
		ch <- prometheus.MustNewConstMetric(acksDesc(), prometheus.CounterValue, float64(t.acks), short)
		ch <- prometheus.MustNewConstMetric(nacksDesc(), prometheus.CounterValue, float64(t.nacks), short)
	}
	if b := c.server.Bundle(); b != nil {
		ch <- prometheus.MustNewConstMetric(bundleDesc(), prometheus.GaugeValue, 1, b.GetVersion())
	}
}
