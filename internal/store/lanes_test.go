package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const lease = 30 * time.Second

func take(t *testing.T, s *store.Store, lane string, now time.Time) store.Turn {
	t.Helper()
	turn, ok, err := s.TakeTurn(t.Context(), lane, "worker", 10, now, now.Add(lease))
	if err != nil || !ok {
		t.Fatalf("take turn: %v, %v", ok, err)
	}
	return turn
}

func done(events []df.Event) []store.Result {
	results := make([]store.Result, len(events))
	for i, e := range events {
		results[i] = store.Result{EventID: e.ID, Status: df.Done}
	}
	return results
}

func TestALaneHandsOutItsEventsInOrderToOneWorker(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		var want []string
		for i := range 5 {
			d := delivery("C1", fmt.Sprint(i))
			want = append(want, d.Event.ID)
			accept(t, s, noon, d)
		}
		turn := take(t, s, "ghl:contact:C1", noon)
		for i, e := range turn.Events {
			if e.ID != want[i] || e.Attempts != 1 || e.Status != df.Processing {
				t.Fatalf("event %d is %+v", i, e)
			}
		}
		if _, ok, err := s.TakeTurn(t.Context(), "ghl:contact:C1", "other", 10, noon, noon.Add(lease)); ok || err != nil {
			t.Fatalf("a second worker got in: %v, %v", ok, err)
		}
		left, err := s.FinishTurn(t.Context(), turn.Lease, done(turn.Events), 0, noon, time.Time{})
		if err != nil || left != 0 {
			t.Fatalf("left %d, %v", left, err)
		}
		if _, ok, _ := s.TakeTurn(t.Context(), "ghl:contact:C1", "other", 10, noon, noon.Add(lease)); ok {
			t.Error("an empty lane gave a turn")
		}
	})
}

// Invariant 7: a worker that lost its lease cannot finish a write.
func TestAWorkerPresumedDeadCannotFinish(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		accept(t, s, noon, delivery("C1", "w1"))
		dead := take(t, s, "ghl:contact:C1", noon)
		late := noon.Add(lease + time.Second)
		alive := take(t, s, "ghl:contact:C1", late)
		if alive.Events[0].Attempts != 2 {
			t.Errorf("the lost try does not count: %d", alive.Events[0].Attempts)
		}
		if _, err := s.FinishTurn(t.Context(), dead.Lease, done(dead.Events), 0, late, time.Time{}); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("finish with the old lease: %v", err)
		}
		if err := s.RenewLease(t.Context(), dead.Lease, late.Add(lease)); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("renew the old lease: %v", err)
		}
		err := s.InLease(t.Context(), dead.Lease, func(store.Tx) error { t.Error("ran without a lease"); return nil })
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("write under the old lease: %v", err)
		}
		if _, err := s.FinishTurn(t.Context(), alive.Lease, done(alive.Events), 0, late, time.Time{}); err != nil {
			t.Errorf("finish with the new lease: %v", err)
		}
	})
}

func TestAFailedEventShutsItsLaneUntilItsTimeComes(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		accept(t, s, noon, delivery("C1", "w1"), delivery("C1", "w2"))
		turn := take(t, s, "ghl:contact:C1", noon)
		wake := noon.Add(time.Minute)
		results := []store.Result{
			{EventID: turn.Events[0].ID, Status: df.Failed, Error: "ghl: update contact: unavailable", RetryAt: wake},
			{EventID: turn.Events[1].ID, Status: df.Pending},
		}
		if left, err := s.FinishTurn(t.Context(), turn.Lease, results, 0, noon, wake); left != 2 || err != nil {
			t.Fatalf("left %d, %v", left, err)
		}
		if _, ok, _ := s.TakeTurn(t.Context(), "ghl:contact:C1", "w", 10, wake.Add(-time.Second), wake); ok {
			t.Error("the lane opened too early")
		}
		if n, err := s.RingWaiting(t.Context(), wake.Add(-time.Second), noon, 10); n != 0 || err != nil {
			t.Errorf("rang %d before the time, %v", n, err)
		}
		if n, err := s.RingWaiting(t.Context(), wake, noon.Add(-time.Hour), 10); n != 1 || err != nil {
			t.Errorf("rang %d at the time, %v", n, err)
		}
		again := take(t, s, "ghl:contact:C1", wake)
		if len(again.Events) != 1 || again.Events[0].Attempts != 2 {
			t.Errorf("a failed event is tried alone: %+v", again.Events)
		}
		second, err := s.Event(t.Context(), turn.Events[1].ID)
		if err != nil || second.Attempts != 0 {
			t.Errorf("what was not tried counts no attempt: %+v, %v", second, err)
		}
		attempts, err := s.Attempts(t.Context(), turn.Events[0].ID)
		if err != nil || len(attempts) != 1 || attempts[0].Error != "ghl: update contact: unavailable" {
			t.Errorf("attempts %+v, %v", attempts, err)
		}
	})
}

