package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// manyEvents keeps events a minute apart, the i-th with the body and the source
// that make gives it, and returns when the first was received.
func manyEvents(t *testing.T, s *store.Store, n int, make func(i int) (df.Source, string)) time.Time {
	t.Helper()
	first := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for chunk := range slices.Chunk(slices.Collect(indexes(n)), store.MaxBatch) {
		deliveries := []store.Delivery{}
		for _, i := range chunk {
			source, body := make(i)
			at := first.Add(time.Duration(i) * time.Minute)
			deliveries = append(deliveries, store.Delivery{DedupeKey: fmt.Sprint("key", i), DedupeUntil: at.Add(time.Hour), Event: df.Event{
				ID: fmt.Sprintf("event-%05d", i), ReceivedAt: at, Source: source, Route: string(source), Status: df.Pending, Verified: "test",
				Raw: []byte(body), Notice: df.Notice{Type: "ContactUpdate", Kind: df.KindContactUpdated, EntityType: "contact", EntityID: fmt.Sprint("c", i%7)}}})
		}
		if _, err := s.Accept(t.Context(), deliveries, first); err != nil {
			t.Fatal(err)
		}
	}
	return first
}

func indexes(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// searchAll follows a search to its end, being stopped after every window.
func searchAll(t *testing.T, s *store.Store, f store.EventFilter) (ids []string, stops int) {
	t.Helper()
	for range 100 {
		found, err := s.SearchEvents(t.Context(), f, nil, func() bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found.Events {
			ids = append(ids, e.ID)
		}
		if !found.SearchedTo.IsZero() {
			stops++
		}
		if found.Next == 0 {
			return ids, stops
		}
		f.Before = found.Next
	}
	t.Fatal("the search has no end")
	return nil, 0
}

// A search that is stopped says how far back it came, and whoever goes on from
// there finds everything, once, in order.
func TestAStoppedSearchGoesOnWhereItStopped(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first := manyEvents(t, s, 2500, func(i int) (df.Source, string) {
			body := `{"note":"nothing"}`
			if i%400 == 0 {
				body = `{"note":"Looking for 100%_sure"}`
			}
			return []df.Source{df.SourceGHL, df.SourceAloware}[i%2], body
		})
		want := []string{"event-02400", "event-02000", "event-01600", "event-01200", "event-00800", "event-00400", "event-00000"}
		for name, f := range map[string]store.EventFilter{
			"by acceptance": {Text: "FOR 100%_S", Limit: 50},
			"of a source":   {Text: "looking", Source: df.SourceGHL, Limit: 50},
			"within times":  {Text: "looking", From: first, Limit: 50},
			"small pages":   {Text: "looking", Limit: 2},
		} {
			ids, stops := searchAll(t, s, f)
			if !slices.Equal(ids, want) || stops == 0 && f.Limit == 50 {
				t.Errorf("%s: found %v in %d stops", name, ids, stops)
			}
		}
		if ids, _ := searchAll(t, s, store.EventFilter{Text: "100x_sure", Limit: 5}); ids != nil {
			t.Errorf("a wildcard found %v", ids)
		}
		found, err := s.SearchEvents(t.Context(), store.EventFilter{Text: "nowhere", Limit: 5}, nil, func() bool { return true })
		if err != nil || len(found.Events) > 0 || !found.SearchedTo.Equal(first.Add(2250*time.Minute)) {
			t.Errorf("a search of one window came to %v: %v", found.SearchedTo, err)
		}
		found, err = s.SearchEvents(t.Context(), store.EventFilter{Text: "nowhere", Limit: 5}, nil, func() bool { return false })
		if err != nil || found.Next != 0 || !found.SearchedTo.IsZero() {
			t.Errorf("a search to the end goes on: %+v, %v", found, err)
		}
	})
}

// What the reader is not shown leaves no trace: neither an empty page that leads on
// nor a page that is full too early.
func TestASearchSaysNothingOfWhatIsNotShown(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		manyEvents(t, s, 600, func(i int) (df.Source, string) {
			switch {
			case i%100 == 0:
				return df.SourceGHL, `{"note":"needle, shown"}`
			case i%10 == 0:
				return df.SourceGHL, `{"note":"needle"}`
			}
			return df.SourceGHL, `{}`
		})
		shown := func(body []byte) bool { return store.HoldsText(body, "Shown") }
		for limit, want := range map[int]int{1: 1, 6: 6, 7: 6, 50: 6} {
			found, err := s.SearchEvents(t.Context(), store.EventFilter{Text: "needle", Limit: limit}, shown, func() bool { return false })
			if err != nil || len(found.Events) != want || (found.Next != 0) != (limit <= 6) {
				t.Errorf("%d a page: %d events, next %d, %v", limit, len(found.Events), found.Next, err)
			}
		}
		nothing := func([]byte) bool { return false }
		found, err := s.SearchEvents(t.Context(), store.EventFilter{Text: "needle", Limit: 1}, nothing, func() bool { return false })
		if err != nil || len(found.Events) != 0 || found.Next != 0 {
			t.Errorf("what nobody is shown: %+v, %v", found, err)
		}
	})
}

