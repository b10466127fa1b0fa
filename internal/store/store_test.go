package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		if err := s.SchemaReady(ctx); err != nil {
			t.Fatal(err)
		}
		steps, err := s.Migrations(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range steps {
			if _, err := s.MigrateDown(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SchemaReady(ctx); !errors.Is(err, store.ErrSchemaBehind) {
			t.Errorf("after going down: %v", err)
		}
		if _, err := s.MigrateDown(ctx); err == nil {
			t.Error("there was one more to take back")
		}
		var migrating sync.WaitGroup
		for range 3 { // instances that start at once
			migrating.Go(func() {
				if _, err := s.MigrateUp(ctx, time.Now); err != nil && s.Name() == "postgres" {
					t.Error(err)
				}
			})
			if s.Name() == "sqlite" { // one process owns the file
				migrating.Wait()
			}
		}
		migrating.Wait()
		if err := s.SchemaReady(ctx); err != nil {
			t.Errorf("after going up again: %v", err)
		}
		accept(t, s, noon, delivery("C1", "w1"))
		if _, err := s.Exec(ctx, `INSERT INTO dfm_migrations (version, name, applied_at) VALUES (9999, 'future', $1)`, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := s.MigrateUp(ctx, time.Now); !errors.Is(err, store.ErrSchemaTooNew) {
			t.Errorf("a newer release's schema: %v", err)
		}
	})
}

// The tables and views that operators of the original query by name.
func TestTheContractsTablesAreThere(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for table, columns := range map[string]string{
			"webhook_events":           "id, received_at, source, event_type, entity_type, entity_id, dedupe_key, status, attempts, error_message, processed_at, payload_json",
			"texting_webhook_events":   "id, received_at, event_type, status",
			"broadcast_webhook_events": "id, received_at, broadcast_id, event_type, status",
			"contact_mappings":         "id, aloware_contact_id, ghl_contact_id, phone_number, email, last_synced_at, sync_direction, created_at, updated_at",
			"message_mappings":         "texting_message_id, ghl_message_id, aloware_message_id, conversation_id, from_number, to_number, direction",
			"sync_log":                 "direction, entity_type, entity_id, source_id, target_id, status, started_at, finished_at, error_message, correlation_id",
			"sync_state":               "direction, entity_type, cursor_updated_at, cursor_id, last_run_at, last_success_at",
			"optout_registry":          "phone_number, status, source, reason, last_event_at, created_at, updated_at",
			"agent_directory":          "agent_key, display_name, ghl_owner_id, ghl_owner_email, required_tag, aloware_user_id, is_active",
			"call_list_registry":       "agent_key, list_key, aloware_list_id, aloware_list_name",
			"contact_list_memberships": "contact_id, agent_key, list_key, status, reason",
			"contact_agent_state":      "contact_id, agent_key, last_aloware_list_status",
			"ghl_oauth_tokens":         "location_id, access_token, refresh_token, token_type, scope, expires_at",
			"reconcile_runs":           "job_name, started_at, finished_at, status, totals, error_message",
		} {
			if err := s.Each(t.Context(), "SELECT "+columns+" FROM "+table+" LIMIT 1", nil, func(store.Row) error { return nil }); err != nil {
				t.Errorf("%s: %v", table, err)
			}
		}
	})
}

func TestEventsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for i, contact := range []string{"C1", "C2", "C1"} {
			d := delivery(contact, contact+string(rune('a'+i)))
			d.Event.ReceivedAt = noon.Add(time.Duration(i) * time.Minute)
			d.Event.Raw = []byte(`{"note":"50%_Off \\ ` + contact + `"}`)
			accept(t, s, noon, d)
		}
		odd := delivery("C3", "odd")
		odd.Event.Source, odd.Event.Status, odd.Event.Reason = df.SourceAloware, df.Skipped, "unknown type"
		accept(t, s, noon, odd)
		for _, c := range []struct {
			name   string
			filter store.EventFilter
			want   int
		}{
			{"all", store.EventFilter{}, 4},
			{"source", store.EventFilter{Source: df.SourceAloware}, 1},
			{"status", store.EventFilter{Status: df.Pending}, 3},
			{"type by its name", store.EventFilter{Type: "ContactUpdate"}, 4},
			{"type by our kind", store.EventFilter{Type: "contact.updated"}, 4},
			{"entity", store.EventFilter{EntityID: "C1"}, 2},
			{"text without regard to case", store.EventFilter{Text: "50%_off"}, 3},
			{"text is no pattern", store.EventFilter{Text: "5_%"}, 0},
			{"time", store.EventFilter{From: noon.Add(time.Minute), To: noon.Add(2 * time.Minute)}, 1},
		} {
			c.filter.Limit = 10
			got, err := s.Events(ctx, c.filter)
			if err != nil || len(got) != c.want {
				t.Errorf("%s: %d, %v; want %d", c.name, len(got), err, c.want)
			}
		}
		page, err := s.Events(ctx, store.EventFilter{Limit: 3})
		if err != nil || len(page) != 3 || page[0].Seq < page[1].Seq {
			t.Fatalf("%+v, %v", page, err)
		}
		rest, err := s.Events(ctx, store.EventFilter{Limit: 3, Before: page[2].Seq})
		if err != nil || len(rest) != 1 {
			t.Errorf("second page: %+v, %v", rest, err)
		}
		if open, oldest, err := s.Backlog(ctx); open != 3 || !oldest.Equal(noon) || err != nil {
			t.Errorf("backlog %d, %v, %v", open, oldest, err)
		}
	})
}

