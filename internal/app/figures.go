package app

import (
	"context"
	"time"
)

// figuresAfter is how long the console's figures by the minute are kept.
const figuresAfter = 30 * 24 * time.Hour

// keepFigures counts what happened in the minutes that have ended, for the charts
// of the console.
func (a *App) keepFigures(ctx context.Context) error {
	now := a.clock()
	if _, err := a.store.KeepMinutes(ctx, now); err != nil {
		return err
	}
	_, err := a.store.PruneMinutes(ctx, now.Add(-figuresAfter))
	return err
}
