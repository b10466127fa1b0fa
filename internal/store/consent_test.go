package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func inTx(t *testing.T, s *store.Store, f func(tx store.Tx) error) {
	t.Helper()
	if err := s.InTx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func TestAConsentComesBackWithItsHolds(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const phone = "+15005550111"
		want := store.Consent{Phone: phone, Status: "opted_out", CallStatus: "opted_in", Source: "texting", Reason: "STOP", LastEventAt: noon,
			Holds: []store.Hold{{Scope: "call", Holder: "ghl", InAt: noon}, {Scope: "sms", Holder: "text", OutAt: noon.Add(time.Microsecond)}}}
		inTx(t, s, func(tx store.Tx) error {
			if _, err := store.ReadConsent(t.Context(), tx, phone); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a number nobody knows: %v", err)
			}
			fresh, err := store.LockConsent(t.Context(), tx, "1", phone, noon)
			if err != nil || fresh.Status != "opted_in" || fresh.Source != "" || len(fresh.Holds) != 0 {
				t.Errorf("a new row %+v, %v", fresh, err)
			}
			return store.SaveConsent(t.Context(), tx, want, noon)
		})
		inTx(t, s, func(tx store.Tx) error {
			for _, read := range []func() (store.Consent, error){
				func() (store.Consent, error) { return store.LockConsent(t.Context(), tx, "2", phone, noon) },
				func() (store.Consent, error) { return store.ReadConsent(t.Context(), tx, phone) },
			} {
				if got, err := read(); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("came back as %+v, %v", got, err)
				}
			}
			return nil
		})
		found, err := s.Consents(t.Context(), phone, "+15005550122")
		if err != nil || len(found) != 1 || fmt.Sprint(found[phone]) != fmt.Sprint(want) {
			t.Errorf("found %+v, %v", found, err)
		}
		if none, err := s.Consents(t.Context()); err != nil || len(none) != 0 {
			t.Errorf("asked for none: %v, %v", none, err)
		}
		old, err := asBefore(t, s, string(phone))
		if err != nil || old != "opted_out" {
			t.Errorf("the release before reads %q, %v", old, err)
		}
	})
}

func TestFlagsKeepTheDifferenceBetweenFalseAndUnknown(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		yes, no := true, false
		none, err := store.FlagsOf(t.Context(), s, df.SideGHL, "C1")
		if err != nil || none.Text != nil || none.Call != nil || !none.At.IsZero() {
			t.Errorf("nothing known: %+v, %v", none, err)
		}
		want := store.ConsentFlags{Side: df.SideGHL, ContactID: "C1", Text: &yes, Call: &no, AskedCall: &yes, At: noon}
		for range 2 {
			inTx(t, s, func(tx store.Tx) error { return store.SaveFlags(t.Context(), tx, want) })
		}
		got, err := store.FlagsOf(t.Context(), s, df.SideGHL, "C1")
		if err != nil || got.Text == nil || !*got.Text || got.Call == nil || *got.Call || got.AskedText != nil || got.AskedCall == nil || !got.At.Equal(noon) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestOneWriterAtATimeAddsToTheChain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				err := s.InTx(t.Context(), func(tx store.Tx) error {
					seq, hash, err := store.LockChain(t.Context(), tx)
					if err != nil {
						return err
					}
					key := ""
					if i%2 == 0 {
						key = fmt.Sprint("key-", i)
					}
					return store.AppendConsent(t.Context(), tx, []store.ConsentEvent{{Seq: seq + 1, ID: fmt.Sprint(i), Key: key,
						Phone: "+15005550111", Kind: "stop", Scopes: "sms", Holder: "text", At: noon, HeardAt: noon.Add(time.Duration(seq) * time.Hour),
						PrevHash: hash, Hash: fmt.Sprint(seq + 1)}})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		events, err := s.ConsentEvents(t.Context(), store.ConsentFilter{Limit: 100})
		if err != nil || len(events) != 12 {
			t.Fatalf("%d links, %v", len(events), err)
		}
		for i, e := range events {
			if e.Seq != int64(i+1) || i > 0 && e.PrevHash != events[i-1].Hash {
				t.Errorf("link %d: %+v", i, e)
			}
		}
		seq, hash, err := s.ChainHead(t.Context())
		if err != nil || seq != 12 || hash != "12" {
			t.Errorf("head %d %s, %v", seq, hash, err)
		}
		some, err := s.ConsentEvents(t.Context(), store.ConsentFilter{Phones: []string{"+15005550111"}, From: noon.Add(2 * time.Hour),
			Until: noon.Add(9 * time.Hour), After: 4, UpTo: 8, Limit: 3})
		if err != nil || len(some) != 3 || some[0].Seq != 5 {
			t.Errorf("%+v, %v", some, err)
		}
		inTx(t, s, func(tx store.Tx) error {
			known, err := store.KnownConsentKeys(t.Context(), tx, []string{"key-2", "key-3", "key-4"})
			if err == nil && (len(known) != 2 || !known["key-2"] || !known["key-4"]) {
				t.Errorf("known %v", known)
			}
			return err
		})
	})
}

