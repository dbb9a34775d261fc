package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/oplog"
	exthttp "github.com/sluicegate/sluice/extproc/http"
	"github.com/sluicegate/sluice/extproc/postgres"
)

// described are the metrics that a registerer was given.
type described struct {
	prometheus.Registerer
	names []string
}

var descName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		descs := make(chan *prometheus.Desc, 16)
		c.Describe(descs)
		close(descs)
		for one := range descs {
			d.names = append(d.names, descName.FindStringSubmatch(one.String())[1])
		}
	}
}

// TestWhatToWatchNamesEachMetricAndNoOther: deploy/WATCH.md is what operators have.
func TestWhatToWatchNamesEachMetricAndNoOther(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "WATCH.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := &described{names: []string{"sluice_xds_nodes", "sluice_xds_acks_total", "sluice_xds_nacks_total", "sluice_xds_bundle_info"}}
	postgres.NewMetrics(d)
	check.NewMetrics(d)
	exthttp.NewMetrics(d)
	oplog.New(nil, d, time.Now)
	for _, name := range d.names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not described", name)
		}
	}
	for _, name := range regexp.MustCompile(`sluice_[a-z_]+`).FindAllString(string(text), -1) {
		if !slices.Contains(d.names, name) {
			t.Errorf("there is no %s", name)
		}
	}
}
