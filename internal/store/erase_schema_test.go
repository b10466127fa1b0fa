package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// exempt names the tables that an erasure leaves alone, and why.
var exempt = map[string]string{
	"alerts": "about the system", "alert_figures": "counts", "source_hours": "counts",
	"broadcasts": "figures about many", "chat_approvals": "goes with its conversation", "forwards": "goes with its event",
	"chat_conversations": "what operators asked; forgotten by age", "chat_messages": "what operators asked; forgotten by age",
	"list_rules": "rules about everybody", "list_runs": "counts", "replays": "filters that operators gave; forgotten by age", "list_settings": "how far rules came", "minute_figures": "counts",
	"agent_directory":    "people who work here",
	"api_keys":           "hashes of keys, and names that operators gave them",
	"audit_log":          "who changed what, by id: evidence, kept as long",
	"call_list_registry": "names of lists",
	"console_users":      "people who work here",
	"console_sessions":   "people who work here, for 12 hours",
	"consent_chain":      "one hash",
	"consent_events":     "evidence that the law asks for, chained so that it cannot be changed; it goes when it is old enough",
	"consent_incidents":  "evidence that the law asks for",
	"consent_reviews":    "evidence that the law asks for",
	"dfm_migrations":     "names of migrations",
	"erased_numbers":     "hashes of numbers, by which an opt-out outlives the erasure",
	"erasure_salt":       "one random text",
	"ghl_oauth_tokens":   "sealed tokens of our own",
	"oauth_states":       "random texts",
	"rate_accounts":      "budgets",
	"reconcile_runs":     "counts",
	"retention_marks":    "ids of events",
	"shared_tokens":      "sealed tokens of our own",
	"sync_state":         "cursors",
	"webhook_attempts":   "safe texts, by event",
	"webhook_dedupe":     "hashes and delivery ids, for 60 days at most",
}

// column is one column of the schema.
type column struct{ table, name, kind string }

// schema lists the columns of all our tables; River's hold lanes and schedules.
func schema(t *testing.T, s *store.Store) []column {
	t.Helper()
	query := `SELECT m.name, p.name, p.type FROM sqlite_master m JOIN pragma_table_info(m.name) p
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
	if s.Name() == "postgres" {
		query = `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
			JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
			WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'`
	}
	var columns []column
	err := s.Each(t.Context(), query, nil, func(row store.Row) error {
		var c column
		err := row.Scan(&c.table, &c.name, &c.kind)
		if !strings.HasPrefix(c.table, "river_") {
			columns = append(columns, c)
		}
		return err
	})
	if err != nil || len(columns) < 100 {
		t.Fatalf("%d columns, %v", len(columns), err)
	}
	return columns
}

// Whoever adds a table or a column says what an erasure does with it: in
// erasures.go, or here why nothing.
func TestAnErasureKnowsEveryTableAndColumn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		steps := map[string]store.ErasedTable{}
		for _, step := range store.ErasedTables() {
			steps[step.Table] = step
		}
		there := map[string]bool{}
		for _, c := range schema(t, s) {
			step, erased := steps[c.table]
			_, spared := exempt[c.table]
			if !there[c.table] && erased == spared {
				t.Errorf("table %s: give it a line in erasures.go, or one in exempt with the reason", c.table)
			}
			there[c.table] = true
			if erased && step.Set != "" && slices.Contains(step.Keeps, c.name) == overwrites(step.Set, c.name) {
				t.Errorf("column %s.%s: an erasure must overwrite it, or keep it because nothing in it is about anybody", c.table, c.name)
			}
		}
		for table := range exempt {
			if !there[table] {
				t.Errorf("there is no table %s any more", table)
			}
		}
	})
}

func overwrites(set, column string) bool {
	return slices.ContainsFunc(strings.Split(set, ","), func(one string) bool {
		return strings.HasPrefix(strings.TrimSpace(one), column+" = ")
	})
}
