package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handlerFunc is a queue.Handler.
type handlerFunc func(ctx context.Context, turn store.Turn) ([]store.Result, error)

func (f handlerFunc) Handle(ctx context.Context, turn store.Turn) ([]store.Result, error) {
	return f(ctx, turn)
}

func start(t *testing.T, s *store.Store, owner string, handler queue.Handler, retry queue.RetryPolicy, schedules ...queue.Schedule) *queue.Queue {
	t.Helper()
	q := queue.New(s, queue.Config{
		Owner: owner, Workers: 8, Leader: true, Retry: retry, Handler: handler, Clock: time.Now,
		Log: slog.New(slog.DiscardHandler), Schedules: schedules,
	})
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return q
}

func post(t *testing.T, s *store.Store, contact string, n int) {
	t.Helper()
	mark := fmt.Sprintf("%s-%d", contact, n)
	_, err := s.Accept(t.Context(), []store.Delivery{{
		Event: df.Event{
			ID: df.IDs(time.Now)(), ReceivedAt: time.Now(), Source: df.SourceGHL, Route: "ghl", Status: df.Pending,
			Notice: df.Notice{Type: mark, Kind: df.KindContactUpdated, EntityType: "contact", EntityID: contact, ContactID: contact},
			Raw:    []byte("{}"), DedupeKey: mark,
		},
		DedupeKey: mark, DedupeUntil: time.Now().Add(time.Hour),
	}}, time.Now())
	if err != nil {
		t.Error(err)
	}
}

// record collects what was handled and tells when a number is reached.
type record struct {
	mu      sync.Mutex
	types   map[string][]string // by lane
	total   int
	reached chan struct{}
	want    int
}

func newRecord(want int) *record {
	return &record{types: map[string][]string{}, reached: make(chan struct{}), want: want}
}

func (r *record) add(lane, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.types[lane] = append(r.types[lane], what)
	if r.total++; r.total == r.want {
		close(r.reached)
	}
}

func (r *record) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.reached:
	case <-time.After(60 * time.Second):
		r.mu.Lock()
		defer r.mu.Unlock()
		t.Fatalf("only %d of %d were handled", r.total, r.want)
	}
}

// Two instances and concurrent senders: everything is handled, and each
// contact's events in the order in which they were accepted, though some fail
// at first.
func TestEveryLaneIsWorkedInOrderByTwoInstances(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const contacts, each = 10, 20
		done := newRecord(contacts * each)
		var failing sync.Map
		handler := handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			var results []store.Result
			for i, e := range turn.Events {
				if _, failed := failing.LoadOrStore(e.ID, true); !failed && i%7 == 3 {
					return append(results, store.Result{EventID: e.ID, Status: df.Failed, Error: "ghl: unavailable"}), nil
				}
				done.add(turn.Lease.Lane, e.Notice.Type)
				results = append(results, store.Result{EventID: e.ID, Status: df.Done})
			}
			return results, nil
		})
		retry := queue.RetryPolicy{Limit: 10, Delay: time.Millisecond}
		start(t, s, "one", handler, retry)
		if s.Name() == "postgres" {
			start(t, s, "two", handler, retry)
		}
		var sending sync.WaitGroup
		for c := range contacts {
			sending.Go(func() {
				for i := range each {
					post(t, s, fmt.Sprintf("C%d", c), i)
				}
			})
		}
		sending.Wait()
		done.wait(t)
		for c := range contacts {
			got := done.types[fmt.Sprintf("ghl:contact:C%d", c)]
			for i := range got {
				if want := fmt.Sprintf("C%d-%d", c, i); got[i] != want {
					t.Fatalf("contact %d: event %d is %s, want %s", c, i, got[i], want)
				}
			}
		}
	})
}

