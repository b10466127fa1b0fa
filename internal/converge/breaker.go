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
	Value string // a hash of what was written; the same value has the same one
}

// Breaker stops a field that goes back and forth, as it does when another
// program syncs the same pair of systems. It is set off by Cap writes of one
// field to one side within Window of which at least half repeat a value that was
// written before: somebody who edits a field again and again writes something new
// each time. A counter that never stops does too, so five times as many writes set
// it off whatever their values. It holds for Hold after the last of them. The zero
// Breaker never trips.
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
	writes := make(map[place][]Written)
	for _, w := range recent {
		p := place{w.Side, w.Field}
		writes[p] = append(writes[p], w)
	}
	var trips []Trip
	for p, all := range writes {
		slices.SortFunc(all, func(a, b Written) int { return a.At.Compare(b.At) })
		for last := len(all) - 1; last >= b.Cap-1; last-- {
			at := all[last].At
			if until := at.Add(b.Hold); now.Before(until) && b.setOff(all[:last+1]) {
				trips = append(trips, Trip{Side: p.side, Field: p.field, At: at, Until: until})
				break
			}
		}
	}
	return trips
}

// flood is how many times Cap are too many writes whatever their values.
const flood = 5

// setOff reports whether the last of the writes, which are in order, sets it off.
func (b Breaker) setOff(writes []Written) bool {
	within := func(n int) bool {
		return len(writes) >= n && writes[len(writes)-1].At.Sub(writes[len(writes)-n].At) <= b.Window
	}
	return within(b.Cap) && 2*values(writes[len(writes)-b.Cap:]) <= b.Cap || within(flood*b.Cap)
}

// values counts the different values that were written.
func values(writes []Written) int {
	seen := make(map[string]bool, len(writes))
	for _, w := range writes {
		seen[w.Value] = true
	}
	return len(seen)
}
