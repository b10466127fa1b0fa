package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// conflicting inserts a person with as many conflicts, k0 the oldest.
func conflicting(t *testing.T, s *store.Store, id string, ids ...string) {
	t.Helper()
	p := person(id, "g-"+id, "a-"+id, "")
	insert(t, s, p)
	p.Version = 1
	c := store.Convergence{Person: p, At: sweptAt}
	for i, k := range ids {
		row := store.Conflict{ID: k, Field: df.City, Kind: "both_changed", Chosen: df.SideGHL, Value: "Houston", Rule: "prefer_ghl", Base: map[df.Side]string{},
			Seen: map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "El Paso"}, Settled: map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "HOUSTON"}}
		if i%2 == 1 {
			row.Field, row.Chosen, row.Settled = df.State, "", nil
		}
		c.Conflicts = append(c.Conflicts, row)
	}
	if err := s.SaveConvergence(t.Context(), store.Lease{}, c); err != nil {
		t.Fatal(err)
	}
}

func choice(id, what string) store.ConflictChoice {
	return store.ConflictChoice{ID: id, Choice: what, By: "robin", Reason: "asked her", At: sweptAt.Add(time.Hour)}
}

// nudges says how often the person's lane was nudged.
func nudges(t *testing.T, s *store.Store, id string) int64 {
	t.Helper()
	lane, _, err := s.LaneOf(t.Context(), store.PersonLane(id))
	if err != nil {
		t.Fatal(err)
	}
	return lane.Nudges
}

// A choice, its line in the audit log and the nudge are there together, once.
func TestAConflictIsDecidedOnce(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		conflicting(t, s, "p1", "k0", "k1")
		k, err := s.DecideConflict(ctx, choice("k0", "aloware"))
		if err != nil || k.State != store.ConflictAsked || k.Choice != "aloware" || k.DecidedBy != "robin" || k.Reason != "asked her" ||
			!k.DecidedAt.Equal(sweptAt.Add(time.Hour)) || k.Settled[df.SideAloware] != "HOUSTON" {
			t.Fatalf("%+v, %v", k, err)
		}
		if again, err := s.DecideConflict(ctx, choice("k0", "aloware")); err != nil || again.State != store.ConflictAsked || !again.DecidedAt.Equal(k.DecidedAt) {
			t.Errorf("the same once more: %+v, %v", again, err)
		}
		for _, other := range []string{"ghl", "keep"} {
			if _, err := s.DecideConflict(ctx, choice("k0", other)); !errors.Is(err, store.ErrState) {
				t.Errorf("%s afterwards: %v", other, err)
			}
		}
		if _, err := s.DecideConflict(ctx, choice("none", "keep")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		if n := nudges(t, s, "p1"); n != 1 {
			t.Errorf("%d nudges", n)
		}
		if k, err := s.DecideConflict(ctx, choice("k1", "keep")); err != nil || k.State != store.ConflictAccepted || nudges(t, s, "p1") != 1 {
			t.Errorf("accepted: %+v, %v, %d nudges", k, err, nudges(t, s, "p1"))
		}
		audit, err := s.AuditLog(ctx, 0, 10)
		var lines []string
		for _, row := range audit {
			lines = append(lines, fmt.Sprint(row.Actor, " ", row.Action, " ", row.Target, " ", row.Details["conflict"], " ", row.Details["reason"]))
		}
		if got := strings.Join(lines, "; "); err != nil || got != "robin conflict.accept p1 k1 asked her; robin conflict.ask p1 k0 asked her" {
			t.Errorf("the audit log says %s, %v", got, err)
		}
		state, err := s.LoadPerson(ctx, "p1", sweptAt)
		if err != nil || len(state.Asked) != 1 || state.Asked[0].ID != "k0" {
			t.Errorf("a convergence starts from %+v, %v", state.Asked, err)
		}
	})
}

