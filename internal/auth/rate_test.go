package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// drive lets every limiter ask as fast as its pace allows and counts what was
// admitted, by instance.
func drive(t *testing.T, limiters []*Limiter, rate Rate, pace, length time.Duration) []int {
	t.Helper()
	admitted := make([]int, len(limiters))
	var wg sync.WaitGroup
	for i, limiter := range limiters {
		wg.Go(func() {
			for start := time.Now(); time.Since(start) < length; time.Sleep(pace) {
				switch err := limiter.Take(t.Context(), "key:1", rate); {
				case err == nil:
					admitted[i]++
				case !errors.As(err, new(*RateLimitedError)):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return admitted
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}

func instances(n int, store RateStore) []*Limiter {
	limiters := make([]*Limiter, n)
	for i := range limiters {
		limiters[i] = NewLimiter(store, time.Now, quiet())
	}
	return limiters
}

func TestInstancesKeepOneRateTogether(t *testing.T) {
	for _, rate := range []Rate{{PerMinute: 60}, {PerMinute: 600}, {PerMinute: 6000, Burst: 50}, {PerMinute: 30, Burst: 1}} {
		for _, n := range []int{1, 4} {
			synctest.Test(t, func(t *testing.T) {
				store := newMemRates()
				const length = 2 * time.Minute
				got := sum(drive(t, instances(n, store), rate, 5*time.Millisecond, length))
				most := rate.Size() + int(float64(rate.PerMinute)*(length+leaseFor).Minutes()) + 1
				least := rate.PerMinute * 2 * 9 / 10
				if got > most || got < least {
					t.Errorf("%+v on %d instances: admitted %d, want %d to %d", rate, n, got, least, most)
				}
			})
		}
	}
}

func TestHotPathAsksTheStoreForBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemRates()
		admitted := sum(drive(t, instances(1, store), Rate{PerMinute: 60_000}, 2*time.Millisecond, time.Minute))
		if admitted < 29_000 || store.calls > admitted/100 {
			t.Errorf("%d calls for %d admissions", store.calls, admitted)
		}
	})
}

// Otherwise many instances could each save a lease up and spend them together.
func TestUnusedLeaseIsLostAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemRates()
		limiter := NewLimiter(store, time.Now, quiet())
		rate := Rate{PerMinute: 6000, Burst: 100}
		take := func(n int) {
			for range n {
				if err := limiter.Take(t.Context(), "k", rate); err != nil {
					t.Fatal(err)
				}
			}
		}
		take(1 + 2 + 1) // leases of 1, 2 and 4 tokens, the last with 3 left
		if store.calls != 3 {
			t.Fatalf("%d calls", store.calls)
		}
		time.Sleep(leaseFor - time.Millisecond)
		take(1)
		time.Sleep(time.Millisecond)
		take(1)
		if store.calls != 4 {
			t.Errorf("%d calls: the old lease was used", store.calls)
		}
		take(1)
		if store.calls != 5 {
			t.Errorf("%d calls: a lease after a loss holds one token", store.calls)
		}
	})
}

func TestCallerOverItsRateIsRefusedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemRates()
		limiter := NewLimiter(store, time.Now, quiet())
		rate := Rate{PerMinute: 1, Burst: 1}
		if err := limiter.Take(t.Context(), "k", rate); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			var over *RateLimitedError
			if err := limiter.Take(t.Context(), "k", rate); !errors.As(err, &over) || over.RetryAfter <= 0 || over.RetryAfter > time.Minute {
				t.Fatal(err)
			}
		}
		if store.calls > 2 {
			t.Errorf("%d calls to the store", store.calls)
		}
		time.Sleep(time.Minute)
		if err := limiter.Take(t.Context(), "k", rate); err != nil {
			t.Errorf("after the time that was named: %v", err)
		}
	})
}

func TestEachInstanceLimitsAloneWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemRates()
		store.down = errors.New("database is down")
		rate := Rate{PerMinute: 60, Burst: 5}
		got := drive(t, instances(2, store), rate, 10*time.Millisecond, time.Minute)
		for _, n := range got {
			if n < 55 || n > 66 {
				t.Errorf("admitted %v", got)
			}
		}
		if store.calls > 2*65 {
			t.Errorf("asked the dead store %d times", store.calls)
		}
	})
}

func TestZeroRateSetsNoLimit(t *testing.T) {
	store := newMemRates()
	limiter := NewLimiter(store, time.Now, quiet())
	for range 1000 {
		if err := limiter.Take(t.Context(), "k", Rate{}); err != nil {
			t.Fatal(err)
		}
	}
	if store.calls != 0 {
		t.Errorf("%d calls", store.calls)
	}
}

// slowRates answers after a while, whoever has left by then.
type slowRates struct{ RateStore }

func (s slowRates) TakeRate(ctx context.Context, name string, rate Rate, want int) (int, time.Duration, error) {
	time.Sleep(500 * time.Millisecond)
	return s.RateStore.TakeRate(ctx, name, rate, want)
}

func TestCallerWhoLeavesDoesNotSpoilTheLeaseOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := NewLimiter(slowRates{newMemRates()}, time.Now, quiet())
		rate := Rate{PerMinute: 600, Burst: 100}
		var wg sync.WaitGroup
		wg.Go(func() { _ = limiter.Take(t.Context(), "k", rate) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := limiter.Take(ctx, "k", rate); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		for range 20 {
			wg.Go(func() {
				if err := limiter.Take(t.Context(), "k", rate); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// The bucket admits at most burst + time / every, whatever the pattern, and a
// wait that it names is neither too short nor too long.
func TestBucketNeverAdmitsMoreThanItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "every"))
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		now := testNow
		var b bucket
		admitted := 0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 2*int64(every)).Draw(t, "pause")))
			wait := b.take(now, every, burst)
			if wait == 0 {
				admitted++
				continue
			}
			if early := b; early.take(now.Add(wait-1), every, burst) == 0 {
				t.Fatalf("the wait of %s was too long", wait)
			}
			if late := b; late.take(now.Add(wait), every, burst) != 0 {
				t.Fatalf("the wait of %s was too short", wait)
			}
		}
		if most := burst + int(now.Sub(testNow)/every); admitted > most {
			t.Fatalf("admitted %d of %d", admitted, most)
		}
	})
}

func TestRecentForgetsTheLeastRecentlyUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		max := rapid.IntRange(1, 5).Draw(t, "max")
		r := newRecent[int, string](max)
		var model []int // the most recent last
		use := func(key int) {
			for i, k := range model {
				if k == key {
					model = append(model[:i], model[i+1:]...)
					break
				}
			}
			model = append(model, key)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			key := rapid.IntRange(0, 8).Draw(t, "key")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				r.put(key, fmt.Sprint(key))
				use(key)
				model = model[len(model)-min(len(model), max):]
			case 1:
				if _, ok := r.get(key); ok {
					use(key)
				}
			case 2:
				r.remove(key)
				for i, k := range model {
					if k == key {
						model = append(model[:i], model[i+1:]...)
						break
					}
				}
			}
			if r.len() != len(model) {
				t.Fatalf("holds %d, want %v", r.len(), model)
			}
			for _, k := range model {
				if element, ok := r.items[k]; !ok || element.Value.(*recentItem[int, string]).value != fmt.Sprint(k) {
					t.Fatalf("lost %d of %v", k, model)
				}
			}
		}
	})
}
