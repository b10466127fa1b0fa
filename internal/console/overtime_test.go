package console

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/store"
)

// Whatever minutes there are, the charts show each event once, and draw nothing
// outside of their frames.
func TestEveryMinuteIsInTheCharts(t *testing.T) {
	first := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		over := rapid.SampledFrom(stretches).Draw(t, "stretch")
		var minutes []store.Minute
		var total int64
		at := first
		for range rapid.IntRange(0, 30).Draw(t, "minutes") {
			m := store.Minute{At: at, Received: rapid.Int64Range(0, 1<<40).Draw(t, "received"), Backlog: rapid.Int64Range(0, 9).Draw(t, "backlog")}
			minutes = append(minutes, m)
			total += m.Received
			at = at.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "gap")) * time.Minute)
			if at.Sub(first) >= over.step*time.Duration(over.points) {
				break
			}
		}
		points, known := gather(minutes, first, over)
		var shown int64
		for i, p := range points {
			shown += p.Received
			if i > 0 && known[i-1] && !known[i] {
				t.Fatal("what was known is forgotten")
			}
		}
		if shown != total {
			t.Fatalf("%d shown of %d", shown, total)
		}
		for _, c := range chartsOf(points, known) {
			if d := draw(c); len(d.Columns) != over.points {
				t.Fatalf("%s has %d columns", c.Title, len(d.Columns))
			}
		}
	})
}

func TestTheBacklogIsUnknownBeforeTheFirstMinuteAndStaysInBetween(t *testing.T) {
	first := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	points, known := gather([]store.Minute{{At: first.Add(2 * time.Minute), Backlog: 7}, {At: first.Add(4 * time.Minute), Backlog: 3}}, first, stretches[0])
	var backlog []float64
	for _, c := range chartsOf(points, known) {
		if c.Title == "Backlog" {
			backlog = c.Series[0].Values
		}
	}
	if !math.IsNaN(backlog[0]) || !math.IsNaN(backlog[1]) || backlog[2] != 7 || backlog[3] != 7 || backlog[4] != 3 || backlog[59] != 3 {
		t.Errorf("%v", backlog[:6])
	}
	for ms, want := range map[float64]string{0: "0 ms", 999: "999 ms", 1001: "1.001 s"} {
		if got := took(ms); got != want {
			t.Errorf("%v ms is shown as %s", ms, got)
		}
	}
}
