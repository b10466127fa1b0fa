package reconcile

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/store"
)

// thing is something that is listed by its last change.
type thing struct {
	id      int
	changed time.Time
}

var epoch = time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)

// Whatever changes between walks, and wherever a walk is cut off, everything that
// changed is looked at once the next walk has come to its end.
func TestAWalkThatIsCutOffMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := 0
		changed, looked := map[int]time.Time{}, map[int]time.Time{}
		edit := func() {
			clock++
			changed[rapid.IntRange(0, 30).Draw(t, "who")] = epoch.Add(time.Duration(clock) * time.Minute)
		}
		var state store.SweepState
		for range rapid.IntRange(1, 6).Draw(t, "walks") {
			for range rapid.IntRange(0, 12).Draw(t, "edits") {
				edit()
			}
			cut := rapid.IntRange(0, 4).Draw(t, "cut off after")
			walk := Walk{State: state}
			walk.Start(epoch)
			for range cut {
				if page(&walk, changed, looked) {
					break
				}
				edit()
			}
			state = walk.State
		}
		walk := Walk{State: state}
		for range 2 { // the first may be the rest of one that was cut off
			walk.Start(epoch)
			for !page(&walk, changed, looked) {
			}
		}
		for id, at := range changed {
			if !looked[id].Equal(at) {
				t.Fatalf("%d changed at %v and was looked at as of %v", id, at, looked[id])
			}
		}
	})
}

// page reads three things, as a side does that pages by the last change.
func page(walk *Walk, changed, looked map[int]time.Time) (over bool) {
	before := epoch.Add(1000 * time.Hour)
	if walk.Resumed() {
		before, _ = time.Parse(time.RFC3339, walk.State.Cursor)
	}
	var last time.Time
	next := ""
	for n := range 4 {
		var newest thing
		for id, at := range changed {
			if at.Before(before) && at.After(newest.changed) {
				newest = thing{id, at}
			}
		}
		switch {
		case newest.changed.IsZero():
			return walk.Turn("", last, epoch)
		case n == 3:
			next = last.Format(time.RFC3339)
		default:
			if walk.Meets(newest.changed) {
				looked[newest.id] = newest.changed
			}
			last, before = newest.changed, newest.changed
		}
	}
	return walk.Turn(next, last, epoch)
}

// A walk ends at what the last one looked at, with some overlap.
func TestAWalkEndsWhereTheLastOneBegan(t *testing.T) {
	walk := Walk{State: store.SweepState{UpTo: epoch}}
	walk.Start(epoch)
	for _, c := range []struct {
		changed time.Time
		meets   bool
	}{
		{epoch.Add(time.Hour), true}, {epoch.Add(-Overlap), true}, {epoch.Add(-Overlap - time.Second), false}, {time.Time{}, true},
	} {
		if got := walk.Meets(c.changed); got != c.meets {
			t.Errorf("meets what changed at %v: %v", c.changed, got)
		}
	}
	if !walk.Turn("more", epoch.Add(-time.Hour), epoch) || !walk.State.UpTo.Equal(epoch.Add(time.Hour)) || walk.Resumed() {
		t.Errorf("the walk is over: %+v", walk.State)
	}
}
