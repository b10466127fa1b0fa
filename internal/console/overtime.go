package console

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// stretch is how much time the charts show, and what one of their points is.
type stretch struct {
	key, name, says string
	step            time.Duration
	points          int
}

var stretches = []stretch{
	{"hour", "1 hour", "the last hour by the minute", time.Minute, 60},
	{"day", "24 hours", "the last 24 hours by the half hour", 30 * time.Minute, 48},
	{"week", "7 days", "the last 7 days by 4 hours", 4 * time.Hour, 42},
}

// spanOf returns the stretch that the address names; the last hour by default.
func spanOf(key string) stretch {
	for _, one := range stretches {
		if one.key == key {
			return one
		}
	}
	return stretches[0]
}

func (s stretch) tabs() []Tab {
	tabs := make([]Tab, len(stretches))
	for i, one := range stretches {
		tabs[i] = Tab{Name: one.name, Link: "/?over=" + one.key, Current: one.key == s.key}
	}
	return tabs
}

// overTime makes the charts of the overview.
func (s *Server) overTime(ctx context.Context, over stretch) ([]Chart, error) {
	now := s.Clock().UTC()
	first := now.Truncate(over.step).Add(-time.Duration(over.points-1) * over.step)
	minutes, err := s.overview.minutes(ctx, over, first, now)
	if err != nil {
		return nil, err
	}
	points, known := gather(minutes, first, over)
	return chartsOf(points, known), nil
}

// gather adds the minutes up to points. Between two minutes of which something is
// known the backlog stays as it was; before the first nothing is known of it.
func gather(minutes []store.Minute, first time.Time, over stretch) (points []store.Minute, known []bool) {
	points, known = make([]store.Minute, over.points), make([]bool, over.points)
	var backlog int64
	seen := false
	next := 0
	for i := range points {
		p := store.Minute{At: first.Add(time.Duration(i) * over.step)}
		p.Backlog = backlog
		for next < len(minutes) && minutes[next].At.Before(p.At.Add(over.step)) {
			if !minutes[next].At.Before(p.At) {
				p.Add(minutes[next])
			}
			backlog, seen = minutes[next].Backlog, true
			next++
		}
		p.Backlog = backlog
		points[i], known[i] = p, seen
	}
	return points, known
}

// chartsOf draws what came and went, how long it took, what waited, and what went
// wrong.
func chartsOf(points []store.Minute, known []bool) []Chart {
	of := func(value func(store.Minute) int64) []float64 {
		values := make([]float64, len(points))
		for i, p := range points {
			values[i] = float64(value(p))
		}
		return values
	}
	times := make([]time.Time, len(points))
	backlog := of(func(m store.Minute) int64 { return m.Backlog })
	for i, p := range points {
		times[i] = p.At
		if !known[i] {
			backlog[i] = math.NaN()
		}
	}
	slowest := of(func(m store.Minute) int64 { return m.SlowestMS })
	for i, p := range points {
		if p.Within1s+p.Within10s+p.Within60s+p.Slow == 0 {
			slowest[i] = math.NaN()
		}
	}
	return []Chart{
		{Title: "Throughput", Kind: "line", Times: times, Series: []Series{
			{"events received", "accent", of(func(m store.Minute) int64 { return m.Received })},
			{"events finished", "good", of(func(m store.Minute) int64 { return m.Finished })},
			{"writes", "idle", of(func(m store.Minute) int64 { return m.Written })},
		}},
		{Title: "Events done, by the time from receipt to end", Kind: "stacked", Times: times, Series: []Series{
			{"within 1 s", "good", of(func(m store.Minute) int64 { return m.Within1s })},
			{"10 s", "accent", of(func(m store.Minute) int64 { return m.Within10s })},
			{"1 min", "warn", of(func(m store.Minute) int64 { return m.Within60s })},
			{"slower", "bad", of(func(m store.Minute) int64 { return m.Slow })},
		}},
		{Title: "Slowest event", Kind: "line", Times: times, Format: took, Series: []Series{{"from receipt to end", "accent", slowest}}},
		{Title: "Backlog", Kind: "line", Times: times, Series: []Series{{"open events at the end", "busy", backlog}}},
		{Title: "Errors", Kind: "stacked", Times: times, Series: []Series{
			{"writes that failed", "bad", of(func(m store.Minute) int64 { return m.Refused })},
			{"events given up", "warn", of(func(m store.Minute) int64 { return m.GivenUp })},
		}},
	}
}

// took shows milliseconds as one reads them, without rounding any away.
func took(ms float64) string {
	if ms < 1000 {
		return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', -1, 64) + " s"
}
