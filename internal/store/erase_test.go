package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const (
	eraseID    = "00000000-0000-7000-8000-00000000aaaa"
	otherID    = "00000000-0000-7000-8000-00000000bbbb"
	erasePhone = df.Phone("+15005550111")
	otherPhone = df.Phone("+15005550122")
)

// traits are what the rows of one person say in columns that lead to the person;
// every other text column says the mark.
type traits struct{ id, ghl, phone, mark string }

func (p traits) value(c column, step store.ErasedTable) any {
	switch kind := strings.ToLower(c.kind); {
	case strings.HasPrefix(kind, "timestamp"):
		return noon
	case strings.HasPrefix(kind, "json"):
		return `{"says":"` + p.mark + `"}`
	case kind == "boolean":
		return false
	case kind == "integer" || kind == "bigint":
		return 0
	case kind == "blob" || kind == "bytea":
		return []byte(p.mark)
	}
	switch c.name {
	case "person_id", "subject":
		return p.id
	case "ghl_contact_id", "contact_id", "contact":
		return p.ghl
	case "phone", "phone_number", "from_number", "to_number":
		return p.phone
	case "source", "side":
		return "ghl"
	case "status", "state", "call_status":
		if c.table == "optout_registry" {
			return "opted_in"
		}
		return "done"
	case "before_rows":
		return `[{"ID":"` + p.id + `","Email":"` + p.mark + `"}]`
	case "holds", "apart_from":
		return "[]"
	case "key":
		if c.table == "lanes" {
			return store.PhoneLane(df.Phone(p.phone))
		}
	case "id":
		if c.table == "contact_mappings" {
			return p.id
		}
	}
	for _, kept := range step.Keeps {
		if kept == c.name {
			return "kept " + p.id[32:]
		}
	}
	return p.mark
}

