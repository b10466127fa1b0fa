package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// TestTheSyncLogIsFoundByIndexes asks both planners. A line of the sync log was
// once looked for by three ids in one OR, which read all of it.
func TestTheSyncLogIsFoundByIndexes(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		manyLines(t, s)
		for _, c := range []struct {
			filter  store.SyncFilter
			indexes []string
		}{
			{store.SyncFilter{EntityID: "target-700"}, []string{"sync_log_entity", "sync_log_source", "sync_log_target"}},
			{store.SyncFilter{PersonID: "person-700"}, []string{"sync_log_person"}},
			{store.SyncFilter{CorrelationID: "event-700"}, []string{"sync_log_correlation"}},
			{store.SyncFilter{Direction: df.VerityToGHL}, []string{"sync_log_direction"}},
		} {
			c.filter.Limit = 50
			query, args := c.filter.Query()
			plan := planOf(t, s, query, args)
			for _, index := range c.indexes {
				if !strings.Contains(plan, index) {
					t.Errorf("%+v does not use %s:\n%s", c.filter, index, plan)
				}
			}
			if strings.Contains(plan, "Seq Scan on sync_log") || strings.Contains(plan, "SCAN sync_log") {
				t.Errorf("%+v reads the whole log:\n%s", c.filter, plan)
			}
			if rows, err := s.SyncLog(t.Context(), c.filter); err != nil || len(rows) != 1 {
				t.Errorf("%+v: %d lines, %v", c.filter, len(rows), err)
			}
		}
	})
}

