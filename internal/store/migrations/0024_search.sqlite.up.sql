-- Lists and searches answer at once with a million events and a hundred thousand
-- people: what people are found by stands in one line for each, ended events are
-- counted from an index that waiting ones never enter, and texts are listed by
-- either number.
CREATE TABLE person_words (
    person_id TEXT PRIMARY KEY,
    words     TEXT NOT NULL -- ids, numbers, addresses, names, in small letters, one a line; filled by the program
);

CREATE INDEX webhook_events_ended ON webhook_events (source, status) WHERE status IN ('done', 'skipped');
CREATE INDEX webhook_events_quarantined ON webhook_events (person_id) WHERE status = 'quarantined';
CREATE INDEX list_intents_wanted ON list_intents (person_id, state, wanted);
CREATE INDEX consent_events_person ON consent_events (person_id);
CREATE INDEX message_mappings_from ON message_mappings (from_number, id);
CREATE INDEX message_mappings_to ON message_mappings (to_number, id);
