package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// somebody adds a person and what both sides agreed about them.
func somebody(t *testing.T, s *store.Store, p store.Person, fields map[df.Field]string) store.Person {
	t.Helper()
	p.Status, p.CreatedAt, p.UpdatedAt = "active", time.Now(), time.Now()
	if err := s.InTx(t.Context(), func(tx store.Tx) error { return store.InsertPerson(t.Context(), tx, p) }); err != nil {
		t.Fatal(err)
	}
	p.Version = 1
	err := s.SaveConvergence(t.Context(), store.Lease{}, store.Convergence{Person: p, At: time.Now(),
		Agreements: []store.Agreement{{Side: df.SideGHL, ContactID: p.GHLContactID, Fields: fields}}})
	if err != nil {
		t.Fatal(err)
	}
	p.Version = 2
	return p
}

func foundIDs(t *testing.T, s *store.Store, text string) []string {
	t.Helper()
	listed, err := s.FindPeople(t.Context(), store.PersonSearch{Text: text, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	filtered, err := s.People(t.Context(), store.PersonFilter{Text: text, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(listed))
	for i, p := range listed {
		ids[i] = p.ID
	}
	slices.Sort(ids)
	for i, p := range filtered {
		if i >= len(ids) || ids[i] != p.ID {
			t.Errorf("%q: the page finds %v and its twin %v", text, ids, filtered)
			break
		}
	}
	return ids
}

// People are found by what somebody remembers of them, however it is written, and
// by what they are called now.
func TestPeopleAreFoundHoweverItIsWritten(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		emile := somebody(t, s, store.Person{ID: "p1", GHLContactID: "GhlOne", AlowareContactID: "4711", Phone: "+12025550111",
			OtherPhones: []df.Phone{"+13035550122"}, Email: "Emile@Example.test"},
			map[df.Field]string{df.FirstName: "Émile", df.LastName: "Castillo Ruiz", df.City: "El Paso", df.PhoneNumber: "+12025550111"})
		somebody(t, s, store.Person{ID: "p2", GHLContactID: "GhlTwo", Phone: "+12025550133"}, map[df.Field]string{df.FirstName: "Ana", df.LastName: "Castillo", df.City: "100% Waco"})
		for text, want := range map[string][]string{
			"castillo": {"p1", "p2"}, "CASTILLO ana": {"p2"}, "émile": {"p1"}, "ÉMILE ruiz": {"p1"}, "el paso": {"p1"}, "ghlone": {"p1"}, "4711": {"p1"},
			"(202) 555-0111": {"p1"}, "+1 202 555 0111": {"p1"}, "202.555.0133": {"p2"}, "3035550122": {"p1"}, "0111": {"p1"}, "emile@example.test": {"p1"},
			"example.test": {"p1"}, "p2": {"p2"}, "100%": {"p2"}, "1%0": nil, "nobody": nil, "ana ruiz": nil, "": {"p1", "p2"},
		} {
			if got := foundIDs(t, s, text); !slices.Equal(got, want) {
				t.Errorf("%q finds %v, want %v", text, got, want)
			}
		}
		emile.Phone, emile.OtherPhones = "+14045550144", nil
		err := s.SaveConvergence(t.Context(), store.Lease{}, store.Convergence{Person: emile, At: time.Now(),
			Agreements: []store.Agreement{{Side: df.SideGHL, ContactID: "GhlOne", Fields: map[df.Field]string{df.LastName: "Novak"}}}})
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string][]string{"castillo": {"p2"}, "novak": {"p1"}, "4045550144": {"p1"}, "3035550122": nil} {
			if got := foundIDs(t, s, text); !slices.Equal(got, want) {
				t.Errorf("after a change %q finds %v, want %v", text, got, want)
			}
		}
	})
}

// Whom a release added that knew of no such lines is found after the next filling.
func TestLinesThatAreMissingAreFilled(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for _, id := range []string{"p1", "p2", "p3"} {
			somebody(t, s, store.Person{ID: id, GHLContactID: "g" + id}, map[df.Field]string{df.LastName: "Name of " + id})
		}
		if _, err := s.Exec(t.Context(), `DELETE FROM person_words WHERE person_id <> 'p2'`); err != nil {
			t.Fatal(err)
		}
		if got := foundIDs(t, s, "name"); !slices.Equal(got, []string{"p2"}) {
			t.Fatalf("without lines there are found %v", got)
		}
		for _, want := range []int{2, 0} {
			if n, err := s.FillWords(t.Context()); n != want || err != nil {
				t.Errorf("filled %d, %v, want %d", n, err, want)
			}
		}
		if got := foundIDs(t, s, "name p3"); !slices.Equal(got, []string{"p3"}) {
			t.Errorf("after the filling there are found %v", got)
		}
	})
}

// The migration that brings the lines makes them of the people that there are.
func TestTheMigrationMakesTheLines(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for {
			undone, err := s.MigrateDown(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if undone.Name == "search" {
				break
			}
		}
		_, err := s.Exec(t.Context(), `INSERT INTO contact_mappings (id, ghl_contact_id, email, created_at, updated_at) VALUES ('old', 'GhlOld', 'old@example.test', $1, $1)`, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.MigrateUp(t.Context(), time.Now); err != nil {
			t.Fatal(err)
		}
		if got := foundIDs(t, s, "old@example"); !slices.Equal(got, []string{"old"}) {
			t.Errorf("found %v", got)
		}
	})
}
