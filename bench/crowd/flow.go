package crowd

import (
	"fmt"
	"time"
)

func (c *Crowd) flowTables() []Table {
	texts, calls, items, broadcasts := share(c.Events, 5, 5), share(c.Events, 10, 5), share(c.People, 4, 5), share(c.People, 100, 3)
	return []Table{
		{"message_mappings", []string{"id", "texting_message_id", "ghl_message_id", "conversation_id", "ghl_contact_id", "aloware_contact_id", "person_id",
			"from_number", "to_number", "direction", "created_at", "updated_at", "source", "body_hash", "occurred_at", "status", "told_status"}, texts, func(i int) []any {
			p, at := c.about("text", i), c.ago(i, texts, span)
			from, to, direction := p.phone, "+15005550199", "inbound"
			if i%2 == 0 {
				from, to, direction = to, from, "outbound"
			}
			return []any{identifier("text", i, at), "msg_" + hexes("text", i), token("message", i), token("conversation", p.i), p.ghl, p.aloware, p.id,
				from, to, direction, at, at, "texting", hexes("body", i), at, one("text", i, "delivered", "delivered", "sent", "failed"), "delivered"}
		}},
		{"calls", []string{"id", "person_id", "ghl_contact_id", "aloware_contact_id", "phone", "started_at", "facts", "ghl_message_id", "ghl_note_id",
			"attached", "created_at", "updated_at"}, calls, func(i int) []any {
			p, at := c.about("call", i), c.ago(i, calls, span)
			said := at.Format(time.RFC3339)
			facts := fmt.Sprintf(`{"phone":{"value":%q,"at":%q},"direction":{"value":"outbound","at":%q},"ending":{"value":"completed","at":%q},"talked":{"value":"%d","at":%q},"duration":{"value":"120","at":%q},"remarks":{"value":%q,"at":%q},"started":{"value":%q,"at":%q}}`,
				p.phone, said, said, said, mix("talk", i)%600, said, said, words(i, 12), said, said, said)
			return []any{fmt.Sprint(300_000_000 + i), p.id, p.ghl, p.aloware, p.phone, at, facts, token("logged call", i), token("note", i), true, at, at}
		}},
		{"broadcasts", []string{"id", "as_of", "figures", "origin", "record_id", "records", "events", "created_at", "updated_at"}, broadcasts, func(i int) []any {
			at := c.ago(i, broadcasts, span)
			return []any{fmt.Sprint("bc_", i), at, fmt.Sprintf(`{"name":"Spring offer %d","channel":"sms","sentAt":%q,"recipients":4200,"sent":4100,"delivered":3900,"pending":12,"failed":88,"responses":300,"appointments":21}`, i, at.Format(time.RFC3339)),
				"payload", token("record", i), 1, 40, at, at}
		}},
		{"crm_items", []string{"kind", "id", "person_id", "ghl_contact_id", "standing", "starts_at", "told", "changed_at", "created_at", "updated_at"}, 2 * items, func(i int) []any {
			p, at := c.about("item", i), c.ago(i, 2*items, span)
			told := fmt.Sprintf(`[{"at":%q,"event":"AppointmentCreate","values":{"status":"confirmed","title":"Visit","start":%q}}]`, at.Format(time.RFC3339), at.Add(48*time.Hour).Format(time.RFC3339))
			if i%2 == 0 {
				return []any{"appointment", token("item", i), p.id, p.ghl, one("item", i, "booked", "kept", "no-show", "cancelled"), at.Add(48 * time.Hour), told, at, at, at}
			}
			told = fmt.Sprintf(`[{"at":%q,"event":"OpportunityCreate","values":{"status":"open","stage":"new","pipeline":"sales"}}]`, at.Format(time.RFC3339))
			return []any{"opportunity", token("item", i), p.id, p.ghl, one("item", i, "open", "won", "lost"), nil, told, at, at, at}
		}},
	}
}
