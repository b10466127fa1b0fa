package consent

import (
	"testing"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestContactAfterAnOptOutIsAnIncident(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		r.Policy.TextOnly = true
		keep(t, s, r, stopAct(ann, 0), startAct(ann, 20), stopAct(ann, 40))
		tests := []struct {
			name  string
			seen  Contacted
			found bool
		}{
			{"before it", Contacted{Phone: ann, Scope: SMS, At: minute(-1)}, false},
			{"already under way", Contacted{Phone: ann, Scope: SMS, At: minute(1)}, false},
			{"after it", Contacted{Phone: ann, Scope: SMS, At: minute(5)}, true},
			{"a call, and calls were not refused", Contacted{Phone: ann, Scope: Call, At: minute(5)}, false},
			{"while in again, though out now", Contacted{Phone: ann, Scope: SMS, At: minute(30)}, false},
			{"out once more", Contacted{Phone: ann, Scope: SMS, At: minute(50)}, true},
			{"no time of its own", Contacted{Phone: ann, Scope: SMS}, true},
			{"somebody else", Contacted{Phone: bob, Scope: SMS, At: minute(5)}, false},
			{"nobody", Contacted{Scope: SMS, At: minute(5)}, false},
		}
		for i, test := range tests {
			test.seen.Source, test.seen.MessageID, test.seen.SeenAt = "aloware", string(rune('a'+i)), minute(60)
			for _, first := range []bool{true, false} {
				err := s.InTx(t.Context(), func(tx store.Tx) error {
					found, err := r.Detect(t.Context(), tx, test.seen)
					if found != (test.found && first) {
						t.Errorf("%s, for the first time %v: %v", test.name, first, found)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		incidents, err := s.Incidents(t.Context(), 9)
		if err != nil || len(incidents) != 3 {
			t.Fatalf("%d incidents, %v", len(incidents), err)
		}
		err = s.InTx(t.Context(), func(tx store.Tx) error {
			return store.ResolveIncident(t.Context(), tx, incidents[0].Key, "kim", "an agent by hand", noon)
		})
		if left, _ := s.Incidents(t.Context(), 9); err != nil || len(left) != 2 {
			t.Errorf("%v, %d left", err, len(left))
		}
	})
}

func TestAnOptOutWithoutEvidenceStillMakesIncidents(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Exec(t.Context(), `INSERT INTO optout_registry (id, phone_number, status, source, last_event_at, created_at, updated_at)
			VALUES ('1', $1, 'opted_out', 'texting', $2, $2, $2)`, string(ann), noon); err != nil {
			return err
		}
		for at, want := range map[int]bool{-5: false, 5: true} {
			found, err := r.Detect(t.Context(), tx, Contacted{Phone: ann, Scope: SMS, At: minute(at), SeenAt: minute(9), Source: "ghl", EventID: "e"})
			if err != nil || found != want {
				t.Errorf("at %d: %v, %v", at, found, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