// manyLines fills the sync log with as many lines as make a planner think.
func manyLines(t *testing.T, s *store.Store) {
	t.Helper()
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		for i := range 5000 {
			direction := df.GHLToAloware
			if i == 700 {
				direction = df.VerityToGHL
			}
			if err := insertLine(t.Context(), tx, i, direction, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Exec(t.Context(), `ANALYZE sync_log`); err != nil {
		t.Fatal(err)
	}
}

func insertLine(ctx context.Context, tx store.Tx, i int, direction df.Direction, at time.Time) error {
	name := func(what string) string { return fmt.Sprintf("%s-%d", what, i) }
	_, err := tx.Exec(ctx, `INSERT INTO sync_log (id, direction, entity_type, entity_id, source_id, target_id, status,
		started_at, correlation_id, person_id) VALUES ($1, $2, 'contact', $3, $4, $5, 'success', $6, $7, $8)`,
		name("line"), string(direction), name("entity"), name("source"), name("target"), at, name("event"), name("person"))
	return err
}

// planOf is how the engine means to run a query, one step a line.
func planOf(t *testing.T, s *store.Store, query string, args []any) string {
	t.Helper()
	var plan strings.Builder
	explain := "EXPLAIN "
	if s.Name() == "sqlite" {
		explain = "EXPLAIN QUERY PLAN "
	}
	err := s.Each(t.Context(), explain+query, args, func(row store.Row) error {
		var step string
		var id, parent, unused int
		var err error
		if s.Name() == "sqlite" {
			err = row.Scan(&id, &parent, &unused, &step)
		} else {
			err = row.Scan(&step)
		}
		plan.WriteString(step + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// TestPagesReadIndexes asks both planners how they would make pages of a busy
// account. Each of these once read every event, or all of a source or a type.
func TestPagesReadIndexes(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		first := manyEvents(t, s, 6000, func(i int) (df.Source, string) {
			return []df.Source{df.SourceGHL, df.SourceAloware}[i%2], `{"padding":"` + strings.Repeat("x", 300) + `"}`
		})
		if _, err := s.Exec(t.Context(), `UPDATE webhook_events SET status = 'done', person_id = 'p', processed_at = received_at WHERE seq % 500 <> 0`); err != nil {
			t.Fatal(err)
		}
		if s.Name() == "postgres" { // SQLite is never given statistics
			if _, err := s.Exec(t.Context(), `ANALYZE webhook_events`); err != nil {
				t.Fatal(err)
			}
		}
		page := func(f store.EventFilter) (string, []any) {
			f.Limit = 50
			return f.Query()
		}
		long := first.Add(time.Hour)
		for name, c := range map[string]struct {
			ask     func() (string, []any)
			indexes []string
		}{
			"failing":       {func() (string, []any) { return page(store.EventFilter{Status: df.Failed}) }, []string{"webhook_events_unfinished"}},
			"times":         {func() (string, []any) { return page(store.EventFilter{From: first, To: long}) }, []string{"webhook_events_received"}},
			"of a source":   {func() (string, []any) { return page(store.EventFilter{From: first, To: long, Source: df.SourceGHL}) }, []string{"webhook_events_received"}},
			"times, paged":  {func() (string, []any) { return page(store.EventFilter{From: first, To: long, Before: 40}) }, []string{"webhook_events_received"}},
			"a rare type":   {func() (string, []any) { return page(store.EventFilter{Type: "Nothing"}) }, []string{"webhook_events_type", "webhook_events_kind"}},
			"a sum":         {func() (string, []any) { return store.CountEventsQuery, nil }, []string{"webhook_events_unfinished"}},
			"what differs":  {func() (string, []any) { return store.DriftQuery, nil }, []string{"webhook_events_quarantined"}},
			"by one person": {func() (string, []any) { return page(store.EventFilter{Person: "nobody"}) }, []string{"webhook_events_person"}},
		} {
			query, args := c.ask()
			plan := planOf(t, s, query, args)
			for _, index := range c.indexes {
				if !strings.Contains(plan, index) {
					t.Errorf("%s does not use %s:\n%s", name, index, plan)
				}
			}
		}
	})
}

// TestTextsOfALineAreFoundFromEitherEnd asks how texts of a number are looked up:
// an OR of both ends read all of a line's, and all of the table on one of our own.
func TestTextsOfALineAreFoundFromEitherEnd(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			for i := range 3000 {
				if err := insertText(t.Context(), tx, fmt.Sprintf("text-%04d", i), fmt.Sprintf("+1500555%04d", i%300), fmt.Sprintf("+1202555%04d", i%300), time.Now()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Exec(t.Context(), `ANALYZE message_mappings`); err != nil {
			t.Fatal(err)
		}
		query, args := store.MessageFilter{Phone: "+15005550007", Limit: 50}.Query()
		plan := planOf(t, s, query, args)
		for _, index := range []string{"message_mappings_from", "message_mappings_to"} {
			if !strings.Contains(plan, index) {
				t.Errorf("the texts of a line are not looked up by %s:\n%s", index, plan)
			}
		}
	})
}

// The lists of conflicts and what a convergence starts from read no more than they
// show, however many conflicts there are.
func TestConflictsAreFoundByIndexes(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			for i := range 5000 {
				field, state := "city", "open"
				if i%1000 == 700 {
					field, state = "state", "asked"
				}
				if _, err := tx.Exec(t.Context(), `INSERT INTO sync_conflicts (id, person_id, field, kind, base, seen, rule, at, state)
					VALUES ($1, $2, $3, 'both_changed', '{}', '{}', 'r', $4, $5)`, fmt.Sprint("k", i), fmt.Sprint("p", i), field, sweptAt, state); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Exec(t.Context(), `ANALYZE sync_conflicts`); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			filter  store.ConflictFilter
			indexes []string
		}{
			{store.ConflictFilter{PersonID: "p700"}, []string{"sync_conflicts_person"}},
			{store.ConflictFilter{PersonID: "p700", State: store.ConflictAsked}, []string{"sync_conflicts_person", "sync_conflicts_asked", "sync_conflicts_state"}},
			{store.ConflictFilter{Field: "state"}, []string{"sync_conflicts_field"}},
			{store.ConflictFilter{State: store.ConflictAsked}, []string{"sync_conflicts_state", "sync_conflicts_asked"}},
		} {
			c.filter.Limit = 50
			query, args := c.filter.Query()
			plan := planOf(t, s, query, args)
			if !slices.ContainsFunc(c.indexes, func(index string) bool { return strings.Contains(plan, index) }) ||
				strings.Contains(plan, "Seq Scan on sync_conflicts") || strings.Contains(plan, "SCAN sync_conflicts\n") {
				t.Errorf("%+v is found by none of %v:\n%s", c.filter, c.indexes, plan)
			}
		}
	})
}
