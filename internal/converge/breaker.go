package converge

import (
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Written is one write of one field to one side, kept for the breaker.
type Written struct {
	Side  df.Side
	Field df.Field // TagsField for tags
	At    time.Time
}

// Breaker stops a field that goes back and forth, as it does when another
// program syncs the same pair of systems. It is set off by Cap writes of one
// field to one side within Window, and holds for Hold after the last of them.
// The zero Breaker never trips.
type Breaker struct {
	Window time.Duration
	Cap    int
	Hold   time.Duration
}

// Trip is a field that is held back at one side.
type Trip struct {
	Side  df.Side
	Field df.Field
	At    time.Time // of the write that set it off
	Until time.Time
}

// Held returns what is held back now, given the recent writes of one person. It
// is a pure function: the ledger's writes are all the memory there is. They must
// reach back for Window plus Hold.
func (b Breaker) Held(recent []Written, now time.Time) []Trip {
	if b.Cap <= 0 {
		return nil
	}
	type place struct {
		side  df.Side
		field df.Field
	}
	times := make(map[place][]time.Time)
	for _, w := range recent {
		p := place{w.Side, w.Field}
		times[p] = append(times[p], w.At)
	}
	var trips []Trip
	for p, at := range times {
		slices.SortFunc(at, time.Time.Compare)
		for last := len(at) - 1; last >= b.Cap-1; last-- {
			until := at[last].Add(b.Hold)
			if at[last].Sub(at[last-b.Cap+1]) <= b.Window && now.Before(until) {
				trips = append(trips, Trip{Side: p.side, Field: p.field, At: at[last], Until: until})
				break
			}
		}
	}
	return trips
}
