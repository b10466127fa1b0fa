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
