package alerts

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Tally counts what this process sees and no other can, and writes it down as
// figures for whichever instance judges. Its methods may be called by many at
// once and never wait for the database.
type Tally struct {
	store Figures
	clock df.Clock
	log   *slog.Logger

	mu     sync.Mutex
	counts map[[2]string]int64
	gauges map[[2]string]func() (int64, bool)
}

// Figures is where a tally is written down.
type Figures interface {
	AddFigures(ctx context.Context, counts, gauges []store.Figure) error
}

// flushEvery is how often a tally is written down.
const flushEvery = 15 * time.Second

// NewTally returns an empty tally.
func NewTally(figures Figures, clock df.Clock, log *slog.Logger) *Tally {
	return &Tally{store: figures, clock: clock, log: log, counts: map[[2]string]int64{}, gauges: map[[2]string]func() (int64, bool){}}
}

// Count adds one. Names and subjects are words of our own, never data.
func (t *Tally) Count(name, subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[[2]string{name, subject}]++
}

// Gauge has a number read whenever the tally is written down. read says false
// while there is no number.
func (t *Tally) Gauge(name, subject string, read func() (int64, bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gauges[[2]string{name, subject}] = read
}

// Flush writes the tally down. What could not be written is kept for the next
// time.
func (t *Tally) Flush(ctx context.Context) error {
	slot := t.clock().Truncate(time.Minute)
	t.mu.Lock()
	counts := t.counts
	t.counts = map[[2]string]int64{}
	read := maps.Clone(t.gauges)
	t.mu.Unlock()
	var gauges []store.Figure
	for key, number := range read {
		if n, ok := number(); ok {
			gauges = append(gauges, store.Figure{Name: key[0], Subject: key[1], Slot: slot, N: n})
		}
	}
	added := make([]store.Figure, 0, len(counts))
	for key, n := range counts {
		added = append(added, store.Figure{Name: key[0], Subject: key[1], Slot: slot, N: n})
	}
	if len(added)+len(gauges) == 0 {
		return nil
	}
	// One order for all processes, so that their locks do not cross.
	for _, figures := range [][]store.Figure{added, gauges} {
		slices.SortFunc(figures, func(a, b store.Figure) int {
			return strings.Compare(a.Name+"\x00"+a.Subject, b.Name+"\x00"+b.Subject)
		})
	}
	err := t.store.AddFigures(ctx, added, gauges)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		for key, n := range counts {
			t.counts[key] += n
		}
	}
	return err
}

// Run writes the tally down every few seconds until ctx ends, and then once more.
func (t *Tally) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := t.Flush(last); err != nil {
				t.log.Debug("the last figures for alerts were not written down", "error", err)
			}
			return
		case <-ticker.C:
		}
		err := t.Flush(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			t.log.Error("figures for alerts cannot be written down", "error", err)
		}
		failing = err != nil
	}
}
