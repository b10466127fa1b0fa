package contest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Bench is what the contests need from the machine, found by script/bench.
// An empty path means that the thing is not there, and leaves out those who
// need it.
type Bench struct {
	Scratch string // folder for databases and logs
	Source  string // the project's folder
	DFM     string // the dfm binary
	Peer    string // the binary of bench/cmd/peer
	Express string // folder with the Express servers and their node_modules
	Nginx   string

	DatabaseURL string // a superuser's
	DatabasePID int    // the server's first process
	Pgbench     string

	Rounds  int
	Measure time.Duration // of each run
	Warmup  time.Duration
	// MaxOthers is how many cores processes outside the contest may use on
	// average before a run counts as disturbed.
	MaxOthers float64
	Log       io.Writer // progress

	Pages PagesOptions
}

// shape is one kind of load.
type shape struct {
	name        string
	connections int
	rate        float64
	duplicates  float64
}

// sample is one run's figures by name.
type sample struct {
	figures map[string]float64
	others  float64 // cores that processes outside the contest used
}

// contestant is one way to do the work.
type contestant struct {
	name    string
	shapes  []string // those it takes part in; nil for all
	missing string   // why it cannot take part here
	measure func(context.Context, shape) (sample, error)
}

// cell is a place in the table.
type cell struct{ shape, contestant string }

// table holds what was measured.
type table struct {
	samples   map[cell][]sample
	failures  map[cell]error
	disturbed map[cell]bool
	missing   map[string]string // by contestant
	rounds    int
	limit     float64
}

// compete runs every contestant with every shape, round after round, each round
// beginning with another contestant, then measures disturbed cells once more.
func (b *Bench) compete(ctx context.Context, shapes []shape, contestants []contestant) (*table, error) {
	t := &table{
		samples: map[cell][]sample{}, failures: map[cell]error{}, disturbed: map[cell]bool{},
		missing: map[string]string{}, rounds: b.Rounds, limit: b.MaxOthers,
	}
	for _, c := range contestants {
		if c.missing != "" {
			t.missing[c.name] = c.missing
		}
	}
	for round := range 2 * b.Rounds {
		for _, s := range shapes {
			for i := range contestants {
				c := contestants[(i+round)%len(contestants)]
				if !t.wants(c, s, round) {
					continue
				}
				if err := b.once(ctx, t, c, s); err != nil {
					return nil, err
				}
			}
		}
	}
	return t, nil
}

// wants reports whether the contestant should run in this round. The first
// rounds are everyone's; the others make up for disturbed runs.
func (t *table) wants(c contestant, s shape, round int) bool {
	at := cell{s.name, c.name}
	if c.missing != "" || t.failures[at] != nil || (c.shapes != nil && !slices.Contains(c.shapes, s.name)) {
		return false
	}
	return round < t.rounds || len(t.clean(at)) < t.rounds
}

// once measures one run. A contestant that fails is out; only an interrupted
// contest is an error.
func (b *Bench) once(ctx context.Context, t *table, c contestant, s shape) error {
	at := cell{s.name, c.name}
	result, err := c.measure(ctx, s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		t.failures[at] = err
		fmt.Fprintf(b.Log, "%-8s %-18s failed: %v\n", s.name, c.name, err)
		return nil
	}
	t.samples[at] = append(t.samples[at], result)
	fmt.Fprintf(b.Log, "%-8s %-18s %s others %.2f cores\n", s.name, c.name, figures(result.figures), result.others)
	return nil
}

// clean are the samples that nobody disturbed.
func (t *table) clean(at cell) []sample {
	var clean []sample
	for _, s := range t.samples[at] {
		if s.others <= t.limit {
			clean = append(clean, s)
		}
	}
	return clean
}

// median is a figure's median over the clean runs; over all runs when too few
// were clean, and then the cell counts as disturbed.
func (t *table) median(at cell, figure string) (float64, bool) {
	use := t.clean(at)
	if len(use) < min(t.rounds, 3) {
		use = t.samples[at]
		if len(use) > 0 {
			t.disturbed[at] = true
		}
	}
	var values []float64
	for _, s := range use {
		if v, ok := s.figures[figure]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle], true
	}
	return (values[middle-1] + values[middle]) / 2, true
}