// The reference set a failed event to error and its retry saw that and did
// nothing: one passing fault lost the event.
func TestAPoisonedEventIsQuarantinedAndItsLaneGoesOn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		done := newRecord(1)
		tries := 0
		handler := handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			if turn.Events[0].Notice.Type == "C1-0" {
				tries++
				if tries == 2 {
					panic("poison")
				}
				return nil, errors.New("secret detail")
			}
			done.add(turn.Lease.Lane, turn.Events[0].Notice.Type)
			return []store.Result{{EventID: turn.Events[0].ID, Status: df.Done}}, nil
		})
		post(t, s, "C1", 0)
		post(t, s, "C1", 1)
		start(t, s, "one", handler, queue.RetryPolicy{Limit: 2, Delay: time.Millisecond})
		done.wait(t)
		events, err := s.Events(t.Context(), store.EventFilter{Status: df.Quarantined, Limit: 10})
		if err != nil || len(events) != 1 || events[0].Notice.Type != "C1-0" || events[0].Attempts != 3 {
			t.Fatalf("%+v, %v", events, err)
		}
		attempts, err := s.Attempts(t.Context(), events[0].ID)
		if err != nil || len(attempts) != 3 {
			t.Fatalf("attempts %+v, %v", attempts, err)
		}
		for _, a := range attempts {
			if a.Error == "" || a.Error == "secret detail" {
				t.Errorf("attempt says %q", a.Error)
			}
		}
	})
}

// A worker dies between taking a turn and finishing it: its lease runs out and
// the lane's bell is rung again, without any restart.
func TestALaneIsTakenOverWhenItsWorkerDies(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		post(t, s, "C1", 0)
		past := time.Now().Add(-2 * time.Minute)
		if _, ok, err := s.TakeTurn(t.Context(), "ghl:contact:C1", "dead", 10, past, past.Add(time.Second)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		// The dead worker had answered the doorbell: no job is left for the lane.
		if _, err := s.Exec(t.Context(), "DELETE FROM river_job"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Exec(t.Context(), "UPDATE lanes SET rung_at = $1", past); err != nil {
			t.Fatal(err)
		}
		done := newRecord(1)
		start(t, s, "alive", handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			done.add(turn.Lease.Lane, turn.Events[0].Notice.Type)
			return []store.Result{{EventID: turn.Events[0].ID, Status: df.Done}}, nil
		}), queue.RetryPolicy{Limit: 10, Delay: time.Second})
		done.wait(t)
	})
}

func TestASchedulesRunIsMadeByOneInstance(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ran := newRecord(1)
		start(t, s, "one", handlerFunc(nil), queue.RetryPolicy{}, queue.Schedule{
			Name: "sweep", Every: time.Hour,
			Run: func(context.Context) error { ran.add("sweep", "ran"); return nil },
		})
		ran.wait(t)
	})
}

// An event that takes its worker down with it (out of memory, a fatal error)
// leaves no result; the attempts counted beforehand end it.
func TestAnEventThatKillsItsWorkerIsQuarantinedInTheEnd(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		post(t, s, "C1", 0)
		post(t, s, "C1", 1)
		at := time.Now().Add(-time.Hour)
		for range 3 { // workers that died in mid-turn
			if _, ok, err := s.TakeTurn(t.Context(), "ghl:contact:C1", "dead", 10, at, at.Add(time.Second)); !ok || err != nil {
				t.Fatal(ok, err)
			}
			at = at.Add(time.Minute)
		}
		done := newRecord(1)
		start(t, s, "alive", handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			done.add(turn.Lease.Lane, turn.Events[0].Notice.Type)
			return []store.Result{{EventID: turn.Events[0].ID, Status: df.Done}}, nil
		}), queue.RetryPolicy{Limit: 2, Delay: time.Millisecond})
		done.wait(t)
		if got := done.types["ghl:contact:C1"]; len(got) != 1 || got[0] != "C1-1" {
			t.Errorf("handled %v", got)
		}
		if events, err := s.Events(t.Context(), store.EventFilter{Status: df.Quarantined, Limit: 5}); err != nil || len(events) != 1 {
			t.Errorf("%+v, %v", events, err)
		}
	})
}