func TestOfTwoPeopleWhoDecideAtOnceOneWins(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for round := range 8 {
			id := fmt.Sprint("p", round)
			conflicting(t, s, id, "k-"+id)
			var wg sync.WaitGroup
			errs := make([]error, 6)
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = s.DecideConflict(t.Context(), choice("k-"+id, []string{"ghl", "aloware", "keep"}[i%3]))
				})
			}
			wg.Wait()
			k, err := store.ConflictByID(t.Context(), s, "k-"+id)
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range errs {
				mine := []string{"ghl", "aloware", "keep"}[i%3] == k.Choice
				if mine && err != nil || !mine && !errors.Is(err, store.ErrState) {
					t.Errorf("%s won, and caller %d is told %v", k.Choice, i, err)
				}
			}
			want := int64(1)
			if k.Choice == store.ConflictKeep {
				want = 0
			}
			if n := nudges(t, s, id); n != want {
				t.Errorf("%s won with %d nudges", k.Choice, n)
			}
			var lines int
			if err := s.Row(t.Context(), `SELECT count(*) FROM audit_log WHERE target = $1`, id).Scan(&lines); err != nil || lines != 1 {
				t.Errorf("%d lines in the audit log, %v", lines, err)
			}
		}
	})
}

// What came of an asked value is kept with the convergence; what nobody asked for
// any more is not ended twice.
func TestAnAskedValueEndsWithTheConvergence(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		conflicting(t, s, "p1", "k0", "k1")
		if _, err := s.DecideConflict(ctx, choice("k0", "aloware")); err != nil {
			t.Fatal(err)
		}
		before, err := s.Marks(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, state := range []string{store.ConflictApplied, store.ConflictOvertaken} {
			p, err := store.PersonByID(ctx, s, "p1")
			if err != nil {
				t.Fatal(err)
			}
			c := store.Convergence{Person: p, At: sweptAt.Add(time.Duration(2+i) * time.Hour),
				Ruled: []store.ConflictEnd{{ID: "k0", State: state, Outcome: "written"}, {ID: "k1", State: state}}}
			if err := s.SaveConvergence(ctx, store.Lease{}, c); err != nil {
				t.Fatal(err)
			}
		}
		k0, err0 := store.ConflictByID(ctx, s, "k0")
		k1, err1 := store.ConflictByID(ctx, s, "k1")
		if k0.State != store.ConflictApplied || k0.Outcome != "written" || !k0.ChangedAt.Equal(sweptAt.Add(2*time.Hour)) || k1.State != store.ConflictOpen {
			t.Errorf("%+v, %v; %+v, %v", k0, err0, k1, err1)
		}
		if k, err := s.DecideConflict(ctx, choice("k0", "aloware")); err != nil || k.State != store.ConflictApplied {
			t.Errorf("asked for once more: %+v, %v", k, err)
		}
		if after, err := s.Marks(ctx); err != nil || after["conflicts"] == before["conflicts"] {
			t.Errorf("pages are not told: %v, %v", after, err)
		}
	})
}

func TestNothingIsAskedForWhoHasEnded(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		conflicting(t, s, "p1", "k0", "k1")
		if _, err := s.DecideConflict(ctx, choice("k0", "ghl")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Exec(ctx, `UPDATE lanes SET nudges = 0`); err != nil {
			t.Fatal(err)
		}
		if who, err := s.AskedPeople(ctx, "", 10); err != nil || len(who) != 1 {
			t.Errorf("to be reminded of: %v, %v", who, err)
		}
		if n, err := s.OvertakeEnded(ctx, sweptAt); err != nil || n != 0 {
			t.Errorf("%d overtaken, %v", n, err)
		}
		if _, err := s.Exec(ctx, `UPDATE contact_mappings SET ended_at = $1`, sweptAt); err != nil {
			t.Fatal(err)
		}
		if k, err := s.DecideConflict(ctx, choice("k1", "ghl")); !errors.Is(err, store.ErrEnded) {
			t.Errorf("asked for: %+v, %v", k, err)
		}
		if n, err := s.OvertakeEnded(ctx, sweptAt); err != nil || n != 1 || nudges(t, s, "p1") != 0 {
			t.Errorf("%d overtaken, %v, %d nudges", n, err, nudges(t, s, "p1"))
		}
		if k, err := s.DecideConflict(ctx, choice("k1", "keep")); err != nil || k.State != store.ConflictAccepted {
			t.Errorf("accepted: %+v, %v", k, err)
		}
	})
}