// Events of a time are paged by their times: one that was spilled and taken in
// late stands where it was received.
func TestEventsOfATimeArePagedByTheirTimes(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first := manyEvents(t, s, 200, func(int) (df.Source, string) { return df.SourceGHL, `{}` })
		late := df.Event{ID: "event-late", ReceivedAt: first.Add(30*time.Minute + time.Second), Source: df.SourceGHL, Route: "ghl", Status: df.Pending,
			Verified: "test", Raw: []byte(`{}`), Notice: df.Notice{Type: "ContactUpdate", EntityType: "contact", EntityID: "late"}}
		if _, err := s.Accept(t.Context(), []store.Delivery{{Event: late, DedupeKey: "late", DedupeUntil: first}}, first); err != nil {
			t.Fatal(err)
		}
		f := store.EventFilter{From: first.Add(20 * time.Minute), To: first.Add(40 * time.Minute), Source: df.SourceGHL, Type: "ContactUpdate", Limit: 7}
		var ids []string
		for range 10 {
			events, err := s.Events(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				ids = append(ids, e.ID)
				f.Before = e.Seq
			}
			if len(events) < f.Limit {
				break
			}
		}
		if len(ids) != 21 || ids[0] != "event-00039" || ids[9] != "event-late" || ids[10] != "event-00030" || ids[20] != "event-00020" {
			t.Errorf("paged to %v", ids)
		}
	})
}

// A type is the sender's word or ours, and a page of it follows from both.
func TestATypeIsTheSendersWordOrOurs(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		manyEvents(t, s, 30, func(int) (df.Source, string) { return df.SourceGHL, `{}` })
		for _, word := range []string{"ContactUpdate", string(df.KindContactUpdated)} {
			f := store.EventFilter{Type: word, Limit: 20}
			events, err := s.Events(t.Context(), f)
			if err != nil || len(events) != 20 || events[0].ID != "event-00029" {
				t.Errorf("%s: %d events, %v", word, len(events), err)
				continue
			}
			f.Before = events[19].Seq
			if events, err = s.Events(t.Context(), f); err != nil || len(events) != 10 || events[9].ID != "event-00000" {
				t.Errorf("%s: the page after has %d events, %v", word, len(events), err)
			}
		}
	})
}

// The sum that must come out is counted from two indexes.
func TestEveryEventIsCountedOnce(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		manyEvents(t, s, 12, func(i int) (df.Source, string) { return []df.Source{df.SourceGHL, df.SourceAloware}[i%2], `{}` })
		statuses := df.Statuses()
		for i := range 12 {
			if _, err := s.Exec(t.Context(), `UPDATE webhook_events SET status = $1 WHERE id = $2`, string(statuses[i/2]), fmt.Sprintf("event-%05d", i)); err != nil {
				t.Fatal(err)
			}
		}
		counts, err := s.CountEvents(t.Context())
		if err != nil || len(counts) != 12 {
			t.Fatalf("%d counts, %v: %+v", len(counts), err, counts)
		}
		for _, c := range counts {
			if c.Events != 1 {
				t.Errorf("%s %s: %d", c.Source, c.Status, c.Events)
			}
		}
	})
}

// Texts of one of our own lines are listed from either end, page by page.
func TestTextsOfALineArePaged(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			for i := range 25 {
				from, to := "+15005550199", fmt.Sprintf("+1202555%04d", i)
				if i%2 == 0 {
					from, to = to, from
				}
				if err := insertText(t.Context(), tx, fmt.Sprintf("text-%02d", i), from, to, at.Add(time.Duration(i)*time.Hour)); err != nil {
					return err
				}
			}
			return insertText(t.Context(), tx, "text-99", "+12025550001", "+12025550002", at)
		})
		if err != nil {
			t.Fatal(err)
		}
		f := store.MessageFilter{Phone: "+15005550199", Limit: 10}
		var ids []string
		for range 4 {
			page, err := s.Messages(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page {
				ids, f.Before = append(ids, m.ID), m.ID
			}
		}
		if len(ids) != 25 || ids[0] != "text-24" || ids[24] != "text-00" {
			t.Errorf("listed %v", ids)
		}
		f.Before, f.From, f.Until = "", at.Add(3*time.Hour), at.Add(6*time.Hour)
		if page, err := s.Messages(t.Context(), f); err != nil || len(page) != 3 {
			t.Errorf("within three hours: %d, %v", len(page), err)
		}
	})
}

func insertText(ctx context.Context, tx store.Tx, id, from, to string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO message_mappings (id, from_number, to_number, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)`, id, from, to, at)
	return err
}
