package crowd

import (
	"fmt"
	"time"
)

func (c *Crowd) ledgerTables() []Table {
	lines := c.Events
	return []Table{
		{"sync_log", []string{"id", "direction", "entity_type", "entity_id", "source_id", "target_id", "status", "started_at", "finished_at",
			"error_message", "correlation_id", "person_id", "fields", "decisions"}, lines, c.line},
		{"sync_conflicts", []string{"id", "person_id", "field", "kind", "base", "seen", "chosen", "value", "rule", "correlation_id", "at"}, share(c.People, 5, 3), func(i int) []any {
			p, at := c.about("conflict", i), c.ago(i, share(c.People, 5, 3), span)
			return []any{identifier("conflict", i, at), p.id, one("conflict", i, "city", "email", "lastName"), "both_changed", `{"ghl":"Waco","aloware":"Waco"}`,
				`{"ghl":"Austin","aloware":"Dallas"}`, "ghl", "Austin", "merge prefers GHL", nil, at}
		}},
		{"sync_issues", []string{"person_id", "topic", "kind", "side", "field", "want", "got", "contact_id", "tries", "open", "detail", "since", "at"}, share(c.People, 50, 4), func(i int) []any {
			p := c.spread(i, share(c.People, 50, 4))
			at := c.ago(i, share(c.People, 50, 4), 30*24*time.Hour)
			return []any{p.id, "write:aloware:email", one("issue", i, "not_written", "refused", "ping_pong", "duplicate"), "aloware", "email", p.email, "", p.aloware, 3, i%3 != 0,
				"Aloware refused the change", at, at}
		}},
		{"sync_writes", []string{"person_id", "side", "field", "at", "value_hash"}, share(c.Events, 10, 5), func(i int) []any {
			return []any{c.about("write", i).id, "aloware", one("write", i, "city", "email", "tags"), c.ago(i, share(c.Events, 10, 5), 7*24*time.Hour), hexes("value", i)}
		}},
		{"normalisations", []string{"side", "field", "change", "times", "given", "held", "first_at", "last_at"}, 12, func(i int) []any {
			return []any{"aloware", fmt.Sprint("field", i), "case", 1000 + i, "John", "JOHN", c.now.Add(-span), c.now}
		}},
		{"effects", []string{"key", "kind", "state", "attempts", "person_id", "event_id", "request", "error", "created_at", "updated_at"}, share(c.Events, 5, 3), func(i int) []any {
			p, at, state := c.about("effect", i), c.ago(i, share(c.Events, 5, 3), span), "done"
			if i%5000 == 0 {
				state = "unknown"
			}
			return []any{"log_text:" + hexes("effect", i), "log_text", state, 1, p.id, identifier("event", i*5, c.when(i*5)), `{"status":"delivered"}`, "", at, at}
		}},
		{"audit_log", []string{"at", "actor", "action", "target", "details"}, share(c.Events, 20, 5), func(i int) []any {
			target := c.about("audit", i).id
			return []any{c.ago(i, share(c.Events, 20, 5), span), one("actor", i, "admin", "Dana", "key:reporting"), one("audit", i, "event.replay", "person.converge", "mapping.repair", "list.rebuild"), target, `{"reason":"looked at"}`}
		}},
		{"sweep_findings", []string{"source", "kind", "entity_id", "changed_at", "person_id", "found_at", "verdict", "judged_at"}, share(c.Events, 50, 5), func(i int) []any {
			p, at := c.about("finding", i), c.ago(i, share(c.Events, 50, 5), span)
			return []any{"ghl", "contact.updated", p.ghl, at, p.id, at.Add(time.Minute), one("finding", i, "announced", "announced", "missed"), at.Add(90 * time.Minute)}
		}},
		{"reconcile_runs", []string{"id", "job_name", "started_at", "finished_at", "status", "totals", "beat_at"}, share(c.Events, 100, 3), func(i int) []any {
			at := c.ago(i, share(c.Events, 100, 3), span)
			return []any{identifier("run", i, at), "contacts", at, at.Add(time.Minute), "success", `{"pages":3,"contacts":240,"people":540,"differ":2}`, at.Add(time.Minute)}
		}},
		{"replays", []string{"id", "filter", "actor", "status", "until_seq", "events", "replayed", "started_at", "beat_at", "finished_at"}, 60, func(i int) []any {
			at := c.ago(i, 60, span)
			return []any{identifier("replay", i, at), `{}`, "admin", "done", 1000, 40, 40, at, at, at}
		}},
	}
}

// line is one line of the sync log: a write, one that was refused, or a reason
// why nothing was written.
func (c *Crowd) line(i int) []any {
	p, at := c.about("event", i), c.when(i)
	var failed, fields, decided any
	direction, status, entity := one("line", i, "ghl_to_aloware", "ghl_to_aloware", "aloware_to_ghl", "texting_to_ghl"), "success", "contact"
	switch n := mix("line status", i) % 1000; {
	case n < 8:
		status, failed = "error", "Aloware refused the change"
	case n < 60:
		status, failed = "skipped", "nothing differs"
	case n < 120:
		entity = "list"
	default:
		fields = one("fields", i, "city", "email,phone", "tags", "firstName,lastName")
		decided = `[{"Action":"write","Side":"aloware","Field":"city","Rule":"ghl changed","Value":"` + p.city + `","Writes":true,"Before":"Waco","Detail":""}]`
	}
	return []any{identifier("line", i, at), direction, entity, p.ghl, p.ghl, p.aloware, status, at, at.Add(300 * time.Millisecond), failed,
		identifier("event", i, at), p.id, fields, decided}
}
