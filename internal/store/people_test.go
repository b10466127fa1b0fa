package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func person(id, ghl, aloware string, phone df.Phone) store.Person {
	return store.Person{
		ID: id, GHLContactID: ghl, AlowareContactID: aloware, Phone: phone, Email: id + "@example.test", Status: "active",
		SyncDirection: "bidirectional", CreatedAt: noon, UpdatedAt: noon,
	}
}

func insert(t *testing.T, s *store.Store, people ...store.Person) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		for _, p := range people {
			if err := store.InsertPerson(t.Context(), tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPersonComesBackAsStored(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		p := person("p1", "g1", "a1", "+15005550111")
		p.OtherPhones, p.ApartFrom = []df.Phone{"+15005550112", "+15005550113"}, []string{"p9"}
		p.LastSyncedAt = noon.Add(time.Second)
		insert(t, s, p)
		got, err := store.PersonByID(t.Context(), s, "p1")
		p.Version = 1
		if err != nil || !slices.Equal(got.OtherPhones, p.OtherPhones) || !slices.Equal(got.ApartFrom, p.ApartFrom) ||
			got.Version != 1 || !got.LastSyncedAt.Equal(p.LastSyncedAt) || got.Phone != p.Phone || got.GHLContactID != "g1" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := store.PersonByID(t.Context(), s, "none"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

// Ids are unique among active people only: a deleted contact's id is history,
// and must not keep a new person from having it.
func TestContactIDsAreUniqueAmongActivePeople(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		old := person("p1", "g1", "a1", "+15005550111")
		insert(t, s, old)
		add := func(p store.Person) error {
			return s.InTx(t.Context(), func(tx store.Tx) error { return store.InsertPerson(t.Context(), tx, p) })
		}
		if err := add(person("p2", "g1", "", "")); !errors.Is(err, store.ErrUnique) {
			t.Errorf("the same GHL contact twice: %v", err)
		}
		insert(t, s, person("p3", "g3", "a3", ""))
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			p := person("p3", "g3", "a1", "")
			p.Version = 1
			return store.UpdatePerson(t.Context(), tx, p)
		})
		if !errors.Is(err, store.ErrUnique) {
			t.Errorf("taking another's Aloware contact: %v", err)
		}
		old.Status, old.EndedAt, old.EndedReason, old.Version = "ended", noon, "deleted in GHL", 1
		if err := s.InTx(t.Context(), func(tx store.Tx) error { return store.UpdatePerson(t.Context(), tx, old) }); err != nil {
			t.Fatal(err)
		}
		if got, err := store.PersonByContact(t.Context(), s, df.SideGHL, "g1"); err != nil || got.ID != "p1" || got.EndedReason == "" {
			t.Errorf("the ended one answers while there is no other: %+v, %v", got, err)
		}
		insert(t, s, person("p4", "g1", "", ""))
		if got, err := store.PersonByContact(t.Context(), s, df.SideGHL, "g1"); err != nil || got.ID != "p4" {
			t.Errorf("the active one answers first: %+v, %v", got, err)
		}
	})
}

func TestAnUpdateOfAnOldVersionIsStale(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		insert(t, s, person("p1", "g1", "a1", "+15005550111"))
		update := func(version int64, phone df.Phone) error {
			return s.InTx(t.Context(), func(tx store.Tx) error {
				p := person("p1", "g1", "a1", phone)
				p.Version = version
				return store.UpdatePerson(t.Context(), tx, p)
			})
		}
		if err := update(1, "+15005550112"); err != nil {
			t.Fatal(err)
		}
		if err := update(1, "+15005550113"); !errors.Is(err, store.ErrStale) {
			t.Errorf("the second writer of version 1: %v", err)
		}
	})
}

