package egress

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func drawLimit(t *rapid.T) Limit {
	return Limit{
		Calls:   rapid.IntRange(1, 200).Draw(t, "calls"),
		Per:     time.Duration(rapid.IntRange(1, 60_000).Draw(t, "perMs")) * time.Millisecond,
		Burst:   rapid.IntRange(1, 50).Draw(t, "burst"),
		Reserve: rapid.Float64Range(0, 1).Draw(t, "reserve"),
	}
}

// The original had no limit on any client, so draining a backlog tripped GHL's
// burst limit and each refused call was a lost event.
func TestNextNeverLetsThroughMoreThanCallsPlusBurstInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := drawLimit(t)
		var state State
		var sent []time.Time
		now := epoch
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			class := Class(rapid.IntRange(0, 1).Draw(t, "class"))
			next, wait := Next(state, now, limit, class)
			switch {
			case wait == 0:
				sent = append(sent, now)
				state = next
			case next != state:
				t.Fatalf("a refused call changed the state: %+v to %+v", state, next)
			case rapid.Bool().Draw(t, "patient"):
				now = now.Add(wait)
			default:
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(wait)).Draw(t, "early")))
			}
		}
		most := limit.Calls + limit.Burst
		for i := most; i < len(sent); i++ {
			if sent[i].Sub(sent[i-most]) <= limit.Per {
				t.Fatalf("%d calls within %v, limit %+v", most+1, sent[i].Sub(sent[i-most]), limit)
			}
		}
	})
}

func TestNextGrantsAfterExactlyTheWaitItNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := drawLimit(t)
		now := epoch
		var state State
		for range 100 {
			next, wait := Next(state, now, limit, Ordinary)
			if wait > 0 {
				if _, again := Next(state, now.Add(wait), limit, Ordinary); again != 0 {
					t.Fatalf("still %v to wait after waiting %v", again, wait)
				}
				if _, early := Next(state, now.Add(wait-time.Microsecond), limit, Ordinary); early == 0 {
					t.Fatalf("granted before the wait of %v was over", wait)
				}
				return
			}
			state = next
		}
	})
}

func TestNextKeepsTheReserveWhileOrdinaryCallsQueueWithoutEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := drawLimit(t)
		var state State
		now := epoch
		for range rapid.IntRange(1, 500).Draw(t, "ordinary") {
			next, wait := Next(state, now, limit, Ordinary)
			if wait > 0 {
				now = now.Add(wait)
				continue
			}
			state = next
		}
		kept := int(limit.share(Reserved) - limit.share(Ordinary))
		for i := range kept {
			next, wait := Next(state, now, limit, Reserved)
			if wait != 0 {
				t.Fatalf("reserved call %d of %d must wait %v, limit %+v", i+1, kept, wait, limit)
			}
			state = next
		}
	})
}

func TestLimitSharesTheBurst(t *testing.T) {
	for _, test := range []struct {
		burst    int
		reserve  float64
		ordinary int64
	}{
		{20, 0.2, 16}, {20, 0, 20}, {20, 0.01, 19}, {1, 0.5, 1}, {0, 0.5, 1}, {4, 1, 1}, {4, 9, 1}, {4, -1, 4},
	} {
		limit := Limit{Calls: 1, Per: time.Second, Burst: test.burst, Reserve: test.reserve}
		if got := limit.share(Ordinary); got != test.ordinary {
			t.Errorf("burst %d, reserve %v: ordinary calls share %d, want %d", test.burst, test.reserve, got, test.ordinary)
		}
		if got := limit.share(Reserved); got != int64(max(test.burst, 1)) {
			t.Errorf("burst %d: reserved calls share %d", test.burst, got)
		}
	}
}

func TestNextWithoutLimitOnlyObeysHolds(t *testing.T) {
	state, wait := Next(State{}, epoch, Limit{}, Ordinary)
	if state != (State{}) || wait != 0 {
		t.Errorf("no limit: %+v, %v", state, wait)
	}
	held := State{}.Held(epoch.Add(time.Minute))
	for _, class := range []Class{Ordinary, Reserved} {
		if _, wait := Next(held, epoch, Limit{}, class); wait != time.Minute {
			t.Errorf("held for a minute, class %d waits %v", class, wait)
		}
	}
	if got := held.Held(epoch); got != held {
		t.Errorf("a later, shorter hold shortened it: %+v", got)
	}
}

func TestNextRecoversFromAStateOfAClockThatRanAhead(t *testing.T) {
	limit := Limit{Calls: 10, Per: time.Second, Burst: 5}
	state := State{TAT: epoch.Add(24 * time.Hour).UnixMicro()}
	if _, wait := Next(state, epoch, limit, Ordinary); wait > time.Second {
		t.Errorf("waits %v for somebody else's wrong clock", wait)
	}
}

func TestLocalBudgetKeepsAccountsApart(t *testing.T) {
	ctx := context.Background()
	budget := NewLocalBudget(func() time.Time { return epoch })
	limit := Limit{Calls: 1, Per: time.Second, Burst: 1}
	for _, account := range []string{"one", "two"} {
		if wait, err := budget.Take(ctx, account, limit, Ordinary); wait != 0 || err != nil {
			t.Errorf("first call of %s: %v, %v", account, wait, err)
		}
	}
	if wait, _ := budget.Take(ctx, "one", limit, Ordinary); wait != time.Second {
		t.Errorf("second call of one waits %v", wait)
	}
	if err := budget.Hold(ctx, "two", epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if wait, _ := budget.Take(ctx, "two", limit, Reserved); wait != time.Hour {
		t.Errorf("held account waits %v", wait)
	}
}

func BenchmarkNext(b *testing.B) {
	limit := Limit{Calls: 80, Per: 10 * time.Second, Burst: 20, Reserve: 0.2}
	var state State
	for i := 0; b.Loop(); i++ {
		state, _ = Next(state, epoch.Add(time.Duration(i)*time.Millisecond), limit, Class(i&1))
	}
}

// What is shown as free is what Next grants, no more and no less.
func TestFreeIsWhatNextGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := drawLimit(t)
		now := epoch
		state := State{TAT: now.UnixMicro() + rapid.Int64Range(-60_000_000, 60_000_000).Draw(t, "tat")}
		if rapid.IntRange(0, 9).Draw(t, "held") == 0 {
			state = state.Held(now.Add(time.Second))
		}
		free, most := Free(state, now, limit)
		granted := 0
		for {
			next, wait := Next(state, now, limit, Ordinary)
			if wait > 0 {
				break
			}
			state, granted = next, granted+1
		}
		if free != granted || free > most {
			t.Fatalf("%d of %d are free, and Next grants %d", free, most, granted)
		}
	})
}
