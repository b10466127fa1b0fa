package queue

import (
	"math/rand/v2"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// maxDelay bounds the time between two tries.
const maxDelay = 24 * time.Hour

// RetryPolicy says how often and when a failed event is tried again.
type RetryPolicy struct {
	Limit int           // retries after the first try (JOB_RETRY_LIMIT)
	Delay time.Duration // before the first retry; doubled for each further one (JOB_RETRY_DELAY)
	Rand  func() float64
}

// Backoff returns the pause after the given number of tries: the policy's
// delay, doubled for each try after the first, with a jitter of ten percent so
// that what failed together is not retried together.
func (p RetryPolicy) Backoff(tries int) time.Duration {
	delay := p.Delay
	for range max(0, tries-1) {
		if delay >= maxDelay {
			break
		}
		delay *= 2
	}
	delay = min(delay, maxDelay)
	return time.Duration(float64(delay) * (0.9 + 0.2*p.random()))
}

// Longest returns the time after which a try must have been noted, if its worker
// lives: the longest pause between two, the try, and the rescue of a job whose
// worker died. It is an hour at least, for short pauses may be spent restarting.
func (p RetryPolicy) Longest() time.Duration {
	calm := p
	calm.Rand = func() float64 { return 1 }
	return max(time.Hour, calm.Backoff(p.Limit)+taskTime+rescueAfter)
}

// Apply settles the results of one turn: a failed event gets the time of its
// next try, or is quarantined after its last one; what stands behind a failed
// event was not tried and stays pending. It returns the time until which the
// lane must wait, zero when it need not.
func (p RetryPolicy) Apply(events []df.Event, results []store.Result, now time.Time) ([]store.Result, time.Time) {
	byID := make(map[string]store.Result, len(results))
	for _, r := range results {
		byID[r.EventID] = r
	}
	settled := make([]store.Result, 0, len(events))
	var wake time.Time
	for _, e := range events {
		r, ok := byID[e.ID]
		if !ok || !wake.IsZero() {
			r = store.Result{EventID: e.ID, Status: df.Pending}
		}
		switch {
		case r.Status == df.Failed && r.Postponed:
			wake = p.postpone(r.RetryAt, now)
			r = store.Result{EventID: e.ID, Status: df.Pending, PersonID: r.PersonID}
		case r.Status == df.Failed:
			r, wake = p.fail(e, r, now)
		}
		settled = append(settled, r)
	}
	return settled, wake
}

// postpone returns when an event goes on whose upstream has no budget left: when
// the upstream said, and not all at once. A backlog that takes hours to drain
// at the upstream's pace must not use up its events' tries.
func (p RetryPolicy) postpone(until, now time.Time) time.Time {
	pause := max(until.Sub(now), time.Second)
	return now.Add(pause + time.Duration(float64(min(pause, 10*time.Second))*p.random()))
}

func (p RetryPolicy) random() float64 {
	if p.Rand == nil {
		return rand.Float64()
	}
	return p.Rand()
}

func (p RetryPolicy) fail(e df.Event, r store.Result, now time.Time) (store.Result, time.Time) {
	if e.Attempts > p.Limit {
		r.Status, r.Reason = df.Quarantined, "failed on every try; see its attempts"
		return r, time.Time{}
	}
	next := now.Add(p.Backoff(e.Attempts))
	if r.RetryAt.Before(next) {
		r.RetryAt = next
	}
	return r, r.RetryAt
}
