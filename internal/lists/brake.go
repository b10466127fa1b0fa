package lists

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// Brake holds changes of many people's lists until somebody has looked. Adding to
// lists is not held, and what consent asks for never is.
type Brake struct {
	// Percent of the people on lists may be moved or taken off at once, that
	// is, by one run or within Window. 100 releases the brake.
	Percent int
	// Least is the number of people that never need approval.
	Least int
}

// Window is the time within which single changes are counted together.
const Window = time.Hour

// Limit is how many of the listed people may be moved without asking.
func (b Brake) Limit(listed int) int { return max(b.Least, listed*b.Percent/100) }

// Holds reports whether so many moves at once need approval.
func (b Brake) Holds(moves, listed int) bool {
	return b.Percent < 100 && moves > b.Limit(listed)
}

// braked reports whether a person's move must wait for approval, and asks for it.
func (d *Desk) braked(ctx context.Context, w *work) (bool, error) {
	if w.moved || w.row.Approved != "" && w.row.Approved == w.intent.Key() {
		return false, nil
	}
	listed, moved, err := store.ListTraffic(ctx, d.Store, d.Clock().Add(-Window))
	if err != nil || !d.Brake.Holds(moved+1, listed) {
		return false, err
	}
	w.state, w.detail = Braked, "too many people were moved within an hour; approve or decline it under Lists"
	_, err = store.WaitingListRun(ctx, d.Store, RunBrake)
	if !errors.Is(err, store.ErrNotFound) {
		return true, err
	}
	d.Log.WarnContext(ctx, "list changes are held until an operator approves them", "moved", moved, "listed", listed)
	return true, store.InsertListRun(ctx, d.Store, store.ListRun{ID: d.NewID(), Kind: RunBrake, State: RunWaiting, RulesVersion: w.version,
		Totals: written(Totals{}), CreatedBy: "brake", CreatedAt: d.Clock()})
}
