package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var sweptAt = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// Only one run of a job lives at a time; one that gives no sign of life any more
// makes room.
func TestOneRunOfAJobLivesAtATime(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		begin := func(id, job string, after time.Duration) error {
			return s.StartRun(ctx, id, job, sweptAt.Add(after), sweptAt.Add(after-time.Minute))
		}
		if err := begin("one", "sweep", 0); err != nil {
			t.Fatal(err)
		}
		if err := begin("two", "sweep", time.Second); !errors.Is(err, store.ErrRunning) {
			t.Errorf("a second run: %v", err)
		}
		if err := begin("other", "measure", time.Second); err != nil {
			t.Errorf("a run of another job: %v", err)
		}
		if err := s.BeatRun(ctx, "one", map[string]int{"people": 3}, sweptAt.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := begin("three", "sweep", 90*time.Second); !errors.Is(err, store.ErrRunning) {
			t.Errorf("one that gave a sign of life was taken for dead: %v", err)
		}
		if err := begin("four", "sweep", 3*time.Minute); err != nil {
			t.Errorf("the dead one made no room: %v", err)
		}
		if err := s.FinishRun(ctx, "four", map[string]int{"people": 5}, "", sweptAt.Add(4*time.Minute)); err != nil {
			t.Fatal(err)
		}
		runs, err := s.Runs(ctx, time.Time{}, 10)
		if err != nil || len(runs) != 3 || runs[0].ID != "four" || runs[0].Status != "success" || runs[2].Status != "error" || string(runs[2].Totals) != `{"people":3}` {
			t.Errorf("runs %+v, %v", runs, err)
		}
	})
}

// A difference keeps the time since when it lasts, a look at one side leaves the
// other's alone, and a convergence that settles everything forgets all of it.
func TestDriftLastsUntilThePersonConverges(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := store.Person{ID: "p1", GHLContactID: "g1", Status: "active", SyncDirection: df.GHLToAloware, CreatedAt: sweptAt, UpdatedAt: sweptAt}
		if err := s.InTx(ctx, func(tx store.Tx) error { return store.InsertPerson(ctx, tx, p) }); err != nil {
			t.Fatal(err)
		}
		found := func(side df.Side, field df.Field, since time.Time) store.Drift {
			return store.Drift{Side: side, Field: field, Kind: "field", Since: since}
		}
		look := func(after time.Duration, side df.Side, rows ...store.Drift) {
			t.Helper()
			if err := s.ReplaceDrift(ctx, "p1", side, rows, sweptAt.Add(after)); err != nil {
				t.Fatal(err)
			}
		}
		shown := func(want string) {
			t.Helper()
			rows, err := s.DriftRows(ctx, store.DriftFilter{Limit: 10})
			var got []string
			for _, r := range rows {
				got = append(got, fmt.Sprintf("%s %s %v", r.Field, r.Reason, r.Since.Sub(sweptAt)))
			}
			if err != nil || fmt.Sprint(got) != want {
				t.Errorf("drift %v, want %s, %v", got, want, err)
			}
		}
		look(time.Minute, "", found(df.SideGHL, df.City, sweptAt), found(df.SideAloware, df.State, sweptAt))
		look(2*time.Minute, df.SideGHL, found(df.SideGHL, df.City, sweptAt.Add(time.Minute)), found(df.SideGHL, df.Email, sweptAt.Add(time.Minute)))
		shown("[city unexplained 0s email unexplained 1m0s state unexplained 0s]")
		look(3*time.Minute, df.SideGHL)
		shown("[state unexplained 0s]")
		if err := s.Nudge(ctx, store.PersonLane("p1"), sweptAt); err != nil {
			t.Fatal(err)
		}
		shown("[state pending 0s]")
		if left, err := s.DriftSubjects(ctx, "", 10); err != nil || len(left) != 0 {
			t.Errorf("somebody with work waiting is to be mended again: %v, %v", left, err)
		}
		p.Version = 1
		save := func(issues ...store.Issue) {
			t.Helper()
			c := store.Convergence{Person: p, At: sweptAt.Add(time.Hour), Issues: issues}
			if err := s.SaveConvergence(ctx, store.Lease{}, c); err != nil {
				t.Fatal(err)
			}
			p.Version++
		}
		save(store.Issue{Topic: "ghl/state", Kind: "refused", Side: df.SideGHL, Field: df.State, Open: true, Since: sweptAt, At: sweptAt})
		shown("[state blocked 0s]")
		p.LastSyncedAt = sweptAt.Add(time.Hour)
		save()
		shown("[state blocked 0s]") // agreed to differ: the issue still says so
		counts, err := s.DriftCounts(ctx)
		if n, peopleErr := s.DriftPeople(ctx); err != nil || peopleErr != nil || n != 1 || len(counts) != 1 || counts[0].Reason != store.DriftBlocked || counts[0].People != 1 {
			t.Errorf("counts %+v of %d, %v, %v", counts, n, err, peopleErr)
		}
		var kept int
		if err := s.Row(ctx, `SELECT count(*) FROM drift`).Scan(&kept); err != nil || kept != 0 {
			t.Errorf("%d rows are kept of somebody who agrees, %v", kept, err)
		}
	})
}

