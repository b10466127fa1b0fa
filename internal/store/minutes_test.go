package store_test

import (
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// minuteOf returns what is known of the minute that begins at the time.
func minuteOf(t *testing.T, minutes []store.Minute, at time.Time) store.Minute {
	t.Helper()
	for _, m := range minutes {
		if m.At.Equal(at) {
			return m
		}
	}
	return store.Minute{At: at}
}

func TestMinutesSayWhatHappenedInThem(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		first := noon.Add(-10 * time.Minute)
		end := func(id string, status df.Status, at time.Time) {
			t.Helper()
			if err := s.CloseEvent(ctx, id, status, "test", at); err != nil {
				t.Fatal(err)
			}
		}
		end(acceptAt(t, s, df.SourceGHL, first, "at once"), df.Done, first.Add(time.Second))
		end(acceptAt(t, s, df.SourceGHL, first.Add(59*time.Second), "next minute"), df.Done, first.Add(65*time.Second))
		end(acceptAt(t, s, df.SourceAloware, first.Add(time.Second), "slow"), df.Done, first.Add(5*time.Minute))
		end(acceptAt(t, s, df.SourceAloware, first.Add(2*time.Minute), "given up"), df.Quarantined, first.Add(3*time.Minute))
		acceptAt(t, s, df.SourceGHL, first.Add(4*time.Minute), "open still")
		for i, status := range []string{"success", "error", "success"} {
			at := first.Add(time.Duration(i) * time.Second)
			row := store.SyncRow{ID: df.IDs(func() time.Time { return at })(), Direction: df.GHLToAloware, EntityType: "contact", EntityID: "e", SourceID: "s",
				Status: status, StartedAt: at, FinishedAt: at}
			if err := s.InTx(ctx, func(tx store.Tx) error { return store.InsertSync(ctx, tx, row) }); err != nil {
				t.Fatal(err)
			}
		}
		check := func(minutes []store.Minute) {
			t.Helper()
			for at, want := range map[int]store.Minute{
				0: {Received: 3, Finished: 1, Within1s: 1, SlowestMS: 1000, Written: 2, Refused: 1, Backlog: 2},
				1: {Finished: 1, Within10s: 1, SlowestMS: 6000, Backlog: 1},
				2: {Received: 1, Backlog: 2},
				3: {GivenUp: 1, Backlog: 1},
				4: {Received: 1, Backlog: 2},
				5: {Finished: 1, Slow: 1, SlowestMS: 299_000, Backlog: 1},
			} {
				want.At = first.Add(time.Duration(at) * time.Minute)
				if got := minuteOf(t, minutes, want.At); got != want {
					t.Errorf("minute %d: got %+v, want %+v", at, got, want)
				}
			}
		}
		fresh, err := s.Minutes(ctx, first, noon)
		if err != nil {
			t.Fatal(err)
		}
		check(fresh)
		if kept, err := s.KeepMinutes(ctx, noon); err != nil || kept == 0 {
			t.Fatalf("%d, %v", kept, err)
		}
		if again, err := s.KeepMinutes(ctx, noon.Add(30*time.Second)); err != nil || again != 0 {
			t.Errorf("the same minutes were kept twice: %d, %v", again, err)
		}
		kept, err := s.Minutes(ctx, first, noon)
		if err != nil {
			t.Fatal(err)
		}
		check(kept)
		if last := kept[len(kept)-1]; !last.At.Equal(noon) || last.Backlog != 1 {
			t.Errorf("the youngest minute: %+v", last)
		}
		if n, err := s.PruneMinutes(ctx, noon); err != nil || n == 0 {
			t.Errorf("%d forgotten, %v", n, err)
		}
	})
}

func TestMarksDifferWhenSomethingChanged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		before, err := s.Marks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id := acceptAt(t, s, df.SourceGHL, noon, "one")
		after, err := s.Marks(t.Context())
		if err != nil || after["events"] == before["events"] || after["audit"] != before["audit"] {
			t.Errorf("an event arrived: %v, %v, then %v", err, before, after)
		}
		if err := s.CloseEvent(t.Context(), id, df.Done, "", noon); err != nil {
			t.Fatal(err)
		}
		closed, err := s.Marks(t.Context())
		if err != nil || closed["events"] == after["events"] {
			t.Errorf("an event ended: %v, %v, then %v", err, after, closed)
		}
	})
}
