package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// eachEngine runs a benchmark on both databases.
func eachEngine(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.SQLite(b)) })
	if os.Getenv("TEST_DATABASE_URL") != "" {
		b.Run("postgres", func(b *testing.B) { bench(b, storetest.Postgres(b)) })
	}
}

func startBench(b *testing.B, s *store.Store, workers int, handler queue.Handler) {
	b.Helper()
	q := queue.New(s, queue.Config{
		Owner: "bench", Workers: workers, Retry: queue.RetryPolicy{Limit: 10, Delay: time.Minute},
		Handler: handler, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err := q.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
}

func wait(b *testing.B, done <-chan struct{}, what string) {
	b.Helper()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		b.Fatal("too slow: " + what)
	}
}

// BenchmarkDrain measures how fast doorbells are answered when there is nothing
// behind them: River's own share of the work.
func BenchmarkDrain(b *testing.B) {
	eachEngine(b, func(b *testing.B, s *store.Store) {
		const jobs = 20_000
		insertBells(b, s, jobs)
		lanes := &emptyLanes{Store: s, done: make(chan struct{}), left: jobs}
		q := queue.New(lanes, queue.Config{
			Owner: "bench", Workers: 1000, Handler: handlerFunc(nil), Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		b.ResetTimer()
		start := time.Now()
		if err := q.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		wait(b, lanes.done, "drain")
		b.ReportMetric(jobs/time.Since(start).Seconds(), "jobs/s")
		b.StopTimer()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
}

func insertBells(b *testing.B, s *store.Store, jobs int) {
	b.Helper()
	for at := 0; at < jobs; at += 1000 {
		err := s.InTx(b.Context(), func(tx store.Tx) error {
			batch := make([]river.InsertManyParams, 1000)
			for i := range batch {
				batch[i] = river.InsertManyParams{Args: store.DrainArgs{Lane: fmt.Sprintf("lane:%d", at+i)}}
			}
			return tx.InsertJobs(b.Context(), batch)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// emptyLanes has no work behind any bell.
type emptyLanes struct {
	*store.Store
	mu   sync.Mutex
	left int
	done chan struct{}
}

func (l *emptyLanes) TakeTurn(context.Context, string, string, int, time.Time, time.Time) (store.Turn, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left == 0 {
		close(l.done)
	}
	return store.Turn{}, false, nil
}

// BenchmarkLanes measures events handled in order: 500 contacts, senders and
// workers at once, with the order of every contact checked.
func BenchmarkLanes(b *testing.B) {
	eachEngine(b, func(b *testing.B, s *store.Store) {
		const contacts, events, senders = 500, 10_000, 8
		var handled, violations atomic.Int64
		done := make(chan struct{})
		last := make([]atomic.Int64, contacts)
		startBench(b, s, 200, handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			results := make([]store.Result, len(turn.Events))
			for i, e := range turn.Events {
				var contact int
				_, _ = fmt.Sscanf(e.Notice.EntityID, "C%d", &contact)
				if last[contact].Swap(e.Seq) >= e.Seq {
					violations.Add(1)
				}
				results[i] = store.Result{EventID: e.ID, Status: df.Done}
			}
			if handled.Add(int64(len(results))) == events {
				close(done)
			}
			return results, nil
		}))
		b.ResetTimer()
		start := time.Now()
		var sending sync.WaitGroup
		for sender := range senders {
			sending.Go(func() { sendBatches(b, s, sender, senders, events, contacts) })
		}
		sending.Wait()
		wait(b, done, "lanes")
		b.ReportMetric(events/time.Since(start).Seconds(), "events/s")
		b.ReportMetric(float64(violations.Load()), "violations")
	})
}

func sendBatches(b *testing.B, s *store.Store, sender, senders, events, contacts int) {
	const size = 25
	for at := sender * size; at < events; at += senders * size {
		batch := make([]store.Delivery, size)
		for i := range batch {
			id := fmt.Sprintf("C%d", (at+i)%contacts)
			mark := fmt.Sprint(at + i)
			batch[i] = store.Delivery{
				Event: df.Event{
					ID: df.IDs(time.Now)(), ReceivedAt: time.Now(), Source: df.SourceGHL, Route: "ghl", Status: df.Pending,
					Notice: df.Notice{Type: "ContactUpdate", Kind: df.KindContactUpdated, EntityType: "contact", EntityID: id, ContactID: id},
					Raw:    []byte("{}"), DedupeKey: mark,
				},
				DedupeKey: mark, DedupeUntil: time.Now().Add(time.Hour),
			}
		}
		if _, err := s.Accept(b.Context(), batch, time.Now()); err != nil {
			b.Error(err)
			return
		}
	}
}

// BenchmarkWakeup measures how long an idle worker takes to have an event in
// its hands after the commit.
func BenchmarkWakeup(b *testing.B) {
	eachEngine(b, func(b *testing.B, s *store.Store) {
		const rounds = 60
		arrived := make(chan time.Time, 1)
		startBench(b, s, 64, handlerFunc(func(_ context.Context, turn store.Turn) ([]store.Result, error) {
			arrived <- time.Now()
			return []store.Result{{EventID: turn.Events[0].ID, Status: df.Done}}, nil
		}))
		took := make([]time.Duration, rounds)
		for i := range rounds {
			sendBatchesOne(b, s, i)
			committed := time.Now()
			took[i] = (<-arrived).Sub(committed)
			time.Sleep(20 * time.Millisecond) // idle again: the pause is what is measured from
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[rounds/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[rounds-1].Microseconds())/1000, "p99-ms")
	})
}

func sendBatchesOne(b *testing.B, s *store.Store, i int) {
	b.Helper()
	id := fmt.Sprintf("W%d", i)
	_, err := s.Accept(b.Context(), []store.Delivery{{
		Event: df.Event{ID: df.IDs(time.Now)(), ReceivedAt: time.Now(), Source: df.SourceGHL, Route: "ghl", Status: df.Pending,
			Notice: df.Notice{Type: "ContactUpdate", EntityType: "contact", EntityID: id, ContactID: id}, Raw: []byte("{}")},
		DedupeKey: id, DedupeUntil: time.Now().Add(time.Hour),
	}}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
}
