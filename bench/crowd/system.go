package crowd

import (
	"fmt"
	"time"
)

const week = 7 * 24 * time.Hour

func (c *Crowd) systemTables() []Table {
	jobs := share(c.Events, 20, 20)
	minutes := min(int(week/time.Minute), share(c.Events, 20, 60))
	return []Table{
		{"river_job", []string{"state", "attempt", "max_attempts", "attempted_at", "created_at", "finalized_at", "scheduled_at", "priority", "args", "kind", "metadata", "queue"}, jobs, func(i int) []any {
			at, state, finalized := c.ago(i, jobs, 24*time.Hour), "completed", any(nil)
			switch {
			case i%1000 == 3:
				state = "discarded"
			case i%1000 == 4:
				state = "retryable"
			}
			scheduled := at
			if state == "retryable" {
				scheduled = c.now.Add(48 * time.Hour)
			} else {
				finalized = at.Add(time.Second)
			}
			return []any{state, 1, 25, at, at, finalized, scheduled, 1, fmt.Sprintf(`{"lane":%q}`, c.about("job", i).lane()), one("job", i, "drain_lane", "drain_lane", "forward"), "{}", "process-webhook-event"}
		}},
		{"minute_figures", []string{"minute", "received", "finished", "given_up", "within_1s", "within_10s", "within_60s", "slower", "slowest_ms", "written", "refused", "backlog"}, minutes, func(i int) []any {
			n := int(mix("minute", i) % 20)
			return []any{c.now.Truncate(time.Minute).Add(time.Duration(i-minutes) * time.Minute), n, n, 0, n, 0, 0, 0, 400, n, 0, 3}
		}},
		{"alerts", []string{"id", "rule", "subject", "severity", "state", "summary", "times", "opened_at", "seen_at", "resolved_at", "told", "version"}, share(c.People, 100, 5), func(i int) []any {
			at, state, resolved := c.ago(i, share(c.People, 100, 5), span), "resolved", any(c.now)
			if i < 3 {
				state, resolved = "open", nil
			}
			return []any{identifier("alert", i, at), one("alert", i, "backlog", "error-rate", "silent-source"), fmt.Sprint("subject ", i%7), "warning", state, "An event that could be worked waits.", 1, at, at, resolved, "resolved", 1}
		}},
		{"alert_figures", []string{"name", "subject", "slot", "n"}, share(c.Events, 50, 10), func(i int) []any {
			return []any{"upstream.calls", fmt.Sprint("upstream ", i%5), c.now.Truncate(time.Minute).Add(-time.Duration(i/5) * time.Minute), 12}
		}},
		{"source_hours", []string{"source", "hour", "events"}, min(90*24*4, share(c.Events, 10, 8)), func(i int) []any {
			return []any{[]string{"ghl", "aloware", "texting", "broadcast"}[i%4], c.now.Truncate(time.Hour).Add(-time.Duration(i/4+1) * time.Hour), 100}
		}},
		{"api_keys", []string{"id", "name", "scopes", "hash", "created_at"}, 20, func(i int) []any {
			return []any{identifier("key", i, c.now), fmt.Sprint("key ", i), `["gateway"]`, []byte(hexes("key", i)), c.now}
		}},
		{"console_users", []string{"id", "name", "name_key", "email", "role", "password_hash", "clerk_user_id", "epoch", "created_at", "updated_at"}, 20, func(i int) []any {
			return []any{identifier("user", i, c.now), fmt.Sprint("User ", i), fmt.Sprint("user ", i), fmt.Sprintf("user%d@example.test", i), "viewer", "", "", 1, c.now, c.now}
		}},
		{"chat_conversations", []string{"owner", "id", "title", "model", "input_tokens", "output_tokens", "cost_micros", "turn", "created_at", "updated_at"}, share(c.People, 500, 2), func(i int) []any {
			return []any{"admin", identifier("chat", i, c.now), "How many people differ?", "example/model", 1000, 200, 12, "", c.now, c.now}
		}},
	}
}