// What tells of a finding is a webhook that its sender dates after the change and
// before it was found; our own repair and what a sweep heard do not.
func TestWhatTellsOfAFinding(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		changed, found := sweptAt, sweptAt.Add(10*time.Minute)
		n := 0
		put := func(kind df.Kind, entity, route string, came, occurred time.Duration) {
			n++
			e := df.Event{ID: fmt.Sprint("e", n), ReceivedAt: changed.Add(came), Source: df.SourceGHL, Route: route, Status: df.Pending,
				Headers: map[string]string{}, Raw: []byte("{}"), Notice: df.Notice{Kind: kind, EntityType: "contact", EntityID: entity}}
			if occurred != -1 {
				e.Notice.OccurredAt = changed.Add(occurred)
			}
			if _, err := s.Accept(t.Context(), []store.Delivery{{Event: e, DedupeKey: e.ID, DedupeUntil: found}}, e.ReceivedAt); err != nil {
				t.Fatal(err)
			}
		}
		const none = time.Duration(-1)
		for i, c := range []struct {
			name           string
			kind           df.Kind
			route          string
			came, occurred time.Duration
			finding        df.Kind
			tells          bool
		}{
			{"late, dated as the change", df.KindContactUpdated, "ghl", time.Hour, 0, df.KindContactUpdated, true},
			{"of an earlier change", df.KindContactUpdated, "ghl", time.Second, -time.Minute, df.KindContactUpdated, false},
			{"of our own repair", df.KindContactUpdated, "ghl", 11 * time.Minute, 11 * time.Minute, df.KindContactUpdated, false},
			{"undated, after the change", df.KindContactUpdated, "ghl", time.Minute, none, df.KindContactUpdated, true},
			{"undated, long before", df.KindContactUpdated, "ghl", -time.Hour, none, df.KindContactUpdated, false},
			{"an update tells of no deletion", df.KindContactUpdated, "ghl", time.Minute, time.Minute, df.KindContactDeleted, false},
			{"a deletion does", df.KindContactDeleted, "ghl", time.Minute, time.Minute, df.KindContactDeleted, true},
			{"a sweep's own", df.KindMessage, store.RouteSweep, time.Minute, time.Minute, df.KindMessage, false},
		} {
			entity := fmt.Sprint("contact", i)
			put(c.kind, entity, c.route, c.came, c.occurred)
			f := store.Finding{Source: df.SourceGHL, Kind: c.finding, EntityID: entity, ChangedAt: changed, FoundAt: found}
			if tells, err := s.Announced(t.Context(), f, changed.Add(-2*time.Minute)); err != nil || tells != c.tells {
				t.Errorf("%s: %v, %v", c.name, tells, err)
			}
		}
	})
}

func TestFindingsAreJudgedOnceAndCountedBySourceAndKind(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := store.Finding{Source: df.SourceGHL, Kind: df.KindContactUpdated, EntityID: "g1", ChangedAt: sweptAt, FoundAt: sweptAt}
		other := f
		other.EntityID = "g2"
		for range 2 { // found again by the next sweep
			if err := s.AddFindings(ctx, []store.Finding{f, other}); err != nil {
				t.Fatal(err)
			}
		}
		if waiting, err := s.WaitingFindings(ctx, df.SourceGHL, sweptAt.Add(-time.Second), 9); err != nil || len(waiting) != 0 {
			t.Errorf("before their time: %v, %v", waiting, err)
		}
		waiting, err := s.WaitingFindings(ctx, df.SourceGHL, sweptAt, 9)
		if err != nil || len(waiting) != 2 {
			t.Fatalf("waiting %v, %v", waiting, err)
		}
		if err := s.JudgeFinding(ctx, f, store.FindingMissed, sweptAt.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		counts, err := s.MissedCounts(ctx, time.Time{})
		if err != nil || len(counts) != 1 || counts[0].Missed != 1 || counts[0].Waiting != 1 || !counts[0].LastMissed.Equal(sweptAt) {
			t.Errorf("counts %+v, %v", counts, err)
		}
		if n, err := s.PruneFindings(ctx, sweptAt.Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("pruned %d, %v", n, err)
		}
	})
}
