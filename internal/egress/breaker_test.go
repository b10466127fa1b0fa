package egress

import (
	"testing"
	"time"
)

// hand is a clock that a test moves.
type hand struct{ now time.Time }

func (h *hand) clock() time.Time           { return h.now }
func (h *hand) forward(step time.Duration) { h.now = h.now.Add(step) }
func newHand() *hand                       { return &hand{now: epoch} }
func call(b *Breaker, outcome result) bool {
	generation, _, ok := b.enter()
	if ok {
		b.leave(generation, outcome)
	}
	return ok
}

func TestBreakerOpensAfterConsecutiveFailures(t *testing.T) {
	clock := newHand()
	b := NewBreaker(BreakerOptions{Failures: 3, Cooldown: time.Minute}, clock.clock)
	for range 2 {
		call(b, unhealthy)
	}
	call(b, healthy)
	for range 2 {
		call(b, unhealthy)
	}
	if b.Status().State != Closed {
		t.Fatal("opened though a success lay between the failures")
	}
	call(b, unhealthy)
	status := b.Status()
	if status.State != Open || !status.Until.Equal(clock.now.Add(time.Minute)) {
		t.Fatalf("status %+v", status)
	}
	if until, shut := b.shut(); !shut || !until.Equal(status.Until) || call(b, healthy) {
		t.Error("an open breaker let a call through")
	}
}

func TestBreakerOpensWhenHalfOfTheLastCallsFail(t *testing.T) {
	b := NewBreaker(BreakerOptions{Failures: 100, Window: 10, Ratio: 0.5}, newHand().clock)
	for range 10 { // fills the window with successes, which the failures then push out
		call(b, healthy)
	}
	for i := 1; b.Status().State == Closed; i++ {
		call(b, unhealthy)
		if i > 5 {
			t.Fatalf("still closed after %d failures in the last 10", i)
		}
		if b.Status().State == Closed {
			continue
		}
		if i != 5 {
			t.Fatalf("opened after %d failures", i)
		}
	}
}

func TestBreakerIgnoresCallersThatWentAway(t *testing.T) {
	b := NewBreaker(BreakerOptions{Failures: 2}, newHand().clock)
	for range 50 {
		call(b, untold)
	}
	if status := b.Status(); status.State != Closed || status.Failures != 0 {
		t.Errorf("status %+v", status)
	}
}

func TestBreakerLetsOneProbeDecide(t *testing.T) {
	clock := newHand()
	b := NewBreaker(BreakerOptions{Failures: 1, Cooldown: time.Minute, MaxCool: 3 * time.Minute}, clock.clock)
	call(b, unhealthy)

	for _, cool := range []time.Duration{2 * time.Minute, 3 * time.Minute, 3 * time.Minute} {
		clock.forward(b.Status().Until.Sub(clock.now))
		probe, _, ok := b.enter()
		if !ok || b.Status().State != HalfOpen {
			t.Fatalf("no probe after the cool-down: %+v", b.Status())
		}
		if _, shut := b.shut(); !shut || call(b, healthy) {
			t.Fatal("a second call went along with the probe")
		}
		b.leave(probe, unhealthy)
		if got := b.Status().Until.Sub(clock.now); got != cool {
			t.Fatalf("open for %v after a failed probe, want %v", got, cool)
		}
	}
	clock.forward(3 * time.Minute)
	if !call(b, healthy) || b.Status().State != Closed {
		t.Errorf("a good probe did not close it: %+v", b.Status())
	}
}

func TestBreakerGivesBackThePlaceOfAProbeThatLearntNothing(t *testing.T) {
	clock := newHand()
	b := NewBreaker(BreakerOptions{Failures: 1, Cooldown: time.Minute}, clock.clock)
	call(b, unhealthy)
	clock.forward(time.Minute)
	if !call(b, untold) || !call(b, healthy) || b.Status().State != Closed {
		t.Errorf("status %+v", b.Status())
	}
}

func TestBreakerIgnoresReportsFromBeforeItChanged(t *testing.T) {
	clock := newHand()
	b := NewBreaker(BreakerOptions{Failures: 1, Cooldown: time.Minute}, clock.clock)
	slow, _, _ := b.enter()
	call(b, unhealthy)
	b.leave(slow, healthy)
	if b.Status().State != Open {
		t.Error("a call sent before the failure closed the breaker")
	}
}
