package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var sentAt = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func save(t *testing.T, s *store.Store, m store.Message) error {
	t.Helper()
	m.CreatedAt, m.UpdatedAt = sentAt, sentAt
	return s.InTx(t.Context(), func(tx store.Tx) error { return store.SaveMessage(t.Context(), tx, m) })
}

func TestAnEffectMovesOnlyFromTheStateItIsIn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		move := func(to, from string) error {
			return s.InTx(t.Context(), func(tx store.Tx) error {
				return store.MoveEffect(t.Context(), tx, store.Effect{Key: "k", Kind: "send_text", State: to, EventID: "e", Request: "{}",
					CreatedAt: sentAt, UpdatedAt: sentAt}, from)
			})
		}
		if _, err := store.EffectByKey(t.Context(), s, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no effect: %v", err)
		}
		if err := move("claimed", ""); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"", "failed", "done"} {
			if err := move("claimed", from); !errors.Is(err, store.ErrStale) {
				t.Errorf("claimed once more from %q: %v", from, err)
			}
		}
		if err := move("done", "claimed"); err != nil {
			t.Fatal(err)
		}
		effects, err := s.EffectsOf(t.Context(), "e")
		if err != nil || len(effects) != 1 || effects[0].State != "done" || !effects[0].CreatedAt.Equal(sentAt) {
			t.Errorf("%+v, %v", effects, err)
		}
	})
}

func TestAMessageIsFoundByAnyOfItsIDs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		m := store.Message{ID: "1", TextingID: "t", GHLID: "g", AlowareID: "a", VerityID: "v", CarrierID: "c", Direction: "outbound"}
		if err := save(t, s, m); err != nil {
			t.Fatal(err)
		}
		for _, key := range []store.MessageKey{{GHLID: "g"}, {AlowareID: "a"}, {IDs: []string{"x", "t"}}, {IDs: []string{"v"}}, {IDs: []string{"c"}},
			{GHLID: "nobody's", IDs: []string{"c"}}} {
			if found, err := store.FindMessage(t.Context(), s, key); err != nil || found.ID != "1" || found.VerityID != "v" {
				t.Errorf("%+v: %+v, %v", key, found, err)
			}
		}
		for _, key := range []store.MessageKey{{}, {GHLID: "t"}, {IDs: []string{"g"}}} {
			if _, err := store.FindMessage(t.Context(), s, key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%+v: %v", key, err)
			}
		}
		if err := save(t, s, store.Message{ID: "2", GHLID: "g"}); err == nil {
			t.Error("two messages have one id")
		}
	})
}

func TestTheCustomersLastNumberIsThatOfTheLastText(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for i, m := range []store.Message{
			{ID: "1", To: "+15005550199", OccurredAt: sentAt, Direction: "inbound", Source: df.SourceTexting},
			{ID: "2", To: "+15005550198", OccurredAt: sentAt.Add(-time.Hour), Direction: "inbound", Source: df.SourceTexting}, // came late
			{ID: "3", To: "+15005550197", OccurredAt: sentAt.Add(time.Hour), Direction: "inbound", Source: df.SourceAloware},  // another system's line
		} {
			m.From = "+15005550111"
			if err := save(t, s, m); err != nil {
				t.Fatal(i, err)
			}
		}
		if got, err := store.LastWrittenTo(t.Context(), s, "+15005550111"); err != nil || got != "+15005550199" {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := store.LastWrittenTo(t.Context(), s, "+15005550112"); err != nil || got != "" {
			t.Errorf("a stranger: %v, %v", got, err)
		}
	})
}

func TestATellingIsClaimedByOneAndAskedForAgainWhenTheTextWentOn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		m := store.Message{ID: "1", GHLID: "g", Status: "queued", TellAt: sentAt}
		if err := save(t, s, m); err != nil {
			t.Fatal(err)
		}
		claim := func(at time.Time) []store.Message {
			t.Helper()
			claimed, err := s.ClaimTellings(t.Context(), at, at.Add(time.Minute), 10)
			if err != nil {
				t.Fatal(err)
			}
			return claimed
		}
		if len(claim(sentAt.Add(-time.Second))) != 0 {
			t.Error("claimed before its time")
		}
		claimed := claim(sentAt)
		if len(claimed) != 1 || len(claim(sentAt)) != 0 {
			t.Fatal("claimed by nobody, or twice")
		}
		m.Status = "delivered" // while GHL is told of "queued"
		if err := save(t, s, m); err != nil {
			t.Fatal(err)
		}
		told := claimed[0]
		told.ToldStatus, told.TellAt, told.UpdatedAt = "pending", time.Time{}, sentAt
		err := s.InTx(t.Context(), func(tx store.Tx) error { return store.FinishTelling(t.Context(), tx, told, "queued") })
		if err != nil {
			t.Fatal(err)
		}
		claimed = claim(sentAt)
		if len(claimed) != 1 || claimed[0].Status != "delivered" || claimed[0].ToldStatus != "pending" {
			t.Fatalf("%+v", claimed)
		}
		told = claimed[0]
		told.ToldStatus, told.TellAt = "delivered", time.Time{}
		err = s.InTx(t.Context(), func(tx store.Tx) error { return store.FinishTelling(t.Context(), tx, told, "delivered") })
		if err != nil || len(claim(sentAt.Add(time.Hour))) != 0 {
			t.Errorf("still due: %v", err)
		}
	})
}

func TestTheRegistryIsListedByPages(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for id, phone := range map[string]string{"a": "+15005550111", "b": "+15005550112", "c": "+15005550113"} {
			err := s.InTx(t.Context(), func(tx store.Tx) error {
				c, err := store.LockConsent(t.Context(), tx, id, phone, sentAt)
				if err != nil {
					return err
				}
				c.Status, c.Source, c.Reason = "opted_out", "texting", "STOP (keyword)"
				return store.SaveConsent(t.Context(), tx, c, sentAt)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		page, err := s.ConsentRows(t.Context(), store.ConsentRowFilter{Status: "opted_out", Text: "keyword", Limit: 2})
		if err != nil || len(page) != 2 || page[0].Phone != "+15005550113" {
			t.Fatalf("%+v, %v", page, err)
		}
		page, err = s.ConsentRows(t.Context(), store.ConsentRowFilter{After: page[1].ID, Limit: 2})
		if err != nil || len(page) != 1 || page[0].Phone != "+15005550111" {
			t.Errorf("%+v, %v", page, err)
		}
		if page, err = s.ConsentRows(t.Context(), store.ConsentRowFilter{Phone: "+15005550112", Status: "opted_in", Limit: 2}); err != nil || len(page) != 1 || page[0].CallStatus != "opted_in" {
			t.Errorf("calls are still allowed: %+v, %v", page, err)
		}
	})
}
