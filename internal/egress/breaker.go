package egress

import (
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// BreakerState is whether calls to an upstream are let through.
type BreakerState int

// A breaker is Closed while the upstream works, Open after it failed too often,
// and HalfOpen once its cool-down is over and a probe decides.
const (
	Closed BreakerState = iota
	Open
	HalfOpen
)

// String returns the state's name as health pages and metrics show it.
func (s BreakerState) String() string { return [...]string{"closed", "open", "half_open"}[s] }

// BreakerOptions says when a Breaker opens and for how long. Zero values mean
// the defaults given with each field.
type BreakerOptions struct {
	Failures int           // consecutive failures that open it; 5
	Ratio    float64       // share of failures among the last Window calls that opens it; 0.5
	Window   int           // how many calls Ratio looks at; 20
	Cooldown time.Duration // how long it stays open at first; 10 s, doubled while probes fail
	MaxCool  time.Duration // the longest it stays open; 2 min
	Probes   int           // calls let through at once while half-open; 1
}

func (o BreakerOptions) withDefaults() BreakerOptions {
	o.Failures = orDefault(o.Failures, 5)
	o.Ratio = orDefault(o.Ratio, 0.5)
	o.Window = orDefault(o.Window, 20)
	o.Cooldown = orDefault(o.Cooldown, 10*time.Second)
	o.MaxCool = max(orDefault(o.MaxCool, 2*time.Minute), o.Cooldown)
	o.Probes = orDefault(o.Probes, 1)
	return o
}

func orDefault[T int | int64 | float64 | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Breaker keeps calls from an upstream that does not work, so that workers do
// not wait in turn for each time-out. Only transport errors, time-outs and 5xx
// count as failures; a 4xx shows an upstream that works.
type Breaker struct {
	options BreakerOptions
	clock   df.Clock

	mu          sync.Mutex
	state       BreakerState
	generation  int // changes with the state; late reports of an older one are ignored
	consecutive int
	recent      []bool // ring of the last Window results, true for a failure
	cursor      int
	failed      int // how many of recent are failures
	until       time.Time
	cooldown    time.Duration
	probing     int
}

// NewBreaker returns a closed breaker.
func NewBreaker(options BreakerOptions, clock df.Clock) *Breaker {
	options = options.withDefaults()
	return &Breaker{options: options, clock: clock, cooldown: options.Cooldown}
}

// BreakerStatus is a breaker's state for health pages and metrics.
type BreakerStatus struct {
	State    BreakerState
	Until    time.Time // when an open breaker lets a probe through; zero otherwise
	Failures int       // consecutive failures just now
}

// Status returns the breaker's state.
func (b *Breaker) Status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	status := BreakerStatus{State: b.state, Failures: b.consecutive}
	if b.state == Open {
		status.Until = b.until
	}
	return status
}

// shut reports whether calls are refused now, and until when at least, without
// taking a probe's place.
func (b *Breaker) shut() (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal(b.clock())
}

// refusal is shut for callers that hold the lock.
func (b *Breaker) refusal(now time.Time) (time.Time, bool) {
	switch {
	case b.state == Open && now.Before(b.until):
		return b.until, true
	case b.state == HalfOpen && b.probing >= b.options.Probes:
		return now.Add(b.options.Cooldown), true
	default:
		return time.Time{}, false
	}
}

// enter lets a call through, or says until when it is refused. Whoever was let
// through must call leave with the generation returned.
func (b *Breaker) enter() (generation int, until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until, refused := b.refusal(b.clock()); refused {
		return 0, until, false
	}
	if b.state == Open {
		b.become(HalfOpen)
	}
	if b.state == HalfOpen {
		b.probing++
	}
	return b.generation, time.Time{}, true
}

// result is what a call said about the upstream's health.
type result int

const (
	healthy   result = iota
	unhealthy        // transport error, time-out, 5xx
	untold           // the caller went away: nothing learned
)

// leave records how a call that was let through ended.
func (b *Breaker) leave(generation int, outcome result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation {
		return
	}
	if b.state == HalfOpen {
		b.leaveProbe(outcome)
		return
	}
	switch outcome {
	case healthy:
		b.consecutive = 0
		b.remember(false)
	case unhealthy:
		b.consecutive++
		b.remember(true)
		if b.tooMany() {
			b.trip()
		}
	}
}

func (b *Breaker) leaveProbe(outcome result) {
	b.probing--
	switch outcome {
	case healthy:
		b.cooldown = b.options.Cooldown
		b.become(Closed)
	case unhealthy:
		b.consecutive++
		b.cooldown = min(2*b.cooldown, b.options.MaxCool)
		b.trip()
	}
}

func (b *Breaker) trip() {
	b.become(Open)
	b.until = b.clock().Add(b.cooldown)
}

func (b *Breaker) become(state BreakerState) {
	b.state = state
	b.generation++
	b.probing = 0
	b.recent, b.cursor, b.failed = b.recent[:0], 0, 0
	if state == Closed {
		b.consecutive = 0
	}
}

func (b *Breaker) remember(failure bool) {
	if len(b.recent) < b.options.Window {
		b.recent = append(b.recent, failure)
	} else {
		if b.recent[b.cursor] {
			b.failed--
		}
		b.recent[b.cursor] = failure
		b.cursor = (b.cursor + 1) % b.options.Window
	}
	if failure {
		b.failed++
	}
}

// tooMany reports whether the failures seen suffice to open.
func (b *Breaker) tooMany() bool {
	if b.consecutive >= b.options.Failures {
		return true
	}
	full := len(b.recent) == b.options.Window
	return full && float64(b.failed) >= b.options.Ratio*float64(b.options.Window)
}