func TestAFanOutBelongsToOneWorkerAndToTheNewestAsking(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const phone, target = "+15005550111", "ghl_dnd"
		ask := func() {
			inTx(t, s, func(tx store.Tx) error {
				return store.PutFanOut(t.Context(), tx, store.FanOut{Phone: phone, Target: target, NextTryAt: noon, Since: noon})
			})
		}
		finish := func(f store.FanOut) error {
			return s.InTx(t.Context(), func(tx store.Tx) error { return store.FinishFanOut(t.Context(), tx, f) })
		}
		ask()
		if early, _ := s.DueFanOuts(t.Context(), noon.Add(-time.Second), 9); len(early) != 0 {
			t.Errorf("due before its time: %v", early)
		}
		if due, err := s.DueFanOuts(t.Context(), noon, 9); err != nil || len(due) != 1 || due[0] != phone {
			t.Errorf("due %v, %v", due, err)
		}
		first, err := s.ClaimFanOut(t.Context(), phone, target, noon, noon.Add(time.Minute))
		if err != nil || first.Attempts != 1 || first.State != "pending" {
			t.Fatalf("%+v, %v", first, err)
		}
		if _, err := s.ClaimFanOut(t.Context(), phone, target, noon, noon.Add(time.Minute)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("claimed twice: %v", err)
		}
		ask() // the standing changed meanwhile
		first.State, first.ConfirmedAt = "done", noon
		if err := finish(first); !errors.Is(err, store.ErrStale) {
			t.Errorf("an old answer finished a new asking: %v", err)
		}
		second, err := s.ClaimFanOut(t.Context(), phone, target, noon, noon.Add(time.Minute))
		if err != nil || second.Generation != first.Generation+1 || second.Attempts != 1 {
			t.Fatalf("%+v, %v", second, err)
		}
		second.State, second.LastError = "absent", ""
		if err := finish(second); err != nil {
			t.Fatal(err)
		}
		if open, _ := s.FanOuts(t.Context(), store.FanOutFilter{OpenOnly: true, Before: noon.Add(time.Hour), Limit: 9}); len(open) != 0 {
			t.Errorf("open %+v", open)
		}
		inTx(t, s, func(tx store.Tx) error {
			changed, err := store.ReopenFanOut(t.Context(), tx, phone, noon)
			if changed != 1 {
				t.Errorf("reopened %d", changed)
			}
			return err
		})
		third, err := s.ClaimFanOut(t.Context(), phone, target, noon, noon.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		third.State, third.ConfirmedAt = "done", noon
		if err := finish(third); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimFanOut(t.Context(), phone, target, noon.Add(time.Hour), noon.Add(2*time.Hour)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what is done was claimed: %v", err)
		}
		rows, err := s.FanOuts(t.Context(), store.FanOutFilter{Phone: phone, Limit: 9})
		if err != nil || len(rows) != 1 || !rows[0].ConfirmedAt.Equal(noon) {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}

func TestReviewsAndIncidentsAreKeptOnceAndResolvedOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		inTx(t, s, func(tx store.Tx) error {
			for i, want := range []bool{true, false} {
				news, err := store.InsertIncident(t.Context(), tx, store.Incident{Key: "k", Phone: "+15005550111", Scope: "sms", At: noon, SeenAt: noon, OutSince: noon})
				if err != nil || news != want {
					t.Errorf("incident, time %d: %v, %v", i, news, err)
				}
				if err := store.InsertConsentReview(t.Context(), tx, store.ConsentReview{EventID: "e", Kind: "free_wording", Phone: "+15005550111", At: noon}); err != nil {
					return err
				}
			}
			return nil
		})
		reviews, err := s.ConsentReviews(t.Context(), 9)
		if err != nil || len(reviews) != 1 {
			t.Errorf("%+v, %v", reviews, err)
		}
		inTx(t, s, func(tx store.Tx) error {
			for _, want := range []error{nil, store.ErrNotFound} {
				if err := store.ResolveConsentReview(t.Context(), tx, "e", "kim", "meant it", noon); !errors.Is(err, want) {
					t.Errorf("review: %v, want %v", err, want)
				}
				if err := store.ResolveIncident(t.Context(), tx, "k", "kim", "by hand", noon); !errors.Is(err, want) {
					t.Errorf("incident: %v, want %v", err, want)
				}
			}
			return nil
		})
		if left, _ := s.Incidents(t.Context(), 9); len(left) != 0 {
			t.Errorf("left %+v", left)
		}
	})
}

func TestTheConsentMigrationGoesDownAndUpAgainWithTheRegistryInPlace(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		inTx(t, s, func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO optout_registry (id, phone_number, status, source, last_event_at, created_at, updated_at)
				VALUES ('1', '+15005550111', 'opted_out', 'texting', $1, $1, $1)`, noon)
			return err
		})
		for {
			undone, err := s.MigrateDown(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if undone.Name == "consent" {
				break
			}
		}
		if old, err := asBefore(t, s, "+15005550111"); err != nil || old != "opted_out" {
			t.Errorf("%q, %v", old, err)
		}
		if _, err := s.MigrateUp(t.Context(), time.Now); err != nil {
			t.Fatal(err)
		}
		found, err := s.Consents(t.Context(), "+15005550111")
		if c := found["+15005550111"]; err != nil || c.Status != "opted_out" || c.CallStatus != "" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// asBefore reads a number's state as the release before this schema did.
func asBefore(t *testing.T, s *store.Store, phone string) (status string, err error) {
	t.Helper()
	var source string
	err = s.Row(t.Context(), `SELECT status, source FROM optout_registry WHERE phone_number = $1`, phone).Scan(&status, &source)
	return status, err
}
