package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// delivery is a GHL contact event of the given contact, with a delivery id.
func delivery(contact, mark string) store.Delivery {
	e := df.Event{
		ID: df.IDs(time.Now)(), ReceivedAt: noon, Source: df.SourceGHL, Route: "ghl",
		Notice: df.Notice{Type: "ContactUpdate", Kind: df.KindContactUpdated, EntityType: "contact",
			EntityID: contact, ContactID: contact, DeliveryID: mark},
		DedupeKey: "ghl:ContactUpdate:" + contact + ":" + mark, Status: df.Pending,
		Raw: []byte(`{"type":"ContactUpdate","id":"` + contact + `"}`), Verified: "ed25519",
		Headers: map[string]string{"Content-Type": "application/json"},
	}
	return store.Delivery{Event: e, DedupeKey: "ghl:" + mark, DedupeUntil: noon.Add(10 * time.Minute)}
}

func accept(t *testing.T, s *store.Store, now time.Time, deliveries ...store.Delivery) []store.Accepted {
	t.Helper()
	results, err := s.Accept(t.Context(), deliveries, now)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestAcceptKeepsTheBytesAndEveryFactOfADelivery(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		bodies := [][]byte{
			[]byte("{ \"b\":1,\n \"a\" : 1.0000000000000000001, \"a\":2}"),
			{0xff, 0x00, 'x'},
			[]byte(`{"nul":"\u0000"}`),
			{},
			[]byte(`[[[[` + "\u2028" + `]]]`),
		}
		for i, body := range bodies {
			d := delivery("C1", fmt.Sprint(i))
			d.Event.Raw = body
			d.Event.Notice.Phone = "+15005550111"
			d.Event.Notice.OccurredAt = noon.Add(-time.Second)
			accept(t, s, noon, d)
			got, err := s.Event(t.Context(), d.Event.ID)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Raw) != string(body) {
				t.Errorf("body %d came back as %q, want %q", i, got.Raw, body)
			}
			if got.Notice.Phone != "+15005550111" || !got.Notice.OccurredAt.Equal(noon.Add(-time.Second)) ||
				got.Status != df.Pending || got.Verified != "ed25519" || got.Headers["Content-Type"] != "application/json" ||
				got.DedupeKey != d.Event.DedupeKey || got.Notice.Kind != df.KindContactUpdated {
				t.Errorf("event came back as %+v", got)
			}
		}
	})
}

func TestADuplicateNamesTheFirstEventUntilItsWindowEnds(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first, again, late := delivery("C1", "w1"), delivery("C1", "w1"), delivery("C1", "w1")
		both := accept(t, s, noon, first, delivery("C1", "w1"))
		if both[0].Duplicate || !both[1].Duplicate || both[1].EventID != first.Event.ID {
			t.Errorf("in one batch: %+v", both)
		}
		if got := accept(t, s, noon.Add(9*time.Minute), again)[0]; !got.Duplicate || got.EventID != first.Event.ID {
			t.Errorf("inside the window: %+v", got)
		}
		// The reference dropped the same state for ever once it had seen it.
		late.DedupeUntil = noon.Add(30 * time.Minute)
		if got := accept(t, s, noon.Add(11*time.Minute), late)[0]; got.Duplicate || got.EventID != late.Event.ID {
			t.Errorf("after the window: %+v", got)
		}
	})
}

func TestRefusedDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first, other := delivery("C1", "w1"), delivery("C1", "w2")
		accept(t, s, noon, first, delivery("C1", "w1"), other)
		accept(t, s, noon.Add(time.Minute), delivery("C1", "w1"), delivery("C1", "w1"))
		if n, last, err := s.Repeats(t.Context(), first.Event.ID); err != nil || n != 3 || !last.Equal(noon.Add(time.Minute)) {
			t.Errorf("%d times, last %v, %v", n, last, err)
		}
		if n, last, err := s.Repeats(t.Context(), other.Event.ID); err != nil || n != 0 || !last.IsZero() {
			t.Errorf("never again: %d, %v, %v", n, last, err)
		}
		late := delivery("C1", "w1") // after the window it is an event of its own, and counted anew
		accept(t, s, noon.Add(11*time.Minute), late)
		if n, _, err := s.Repeats(t.Context(), late.Event.ID); err != nil || n != 0 {
			t.Errorf("anew: %d, %v", n, err)
		}
	})
}

