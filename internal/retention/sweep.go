package retention

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

const day = 24 * time.Hour

// Least ages, and what is kept when nobody says otherwise.
const (
	DefaultPayloads = 90 * day
	DefaultHistory  = 400 * day
	LeastHistory    = 60 * day          // GHL delivers again for 30 days; dedupe keys live for 60
	LeastRecords    = 5*365*day + 2*day // five years, leap days included
)

// Policy says how long things are kept. A zero age keeps them for ever.
type Policy struct {
	Payloads map[df.Source]time.Duration
	History  time.Duration
	Records  time.Duration
}

// Sweeper forgets what is older than its policy says.
type Sweeper struct {
	Store  *store.Store
	Policy Policy
	Clock  df.Clock
	// Batch is the most rows that one transaction touches; 0 is 200.
	Batch int
	// Pause is called between two batches, for others to have their turn; nil
	// does not wait. It ends the sweep with an error, such as that of ctx.
	Pause func(context.Context) error
}

// Swept says how many rows of what a sweep emptied or deleted.
type Swept map[string]int64

// Sweep forgets all that is too old. What it did before an error stays done.
func (s *Sweeper) Sweep(ctx context.Context) (Swept, error) {
	swept, now := Swept{}, s.Clock()
	for _, source := range slices.Sorted(maps.Keys(s.Policy.Payloads)) {
		err := s.drain(ctx, swept, "bodies of "+string(source), s.Policy.Payloads[source], func(age time.Duration, limit int) (int64, bool, error) {
			return s.Store.EmptyEvents(ctx, source, now.Add(-age), limit)
		})
		if err != nil {
			return swept, err
		}
	}
	err := s.drain(ctx, swept, "bodies of effects", longest(s.Policy.Payloads), func(age time.Duration, limit int) (int64, bool, error) {
		return full(limit)(s.Store.EmptyEffects(ctx, now.Add(-age), limit))
	})
	if err != nil {
		return swept, err
	}
	err = s.drain(ctx, swept, "webhook_events", s.Policy.History, func(age time.Duration, limit int) (int64, bool, error) {
		return full(limit)(s.Store.DeleteEvents(ctx, now.Add(-age), limit))
	})
	if err != nil {
		return swept, err
	}
	for _, class := range []store.KeptClass{store.History, store.Records} {
		age := s.Policy.History
		if class == store.Records {
			age = s.Policy.Records
		}
		for _, table := range store.Aged(class) {
			err := s.drain(ctx, swept, table, age, func(age time.Duration, limit int) (int64, bool, error) {
				return full(limit)(s.Store.DeleteAged(ctx, table, now.Add(-age), limit))
			})
			if err != nil {
				return swept, err
			}
		}
	}
	return swept, nil
}

// drain repeats a batch until there is no more.
func (s *Sweeper) drain(ctx context.Context, swept Swept, what string, age time.Duration, batch func(age time.Duration, limit int) (int64, bool, error)) error {
	if age == 0 {
		return nil
	}
	limit := s.Batch
	if limit == 0 {
		limit = 200
	}
	for {
		rows, more, err := batch(age, limit)
		if rows > 0 {
			swept[what] += rows
		}
		if err != nil {
			return fmt.Errorf("forget old %s: %w", what, err)
		}
		if !more {
			return nil
		}
		if err := s.pause(ctx); err != nil {
			return fmt.Errorf("forget old %s: %w", what, err)
		}
	}
}

func (s *Sweeper) pause(ctx context.Context) error {
	if s.Pause == nil {
		return ctx.Err()
	}
	return s.Pause(ctx)
}

// full tells from the rows of a batch whether there may be more of them.
func full(limit int) func(int64, error) (int64, bool, error) {
	return func(rows int64, err error) (int64, bool, error) { return rows, rows == int64(limit), err }
}

// longest returns the longest of the ages, or 0 when one is for ever.
func longest(ages map[df.Source]time.Duration) time.Duration {
	var most time.Duration
	for _, age := range ages {
		if age == 0 {
			return 0
		}
		most = max(most, age)
	}
	return most
}
