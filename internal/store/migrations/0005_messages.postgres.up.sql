-- Messages: what happens once (a text sent, a text logged) has a row that is
-- claimed before the call and finished after it, and a message's mapping knows
-- how far the message came and how far GHL was told, because a repeated webhook
-- or a lost answer must never text anybody twice.

CREATE TABLE effects (
    key        TEXT PRIMARY KEY, -- what is to happen once
    kind       TEXT NOT NULL,    -- log_text, send_text
    state      TEXT NOT NULL,    -- claimed, done, failed (did not happen), unknown (may have happened)
    attempts   INTEGER NOT NULL, -- calls that were begun
    person_id  TEXT NOT NULL,
    event_id   TEXT NOT NULL,    -- the event that caused it
    request    TEXT NOT NULL,    -- JSON: what must be the same in every attempt
    error      TEXT NOT NULL,    -- safe text
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX effects_unsettled ON effects (updated_at) WHERE state <> 'done';
CREATE INDEX effects_person ON effects (person_id);

ALTER TABLE message_mappings ADD COLUMN source TEXT; -- who reported it first: ghl, texting, aloware
ALTER TABLE message_mappings ADD COLUMN body_hash TEXT; -- of the words; recognises our own text in a report that names no id of ours
ALTER TABLE message_mappings ADD COLUMN occurred_at TIMESTAMPTZ;
ALTER TABLE message_mappings ADD COLUMN status TEXT; -- how far it came: queued, sent, delivered, failed, …
ALTER TABLE message_mappings ADD COLUMN status_reason TEXT; -- why it failed, safe text that GHL's users may read
ALTER TABLE message_mappings ADD COLUMN told_status TEXT; -- the state that GHL was told last
ALTER TABLE message_mappings ADD COLUMN tell_at TIMESTAMPTZ; -- when GHL is to be told; NULL when there is nothing to tell
ALTER TABLE message_mappings ADD COLUMN tell_until TIMESTAMPTZ; -- a worker is telling, until then
ALTER TABLE message_mappings ADD COLUMN tell_tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message_mappings ADD COLUMN tell_error TEXT;
CREATE INDEX message_mappings_tell ON message_mappings (tell_at) WHERE tell_at IS NOT NULL;
CREATE INDEX message_mappings_customer ON message_mappings (from_number, occurred_at);
CREATE INDEX message_mappings_outbox ON message_mappings (to_number, body_hash);
CREATE INDEX message_mappings_person ON message_mappings (person_id, occurred_at);
