package verity

import (
	"sync"
	"time"
)

// limiter bounds the calls in flight, all together and for each caller, so that
// one caller whose calls hang leaves room for the others.
type limiter struct {
	mu       sync.Mutex
	max, one int
	total    int
	by       map[string]int
}

func newLimiter(limit int) *limiter {
	return &limiter{max: limit, one: max(1, limit*3/4), by: make(map[string]int)}
}

func (l *limiter) acquire(caller string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.max || l.by[caller] >= l.one {
		return false
	}
	l.total++
	l.by[caller]++
	return true
}

func (l *limiter) release(caller string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.by[caller]--; l.by[caller] == 0 {
		delete(l.by, caller)
	}
}

// breaker stops calls to something that failed many times in a row. After a
// while it lets one call through to see.
type breaker struct {
	mu       sync.Mutex
	limit    int
	cooldown time.Duration
	failures int
	open     time.Time // until when; zero while closed
	probing  bool
}

func newBreaker(limit int, cooldown time.Duration) *breaker {
	return &breaker{limit: limit, cooldown: cooldown}
}

// allow reports whether a call may be made now, and else when to ask again.
// Whoever is allowed must report.
func (b *breaker) allow(now time.Time) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open.IsZero():
		return 0, true
	case now.Before(b.open):
		return b.open.Sub(now), false
	case b.probing:
		return b.cooldown, false
	}
	b.probing = true
	return 0, true
}

// until returns the time until which it is open, or zero.
func (b *breaker) until() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

type result int

const (
	succeeded result = iota
	failed
	unjudged // the caller went away: nothing is known
)

func (b *breaker) report(now time.Time, r result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch r {
	case succeeded:
		b.failures, b.open = 0, time.Time{}
	case failed:
		if b.failures++; b.failures >= b.limit {
			b.open = now.Add(b.cooldown)
		}
	}
}
