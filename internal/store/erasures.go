package store

const eventsTable = "webhook_events"

// erasure says what happens to one table's rows when a person is erased: they
// are deleted, or some of their columns are overwritten. A new table with
// anything about people gets a line here, or one among the exempt of the test
// that reads the schema.
type erasure struct {
	table string
	// where selects the subject's rows. Its placeholders are the lists of
	// Subject: {people}, {ghl}, {aloware}, {phones}; {anyone} is all three kinds
	// of ids, {lanes} the lanes of the subject alone.
	where string
	// set overwrites columns; empty deletes the rows.
	set string
	// keeps names the columns that set leaves as they are: nothing in them is
	// about anybody.
	keeps []string
}

// erasures lists the tables that hold personal data. Events come first: they are
// looked for before the rest is locked. Their rows stay, empty, so that what was
// received can still be accounted for; without a lane they cannot be replayed.
var erasures = []erasure{
	{
		table: eventsTable,
		where: `person_id IN ({people}) OR source = 'ghl' AND contact_id IN ({ghl})
			OR source = 'aloware' AND contact_id IN ({aloware}) OR phone IN ({phones})`,
		set: `status = CASE WHEN status = 'done' THEN 'done' ELSE 'skipped' END, reason = 'erased', entity_id = 'erased',
			dedupe_key = 'erased', contact_id = NULL, phone = NULL, delivery_id = NULL, error_message = NULL, lane = '',
			person_id = NULL, headers = '{}', payload_json = NULL, payload_raw = NULL, next_attempt_at = NULL,
			processed_at = COALESCE(processed_at, received_at)`,
		keeps: []string{"seq", "id", "received_at", "source", "route", "event_type", "kind", "entity_type", "occurred_at", "attempts", "verified", "trace"},
	},
	{table: "contact_mappings", where: `id IN ({people})`},
	{table: "contact_phones", where: `person_id IN ({people})`},
	{table: "contact_agreements", where: `person_id IN ({people})`},
	{table: "person_words", where: `person_id IN ({people})`},
	{table: "sync_conflicts", where: `person_id IN ({people})`},
	{table: "sync_issues", where: `person_id IN ({people})`},
	{table: "sync_writes", where: `person_id IN ({people})`},
	{
		table: "sync_log",
		where: `person_id IN ({people}) OR entity_type = 'contact' AND entity_id IN ({anyone})`,
		set:   `entity_id = 'erased', source_id = 'erased', target_id = NULL, error_message = NULL, person_id = NULL, decisions = NULL`,
		keeps: []string{"seq", "id", "direction", "entity_type", "status", "started_at", "finished_at", "correlation_id", "fields"},
	},
	{
		// What happens once must not happen again, so the key stays.
		table: "effects",
		where: `person_id IN ({people})`,
		set:   `request = '{}', error = '', person_id = ''`,
		keeps: []string{"key", "kind", "state", "attempts", "event_id", "created_at", "updated_at"},
	},
	{
		table: "message_mappings",
		where: `person_id IN ({people}) OR ghl_contact_id IN ({ghl}) OR aloware_contact_id IN ({aloware})
			OR from_number IN ({phones}) OR to_number IN ({phones})`,
	},
	{
		table: "calls",
		where: `person_id IN ({people}) OR ghl_contact_id IN ({ghl}) OR aloware_contact_id IN ({aloware}) OR phone IN ({phones})`,
	},
	{table: "crm_items", where: `person_id IN ({people}) OR ghl_contact_id IN ({ghl})`},
	{
		// The examples are there for people to look at, and come anew.
		table: "normalisations",
		where: `given <> ''`,
		set:   `given = '', held = ''`,
		keeps: []string{"side", "field", "change", "times", "first_at", "last_at"},
	},
	{
		table: "people_reviews",
		where: `person_id IN ({people}) OR side = 'ghl' AND contact_id IN ({ghl}) OR side = 'aloware' AND contact_id IN ({aloware})
			OR phone IN ({phones})`,
	},
	{table: "people_undo", where: `{mentions}`},
	{table: "contact_list_memberships", where: `contact_id IN ({anyone})`},
	{table: "contact_agent_state", where: `contact_id IN ({anyone})`},
	{table: "drift", where: `subject IN ({people}) OR subject LIKE 'ghl:%' AND substr(subject, 5) IN ({ghl})`},
	{table: "sweep_findings", where: `person_id IN ({people}) OR source = 'ghl' AND entity_id IN ({ghl}) OR source = 'aloware' AND entity_id IN ({aloware})`},
	{table: "list_intents", where: `person_id IN ({people})`},
	{table: "list_holdings", where: `person_id IN ({people}) OR aloware_contact_id IN ({aloware})`},
	{table: "consent_flags", where: `side = 'ghl' AND contact IN ({ghl}) OR side = 'aloware' AND contact IN ({aloware})`},
	{table: "optout_registry", where: `phone_number IN ({phones})`},
	{table: "consent_holds", where: `phone IN ({phones})`},
	{table: "consent_fanout", where: `phone IN ({phones})`},
	{table: "phone_locks", where: `phone IN ({phones})`},
	// The key of a stranger's lane is made of the number.
	{table: "lanes", where: `key IN ({lanes}) AND queued = 0`},
}