func TestAFailedEventIsRetriedNowOnDemand(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		d := delivery("C1", "w1")
		accept(t, s, noon, d)
		turn := take(t, s, "ghl:contact:C1", noon)
		later := noon.Add(time.Hour)
		failed := []store.Result{{EventID: d.Event.ID, Status: df.Failed, Error: "x", RetryAt: later}}
		if _, err := s.FinishTurn(t.Context(), turn.Lease, failed, 0, noon, later); err != nil {
			t.Fatal(err)
		}
		if err := s.RetryNow(t.Context(), d.Event.ID, noon); err != nil {
			t.Fatal(err)
		}
		take(t, s, "ghl:contact:C1", noon)
		if err := s.RetryNow(t.Context(), d.Event.ID, noon); !errors.Is(err, store.ErrState) {
			t.Errorf("an event that is being worked on: %v", err)
		}
	})
}

func TestABudgetsStateIsChangedByOneAtATime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		var adding sync.WaitGroup
		for range 10 {
			adding.Go(func() {
				err := s.UpdateAccount(t.Context(), "ghl:L1", func(a store.Account) store.Account {
					return store.Account{TAT: a.TAT + 1, HeldUntil: 7}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		adding.Wait()
		accounts, err := s.Accounts(t.Context())
		if err != nil || accounts["ghl:L1"] != (store.Account{TAT: 10, HeldUntil: 7}) {
			t.Errorf("%+v, %v", accounts, err)
		}
	})
}

func TestAgentsStatesAndTokens(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		ada := store.Agent{Key: "ADA", DisplayName: "Ada", GHLOwnerID: "u1", AlowareUserID: "41", Active: true}
		if err := s.SaveAgent(ctx, ada, false, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveAgent(ctx, ada, false, noon); !errors.Is(err, store.ErrState) {
			t.Errorf("twice: %v", err)
		}
		if key, ok, err := s.AgentKeyByGHLUser(ctx, "u1"); key != "ADA" || !ok || err != nil {
			t.Error(key, ok, err)
		}
		if id, ok, err := s.AlowareUserByAgentKey(ctx, "ADA"); id != "41" || !ok || err != nil {
			t.Error(id, ok, err)
		}
		ada.Active = false
		if err := s.SaveAgent(ctx, ada, true, noon); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.AgentKeyByAlowareUser(ctx, "41"); ok || err != nil {
			t.Error("an agent who left still answers", err)
		}
		if err := s.DeleteAgent(ctx, "ADA"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAgent(ctx, "ADA"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		for i, want := range []bool{true, false} {
			if fresh, err := s.ConsumeState(ctx, "nonce", noon, noon.Add(time.Minute)); fresh != want || err != nil {
				t.Errorf("use %d: %v, %v", i, fresh, err)
			}
		}
		if _, held, err := s.LeaseToken(ctx, "ghl-oauth:L1", "one", noon, noon.Add(time.Minute)); !held || err != nil {
			t.Fatal(held, err)
		}
		token := store.OAuthToken{LocationID: "L1", AccessToken: "sealed", ExpiresAt: noon, CreatedAt: noon}
		if err := s.ReplaceOAuthToken(ctx, "ghl-oauth:L1", "two", token, true, noon); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("without the lock: %v", err)
		}
		if err := s.ReplaceOAuthToken(ctx, "ghl-oauth:L1", "one", token, true, noon); err != nil {
			t.Fatal(err)
		}
		if got, err := s.OAuthToken(ctx, "L1"); err != nil || got.AccessToken != "sealed" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestPrunedDedupeKeysMakeRoom(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		accept(t, s, noon, delivery("C1", "w1"))
		if n, err := s.PruneDedupe(t.Context(), noon); n != 0 || err != nil {
			t.Errorf("a running window was forgotten: %d, %v", n, err)
		}
		if n, err := s.PruneDedupe(t.Context(), noon.Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestABadBatchIsRefusedWhole(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	if _, err := s.Accept(t.Context(), make([]store.Delivery, store.MaxBatch+1), noon); err == nil || !strings.Contains(err.Error(), "64") {
		t.Errorf("%v", err)
	}
}

// What no release could read when it came is read by a later one.
func TestAnUnreadableEventIsRereadAndReopened(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		d := delivery("C1", "w1")
		d.Event.Status, d.Event.Reason = df.Skipped, "unknown type"
		accept(t, s, noon, d)
		if err := s.Reopen(t.Context(), d.Event.ID, noon); !errors.Is(err, store.ErrState) {
			t.Errorf("without a lane: %v", err)
		}
		e, err := s.Event(t.Context(), d.Event.ID)
		if err != nil {
			t.Fatal(err)
		}
		e.Notice.Phone = "+15005550111"
		if err := s.Reread(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if err := s.Reopen(t.Context(), d.Event.ID, noon); err != nil {
			t.Fatal(err)
		}
		if turn := take(t, s, store.PhoneLane("+15005550111"), noon); len(turn.Events) != 1 {
			t.Errorf("%+v", turn)
		}
		if err := s.Reread(t.Context(), df.Event{ID: "none"}); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}
