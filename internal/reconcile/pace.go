package reconcile

import (
	"context"
	"time"
)

// Pace spaces out calls, so that a sweep takes only its share of a budget. The
// zero Pace does not wait.
type Pace struct {
	Every time.Duration
	next  time.Time
}

// Wait waits until calls that cost so much may be made.
func (p *Pace) Wait(ctx context.Context, cost int) error {
	if p.Every <= 0 {
		return ctx.Err()
	}
	now := time.Now() // a pause is real time, whatever the program's clock says
	if p.next.Before(now) {
		p.next = now
	}
	pause := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(cost) * p.Every)
	if pause < time.Millisecond {
		return ctx.Err()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