// fillTables puts one row of the person into every table that an erasure knows.
func fillTables(t *testing.T, s *store.Store, p traits) {
	t.Helper()
	columns := schema(t, s)
	for _, step := range store.ErasedTables() {
		var names, places []string
		var args []any
		for _, c := range columns {
			if c.table != step.Table || c.name == "seq" || c.name == "merged_into" || c.name == "lease_until" || c.name == "ended_at" {
				continue
			}
			args = append(args, p.value(c, step))
			names, places = append(names, c.name), append(places, fmt.Sprintf("$%d", len(args)))
		}
		_, err := s.Exec(t.Context(), `INSERT INTO `+step.Table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`, args...)
		if err != nil {
			t.Fatalf("%s: %v", step.Table, err)
		}
	}
}

// mentions counts the rows, by table, in which a text stands.
func mentions(t *testing.T, s *store.Store, text string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, c := range schema(t, s) {
		var n int
		value := `CAST(` + c.name + ` AS TEXT)`
		if c.kind == "bytea" {
			value = `encode(` + c.name + `, 'escape')`
		}
		if err := s.Row(t.Context(), `SELECT count(*) FROM `+c.table+` WHERE `+value+` LIKE '%' || $1 || '%'`, text).Scan(&n); err != nil {
			t.Fatalf("%s.%s: %v", c.table, c.name, err)
		}
		if n > 0 {
			found[c.table+"."+c.name] = n
		}
	}
	return found
}

func erase(t *testing.T, s *store.Store, id string) error {
	t.Helper()
	subject, err := store.SubjectOf(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Erase(t.Context(), subject, strings.NewReader("sixteen bytes, twice sixteen bytes"), noon,
		func(store.Tx, []store.ErasedRows) error { return nil })
	return err
}

func TestAnErasureLeavesNothingOfThePersonAndTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		fillTables(t, s, traits{eraseID, "ghlErase", string(erasePhone), "markErase"})
		fillTables(t, s, traits{otherID, "ghlOther", string(otherPhone), "markOther"})
		before := mentions(t, s, "markOther")
		subject, err := store.SubjectOf(t.Context(), s, eraseID)
		if err != nil {
			t.Fatal(err)
		}
		counts, err := s.CountErasure(t.Context(), subject)
		if err != nil || len(counts) != len(store.ErasedTables()) {
			t.Fatalf("%v, %v", counts, err)
		}
		for _, c := range counts {
			if c.Rows == 0 {
				t.Errorf("no row of %s would be erased", c.Table)
			}
		}
		if err := erase(t, s, eraseID); err != nil {
			t.Fatal(err)
		}
		for _, trace := range []string{"markErase", "ghlErase", eraseID, string(erasePhone)} {
			if left := mentions(t, s, trace); len(left) > 0 {
				t.Errorf("%q still stands in %v", trace, left)
			}
		}
		after := mentions(t, s, "markOther")
		for place, n := range before {
			if !strings.HasPrefix(place, "normalisations.") && after[place] != n {
				t.Errorf("%s of somebody else: %d rows of %d", place, after[place], n)
			}
		}
		if _, err := store.SubjectOf(t.Context(), s, eraseID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("who was erased: %v", err)
		}
	})
}

// The events of a person are found by the person, the contact and the number.
// What was open is skipped, its lane is counted anew, and whoever works on it
// cannot finish.
func TestAnErasureClosesWhatIsOpen(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		insert(t, s, person(eraseID, "C1", "", erasePhone))
		byContact, byPhone, foreign := delivery("C1", "a"), delivery("", "b"), delivery("C9", "c")
		byPhone.Event.Source, byPhone.Event.Notice.Phone = df.SourceTexting, erasePhone
		foreign.Event.Source = df.SourceAloware
		foreign.Event.Notice.ContactID, foreign.Event.Notice.EntityID = "C1", "C1" // the same id elsewhere is somebody else
		var ids []string
		for _, a := range accept(t, s, noon, byContact, byPhone, foreign) {
			ids = append(ids, a.EventID)
		}
		turn := take(t, s, store.PersonLane(eraseID), noon)
		if err := erase(t, s, eraseID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FinishTurn(ctx, turn.Lease, done(turn.Events), turn.Nudges, noon, time.Time{}); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("a worker in mid-turn: %v", err)
		}
		for i, want := range []df.Status{df.Skipped, df.Skipped, df.Pending} {
			e, err := s.Event(ctx, ids[i])
			if err != nil || e.Status != want || (len(e.Raw) == 0) != (want == df.Skipped) {
				t.Errorf("event %d: %s with %d bytes, %v", i, e.Status, len(e.Raw), err)
			}
		}
		if err := s.Reopen(ctx, ids[0], noon); !errors.Is(err, store.ErrState) {
			t.Errorf("replayed what was erased: %v", err)
		}
		if n, err := s.WaitingLanes(ctx); n != 1 || err != nil {
			t.Errorf("%d lanes wait, %v; only somebody else's should", n, err)
		}
	})
}

func TestAnErasureTakesWhoWasMergedIntoThePersonAlong(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		merged := person(otherID, "C2", "", otherPhone)
		merged.Status, merged.EndedAt, merged.MergedInto = "ended", noon, eraseID
		insert(t, s, person(eraseID, "C1", "A1", erasePhone), merged)
		for _, id := range []string{eraseID, otherID} {
			subject, err := store.SubjectOf(t.Context(), s, id)
			if err != nil || fmt.Sprint(subject) != fmt.Sprint(store.Subject{People: []string{eraseID, otherID}, GHL: []string{"C1", "C2"},
				Aloware: []string{"A1"}, Phones: []string{string(erasePhone), string(otherPhone)}}) {
				t.Errorf("asked for %s: %+v, %v", id, subject, err)
			}
		}
	})
}

// optOut records a no of the person's own, as the consent room does.
func optOut(t *testing.T, s *store.Store, phone df.Phone) {
	t.Helper()
	inTx(t, s, func(tx store.Tx) error {
		c, err := store.LockConsent(t.Context(), tx, "id-"+string(phone), string(phone), noon)
		if err != nil {
			return err
		}
		c.Status, c.CallStatus, c.Source, c.Reason = "opted_out", "opted_out", "texting", "STOP (keyword)"
		c.Holds = []store.Hold{{Scope: "sms", Holder: "text", OutAt: noon}, {Scope: "call", Holder: "text", OutAt: noon}}
		return store.SaveConsent(t.Context(), tx, c, noon)
	})
}

func TestAnOptOutOutlivesTheErasureOfItsNumber(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		insert(t, s, person(eraseID, "C1", "", erasePhone))
		optOut(t, s, erasePhone)
		was, err := s.Consents(ctx, string(erasePhone))
		if err != nil {
			t.Fatal(err)
		}
		if err := erase(t, s, eraseID); err != nil {
			t.Fatal(err)
		}
		if left := mentions(t, s, string(erasePhone)); len(left) > 0 {
			t.Errorf("the number still stands in %v", left)
		}
		is, err := s.Consents(ctx, string(erasePhone), string(otherPhone))
		if err != nil || len(is) != 1 || fmt.Sprint(is) != fmt.Sprint(was) {
			t.Errorf("the gate reads %+v, %v\nbefore      %+v", is, err, was)
		}
		inTx(t, s, func(tx store.Tx) error {
			if c, err := store.ReadConsent(ctx, tx, string(erasePhone)); err != nil || c.Status != "opted_out" {
				t.Errorf("a transaction reads %+v, %v", c, err)
			}
			if _, err := store.ReadConsent(ctx, tx, string(otherPhone)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a number that was never known: %v", err)
			}
			back, err := store.RestoreErased(ctx, tx, "new", string(erasePhone), noon)
			if err != nil || !back {
				t.Errorf("restored %v, %v", back, err)
			}
			again, err := store.RestoreErased(ctx, tx, "newer", string(erasePhone), noon)
			if again {
				t.Error("restored twice")
			}
			return err
		})
		rows, err := s.ConsentRows(ctx, store.ConsentRowFilter{Phone: string(erasePhone), Limit: 9})
		if err != nil || len(rows) != 1 || rows[0].Status != "opted_out" {
			t.Errorf("%+v, %v", rows, err)
		}
		// The number opts in again, and then its new person is erased too.
		inTx(t, s, func(tx store.Tx) error {
			c, err := store.LockConsent(ctx, tx, "x", string(erasePhone), noon)
			if err != nil || len(c.Holds) != 2 {
				t.Errorf("%+v, %v", c, err)
			}
			c.Status, c.CallStatus = "opted_in", "opted_in"
			return store.SaveConsent(ctx, tx, c, noon)
		})
		if is, err := s.Consents(ctx, string(erasePhone)); err != nil || is[string(erasePhone)].Status != "opted_in" {
			t.Errorf("after opting in the old no still counts: %+v, %v", is, err)
		}
	})
}

func TestAnErasureWaitsUntilEverySystemWasToldOfTheOptOut(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		insert(t, s, person(eraseID, "C1", "", erasePhone))
		optOut(t, s, erasePhone)
		inTx(t, s, func(tx store.Tx) error {
			return store.PutFanOut(t.Context(), tx, store.FanOut{Phone: string(erasePhone), Target: "ghl_dnd", NextTryAt: noon, Since: noon})
		})
		if err := erase(t, s, eraseID); !errors.Is(err, store.ErrUntold) {
			t.Fatalf("erased: %v", err)
		}
		told, err := s.ClaimFanOut(t.Context(), string(erasePhone), "ghl_dnd", noon, noon.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		told.State, told.ConfirmedAt = "done", noon
		inTx(t, s, func(tx store.Tx) error { return store.FinishFanOut(t.Context(), tx, told) })
		if err := erase(t, s, eraseID); err != nil {
			t.Error(err)
		}
	})
}

func TestAnErasureLeavesANumberThatSomebodyElseHasToo(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		insert(t, s, person(eraseID, "C1", "", erasePhone), person(otherID, "C2", "", erasePhone))
		optOut(t, s, erasePhone)
		if err := erase(t, s, eraseID); err != nil {
			t.Fatal(err)
		}
		rows, err := s.ConsentRows(t.Context(), store.ConsentRowFilter{Phone: string(erasePhone), Limit: 9})
		if err != nil || len(rows) != 1 || rows[0].Status != "opted_out" {
			t.Errorf("%+v, %v", rows, err)
		}
		if subject, err := store.SubjectOf(t.Context(), s, otherID); err != nil || len(subject.Phones) != 1 {
			t.Errorf("%+v, %v", subject, err)
		}
	})
}
