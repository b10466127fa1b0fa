package queue_test

import (
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func policy(random float64) queue.RetryPolicy {
	return queue.RetryPolicy{Limit: 10, Delay: time.Minute, Rand: func() float64 { return random }}
}

// The reference's default delay was 60,000 seconds; ours is 60, doubled.
func TestBackoffDoublesFromTheDelayWithJitterAndABound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tries  int
		random float64
		want   time.Duration
	}{
		{0, 0.5, time.Minute},
		{1, 0.5, time.Minute},
		{2, 0.5, 2 * time.Minute},
		{10, 0.5, 512 * time.Minute},
		{100, 0.5, 24 * time.Hour},
		{1, 0, 54 * time.Second},
		{1, 1, 66 * time.Second},
	} {
		if got := policy(c.random).Backoff(c.tries); got.Round(time.Second) != c.want {
			t.Errorf("backoff after %d tries with %v: %v, want %v", c.tries, c.random, got, c.want)
		}
	}
}

func TestApplySettlesATurn(t *testing.T) {
	t.Parallel()
	events := []df.Event{{ID: "a", Attempts: 1}, {ID: "b", Attempts: 1}, {ID: "c", Attempts: 1}}
	fails := func(id string, at time.Time) store.Result {
		return store.Result{EventID: id, Status: df.Failed, RetryAt: at}
	}
	done := func(id string) store.Result { return store.Result{EventID: id, Status: df.Done} }
	for _, c := range []struct {
		name     string
		attempts int // of event b
		results  []store.Result
		want     [3]df.Status
		wake     time.Time
	}{
		{"all done", 1, []store.Result{done("a"), done("b"), done("c")},
			[3]df.Status{df.Done, df.Done, df.Done}, time.Time{}},
		{"what stands behind a failure is not tried", 1, []store.Result{done("a"), fails("b", time.Time{}), done("c")},
			[3]df.Status{df.Done, df.Failed, df.Pending}, noon.Add(time.Minute)},
		{"the upstream's time counts when it is later", 1, []store.Result{done("a"), fails("b", noon.Add(time.Hour))},
			[3]df.Status{df.Done, df.Failed, df.Pending}, noon.Add(time.Hour)},
		{"and not when it is earlier", 1, []store.Result{done("a"), fails("b", noon.Add(time.Second))},
			[3]df.Status{df.Done, df.Failed, df.Pending}, noon.Add(time.Minute)},
		{"after its last try an event is quarantined and the lane goes on", 11,
			[]store.Result{done("a"), fails("b", time.Time{}), done("c")},
			[3]df.Status{df.Done, df.Quarantined, df.Done}, time.Time{}},
		{"a used-up budget makes the event wait and counts no try", 11,
			[]store.Result{done("a"), {EventID: "b", Status: df.Failed, RetryAt: noon.Add(4 * time.Second), Postponed: true}},
			[3]df.Status{df.Done, df.Pending, df.Pending}, noon.Add(6 * time.Second)},
		{"an event without a result was not tried", 1, nil,
			[3]df.Status{df.Pending, df.Pending, df.Pending}, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			batch := append([]df.Event(nil), events...)
			batch[1].Attempts = c.attempts
			got, wake := policy(0.5).Apply(batch, c.results, noon)
			for i := range got {
				if got[i].Status != c.want[i] || got[i].EventID != batch[i].ID {
					t.Errorf("result %d is %+v, want %s", i, got[i], c.want[i])
				}
			}
			if !wake.Equal(c.wake) {
				t.Errorf("wakes at %v, want %v", wake, c.wake)
			}
		})
	}
}
