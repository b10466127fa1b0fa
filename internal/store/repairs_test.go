package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestOpenReviewsArePagedAndResolvedByPair(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ask := func(key, person string, at time.Time, candidates ...string) {
			t.Helper()
			err := s.InTx(t.Context(), func(tx store.Tx) error {
				return store.InsertReview(t.Context(), tx, store.Review{Key: key, Kind: "shared_phone", PersonID: person, Side: df.SideGHL, Candidates: candidates, At: at})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		ask("a", "one", noon, "two")
		ask("b", "two", noon, "one", "three")
		ask("c", "three", noon.Add(time.Minute), "four")
		first, err := s.OpenReviews(t.Context(), time.Time{}, "", 2)
		if err != nil || len(first) != 2 || first[0].Key != "c" || first[1].Key != "a" {
			t.Fatalf("%+v, %v", first, err)
		}
		if rest, err := s.OpenReviews(t.Context(), first[1].At, first[1].Key, 2); err != nil || len(rest) != 1 || rest[0].Key != "b" {
			t.Errorf("%+v, %v", rest, err)
		}
		if n, err := s.ResolveReviewsBetween(t.Context(), "one", "two", noon); err != nil || n != 2 {
			t.Errorf("%d questions between the two, %v", n, err)
		}
		if err := s.ResolveReview(t.Context(), "c", noon); err != nil {
			t.Error(err)
		}
		if err := s.ResolveReview(t.Context(), "c", noon); !errors.Is(err, store.ErrState) {
			t.Errorf("resolved twice: %v", err)
		}
	})
}

func TestPeopleChangesAreFoundByPerson(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for id, person := range map[string]string{"u1": "p1", "u2": "p2"} {
			err := s.InTx(t.Context(), func(tx store.Tx) error {
				return store.InsertUndo(t.Context(), tx, store.Undo{ID: id, Kind: "merge", Reason: "r", Actor: "a", At: noon,
					Before: []store.Person{{ID: person}}, After: []store.Person{{ID: person}}})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.PeopleChanges(t.Context(), "", "", 9)
		if err != nil || len(all) != 2 || all[0].ID != "u2" {
			t.Fatalf("%+v, %v", all, err)
		}
		if older, err := s.PeopleChanges(t.Context(), "", "u2", 9); err != nil || len(older) != 1 || older[0].ID != "u1" {
			t.Errorf("%+v, %v", older, err)
		}
		mine, err := s.PeopleChanges(t.Context(), "p1", "", 9)
		if err != nil || len(mine) != 1 || mine[0].After[0].ID != "p1" || !mine[0].UndoneAt.IsZero() {
			t.Errorf("%+v, %v", mine, err)
		}
		one, err := s.PeopleChange(t.Context(), "u1")
		if err != nil || one.Reason != "r" {
			t.Errorf("%+v, %v", one, err)
		}
		if _, err := s.PeopleChange(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}
