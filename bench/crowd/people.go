package crowd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// text is a value as JSON.
func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic("crowd: " + err.Error()) // only maps and lists of plain values are passed
	}
	return string(data)
}

// fields is what a side held when the sides last agreed.
func (p person) fields() map[string]string {
	return map[string]string{
		"firstName": p.first, "lastName": p.last, "email": p.email, "phone": p.phone, "address1": fmt.Sprintf("%d Main St", p.i%9000+1),
		"city": p.city, "state": "TX", "postalCode": p.zip, "country": "US", "source": "web form", "companyName": p.last + " Ltd",
		"timezone": "America/Chicago",
	}
}

func (c *Crowd) peopleTables() []Table {
	return []Table{
		{"contact_mappings", []string{"id", "ghl_contact_id", "aloware_contact_id", "phone_number", "email", "status", "ended_at", "ended_reason",
			"apart_from", "last_synced_at", "created_at", "updated_at"}, c.People, c.mapping},
		{"contact_phones", []string{"person_id", "phone"}, share(c.People, 5, 1), func(i int) []any {
			return []any{c.spread(i, share(c.People, 5, 1)).id, number(c.People + i)}
		}},
		{"contact_agreements", []string{"person_id", "side", "contact_id", "fields", "tags", "updated_at"}, 2 * c.People, func(i int) []any {
			p := c.person(i / 2)
			if i%2 == 0 {
				return []any{p.id, "ghl", p.ghl, text(p.fields()), text(p.tags()), c.now}
			}
			return []any{p.id, "aloware", p.aloware, text(p.fields()), text(p.tags()), c.now}
		}},
		{"person_words", []string{"person_id", "words"}, c.People, func(i int) []any { p := c.person(i); return []any{p.id, p.words()} }},
		{"consent_flags", []string{"side", "contact", "do_not_text", "do_not_call", "at"}, c.People, func(i int) []any {
			return []any{"ghl", c.person(i).ghl, i%10 == 0, i%10 == 0, c.now}
		}},
		{"lanes", []string{"key", "queued", "nudges", "fence", "wake_at", "rung_at"}, c.People, c.lane},
		{"people_reviews", []string{"key", "kind", "person_id", "side", "contact_id", "phone", "candidates", "at", "resolved_at"}, share(c.People, 500, 3), func(i int) []any {
			p, resolved := c.spread(i, share(c.People, 500, 3)), any(nil)
			if i%2 == 0 {
				resolved = c.now
			}
			return []any{fmt.Sprint("review-", i), "ambiguous", p.id, "aloware", p.aloware, p.phone, text([]string{p.id, c.person(p.i + 1).id}), c.ago(i, c.People, span), resolved}
		}},
		{"people_undo", []string{"id", "kind", "reason", "actor", "at", "before_rows", "after_rows"}, share(c.People, 200, 3), c.change},
		{"drift", []string{"subject", "side", "field", "kind", "since", "seen_at"}, share(c.People, 20, 4), func(i int) []any {
			return []any{c.spread(i, share(c.People, 20, 4)).id, "ghl", one("drift", i, "city", "email", "phone", "lastName"), "field", c.ago(i, c.People, 7*24*time.Hour), c.now}
		}},
	}
}

// words is the line by which the program finds the person.
func (p person) words() string {
	words := []string{p.id, strings.ToLower(p.ghl), p.aloware, p.email, p.phone[1:]}
	fields := p.fields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if value := strings.ToLower(fields[name]); name != "phone" && name != "email" {
			words = append(words, value)
		}
	}
	return strings.Join(words, "\n")
}

// mapping makes one person in twenty ended.
func (c *Crowd) mapping(i int) []any {
	p := c.person(i)
	var ended, reason any
	status := "active"
	if i%20 == 19 {
		ended, reason, status = c.now.Add(-time.Hour), "deleted in GHL", "ended"
	}
	return []any{p.id, p.ghl, p.aloware, p.phone, p.email, status, ended, reason, "[]", c.now, p.created, c.now}
}

// lane makes some lanes wait: for a worker, or for the next try of an event.
func (c *Crowd) lane(i int) []any {
	p := c.person(i)
	queued, wake := 0, any(nil)
	switch {
	case i%1000 == 5:
		queued = 1
	case i%1000 == 6:
		queued, wake = 1, c.now.Add(48*time.Hour)
	}
	return []any{p.lane(), queued, 0, 1 + i%50, wake, c.now.Add(-time.Minute)}
}

// change is a merge that can be undone, with the people before and after it.
func (c *Crowd) change(i int) []any {
	p := c.spread(i, share(c.People, 200, 3))
	row := []map[string]any{{"ID": p.id, "GHLContactID": p.ghl, "AlowareContactID": p.aloware, "Phone": p.phone, "Email": p.email, "Status": "active"}}
	at := c.ago(i, share(c.People, 200, 3), span)
	return []any{identifier("change", i, at), "merge", "the same person", "operator", at, text(row), text(row)}
}
