package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// tasked inserts one task of the name, tried at most three times, runs it and
// waits until its job is in the state.
func tasked(t *testing.T, s *store.Store, name, state string, run func(try int, last bool) error) (tries int) {
	t.Helper()
	var tried atomic.Int64
	q := queue.New(s, queue.Config{
		Owner: "one", Workers: 2, Retry: queue.RetryPolicy{Limit: 2, Delay: time.Millisecond}, Handler: handlerFunc(nil), Clock: time.Now,
		Log: slog.New(slog.DiscardHandler), Tasks: []queue.Task{{Name: "known", Run: func(_ context.Context, id string, last bool) error {
			if id != "thing" {
				t.Errorf("it is about %q", id)
			}
			return run(int(tried.Add(1)), last)
		}}},
	})
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		return store.InsertTasks(t.Context(), tx, 3, store.TaskArgs{Name: name, ID: "thing"})
	})
	if err != nil {
		t.Fatal(err)
	}
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
	ticker, late := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer ticker.Stop()
	for {
		var is string
		if err := s.Row(t.Context(), "SELECT state FROM river_job WHERE kind = 'task'").Scan(&is); err != nil {
			t.Fatal(err)
		}
		if is == state {
			return int(tried.Load())
		}
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("the job is %s, want %s", is, state)
		}
	}
}

func verdict(outcome df.Outcome, code string) error {
	return &df.CallError{Upstream: "verity", Operation: "forward webhook", Outcome: outcome, Code: code}
}

func TestAVerdictDecidesWhetherATaskIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state string
		tries int
		run   func(try int, last bool) error
	}{
		"done":                {"completed", 1, func(int, bool) error { return nil }},
		"refused":             {"cancelled", 1, func(int, bool) error { return verdict(df.Refused, df.CodeInvalid) }},
		"failed on every try": {"discarded", 3, func(int, bool) error { return verdict(df.RetryLater, df.CodeUnavailable) }},
		"wrong credentials":   {"discarded", 3, func(int, bool) error { return verdict(df.Refused, df.CodeUnauthorized) }},
		"our own fault":       {"discarded", 3, func(int, bool) error { return errors.New("detail") }},
		"well in the end": {"completed", 3, func(_ int, last bool) error {
			if last {
				return nil
			}
			return verdict(df.Unclear, df.CodeTimeout)
		}},
		"no budget counts no tries": {"completed", 4, func(try int, last bool) error {
			switch {
			case last:
				return errors.New("the last try came too early")
			case try < 3:
				return verdict(df.RetryLater, df.CodeRateLimited)
			case try == 3:
				return verdict(df.RetryLater, df.CodeUnavailable)
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
				if got := tasked(t, s, "known", c.state, c.run); got != c.tries {
					t.Errorf("%d tries, want %d", got, c.tries)
				}
			})
		})
	}
}

// A task of another release waits for that release.
func TestATaskThatIsNotKnownHereWaits(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if got := tasked(t, s, "of another release", "scheduled", func(int, bool) error { return nil }); got != 0 {
			t.Errorf("%d tries", got)
		}
		var failed int
		if err := s.Row(t.Context(), "SELECT attempt FROM river_job WHERE kind = 'task'").Scan(&failed); err != nil || failed != 0 {
			t.Errorf("%d tries were counted, %v", failed, err)
		}
	})
}

func TestTheLongestPauseIsLongerThanAnyTwoTriesAreApart(t *testing.T) {
	t.Parallel()
	for _, p := range []queue.RetryPolicy{{}, {Limit: 3, Delay: time.Second}, {Limit: 10, Delay: time.Minute}, {Limit: 100, Delay: time.Hour}} {
		for tries := range p.Limit + 1 {
			if pause := p.Backoff(tries); pause >= p.Longest() {
				t.Errorf("%+v: %v after %d tries, longest %v", p, pause, tries, p.Longest())
			}
		}
		if longest := p.Longest(); longest < time.Hour || longest > 48*time.Hour {
			t.Errorf("%+v: %v", p, longest)
		}
	}
}
