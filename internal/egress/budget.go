package egress

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// State is all that has to be remembered of an account's budget: two instants in
// microseconds of Unix time, so that a database keeps it in two integers. The
// zero State is that of an account that was never used.
type State struct {
	// TAT is the theoretical arrival time of the generic cell rate algorithm:
	// when the account would be idle again if nothing more were sent.
	TAT int64
	// HeldUntil is until when the upstream told us to stay away; 0 means never.
	HeldUntil int64
}

// Next decides whether one call of the class may be sent at now. With a wait of
// 0 it may, and the State returned counts it; otherwise the State is unchanged
// and the caller asks again after the wait. Next does no I/O and reads no clock,
// so whoever stores the State can call it inside a transaction.
//
// Ordinary calls see a burst that is smaller by limit.Reserve, rounded up (but
// never less than one call), so that many Reserved calls go out at once even
// while ordinary ones queue without end.
func Next(state State, now time.Time, limit Limit, class Class) (State, time.Duration) {
	at := now.UnixMicro()
	if state.HeldUntil > at {
		return state, micros(state.HeldUntil - at)
	}
	if limit.Calls <= 0 || limit.Per <= 0 {
		return state, 0
	}
	interval := limit.interval()
	burst := int64(max(limit.Burst, 1))
	// A state from a clock that ran ahead, or from a looser limit, must not
	// shut the account for longer than one burst takes to pass.
	tat := min(state.TAT, at+burst*interval)
	if allowed := tat - (limit.share(class)-1)*interval; allowed > at {
		return state, micros(allowed - at)
	}
	state.TAT = max(tat, at) + interval
	return state, 0
}

// Free returns how many Ordinary calls may go out at once now, and how many may
// after a pause. Next would grant exactly so many.
func Free(state State, now time.Time, limit Limit) (free, most int) {
	if limit.Calls <= 0 || limit.Per <= 0 {
		return limit.Burst, limit.Burst
	}
	at, interval, share := now.UnixMicro(), limit.interval(), limit.share(Ordinary)
	if state.HeldUntil > at {
		return 0, int(share)
	}
	tat := max(min(state.TAT, at+int64(max(limit.Burst, 1))*interval), at)
	return int(max(0, at+share*interval-tat) / interval), int(share)
}

// Held returns the state with a hold until the given time. It never shortens one.
func (s State) Held(until time.Time) State {
	s.HeldUntil = max(s.HeldUntil, until.UnixMicro())
	return s
}

// interval is the time between two calls at the steady rate, in microseconds,
// rounded up so that rounding never adds a call.
func (l Limit) interval() int64 {
	per, calls := max(l.Per.Microseconds(), 1), int64(l.Calls)
	return max((per+calls-1)/calls, 1)
}

// share is how many calls of the class may go out at once after a pause.
func (l Limit) share(class Class) int64 {
	burst := int64(max(l.Burst, 1))
	if class == Reserved || l.Reserve <= 0 {
		return burst
	}
	kept := int64(math.Ceil(float64(burst) * min(l.Reserve, 1)))
	return max(burst-kept, 1)
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// LocalBudget is a Budget in one process's memory: for tests, the sandbox and
// commands that run alone. Instances that share an account need the store's.
type LocalBudget struct {
	clock  df.Clock
	mu     sync.Mutex
	states map[string]State // guarded by mu; one entry per configured account
}

// NewLocalBudget returns a LocalBudget that reads the given clock.
func NewLocalBudget(clock df.Clock) *LocalBudget {
	return &LocalBudget{clock: clock, states: map[string]State{}}
}

// Take implements Budget. It never fails.
func (b *LocalBudget) Take(_ context.Context, account string, limit Limit, class Class) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state, wait := Next(b.states[account], b.clock(), limit, class)
	b.states[account] = state
	return wait, nil
}

// Hold implements Budget. It never fails.
func (b *LocalBudget) Hold(_ context.Context, account string, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states[account] = b.states[account].Held(until)
	return nil
}
