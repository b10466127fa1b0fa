package reconcile

import (
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// Overlap is how far a walk reads behind where the last one began: the search
// index of GHL shows changes some seconds late, and clocks differ.
const Overlap = 5 * time.Minute

// Walk is one walk over things that are listed by their last change, the newest
// first. It keeps its place in the state: Cursor is the page to read next, Top the
// newest change met so far. A walk that was cut off goes on from there, and what
// changes meanwhile comes before Top, where the next walk finds it.
type Walk struct {
	State store.SweepState
}

// Resumed reports whether the walk goes on where another was cut off.
func (w *Walk) Resumed() bool { return w.State.Cursor != "" }

// Start begins a walk, or goes on with one that was cut off.
func (w *Walk) Start(now time.Time) {
	w.State.LastRun = now
	if !w.Resumed() {
		w.State.Top = time.Time{}
	}
}

// Meets reports whether a thing that changed at the given time is still to be
// looked at. A thing whose time the side does not say always is.
func (w *Walk) Meets(changed time.Time) bool {
	if changed.After(w.State.Top) {
		w.State.Top = changed
	}
	return changed.IsZero() || w.State.UpTo.IsZero() || !changed.Before(w.State.UpTo.Add(-Overlap))
}

// Turn goes on to the next page and reports whether the walk is over: there is no
// further page, or the last thing of this one was looked at by a walk before.
func (w *Walk) Turn(next string, last time.Time, now time.Time) (over bool) {
	if next != "" && w.Meets(last) {
		w.State.Cursor = next
		return false
	}
	if w.State.Top.After(w.State.UpTo) {
		w.State.UpTo = w.State.Top
	}
	w.State.Cursor, w.State.Top, w.State.LastWhole = "", time.Time{}, now
	return true
}
