package console

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// figuresEvery is how long the overview's figures stand: many open browsers then
// cost the database no more than one.
const figuresEvery = 3 * time.Second

// How far back the flow picture looks, and what it calls lately.
const (
	flowTime = 24 * time.Hour
	lately   = 5 * time.Minute
	lateSlot = 1 // of the figures' slots
)

// waiting is what the menu says is waiting for a person.
type waiting struct {
	Quarantined int64
	Failing     int64
	Alerts      int64 // that nobody acknowledged
	store.Questions
}

// figures is what the overview shows of the database.
type figures struct {
	At         time.Time
	Since      time.Time
	Slots      []store.SlotCount // 0 is all but lately
	Syncs      []store.DirectionCount
	Lately     []store.DirectionCount
	Unfinished map[df.Status]store.Unfinished
	Questions  store.Questions
	Lanes      int64
}

// overview reads the figures, and remembers them for a moment.
type overview struct {
	store *store.Store
	clock df.Clock
	log   *slog.Logger

	mu      sync.Mutex
	figures figures
	menu    waiting
	menuAt  time.Time
	charts  map[string]keptMinutes // by stretch
}

// keptMinutes are minutes that were read a moment ago.
type keptMinutes struct {
	at      time.Time
	minutes []store.Minute
}

// minutes returns what happened in a stretch of time, as of now or of a moment
// ago.
func (o *overview) minutes(ctx context.Context, over stretch, from, now time.Time) ([]store.Minute, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept := o.charts[over.key]; !kept.at.IsZero() && now.Sub(kept.at) < figuresEvery {
		return kept.minutes, nil
	}
	minutes, err := o.store.Minutes(ctx, from, now)
	if err != nil {
		return nil, err
	}
	if o.charts == nil {
		o.charts = map[string]keptMinutes{}
	}
	o.charts[over.key] = keptMinutes{now, minutes}
	return minutes, nil
}

// read returns the figures of now, or of a moment ago.
func (o *overview) read(ctx context.Context) (figures, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock()
	if !o.figures.At.IsZero() && now.Sub(o.figures.At) < figuresEvery {
		return o.figures, nil
	}
	f := figures{At: now, Since: now.Add(-flowTime)}
	var err error
	if f.Slots, err = o.store.EventsInSlots(ctx, []time.Time{f.Since, now.Add(-lately)}); err != nil {
		return f, err
	}
	if f.Syncs, err = o.store.SyncsSince(ctx, f.Since); err != nil {
		return f, err
	}
	if f.Lately, err = o.store.SyncsSince(ctx, now.Add(-lately)); err != nil {
		return f, err
	}
	if f.Unfinished, err = o.store.UnfinishedEvents(ctx); err != nil {
		return f, err
	}
	if f.Questions, err = o.store.OpenQuestions(ctx); err != nil {
		return f, err
	}
	if f.Lanes, err = o.store.WaitingLanes(ctx); err != nil {
		return f, err
	}
	o.figures = f
	return f, nil
}

// waiting returns what the menu says. A database that does not answer leaves the
// menu without numbers: the page itself says what is wrong.
func (o *overview) waiting(ctx context.Context) waiting {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock()
	if !o.menuAt.IsZero() && now.Sub(o.menuAt) < figuresEvery {
		return o.menu
	}
	unfinished, err := o.store.UnfinishedEvents(ctx)
	if err == nil {
		o.menu.Questions, err = o.store.OpenQuestions(ctx)
	}
	if err == nil {
		o.menu.Alerts, _, err = o.store.UnresolvedAlerts(ctx)
	}
	if err != nil {
		o.log.Warn("the menu of the console has no numbers", "error", err)
		return waiting{}
	}
	o.menu.Quarantined, o.menu.Failing = unfinished[df.Quarantined].Events, unfinished[df.Failed].Events
	o.menuAt = now
	return o.menu
}
