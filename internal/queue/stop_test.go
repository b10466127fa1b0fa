package queue_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// A turn that does not end by itself is cut off early enough for its lane to be
// given back within the time that the whole stop has. It used to get all of that
// time, and then five seconds more.
func TestStoppingCutsOffInTimeAndGivesTheLaneBack(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		busy := make(chan struct{})
		q := queue.New(s, queue.Config{
			Owner: "one", Workers: 2, Retry: queue.RetryPolicy{Limit: 10, Delay: time.Minute}, Clock: time.Now,
			Log: slog.New(slog.DiscardHandler),
			Handler: handlerFunc(func(ctx context.Context, _ store.Turn) ([]store.Result, error) {
				close(busy)
				<-ctx.Done()
				return nil, ctx.Err()
			}),
		})
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		post(t, s, "ann", 1)
		<-busy
		const allowed = 4 * time.Second
		stopping, cancel := context.WithTimeout(t.Context(), allowed)
		defer cancel()
		begin := time.Now()
		if err := q.Stop(stopping); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > allowed {
			t.Errorf("stopping took %v of %v", took, allowed)
		}
		var leased, open int64
		err := s.Row(t.Context(), `SELECT (SELECT count(*) FROM lanes WHERE lease_until IS NOT NULL),
			(SELECT count(*) FROM webhook_events WHERE status IN ('pending', 'error'))`).Scan(&leased, &open)
		if err != nil || leased != 0 || open != 1 {
			t.Errorf("%d lanes leased, %d events left, %v", leased, open, err)
		}
	})
}
