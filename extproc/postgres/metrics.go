package postgres

import (
	"github.com/prometheus/client_golang/prometheus"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Metrics count what sessions do.
type Metrics struct {
	sessions prometheus.Gauge
	refused  *prometheus.CounterVec
	// statements are found once, like the next two: they count with every statement or message.
	statements        map[recordv1.Decision_Verdict]prometheus.Counter
	holding           prometheus.Gauge
	holds             *prometheus.CounterVec
	decide            prometheus.Histogram
	toServer, toAgent prometheus.Counter
	// unexpected should stay 0: it is worth an alarm.
	unexpected prometheus.Counter
}

// NewMetrics makes and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_postgres_sessions", Help: "Sessions that are open.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_postgres_connections_refused_total", Help: "Connections that got no session, by SQLSTATE.",
		}, []string{"code"}),
		statements: map[recordv1.Decision_Verdict]prometheus.Counter{},
		holding: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_postgres_holding", Help: "Statements that wait for people.",
		}),
		holds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_postgres_holds_total", Help: "Holds that ended, by how.",
		}, []string{"end"}),
		decide: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_postgres_decide_seconds", Help: "Time to decide a statement, without waiting for people.",
			Buckets: []float64{10e-6, 30e-6, 100e-6, 300e-6, 1e-3, 3e-3, 10e-3, 100e-3, 1},
		}),
	}
	m.unexpected = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_postgres_unexpected_results_total",
		Help: "Sessions that ended because the database answered what the statement could not give. Any is worth an alarm.",
	})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_postgres_bytes_total", Help: "Bytes forwarded, by direction.",
	}, []string{"to"})
	statements := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_postgres_statements_total", Help: "Statements decided, by verdict.",
	}, []string{"verdict"})
	for number, name := range recordv1.Decision_Verdict_name {
		if verdict := recordv1.Decision_Verdict(number); verdict != recordv1.Decision_VERDICT_UNSPECIFIED {
			m.statements[verdict] = statements.WithLabelValues(name)
		}
	}
	m.toServer, m.toAgent = bytes.WithLabelValues("server"), bytes.WithLabelValues("agent")
	r.MustRegister(m.sessions, m.refused, statements, m.holding, m.holds, bytes, m.decide, m.unexpected)
	return m
}

func (m *Metrics) decided(v recordv1.Decision_Verdict) {
	if c := m.statements[v]; c != nil {
		c.Inc()
	}
}
