package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// arrived stores an event of a source as received at a time, in a status, and
// returns its id.
func arrived(t *testing.T, s *store.Store, source df.Source, at time.Time, mark string, status df.Status) string {
	t.Helper()
	id := acceptAt(t, s, source, at, mark)
	if _, err := s.Exec(t.Context(), `UPDATE webhook_events SET status = $2 WHERE id = $1`, id, string(status)); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOldBodiesAreEmptiedBySourceInSmallBatches(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		var ids []string
		for i, status := range []df.Status{df.Done, df.Quarantined, df.Skipped, df.Pending, df.Done} {
			ids = append(ids, arrived(t, s, df.SourceGHL, noon.Add(time.Duration(i)*time.Hour), fmt.Sprint("g", i), status))
		}
		texting := arrived(t, s, df.SourceTexting, noon, "t", df.Done)
		before := noon.Add(4 * time.Hour) // the last one of GHL is too young
		var emptied int64
		for rounds := 0; ; rounds++ {
			n, more, err := s.EmptyEvents(ctx, df.SourceGHL, before, 2)
			if err != nil || n > 2 || rounds > 5 {
				t.Fatalf("%d in round %d, %v", n, rounds, err)
			}
			if emptied += n; !more {
				break
			}
		}
		if emptied != 2 {
			t.Errorf("emptied %d", emptied)
		}
		for i, id := range append(ids, texting) {
			e, err := s.Event(ctx, id)
			want := i == 0 || i == 2
			if err != nil || (len(e.Raw) == 0) != want || (len(e.Headers) == 0) != want && want {
				t.Errorf("event %d: %d bytes, %v, %v", i, len(e.Raw), e.Headers, err)
			}
		}
		if err := s.Reopen(ctx, ids[0], noon); !errors.Is(err, store.ErrState) {
			t.Errorf("replayed an event without its body: %v", err)
		}
		if n, more, err := s.EmptyEvents(ctx, df.SourceGHL, before, 2); n != 0 || more || err != nil {
			t.Errorf("a second sweep: %d, %v, %v", n, more, err)
		}
		if n, _, err := s.EmptyEvents(ctx, df.SourceGHL, before.Add(time.Hour), 9); n != 1 || err != nil {
			t.Errorf("an hour later: %d, %v", n, err)
		}
	})
}

func TestOldEventsGoWithTheirTriesAndOpenOnesStay(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		open := arrived(t, s, df.SourceGHL, noon, "a", df.Failed)
		old := arrived(t, s, df.SourceGHL, noon, "b", df.Done)
		young := arrived(t, s, df.SourceGHL, noon.Add(time.Hour), "c", df.Done)
		_, err := s.Exec(ctx, `INSERT INTO webhook_attempts (event_id, attempt, at, outcome) VALUES ($1, 1, $2, 'error')`, old, noon)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.DeleteEvents(ctx, noon.Add(time.Minute), 9); n != 1 || err != nil {
			t.Errorf("deleted %d, %v", n, err)
		}
		if _, err := s.Event(ctx, old); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the old one: %v", err)
		}
		if tries, _ := s.Attempts(ctx, old); len(tries) != 0 {
			t.Errorf("its tries: %v", tries)
		}
		for _, id := range []string{open, young} {
			if _, err := s.Event(ctx, id); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhatIsKeptByAgeGoesOldestFirst(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for i := range 5 {
			at := noon.Add(time.Duration(i) * time.Hour)
			id := fmt.Sprint("row", i)
			inTx(t, s, func(tx store.Tx) error {
				err := errors.Join(
					store.InsertAudit(ctx, tx, store.AuditRow{At: at, Actor: "kim", Action: "test", Target: id}),
					store.MoveEffect(ctx, tx, store.Effect{Key: id, Kind: "k", State: "done", Request: `{"to":"x"}`, CreatedAt: at, UpdatedAt: at}, ""),
					store.InsertUndo(ctx, tx, store.Undo{ID: id, Kind: "merge", At: at}),
					store.InsertConsentReview(ctx, tx, store.ConsentReview{EventID: id, Kind: "free_wording", At: at}),
					store.InsertSync(ctx, tx, store.SyncRow{ID: id, Direction: df.GHLToAloware, StartedAt: at, Status: "success"}))
				if err == nil && i == 0 {
					err = store.ResolveConsentReview(ctx, tx, id, "kim", "seen", at)
				}
				return err
			})
		}
		if n, err := s.EmptyEffects(ctx, noon.Add(90*time.Minute), 9); n != 2 || err != nil {
			t.Errorf("emptied %d effects, %v", n, err)
		}
		if n, err := s.EmptyEffects(ctx, noon.Add(90*time.Minute), 9); n != 0 || err != nil {
			t.Errorf("emptied %d effects again, %v", n, err)
		}
		for table, want := range map[string]int64{"audit_log": 3, "effects": 3, "people_undo": 3, "sync_log": 3, "consent_reviews": 1} {
			if n, err := s.DeleteAged(ctx, table, noon.Add(150*time.Minute), 2); n > 2 || n != min(want, 2) || err != nil {
				t.Errorf("%s: first batch %d, %v", table, n, err)
			}
			if n, err := s.DeleteAged(ctx, table, noon.Add(150*time.Minute), 2); n != max(0, want-2) || err != nil {
				t.Errorf("%s: second batch %d, %v", table, n, err)
			}
		}
		for _, class := range []store.KeptClass{store.History, store.Records} {
			for _, table := range store.Aged(class) {
				if _, err := s.DeleteAged(ctx, table, noon, 2); err != nil {
					t.Error(err)
				}
			}
		}
		if _, err := s.DeleteAged(ctx, "consent_events", noon, 2); err == nil {
			t.Error("evidence was deleted by age")
		}
	})
}
