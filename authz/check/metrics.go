package check

import "github.com/prometheus/client_golang/prometheus"

// Metrics count what is asked.
type Metrics struct {
	sessions prometheus.Gauge
	requests *prometheus.CounterVec
	holding  prometheus.Gauge
	decide   prometheus.Histogram
}

// NewMetrics makes and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_http_sessions", Help: "Sessions that are open."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_http_requests_total", Help: "Requests decided, by the status that they were answered with; 0 for those let through.",
		}, []string{"status"}),
		holding: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_http_holding", Help: "Requests that wait for people."}),
		decide: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_http_decide_seconds", Help: "Time to decide a request, without waiting for people.",
			Buckets: []float64{30e-6, 100e-6, 300e-6, 1e-3, 3e-3, 10e-3, 100e-3, 1},
		}),
	}
	r.MustRegister(m.sessions, m.requests, m.holding, m.decide)
	return m
}