func TestWhatStandsAroundAnEvent(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		var ids []string
		for i := range 7 {
			ids = append(ids, accept(t, s, noon, delivery("C1", fmt.Sprint("n", i)))[0].EventID)
			accept(t, s, noon, delivery("C2", fmt.Sprint("m", i)))
		}
		e, err := s.Event(t.Context(), ids[3])
		if err != nil {
			t.Fatal(err)
		}
		before, after, err := s.Neighbours(t.Context(), e, 2)
		var got []string
		for _, one := range append(after, before...) {
			got = append(got, one.ID)
		}
		if want := []string{ids[5], ids[4], ids[2], ids[1]}; err != nil || !slices.Equal(got, want) {
			t.Errorf("around it stand %v, want %v, %v", got, want, err)
		}
	})
}

func TestConcurrentDuplicatesMakeOneEvent(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const senders = 12
		ids := make([]string, senders)
		var sending sync.WaitGroup
		for i := range senders {
			sending.Go(func() {
				results, err := s.Accept(t.Context(), []store.Delivery{
					delivery("C2", "other"+fmt.Sprint(i)), delivery("C1", "same"), delivery("C3", "also-same"),
				}, noon)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = results[1].EventID
			})
		}
		sending.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatalf("senders were told different events: %v", ids)
			}
		}
		counts, err := s.CountEvents(t.Context())
		if err != nil || len(counts) != 1 || counts[0].Events != senders+2 {
			t.Errorf("counts %+v, %v; want %d events", counts, err, senders+2)
		}
	})
}

func TestASkippedEventIsKeptWithoutALaneOrAJob(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		d := delivery("C1", "w1")
		d.Event.Status, d.Event.Reason = df.Skipped, "unknown type"
		accept(t, s, noon, d)
		got, err := s.Event(t.Context(), d.Event.ID)
		if err != nil || got.Status != df.Skipped || got.Reason != "unknown type" || got.ProcessedAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		if n, err := s.RingWaiting(t.Context(), noon.Add(time.Hour), noon.Add(time.Hour), 10); n != 0 || err != nil {
			t.Errorf("rang %d lanes, %v", n, err)
		}
	})
}

// A STOP takes effect in the transaction that stores the message. It is asked once
// for the whole batch, and about what is new alone.
func TestWhatGoesAlongTakesEffectWithTheEventsOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		refuse := errors.New("refused")
		var shown [][]string
		along := func(ctx context.Context, tx store.Tx, fresh []df.Event) error {
			var marks []string
			for _, e := range fresh {
				marks = append(marks, e.Notice.DeliveryID)
				if err := store.InsertAudit(ctx, tx, store.AuditRow{At: noon, Actor: "test", Action: "along", Target: e.ID}); err != nil {
					return err
				}
			}
			if shown = append(shown, marks); len(shown) == 1 {
				return refuse
			}
			return nil
		}
		with := func(marks ...string) []store.Delivery {
			var all []store.Delivery
			for _, mark := range marks {
				all = append(all, delivery("C1", mark))
			}
			return all
		}
		if _, err := s.AcceptWith(t.Context(), with("w1", "w2"), noon, along); !errors.Is(err, refuse) {
			t.Fatal(err)
		}
		if log, err := s.AuditLog(t.Context(), 0, 5); err != nil || len(log) != 0 {
			t.Fatalf("half of it stayed: %+v, %v", log, err)
		}
		for range 2 {
			if _, err := s.AcceptWith(t.Context(), with("w3", "w4", "w3"), noon, along); err != nil {
				t.Fatal(err)
			}
		}
		log, err := s.AuditLog(t.Context(), 0, 5)
		if want := [][]string{{"w1", "w2"}, {"w3", "w4"}}; err != nil || len(log) != 2 || !reflect.DeepEqual(shown, want) {
			t.Errorf("asked about %v, want %v; %d rows, %v", shown, want, len(log), err)
		}
	})
}
