package crowd

import "time"

// outs is how many numbers said something about being contacted.
func (c *Crowd) outs() int { return share(c.People, 8, 3) }

func (c *Crowd) consentTables() []Table {
	outs := c.outs()
	return []Table{
		{"optout_registry", []string{"id", "phone_number", "status", "source", "reason", "last_event_at", "created_at", "updated_at"}, outs, func(i int) []any {
			at, status := c.ago(i, outs, 365*24*time.Hour), "opted_out"
			if i%9 == 0 {
				status = "opted_in"
			}
			return []any{identifier("optout", i, at), c.spread(i, outs).phone, status, one("optout", i, "texting", "ghl", "aloware", "operator"),
				one("reason", i, "STOP", "please stop texting me", "do-not-disturb in GHL"), at, at, at}
		}},
		{"consent_holds", []string{"phone", "scope", "holder", "out_at"}, outs, func(i int) []any {
			return []any{c.spread(i, outs).phone, "sms", "text", c.ago(i, outs, 365*24*time.Hour)}
		}},
		{"consent_events", []string{"seq", "id", "key", "phone", "kind", "scopes", "holder", "actor", "at", "heard_at", "source", "words", "rule", "certain",
			"message_id", "event_id", "person_id", "prev_hash", "hash"}, 2 * outs, c.act},
		{"consent_fanout", []string{"phone", "target", "generation", "state", "attempts", "next_try_at", "last_error", "since", "confirmed_at"}, 3 * outs, func(i int) []any {
			at, state := c.ago(i/3, outs, 365*24*time.Hour), "done"
			if i%1500 == 7 {
				state = "failed"
			}
			return []any{c.spread(i/3, outs).phone, []string{"ghl", "aloware", "verity"}[i%3], 1, state, 1, c.now.Add(48 * time.Hour), "", at, at.Add(time.Minute)}
		}},
		{"consent_incidents", []string{"key", "phone", "scope", "at", "seen_at", "out_since", "source", "message_id", "event_id", "person_id", "resolved_at"}, share(c.People, 1000, 3), func(i int) []any {
			p, at, resolved := c.spread(i, share(c.People, 1000, 3)), c.ago(i, share(c.People, 1000, 3), span), any(c.now)
			if i%5 == 0 {
				resolved = nil
			}
			return []any{"incident-" + hexes("incident", i), p.phone, "sms", at, at, at.Add(-time.Hour), "texting", hexes("text", i), identifier("event", i, c.when(i)), p.id, resolved}
		}},
		{"consent_reviews", []string{"event_id", "kind", "phone", "at", "resolved_at"}, share(c.People, 500, 2), func(i int) []any {
			at, resolved := c.ago(2*i, 2*outs, 365*24*time.Hour), any(c.now)
			if i%2 == 0 {
				resolved = nil
			}
			return []any{identifier("act", 2*i, at), "free wording", c.spread(i, outs).phone, at, resolved}
		}},
	}
}

// act is one act of consent: of each number two. The chain of hashes is not kept
// up, since nothing here reads it.
func (c *Crowd) act(i int) []any {
	p, at := c.spread(i/2, c.outs()), c.ago(i, 2*c.outs(), 365*24*time.Hour)
	return []any{i + 1, identifier("act", i, at), hexes("act", i), p.phone, []string{"stop", "note"}[i%2], "sms,call", "text", "person", at, at, "texting", words(i, 6),
		"keyword STOP", true, hexes("text", i), "", p.id, hexes("chain", i), hexes("chain", i+1)}
}