func TestConflictsAreFoundAndAcceptedByFilter(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		conflicting(t, s, "p1", "k0", "k1", "k2")
		conflicting(t, s, "p2", "k3", "k4")
		found := func(f store.ConflictFilter) string {
			f.Limit = 10
			rows, err := s.Conflicts(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, k := range rows {
				ids = append(ids, k.ID)
			}
			return strings.Join(ids, " ")
		}
		for _, c := range []struct {
			filter store.ConflictFilter
			want   string
		}{
			{store.ConflictFilter{}, "k4 k3 k2 k1 k0"}, {store.ConflictFilter{PersonID: "p2"}, "k4 k3"}, {store.ConflictFilter{Field: df.State}, "k4 k1"},
			{store.ConflictFilter{Chosen: df.SideGHL}, "k3 k2 k0"}, {store.ConflictFilter{Chosen: store.ChosenNone}, "k4 k1"},
			{store.ConflictFilter{IDs: []string{"k0", "k4", "none"}}, "k4 k0"}, {store.ConflictFilter{IDs: []string{}}, ""},
			{store.ConflictFilter{State: store.ConflictAccepted}, ""}, {store.ConflictFilter{State: store.ConflictOpen, PersonID: "p1", Field: df.City}, "k2 k0"},
		} {
			if got := found(c.filter); got != c.want {
				t.Errorf("%+v finds %q, want %q", c.filter, got, c.want)
			}
		}
		count, err := s.CountOpen(ctx, store.ConflictFilter{}, 3)
		if err != nil || count.Conflicts != 3 || count.People != 1 || count.ByField[df.City] != 2 || !count.More {
			t.Errorf("%+v, %v", count, err)
		}
		all, err := s.CountOpen(ctx, store.ConflictFilter{}, 5)
		if err != nil || all.Conflicts != 5 || all.People != 2 || all.More {
			t.Errorf("%+v, %v", all, err)
		}
		no := errors.New("no")
		if _, err := s.AcceptConflicts(ctx, store.ConflictFilter{}, 10, "robin", "r", sweptAt, func(_ store.Tx, n int64) error {
			if n != 5 {
				t.Errorf("%d were accepted", n)
			}
			return no
		}); !errors.Is(err, no) || found(store.ConflictFilter{State: store.ConflictAccepted}) != "" {
			t.Errorf("taken back: %v", err)
		}
		yes := func(store.Tx, int64) error { return nil }
		if n, err := s.AcceptConflicts(ctx, store.ConflictFilter{UntilSeq: count.UntilSeq}, 2, "robin", "r", sweptAt, yes); err != nil || n != 2 {
			t.Errorf("%d accepted, %v", n, err)
		}
		if got := found(store.ConflictFilter{State: store.ConflictAccepted}); got != "k1 k0" {
			t.Errorf("accepted are %s", got)
		}
		if n, err := s.AcceptConflicts(ctx, store.ConflictFilter{IDs: []string{"k0", "k4"}}, 9, "robin", "r", sweptAt, yes); err != nil || n != 1 {
			t.Errorf("of two named %d accepted, %v", n, err)
		}
		if n, err := s.OpenConflicts(ctx, 100); err != nil || n != 2 {
			t.Errorf("%d are open, %v", n, err)
		}
	})
}

// The release before inserts conflicts without the columns of rulings.
func TestAConflictOfTheReleaseBeforeIsOpen(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if _, err := s.Exec(t.Context(), `INSERT INTO sync_conflicts (id, person_id, field, kind, base, seen, chosen, value, rule, correlation_id, at)
			VALUES ('k', 'p', 'city', 'both_changed', '{}', '{"ghl":"a"}', 'ghl', 'a', 'prefer_ghl', NULL, $1)`, sweptAt); err != nil {
			t.Fatal(err)
		}
		if k, err := store.ConflictByID(t.Context(), s, "k"); err != nil || k.State != store.ConflictOpen || k.Settled != nil || !k.ChangedAt.IsZero() {
			t.Errorf("%+v, %v", k, err)
		}
	})
}
