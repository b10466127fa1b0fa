package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Rate is how often a caller may ask: so many per minute on average, and so
// many at once after a pause. The zero Rate sets no limit.
type Rate struct {
	PerMinute int
	Burst     int // 0 means a tenth of PerMinute, at least 1
}

// Limited reports whether the rate sets a limit.
func (r Rate) Limited() bool { return r.PerMinute > 0 }

// Every returns the time in which one token grows.
func (r Rate) Every() time.Duration { return time.Minute / time.Duration(r.PerMinute) }

// Size returns the size of the bucket.
func (r Rate) Size() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return max(1, r.PerMinute/10)
}

// RateStore holds the token buckets that all instances share.
type RateStore interface {
	// TakeRate takes up to want tokens (at least one) from the bucket of that
	// name, which holds rate.Size() tokens when full and gains one per
	// rate.Every(). It returns how many it took, and when that is none, after
	// how long there will be one. Taking is atomic between instances. A bucket
	// that does not exist is full; one whose rate has changed goes on from
	// what it holds. Buckets that are full again may be deleted.
	TakeRate(ctx context.Context, name string, rate Rate, want int) (granted int, wait time.Duration, err error)
}

// An instance takes tokens from the shared bucket in leases, and what it has
// not used after leaseFor is lost.
const (
	leaseFor      = 2 * time.Second
	leaseTimeout  = time.Second
	rateFallback  = time.Second // how long to go on alone after the store failed
	limiterNames  = 10_000
	leasePerSweep = 2 // a lease holds at most what the rate gives in so many seconds
)

// Limiter keeps callers within their rate, over all instances together, without
// asking the database for every call: each instance leases a few tokens from
// the shared bucket, more when it uses them up quickly, one when it does not.
//
// Precision: never too generous by more than the lease, never unfair to a lone
// caller. In any time T all instances together admit at most burst + rate ×
// (T + 2 s) calls, the two seconds being the life of a lease. Tokens that an
// instance leased and did not use are lost to the caller: at most one lease
// (two seconds of its rate, or a quarter of its burst) per instance after each
// rush. While the store does not answer, each instance enforces the rate alone.
type Limiter struct {
	store RateStore // nil: this process alone
	clock df.Clock
	log   *slog.Logger

	mu     sync.Mutex
	leases *recent[string, *lease]
}

// NewLimiter returns a limiter on the shared store, or on this process alone
// when store is nil.
func NewLimiter(store RateStore, clock df.Clock, log *slog.Logger) *Limiter {
	return &Limiter{store: store, clock: clock, log: log, leases: newRecent[string, *lease](limiterNames)}
}

// lease is this instance's share of one bucket.
type lease struct {
	mu        sync.Mutex
	tokens    int
	until     time.Time     // when the tokens are lost
	batch     int           // how many to ask for next
	refused   time.Time     // no token before this time
	refilling chan struct{} // closed when the store has answered; nil when nobody asks
	alone     bucket        // used without the store
	aloneTill time.Time     // go on without the store until then
}

// Take admits one call of the named caller, or returns a *RateLimitedError, or
// the context's error when it ends while the store is being asked. Names are
// bounded by being those of known callers; of the ones beyond 10 000 the least
// recently used lose their lease.
func (l *Limiter) Take(ctx context.Context, name string, rate Rate) error {
	if !rate.Limited() {
		return nil
	}
	held := l.lease(name)
	for {
		refilling, mine, err := held.take(l.clock(), rate, l.store != nil)
		if refilling == nil {
			return err
		}
		if mine {
			l.refill(ctx, name, rate, held)
			continue
		}
		select {
		case <-refilling:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *Limiter) lease(name string) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.leases.get(name)
	if !ok {
		held = &lease{}
		l.leases.put(name, held)
	}
	return held
}

// take decides from what is at hand. When the store must be asked first it
// returns the channel that tells when that is done, and whether the caller is
// the one to ask.
func (h *lease) take(now time.Time, rate Rate, shared bool) (refilling chan struct{}, mine bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !shared || now.Before(h.aloneTill):
		return nil, false, limited(h.alone.take(now, rate.Every(), rate.Size()))
	case h.tokens > 0 && now.Before(h.until):
		h.tokens--
		return nil, false, nil
	case now.Before(h.refused):
		return nil, false, limited(h.refused.Sub(now))
	case h.refilling != nil:
		return h.refilling, false, nil
	}
	h.adapt(rate)
	h.refilling = make(chan struct{})
	return h.refilling, true, nil
}

// adapt sets the size of the next lease: double when the last one was used up,
// one token when some of it was lost.
func (h *lease) adapt(rate Rate) {
	if h.tokens > 0 {
		h.tokens, h.batch = 0, 1
		return
	}
	largest := min(rate.PerMinute*leasePerSweep/60, rate.Size()/4)
	h.batch = max(1, min(h.batch*2, largest))
}

// refill asks the store for the next lease. The caller's leaving does not stop
// it, since others wait for the answer too.
func (l *Limiter) refill(ctx context.Context, name string, rate Rate, held *lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	granted, wait, err := l.store.TakeRate(ctx, name, rate, held.batch)
	now := l.clock()
	held.mu.Lock()
	defer held.mu.Unlock()
	switch {
	case err != nil:
		held.aloneTill = now.Add(rateFallback)
		l.log.WarnContext(ctx, "shared rate not available, limiting alone", "caller", name, "err", err)
	case granted > 0:
		held.tokens, held.until = granted, now.Add(leaseFor)
	default:
		held.refused = now.Add(max(wait, time.Millisecond))
	}
	close(held.refilling)
	held.refilling = nil
}

func limited(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &RateLimitedError{RetryAfter: wait}
}