func TestPeopleAreFoundByWhatIsKnownOfThem(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		shared := df.Phone("+15005550111")
		a, b, gone := person("p1", "g1", "a1", shared), person("p2", "g2", "", "+15005550222"), person("p3", "g3", "", shared)
		b.OtherPhones = []df.Phone{shared}
		gone.Status, gone.EndedAt = "ended", noon
		insert(t, s, a, b, gone)
		ids := func(people []store.Person, err error) []string {
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, p := range people {
				ids = append(ids, p.ID)
			}
			return ids
		}
		ctx := t.Context()
		if got := ids(store.PeopleByPhone(ctx, s, shared)); !slices.Equal(got, []string{"p1", "p2"}) {
			t.Errorf("by phone, active ones: %v", got)
		}
		if got := ids(store.PeopleByEmail(ctx, s, "p2@example.test")); !slices.Equal(got, []string{"p2"}) {
			t.Errorf("by e-mail: %v", got)
		}
		for _, c := range []struct {
			filter store.PersonFilter
			want   []string
		}{
			{store.PersonFilter{Limit: 10}, []string{"p1", "p2", "p3"}},
			{store.PersonFilter{Limit: 10, Active: true}, []string{"p1", "p2"}},
			{store.PersonFilter{Limit: 1, After: "p1"}, []string{"p2"}},
			{store.PersonFilter{Limit: 10, GHLContactID: "g3"}, []string{"p3"}},
			{store.PersonFilter{Limit: 10, AlowareContactID: "a1"}, []string{"p1"}},
			{store.PersonFilter{Limit: 10, Phone: shared}, []string{"p1", "p2", "p3"}},
			{store.PersonFilter{Limit: 10, Text: "P2@EXAMPLE"}, []string{"p2"}},
			{store.PersonFilter{Limit: 10, Text: "%"}, nil},
		} {
			if got := ids(s.People(ctx, c.filter)); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
			}
		}
	})
}

// Two first events at once: the second sees what the first one made.
func TestAPhoneLockLetsOneInAtATime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		var made sync.WaitGroup
		for range 8 {
			made.Go(func() {
				err := s.InTx(t.Context(), func(tx store.Tx) error {
					if err := store.LockPhone(t.Context(), tx, "+15005550111"); err != nil {
						return err
					}
					found, err := store.PeopleByPhone(t.Context(), tx, "+15005550111")
					if err != nil || len(found) > 0 {
						return err
					}
					return store.InsertPerson(t.Context(), tx, person(df.IDs(time.Now)(), "", "", "+15005550111"))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		made.Wait()
		found, err := store.PeopleByPhone(t.Context(), s, "+15005550111")
		if err != nil || len(found) != 1 {
			t.Errorf("%d people, %v", len(found), err)
		}
	})
}

func convergence(p store.Person) store.Convergence {
	return store.Convergence{
		Person: p, At: noon,
		Agreements: []store.Agreement{
			{Side: df.SideGHL, ContactID: "g1", Fields: map[df.Field]string{df.City: "Austin", df.State: ""}, Tags: []string{}},
			{Side: df.SideAloware, ContactID: "a1", Fields: map[df.Field]string{df.City: "AUSTIN"}},
		},
		Log: []store.SyncRow{{ID: "s1", Direction: df.GHLToAloware, EntityType: "contact", EntityID: "p1", SourceID: "g1",
			TargetID: "a1", Status: "success", StartedAt: noon, FinishedAt: noon, CorrelationID: "e1", PersonID: "p1", Fields: "city",
			Decisions: []byte(`[{"Action":"move"}]`)}},
		Conflicts: []store.Conflict{{ID: "c1", Field: df.City, Kind: "both_changed", Base: map[df.Side]string{df.SideGHL: "x"},
			Seen: map[df.Side]string{df.SideGHL: "Austin"}, Chosen: df.SideGHL, Value: "Austin", Rule: "prefer_ghl"}},
		Writes:         []store.FieldWrite{{Side: df.SideAloware, Field: df.City, At: noon}},
		Issues:         []store.Issue{{Topic: "aloware/city", Kind: "not_written", Side: df.SideAloware, Field: df.City, Want: "Austin", Tries: 1, Open: true, Since: noon, At: noon}},
		Normalisations: []store.Normalisation{{Side: df.SideAloware, Field: df.City, Change: "case", Given: "Austin", Held: "AUSTIN", At: noon}},
	}
}

func TestAConvergenceIsSavedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		p := person("p1", "g1", "a1", "+15005550111")
		insert(t, s, p)
		p.Version = 1
		accept(t, s, noon, delivery("C1", "w1"))
		turn := take(t, s, "ghl:contact:C1", noon)
		stale := turn.Lease
		stale.Fence--
		if err := s.SaveConvergence(t.Context(), stale, convergence(p)); !errors.Is(err, store.ErrLeaseLost) {
			t.Fatalf("under a lost lease: %v", err)
		}
		state, err := s.LoadPerson(t.Context(), "p1", noon.Add(-time.Hour))
		if err != nil || state.Person.Version != 1 || len(state.Agreements) != 0 {
			t.Fatalf("something was saved: %+v, %v", state, err)
		}
		if err := s.SaveConvergence(t.Context(), turn.Lease, convergence(p)); err != nil {
			t.Fatal(err)
		}
		state, err = s.LoadPerson(t.Context(), "p1", noon.Add(-time.Hour))
		if err != nil || state.Person.Version != 2 || len(state.Issues) != 1 || len(state.Writes) != 1 || len(state.Agreements) != 2 {
			t.Fatalf("%+v, %v", state, err)
		}
		ghl, aloware := state.Agreements[1], state.Agreements[0]
		if v, known := ghl.Fields[df.State]; !known || v != "" || ghl.Tags == nil || aloware.Tags != nil || aloware.Fields[df.City] != "AUSTIN" {
			t.Errorf("empty and unknown are mixed up: %+v", state.Agreements)
		}
		if err := s.SaveConvergence(t.Context(), turn.Lease, convergence(p)); !errors.Is(err, store.ErrStale) {
			t.Errorf("the same version twice: %v", err)
		}
		log, err := s.SyncLog(t.Context(), store.SyncFilter{PersonID: "p1", CorrelationID: "e1", Status: "success", Direction: df.GHLToAloware, EntityID: "a1", Limit: 5})
		if err != nil || len(log) != 1 || log[0].Fields != "city" || string(log[0].Decisions) == "" {
			t.Errorf("%+v, %v", log, err)
		}
		conflicts, err := s.Conflicts(t.Context(), store.ConflictFilter{PersonID: "p1", Limit: 5})
		if err != nil || len(conflicts) != 1 || conflicts[0].Seen[df.SideGHL] != "Austin" || conflicts[0].Chosen != df.SideGHL {
			t.Errorf("%+v, %v", conflicts, err)
		}
		p.Version = 2
		over := store.Convergence{Person: p, Resolved: []string{"aloware/city"}, At: noon}
		if err := s.SaveConvergence(t.Context(), turn.Lease, over); err != nil {
			t.Fatal(err)
		}
		if issues, err := s.Issues(t.Context(), store.IssueFilter{OpenOnly: true}); err != nil || len(issues) != 0 {
			t.Errorf("%+v, %v", issues, err)
		}
		if n, err := s.PruneWrites(t.Context(), noon.Add(time.Second)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
	})
}

func TestUndoRecordsAndReviewsAreKeptOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		undo := store.Undo{ID: "u1", Kind: "merge", Reason: "same person", Actor: "admin", At: noon,
			Before: []store.Person{person("p1", "g1", "", "")}, After: []store.Person{person("p1", "g1", "a1", "")}}
		err := s.InTx(ctx, func(tx store.Tx) error {
			for range 2 {
				if err := store.InsertReview(ctx, tx, store.Review{Key: "k", Kind: "shared_phone", PersonID: "p1", Side: df.SideGHL, At: noon}); err != nil {
					return err
				}
			}
			if err := store.InsertUndo(ctx, tx, undo); err != nil {
				return err
			}
			got, err := store.UndoByID(ctx, tx, "u1")
			if err != nil || got.After[0].AlowareContactID != "a1" || got.Actor != "admin" {
				t.Errorf("%+v, %v", got, err)
			}
			if err := store.MarkUndone(ctx, tx, "u1", noon); err != nil {
				return err
			}
			if _, err := store.UndoByID(ctx, tx, "u1"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("undone twice: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// "phone_number = $1 OR id IN (…)" made PostgreSQL read the whole table for each
// Identify: 200 ms with 50,000 people.
func TestPeopleAreFoundByPhoneAlongAnIndex(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const query = `SELECT id FROM contact_mappings WHERE ended_at IS NULL AND ` + store.WithPhone
		plan := ""
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			explain := `EXPLAIN QUERY PLAN `
			if s.Name() == "postgres" {
				explain = `EXPLAIN `
				// An empty table is read whole whatever the indexes, unless that is forbidden.
				if _, err := tx.Exec(t.Context(), `SET LOCAL enable_seqscan = off`); err != nil {
					return err
				}
			}
			return tx.Each(t.Context(), explain+query, []any{"+15005550111"}, func(row store.Row) error {
				var line string
				var number int
				var err error
				if s.Name() == "postgres" {
					err = row.Scan(&line)
				} else {
					err = row.Scan(&number, &number, &number, &line)
				}
				plan += line + "\n"
				return err
			})
		})
		if err != nil || !strings.Contains(plan, "contact_mappings_phone") || !strings.Contains(plan, "contact_phones_phone") ||
			strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "SCAN contact_") {
			t.Errorf("%v\n%s", err, plan)
		}
	})
}
