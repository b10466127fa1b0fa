package observe

import (
	"context"
	"encoding/json"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A dashboard that asks for a metric which nobody makes shows an empty, calm
// picture.
func TestTheDashboardAsksOnlyForMetricsThatExist(t *testing.T) {
	data, err := os.ReadFile("../../deploy/grafana/df-middleware.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	m := NewMetrics()
	m.WatchBacklog(func(context.Context) (int64, time.Time, error) { return 0, time.Time{}, nil }, time.Now)
	known := namesOf(m)
	if len(known) < 15 || len(dashboard.Panels) < 10 {
		t.Fatalf("%d metrics, %d panels: the test looks at nothing", len(known), len(dashboard.Panels))
	}
	word := regexp.MustCompile(`\bdfm_[a-z_]+`)
	for _, panel := range dashboard.Panels {
		asked := 0
		for _, target := range panel.Targets {
			for _, name := range word.FindAllString(target.Expr, -1) {
				asked++
				if !slices.Contains(known, name) && !slices.Contains(known, strings.TrimSuffix(name, "_bucket")) {
					t.Errorf("panel %q asks for %s", panel.Title, name)
				}
			}
		}
		if asked == 0 {
			t.Errorf("panel %q asks for nothing of ours", panel.Title)
		}
	}
}

// namesOf lists our own metrics by the names that dashboards use, without the
// suffixes of histograms.
func namesOf(m *Metrics) []string {
	var names []string
	for text := range described(m.registry) {
		_, rest, _ := strings.Cut(text, `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		if strings.HasPrefix(name, "dfm_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// described yields what a registry holds, one text for each metric.
func described(registry *prometheus.Registry) iter.Seq[string] {
	all := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(all)
		close(all)
	}()
	return func(yield func(string) bool) {
		open := true
		for d := range all { // to its end, for the sender's sake
			open = open && yield(d.String())
		}
	}
}
