package store_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func forward(t *testing.T, s *store.Store, at time.Time, ids ...string) {
	t.Helper()
	if err := s.InTx(t.Context(), func(tx store.Tx) error { return store.InsertForwards(t.Context(), tx, 3, at, ids...) }); err != nil {
		t.Fatal(err)
	}
}

func statusOf(t *testing.T, s *store.Store, id string) string {
	t.Helper()
	f, err := store.ForwardOf(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	return f.Status
}

func jobs(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	if err := s.Row(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'task' AND queue = 'tasks' AND max_attempts = 3`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAForwardIsNotedUntilItIsDone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if _, err := store.ForwardOf(t.Context(), s, "1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		forward(t, s, sentAt)
		forward(t, s, sentAt, "1", "2")
		if jobs(t, s) != 2 {
			t.Errorf("%d jobs", jobs(t, s))
		}
		for i, status := range []string{store.ForwardFailed, store.ForwardDone, store.ForwardFailed} {
			if err := s.NoteForward(t.Context(), "1", status, status, sentAt.Add(time.Duration(i+1)*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		f, err := store.ForwardOf(t.Context(), s, "1")
		if err != nil || f.Status != store.ForwardDone || f.Attempts != 2 || !f.CreatedAt.Equal(sentAt) || !f.UpdatedAt.Equal(sentAt.Add(2*time.Minute)) {
			t.Errorf("%+v, %v", f, err)
		}
		if err := s.NoteForward(t.Context(), "2", store.ForwardRefused, "no", sentAt.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		forward(t, s, sentAt.Add(2*time.Hour), "2") // by hand
		if f, err = store.ForwardOf(t.Context(), s, "2"); err != nil || f.Status != store.ForwardPending || f.Error != "" || f.Attempts != 1 || jobs(t, s) != 3 {
			t.Errorf("asked for again: %+v, %v, %d jobs", f, err, jobs(t, s))
		}
	})
}

// What is asked for in a transaction that fails is not asked for.
func TestTasksComeAndGoWithTheirTransaction(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		stop := errors.New("stop")
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			return errors.Join(store.InsertForwards(t.Context(), tx, 3, sentAt, "1"), store.InsertTasks(t.Context(), tx, 3), stop)
		})
		if _, missing := store.ForwardOf(t.Context(), s, "1"); !errors.Is(err, stop) || !errors.Is(missing, store.ErrNotFound) || jobs(t, s) != 0 {
			t.Errorf("%v, %v, %d jobs", err, missing, jobs(t, s))
		}
	})
}

func TestForwardsAreListedCountedAndForgotten(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		forward(t, s, sentAt, "1", "2", "3", "4", "5")
		for id, status := range map[string]string{"1": store.ForwardDone, "2": store.ForwardGivenUp, "4": store.ForwardGivenUp, "5": store.ForwardRefused} {
			if err := s.NoteForward(t.Context(), id, status, "", sentAt); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			filter store.ForwardFilter
			want   string
		}{
			{store.ForwardFilter{Limit: 9}, "54321"}, {store.ForwardFilter{Limit: 2}, "54"}, {store.ForwardFilter{Limit: 2, Before: "4"}, "32"},
			{store.ForwardFilter{Limit: 9, Status: store.ForwardGivenUp}, "42"}, {store.ForwardFilter{Limit: 9, Status: store.ForwardGivenUp, Before: "4"}, "2"},
		} {
			rows, err := s.Forwards(t.Context(), c.filter)
			got := ""
			for _, f := range rows {
				got += f.EventID
			}
			if err != nil || got != c.want {
				t.Errorf("%+v: %s, %v; want %s", c.filter, got, err, c.want)
			}
		}
		counts, err := s.ForwardCounts(t.Context())
		if err != nil || !maps.Equal(counts, map[string]int64{store.ForwardPending: 1, store.ForwardGivenUp: 2, store.ForwardRefused: 1}) {
			t.Errorf("%v, %v", counts, err)
		}
		if n, err := s.PruneForwards(t.Context(), sentAt); err != nil || n != 0 {
			t.Errorf("too early: %d, %v", n, err)
		}
		if n, err := s.PruneForwards(t.Context(), sentAt.Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("only what is done is forgotten: %d, %v", n, err)
		}
	})
}

// A process that died on the last try left a forward that nobody tries any more,
// and that nobody could have tried again.
func TestAForwardOfWhichNothingIsHeardIsGivenUp(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		forward(t, s, sentAt, "lost", "failing", "done", "refused")
		forward(t, s, sentAt.Add(time.Hour), "fresh")
		for id, status := range map[string]string{"failing": store.ForwardFailed, "done": store.ForwardDone, "refused": store.ForwardRefused} {
			if err := s.NoteForward(t.Context(), id, status, "", sentAt); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.GiveUpForwards(t.Context(), sentAt.Add(time.Minute), sentAt.Add(2*time.Hour)); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		for id, want := range map[string]string{"lost": store.ForwardGivenUp, "failing": store.ForwardGivenUp, "done": store.ForwardDone,
			"refused": store.ForwardRefused, "fresh": store.ForwardPending} {
			if got := statusOf(t, s, id); got != want {
				t.Errorf("%s is %s, want %s", id, got, want)
			}
		}
		if err := s.NoteForward(t.Context(), "lost", store.ForwardDone, "", sentAt.Add(3*time.Hour)); err != nil || statusOf(t, s, "lost") != store.ForwardDone {
			t.Errorf("one that was worked after all: %v", err)
		}
	})
}
