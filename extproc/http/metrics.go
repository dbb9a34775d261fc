package http

import "github.com/prometheus/client_golang/prometheus"

// Metrics count responses.
type Metrics struct {
	responses *prometheus.CounterVec
	failures  prometheus.Counter
	bytes     prometheus.Counter
}

// NewMetrics makes and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_http_responses_total", Help: "Responses, by how they were passed: masked, clear, refused.",
		}, []string{"how"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_http_response_failures_total", Help: "Responses that were given up on their way.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_http_bytes_total", Help: "Bytes of bodies sent to agents.",
		}),
	}
	r.MustRegister(m.responses, m.failures, m.bytes)
	return m
}