func TestEventsMoveToTheLaneOfTheirPersonAndKeepTheirOrder(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first, second := delivery("C1", "w1"), delivery("C1", "w2")
		accept(t, s, noon, first)
		accept(t, s, noon, second)
		turn := take(t, s, "ghl:contact:C1", noon)
		target := store.PersonLane("P1")
		var results []store.Result
		for _, e := range turn.Events {
			results = append(results, store.Result{EventID: e.ID, Status: df.Pending, PersonID: "P1", MoveTo: target})
		}
		if left, err := s.FinishTurn(t.Context(), turn.Lease, results, 0, noon, time.Time{}); left != 0 || err != nil {
			t.Fatalf("left %d, %v", left, err)
		}
		moved := take(t, s, target, noon)
		if len(moved.Events) != 2 || moved.Events[0].ID != first.Event.ID || moved.Events[0].PersonID != "P1" || moved.Events[0].Attempts != 1 {
			t.Errorf("%+v", moved.Events)
		}
	})
}

func TestANudgeAsksForATurnWithoutAnEvent(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for range 3 {
			if err := s.Nudge(t.Context(), "person:P1", noon); err != nil {
				t.Fatal(err)
			}
		}
		turn := take(t, s, "person:P1", noon)
		if turn.Nudges != 3 || len(turn.Events) != 0 {
			t.Fatalf("%+v", turn)
		}
		// One that comes while the turn works is not swallowed by it.
		if err := s.Nudge(t.Context(), "person:P1", noon); err != nil {
			t.Fatal(err)
		}
		if left, err := s.FinishTurn(t.Context(), turn.Lease, nil, turn.Nudges, noon, time.Time{}); left != 1 || err != nil {
			t.Errorf("left %d, %v", left, err)
		}
	})
}

func TestOperatorsQuarantineReleaseAndReplayWithoutLosingCount(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		d := delivery("C1", "w1")
		accept(t, s, noon, d, delivery("C1", "w2"))
		turn := take(t, s, "ghl:contact:C1", noon)
		// Quarantined by a person while a worker has it: the worker's result
		// does not bring it back, and the lane's count stays right.
		if err := s.CloseEvent(t.Context(), d.Event.ID, df.Quarantined, "looks odd", noon); err != nil {
			t.Fatal(err)
		}
		if left, err := s.FinishTurn(t.Context(), turn.Lease, done(turn.Events), 0, noon, time.Time{}); left != 0 || err != nil {
			t.Fatalf("left %d, %v", left, err)
		}
		got, _ := s.Event(t.Context(), d.Event.ID)
		if got.Status != df.Quarantined || got.Reason != "looks odd" {
			t.Errorf("%+v", got)
		}
		if err := s.Reopen(t.Context(), d.Event.ID, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.Reopen(t.Context(), d.Event.ID, noon); !errors.Is(err, store.ErrState) {
			t.Errorf("reopening an open event: %v", err)
		}
		if err := s.Reopen(t.Context(), "none", noon); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("reopening nothing: %v", err)
		}
		if again := take(t, s, "ghl:contact:C1", noon); len(again.Events) != 1 || again.Events[0].Attempts != 1 {
			t.Errorf("%+v", again.Events)
		}
	})
}

// Workers and senders at once: every event is handled once, in order within its
// lane, and no lane is worked by two.
func TestLanesKeepOrderUnderConcurrency(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const contacts, perContact, workers = 4, 30, 4
		var handled atomic.Int64
		var busy [contacts]atomic.Bool
		lastSeq := make([]int64, contacts)
		work := func(c int) {
			turn, ok, err := s.TakeTurn(t.Context(), fmt.Sprintf("ghl:contact:C%d", c), "w", 7, noon, noon.Add(lease))
			if err != nil {
				t.Error(err)
			}
			if !ok {
				return
			}
			if busy[c].Swap(true) {
				t.Error("two workers in one lane")
			}
			for _, e := range turn.Events {
				if e.Seq <= lastSeq[c] {
					t.Errorf("event %d after %d", e.Seq, lastSeq[c])
				}
				lastSeq[c] = e.Seq
				handled.Add(1)
			}
			busy[c].Store(false)
			if _, err := s.FinishTurn(t.Context(), turn.Lease, done(turn.Events), 0, noon, time.Time{}); err != nil {
				t.Error(err)
			}
		}
		var running sync.WaitGroup
		for c := range contacts {
			running.Go(func() {
				for i := range perContact {
					if _, err := s.Accept(t.Context(), []store.Delivery{delivery(fmt.Sprintf("C%d", c), fmt.Sprintf("%d-%d", c, i))}, noon); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for w := range workers {
			running.Go(func() {
				for i := 0; handled.Load() < contacts*perContact && i < 20000 && !t.Failed(); i++ {
					work((w + i) % contacts)
				}
			})
		}
		running.Wait()
		if handled.Load() != contacts*perContact {
			t.Errorf("handled %d of %d", handled.Load(), contacts*perContact)
		}
	})
}
