package oplogtest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/authz/oplog"
)

// TB is what the helpers need of a test.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Book is what operators were told.
type Book struct {
	*oplog.Log
	metrics *prometheus.Registry

	mu   sync.Mutex
	text bytes.Buffer
}

// New makes one that reads the time from now.
func New(now func() time.Time) *Book {
	b := &Book{metrics: prometheus.NewRegistry()}
	b.Log = oplog.New(slog.New(slog.NewJSONHandler(b, nil)), b.metrics, now)
	return b
}

// Write takes lines.
func (b *Book) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

// Text is all that was written.
func (b *Book) Text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Line is what a line says, by attribute.
type Line map[string]any

// Lines are those with a message.
func (b *Book) Lines(t TB, message string) []Line {
	t.Helper()
	var out []Line
	for text := range strings.Lines(b.Text()) {
		var line Line
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if line["msg"] == message {
			out = append(out, line)
		}
	}
	return out
}

// One is the only line with a message.
func (b *Book) One(t TB, message string) Line {
	t.Helper()
	all := b.Lines(t, message)
	if len(all) != 1 {
		t.Fatalf("%d lines say %q, want one:\n%s", len(all), message, b.Text())
	}
	return all[0]
}

// Count is the value of a series, given as "name{label=value,label=value}" with all labels sorted by name; 0 if there is
// none.
func (b *Book) Count(t TB, series string) float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if f.GetName()+"{"+strings.Join(labels, ",")+"}" == series {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// Series is how many there are of a metric.
func (b *Book) Series(t TB, name string) int {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return len(f.GetMetric())
		}
	}
	return 0
}
